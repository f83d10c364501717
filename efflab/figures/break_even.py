"""How long a sparse product takes beside the dense one, over the share of zeros: the line at 1 is where it turns.

Reference: Han et al., Deep Compression, 2015, arXiv 1510.00149, section 6.3.
"""

import math
from collections.abc import Iterable, Sequence

import pandas as pd

from efflab.figures.axes import FIXED, interval_band
from efflab.figures.frontier import LAYOUT_LOOKS, caption, conditions_text, layout_text, size_text, turning_text
from efflab.figures.picture import MAX_ROWS, Picture, array, draw
from efflab.figures.text import percent_text, ratio_text, short
from efflab.figures.theme import BASE, PREDICTED, Json, translucent
from efflab.measure.break_even import KernelSpeed, frontier, latest, line_of

ENDS = (-3.0, 103.0)
"""The sparsity axis in percent, with room for a marker at 0 and at 100."""
RATIOS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100)
"""What may be written along the axis of ratios."""
LAST = 2000
"""The place in the legend of what is not a measured line; plotly's own is 1000."""
FAINT, BAND = 0.55, 0.4
"""Opacity of the other sizes and of the noise floor: behind the chosen lines, but in sight on a dark page too."""
SPAN = (0.1, 5.0)
"""Ratios that are always in sight, so that the axis seldom moves."""


def sparse_speed(
    points: Iterable[KernelSpeed],
    *,
    rows: int,
    columns: int,
    batch: int,
    chosen: KernelSpeed | None = None,
    predicted: float | None = None,
) -> Picture:
    """Time of the sparse product / time of the dense one over the sparsity, on a log axis; one line a layout.

    The lines of the chosen matrix (rows, columns) and batch have their intervals; all others are faint.

    Args:
        points: of which the last of equal settings counts.
        rows: outputs of the layer.
        columns: inputs of the layer.
        batch: inputs in a run.
        chosen: the point that was asked for, drawn large.
        predicted: the break-even that the learner expects, a fraction.

    Reference: Han et al., 2015, arXiv 1510.00149, section 6.3.
    """
    found = latest([*points, *([chosen] if chosen else [])])
    here = [point for point in found if (point.rows, point.columns, point.speed.batch) == (rows, columns, batch)]
    lines = _lines(here)
    traces = [*_others(point for point in found if point not in here), *_floor(here), _dense()]
    traces += [_line(line) for line in lines]
    traces += [_chosen(chosen)] if chosen else []
    traces += [_prediction(predicted, found)] if predicted is not None else []
    where = f"{size_text(rows, columns)}, batch {batch}"
    sentence = _sentence(where, here, chosen, predicted)
    return Picture(draw(traces, _layout(where, here, found)), sentence, _table(lines))


def _lines(points: Iterable[KernelSpeed]) -> list[list[KernelSpeed]]:
    """The points of each line along the axis."""
    lines: dict[object, list[KernelSpeed]] = {}
    for point in sorted(points, key=lambda point: point.sparsity):
        lines.setdefault(line_of(point), []).append(point)
    return [lines[key] for key in sorted(lines, key=str, reverse=True)]  # csr before bsr


def _line(points: Sequence[KernelSpeed]) -> Json:
    colour, dash, symbol = LAYOUT_LOOKS[points[0].layout]
    ups = [point.speed.ratio_high - point.speed.ratio for point in points]
    downs = [point.speed.ratio - point.speed.ratio_low for point in points]
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "x": array([100 * point.sparsity for point in points]),
        "y": array([point.speed.ratio for point in points]),
        "error_y": {"type": "data", "symmetric": False, "array": ups, "arrayminus": downs, "color": colour},
        "name": layout_text(points[0].layout, points[0].block),
        "line": {"color": colour, "dash": dash},
        "marker": {"color": colour, "symbol": symbol},
        "text": [point.speed.verdict for point in points],
        "hovertemplate": "%{x:.4~g} %: %{y:.3~g} of the time, %{text}<extra></extra>",
    }


def _others(points: Iterable[KernelSpeed]) -> list[Json]:
    """The other sizes and batches, one faint trace a layout with gaps between its lines."""
    traces: dict[str, Json] = {}
    for line in _lines(points):
        layout = line[0].layout
        colour, dash, _ = LAYOUT_LOOKS[layout]
        trace = traces.setdefault(layout, {"x": [], "y": [], "line": {"color": colour, "dash": dash}})
        trace["x"] += [*(100 * point.sparsity for point in line), float("nan")]
        trace["y"] += [*(point.speed.ratio for point in line), float("nan")]
    look = {"type": "scatter", "mode": "lines", "opacity": FAINT, "hoverinfo": "skip", "legendrank": LAST}
    return [
        look | trace | {"x": array(trace["x"]), "y": array(trace["y"]), "name": "other sizes", "showlegend": i == 0}
        for i, trace in enumerate(traces.values())
    ]


