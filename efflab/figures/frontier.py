"""The frontier of a processor: for each matrix size and batch, from which share of zeros on sparse is faster.

Reference: Han et al., Deep Compression, 2015, arXiv 1510.00149, section 6.3.
"""

import textwrap
from collections.abc import Iterable, Sequence

import pandas as pd

from efflab.figures.axes import FIXED
from efflab.figures.picture import MAX_ROWS, Picture, draw
from efflab.figures.text import percent_text, short
from efflab.figures.theme import MARKERS, NOW, TUNED, Json
from efflab.measure.break_even import BreakEven, KernelSpeed, frontier
from efflab.measure.grid import still_needed

LAYOUT_LOOKS = {"csr": (NOW, "solid", "circle"), "bsr": (TUNED, "dash", "square"), "dense": (NOW, "dot", "x")}
"""Colour, dash and marker of each layout."""
NONE_Y = 118
"""Where a mark stands that says: no measured sparsity is faster."""
STEP = 0.001
"""Sparsities that differ by less are written the same."""
N_CHARACTERS = 36
"""Of one line of a caption."""
SPREAD = 0.5
"""Marks of one size are spread over this share of the way to the next."""

Series = tuple[str, int, int, int]


def frontier_map(points: Iterable[KernelSpeed]) -> Picture:
    """The break-even over the matrix size, a series for each layout and batch.

    A mark stands at the smallest measured sparsity from which on sparse is faster; its bar reaches down to the largest
    that is not, or to 0 where all are. An open mark at the top says that none is.

    Args:
        points: of which the last of equal settings counts.

    Reference: Han et al., 2015, arXiv 1510.00149, section 6.3.
    """
    points = list(points)
    found = frontier(points)
    sizes = sorted({(one.rows, one.columns) for one in found}, key=lambda size: (size[0] * size[1], size))
    series: dict[Series, list[BreakEven]] = {}
    for one in sorted(found, key=lambda one: (one.layout != "csr", one.layout, one.block, one.batch, one.threads)):
        series.setdefault((one.layout, one.block, one.batch, one.threads), []).append(one)
    traces: list[Json] = []
    for i, (key, ones) in enumerate(series.items()):
        shift = SPREAD * ((i + 0.5) / len(series) - 0.5)
        traces += _traces(i, key, [(sizes.index((one.rows, one.columns)) + shift, one) for one in ones])
    return Picture(draw(traces, _layout(sizes, points)), _sentence(found, points), _table(found))


def size_text(rows: int, columns: int) -> str:
    """A matrix as outputs x inputs: "4096x1024"."""
    return f"{rows}x{columns}"


def layout_text(layout: str, block: int) -> str:
    """The layout as people write it: "CSR", "BSR 4x4"."""
    return f"{layout.upper()} {block}x{block}" if layout == "bsr" else layout.upper()


def turning_text(one: BreakEven) -> str:
    """Where sparse begins to win, in words: "not faster at 80 % zeros, faster from 90 % on"."""
    if one.sparsity is None and one.not_yet is None:
        return "the machine was too busy to tell"
    low, high = one.not_yet or 0.0, 1.0 if one.sparsity is None else one.sparsity
    between = [percent_text(sparsity, None) for sparsity in one.too_noisy if low < sparsity < high]
    noisy = f", {' and '.join(between)} {'was' if len(between) == 1 else 'were'} too noisy to tell" if between else ""
    if one.sparsity is None:
        return f"not faster at any measured sparsity, up to {percent_text(one.not_yet or 0.0, None)} zeros{noisy}"
    begin = percent_text(one.sparsity, None)
    if one.not_yet is None:
        return f"at most {begin} zeros{noisy or ', nothing below was measured'}"
    return f"not faster at {percent_text(one.not_yet, None)} zeros, faster from {begin} on{noisy}"


def needed_text(one: BreakEven) -> str:
    """Which point is missing before the break-even is known: "a point between 75 and 84 %"; nothing if none is."""
    needed = still_needed(one)
    if needed is None:
        return ""
    low, high = needed
    if one.sparsity is None:
        return f"a point above {percent_text(low, None)}"
    if one.not_yet is None:
        return f"a point below {percent_text(high, None)}"
    return f"a point at {percent_text(low, None)}" if high - low < STEP else f"a point {between_text(low, high)}"


def between_text(low: float, high: float) -> str:
    """Two fractions: "between 75 and 84 %"."""
    return f"between {short(100 * low)} and {percent_text(high, None)}"


def conditions_text(points: Sequence[KernelSpeed]) -> str:
    """On how many threads and on which machine the points were measured; nothing where there are none."""
    if not points:
        return "nothing measured yet"
    threads = sorted({point.speed.threads for point in points})
    machines = "; ".join(dict.fromkeys(point.speed.machine for point in points))
    return f"{' or '.join(map(str, threads))} thread{'s' if threads != [1] else ''}; {machines}"


def caption(points: Sequence[KernelSpeed]) -> str:
    """The conditions in lines that a projector has room for."""
    return "<br>".join(textwrap.wrap(conditions_text(points), N_CHARACTERS))


def _traces(index: int, key: Series, places: Sequence[tuple[float, BreakEven]]) -> list[Json]:
    """The marks of a series with their bars, and open ones at the top where nothing is faster."""
    layout, block, batch, threads = key
    colour, symbol = LAYOUT_LOOKS[layout][0], MARKERS[index % len(MARKERS)]
    name = f"{layout_text(layout, block)}, batch {batch}" + (f", {threads} threads" if threads > 1 else "")
    look: Json = {"type": "scatter", "mode": "markers", "name": name, "hovertemplate": "%{text}<extra></extra>"}
    known = [place for place in places if place[1].sparsity is not None]
    never = [place for place in places if place[1].sparsity is None and place[1].not_yet is not None]
    downs = [100 * ((one.sparsity or 0.0) - (one.not_yet or 0.0)) for _, one in known]
    bars = {"type": "data", "symmetric": False, "array": [0.0] * len(known), "arrayminus": downs, "color": colour}
    traces = [
        look | _marks(known, [100 * (one.sparsity or 0.0) for _, one in known], colour, symbol) | {"error_y": bars},
        look | _marks(never, [NONE_Y] * len(never), colour, f"{symbol}-open") | {"showlegend": not known},
    ]
    return [trace for trace in traces if len(trace["x"])]


def _marks(places: Sequence[tuple[float, BreakEven]], ys: Sequence[float], colour: str, symbol: str) -> Json:
    return {
        "x": [x for x, _ in places],
        "y": [round(y, 4) for y in ys],
        "text": [f"{size_text(one.rows, one.columns)}: {turning_text(one)}" for _, one in places],
        "marker": {"color": colour, "symbol": symbol, "line": {"width": 2, "color": colour}},
    }


def _layout(sizes: Sequence[tuple[int, int]], points: Sequence[KernelSpeed]) -> Json:
    words = {"xref": "paper", "x": 0.01, "yref": "paper", "showarrow": False, "xanchor": "left"}
    return {
        "xaxis": {
            "title": {"text": f"matrix (outputs x inputs)<br>{caption(points)}"},
            "range": [-0.5, max(len(sizes), 1) - 0.5],
            "tickvals": list(range(len(sizes))),
            "ticktext": [size_text(*size) for size in sizes],
            "tickangle": 0,
        },
        "yaxis": {
            "title": {"text": "break-even: zeros (%)"},
            "range": [-4, 126],
            "tickvals": [0, 20, 40, 60, 80, 100, NONE_Y],
            "ticktext": ["0", "20", "40", "60", "80", "100", "none"],
            **FIXED,
        },
        "annotations": [
            words
            | {"y": 0.02, "yanchor": "bottom", "text": "from a mark on sparse is faster; along its bar it is not known"}
        ],
    }


def _sentence(found: Sequence[BreakEven], points: Sequence[KernelSpeed]) -> str:
    if not found:
        return "The break-even of this machine was not measured yet."
    known = sorted((one for one in found if one.sparsity is not None), key=lambda one: one.sparsity or 0.0)
    parts = [f"The break-even on {conditions_text(points)}."]
    for one, word in zip(known[:1] + known[1:][-1:], ("earliest", "latest"), strict=False):
        parts.append(f"It comes {word} for {_name(one)}: {turning_text(one)}.")
    never = [one for one in found if one.sparsity is None and one.not_yet is not None]
    if never:
        parts.append(f"Sparse was never faster for {', '.join(map(_name, never))}.")
    return " ".join(parts)


def _name(one: BreakEven) -> str:
    return f"{layout_text(one.layout, one.block)} {size_text(one.rows, one.columns)} at batch {one.batch}"


def _table(found: Sequence[BreakEven]) -> pd.DataFrame:
    rows = [
        (
            layout_text(one.layout, one.block),
            size_text(one.rows, one.columns),
            one.batch,
            one.threads,
            "none" if one.not_yet is None else short(100 * one.not_yet),
            "none measured" if one.sparsity is None else short(100 * one.sparsity),
        )
        for one in found[:MAX_ROWS]
    ]
    columns = ["layout", "matrix", "batch", "threads", "not faster at (% zeros)", "faster from (% zeros)"]
    return pd.DataFrame(rows, columns=columns)