def _floor(points: Sequence[KernelSpeed]) -> list[Json]:
    """The band in which a difference is none: the widest of the noise floors at each sparsity."""
    floors: dict[float, float] = {}
    for point in sorted(points, key=lambda point: point.sparsity):
        floors[point.sparsity] = max(floors.get(point.sparsity, 0.0), point.speed.noise_floor)
    if not floors:
        return []
    xs = [ENDS[0], *(100 * sparsity for sparsity in floors), ENDS[1]]
    widths = [*list(floors.values())[:1], *floors.values(), *list(floors.values())[-1:]]
    band = interval_band(list(xs), [1 / (1 + width) for width in widths], [1 + width for width in widths], BASE)
    look = {"fillcolor": translucent(BASE, BAND), "showlegend": True, "name": "noise floor", "legendrank": LAST}
    return [band | look]


def _dense() -> Json:
    return {
        "type": "scatter",
        "mode": "lines",
        "x": list(ENDS),
        "y": [1, 1],
        "line": {"color": BASE, "dash": "dash"},
        "name": "dense",
        "legendrank": LAST,
        "hoverinfo": "skip",
    }


def _chosen(point: KernelSpeed) -> Json:
    colour, _, symbol = LAYOUT_LOOKS[point.layout]
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [100 * point.sparsity],
        "y": [point.speed.ratio],
        "marker": {"color": colour, "symbol": symbol, "size": 17},
        "name": f"now {ratio_text(point.speed.ratio)}",
        "hoverinfo": "skip",
    }


def _prediction(predicted: float, points: Sequence[KernelSpeed]) -> Json:
    return {
        "type": "scatter",
        "mode": "lines",
        "x": [100 * predicted] * 2,
        "y": list(_span(points)),
        "line": {"color": PREDICTED, "dash": "dot"},
        "name": f"you predicted {percent_text(predicted, None)}",
        "hoverinfo": "name",
    }


def _span(points: Sequence[KernelSpeed]) -> tuple[float, float]:
    """The ends of the axis of ratios."""
    low = min([SPAN[0], *(point.speed.ratio_low for point in points)])
    high = max([SPAN[1], *(point.speed.ratio_high for point in points)])
    return low / 1.3, high * 1.3


def _layout(where: str, here: Sequence[KernelSpeed], found: Sequence[KernelSpeed]) -> Json:
    low, high = _span(found)
    ticks = [ratio for ratio in RATIOS if low <= ratio <= high]
    words = {"xref": "paper", "x": 0.01, "yref": "paper", "showarrow": False, "xanchor": "left"}
    return {
        "xaxis": {
            "title": {"text": f"zeros (%); in BSR, blocks of zeros<br>{caption(here or found)}"},
            "range": list(ENDS),
            "tickangle": 0,
        },
        "yaxis": {
            "title": {"text": "time, sparse / dense"},
            "type": "log",
            "range": [math.log10(low), math.log10(high)],
            "tickvals": ticks,
            "ticktext": [f"{ratio:g}x" for ratio in ticks],
            **FIXED,
        },
        "annotations": [
            words | {"y": 0.99, "yanchor": "top", "text": "↑ slower than dense"},
            words | {"y": 0.01, "yanchor": "bottom", "text": "↓ faster than dense"},
        ],
        "legend": {"title": {"text": where, "side": "top"}},
    }


def _sentence(where: str, here: Sequence[KernelSpeed], chosen: KernelSpeed | None, predicted: float | None) -> str:
    if not here:
        return f"Nothing was measured of {where} yet."
    parts = [f"{where}, {conditions_text(here)}:"]
    if chosen:
        now = f"{layout_text(chosen.layout, chosen.block)} with {percent_text(chosen.sparsity, None)} zeros"
        parts.append(f"{now} takes {ratio_text(chosen.speed.ratio)} the time of dense, {chosen.speed.verdict}.")
    parts += [f"{layout_text(one.layout, one.block)}: {turning_text(one)}." for one in frontier(here)]
    if predicted is not None:
        parts.append(f"You predicted {percent_text(predicted, None)}.")
    return " ".join(parts)


def _table(lines: Sequence[Sequence[KernelSpeed]]) -> pd.DataFrame:
    rows = [
        (
            layout_text(point.layout, point.block),
            float(short(100 * point.sparsity)),
            *(float(f"{ms:.3g}") for ms in (point.speed.base.median_ms, point.speed.now.median_ms)),
            *(float(f"{r:.3g}") for r in (point.speed.ratio, point.speed.ratio_low, point.speed.ratio_high)),
            round(100 * point.speed.noise_floor, 1),
            point.speed.verdict,
        )
        for line in lines
        for point in line
    ]
    columns = ["layout", "zeros (%)", "dense (ms)", "sparse (ms)", "ratio", "95 % from", "to", "noise floor (%)"]
    return pd.DataFrame(rows[:MAX_ROWS], columns=[*columns, "verdict"])
