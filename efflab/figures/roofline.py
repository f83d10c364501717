"""The layers of a network under the roofs of this machine: what limits each, and how near it comes.

Reference: Williams, Waterman and Patterson, Roofline: an insightful visual performance model, 2009, figure 1.
"""

import math
from collections.abc import Sequence

import pandas as pd

from efflab.figures.picture import MAX_ROWS, Picture, draw
from efflab.figures.text import ms_text, percent_text
from efflab.figures.theme import BASE, NOW, PREDICTED, Json
from efflab.measure.layer_speed import LayerPoint
from efflab.measure.reasons import FROM_CACHE
from efflab.measure.roofline import Roofline

MARGIN = 2.5
"""The axes go beyond the points by this factor."""
LETTER, LINE = 0.03, 0.07
"""Width of a letter and height of a line, as fractions of the axes, in a tab on a projector; elsewhere less."""
PLACES: dict[str, tuple[float, float]] = {
    "middle right": (0.0, -0.5),
    "middle left": (-1.0, -0.5),
    "top center": (-0.5, 0.3),
    "bottom center": (-0.5, -1.3),
}
"""Where a name may stand beside its point: the lower left corner of its box, in widths and heights of the box."""
LOOKS = {"memory": (PREDICTED, "square"), "compute": (NOW, "circle")}
"""Colour and marker of a layer by the roof above it; whether that is what limits it, only its height says."""
GIGA = 1e9

Span = tuple[float, float]
Box = tuple[float, float, float, float]


SIDES = {"memory": "left", "compute": "right"}
"""Of the ridge, by what a layer there is limited by at most."""
ROOFS = {"memory": "memory", "compute": "arithmetic"}
"""Whose each roof is, in words."""


def roofline(points: Sequence[LayerPoint], roof: Roofline, *, in_cache: bool = False) -> Picture:
    """Each layer at its FLOPs a byte (computed) and its FLOP/s (measured), under the roofs; both axes logarithmic.

    Names are left out where they would cover each other; the table has them all.

    Args:
        points: the layers.
        roof: of this machine; the sloped one is that of the memory.
        in_cache: the weights stay in the cache, so that the memory is no roof for them.

    Raises:
        ValueError: there is no point to show.

    Reference: Williams, Waterman and Patterson, 2009.
    """
    if not points:
        raise ValueError("points is empty: a layer is shown if it computes something and was timed")
    xs = _span([*(point.intensity for point in points), roof.ridge])
    ys = _span([*(point.flops_per_s / GIGA for point in points), roof.peak_flops / GIGA])
    names = _names(points, xs, ys, roof)
    traces = [_roof(xs, roof), _ridge(ys, roof)]
    traces += [_layers(limit, points, names, roof) for limit in LOOKS]
    x, y = _log_axis("FLOPs for each byte, computed", xs), _log_axis("GFLOP/s, measured", ys)
    layout = {"xaxis": x, "yaxis": y, "showlegend": True}
    return Picture(draw(traces, layout), _sentence(points, roof, in_cache), _table(points, roof))


def _span(values: Sequence[float]) -> Span:
    return min(values) / MARGIN, max(values) * MARGIN


def _log_axis(title: str, span: Span) -> Json:
    """An axis with a number at 1, 2 and 5 of each decade if there are few, else at each decade."""
    first, last = (math.log10(end) for end in span)
    decades = range(math.floor(first), math.ceil(last) + 1)
    steps = (1, 2, 5) if last - first < 2.5 else (1,)
    ticks = [step * 10.0**decade for decade in decades for step in steps if span[0] <= step * 10.0**decade <= span[1]]
    axis = {"title": {"text": title}, "type": "log", "range": [first, last], "tickangle": 0}
    return axis | {"tickvals": ticks, "ticktext": [f"{tick:g}" for tick in ticks]}


def _roof(xs: Span, roof: Roofline) -> Json:
    corners = [xs[0], roof.ridge, xs[1]]
    bandwidth, peak = roof.bandwidth_bytes_per_s / GIGA, roof.peak_flops / GIGA
    return {
        "type": "scatter",
        "mode": "lines",
        "x": corners,
        "y": [roof.attainable(x) / GIGA for x in corners],
        "line": {"color": BASE},
        "name": f"roof: memory {bandwidth:.3g} GB/s, then arithmetic {peak:.3g} GFLOP/s",
        "hoverinfo": "skip",
    }


def _ridge(ys: Span, roof: Roofline) -> Json:
    return {
        "type": "scatter",
        "mode": "lines",
        "x": [roof.ridge] * 2,
        "y": [ys[0], roof.peak_flops / GIGA],
        "line": {"color": BASE, "dash": "dot"},
        "name": f"ridge: {roof.ridge:.2g} FLOPs a byte",
        "hoverinfo": "skip",
    }


def _layers(limit: str, points: Sequence[LayerPoint], names: dict[str, str], roof: Roofline) -> Json:
    """The layers that have this limit; without one the trace is there for the legend alone."""
    colour, symbol = LOOKS[limit]
    chosen = [point for point in points if roof.limit(point.intensity) == limit]
    return {
        "type": "scatter",
        "mode": "markers+text",
        "x": [point.intensity for point in chosen],
        "y": [point.flops_per_s / GIGA for point in chosen],
        "text": [f" {_name(point)} " if point.name in names else "" for point in chosen],
        "textposition": [names.get(point.name, "middle right") for point in chosen],
        "customdata": [[_name(point), ms_text(point.time_ms)] for point in chosen],
        "marker": {"color": colour, "symbol": symbol},
        "name": f"layers {SIDES[limit]} of the ridge",
        "hovertemplate": "%{customdata[0]}: %{y:.3~g} GFLOP/s, %{x:.3~g} FLOPs a byte, %{customdata[1]}<extra></extra>",
        "cliponaxis": False,
    }


def _names(points: Sequence[LayerPoint], xs: Span, ys: Span, roof: Roofline) -> dict[str, str]:
    """Where the name of each layer stands; those that take longest choose first, and who finds no place has none."""
    spots = {point.name: (_along(point.intensity, xs), _along(point.flops_per_s / GIGA, ys)) for point in points}
    dots = {name: (x - 0.01, y - 0.02, x + 0.01, y + 0.02) for name, (x, y) in spots.items()}
    line, written, found = _roof_boxes(xs, ys, roof), list[Box](), dict[str, str]()
    for point in sorted(points, key=lambda point: point.time_ms, reverse=True):
        others = [box for name, box in dots.items() if name != point.name] + written
        boxes = {place: _box(*spots[point.name], _name(point), place) for place in PLACES}
        free = [place for place, box in boxes.items() if not _is_covered(box, others)]
        free.sort(key=lambda place: _is_covered(boxes[place], line))  # rather not across the roof
        if free:
            found[point.name] = free[0]
            written.append(boxes[free[0]])
    return found


def _roof_boxes(xs: Span, ys: Span, roof: Roofline) -> list[Box]:
    """The roof as a row of small boxes, so that a name can keep off it."""
    boxes = []
    for i in range(101):
        x = i / 100
        y = _along(roof.attainable(xs[0] * (xs[1] / xs[0]) ** x) / GIGA, ys)
        boxes.append((x - 0.005, y - 0.01, x + 0.005, y + 0.01))
    return boxes


def _along(value: float, span: Span) -> float:
    """Where a value lies on a logarithmic axis, 0-1."""
    first, last = (math.log(end) for end in span)
    return (math.log(value) - first) / (last - first)


def _box(x: float, y: float, text: str, place: str) -> Box:
    """The corners of a text: left, bottom, right, top."""
    width, (right, up) = LETTER * (len(text) + 2), PLACES[place]
    return x + right * width, y + up * LINE, x + (right + 1) * width, y + (up + 1) * LINE


def _is_covered(box: Box, others: Sequence[Box]) -> bool:
    """Whether the box touches another one or leaves the axes at a side."""
    left, bottom, right, top = box
    touched = any(left < x1 and x0 < right and bottom < y1 and y0 < top for x0, y0, x1, y1 in others)
    return touched or left < 0 or right > 1


def _name(point: LayerPoint) -> str:
    return point.name or "between layers"


def above_text(points: Sequence[LayerPoint], roof: Roofline, *, in_cache: bool = False) -> str:
    """Why layers lie above the sloped roof; nothing where none does."""
    shares = {_name(p): _share(p, roof) for p in points if roof.limit(p.intensity) == "memory"}
    above = [name for name, share in shares.items() if share > 1]
    if not above:
        return ""
    far = [name for name in above if in_cache or shares[name] > FROM_CACHE]
    near = [name for name in above if name not in far]
    why = "the weights fit into the cache" if in_cache else "what is faster takes its numbers from the cache"
    parts = [f"{_lie(far)} above it: the sloped roof is that of the memory, and {why}."] if far else []
    if near:
        parts.append(f"{_lie(near)} a little above it: it mostly reads, and the memory was timed with writing, too.")
    return " ".join(parts)


def _lie(names: Sequence[str]) -> str:
    return f"{', '.join(names)} lie{'s' if len(names) == 1 else ''}"


def _sentence(points: Sequence[LayerPoint], roof: Roofline, in_cache: bool) -> str:
    left = [point for point in points if roof.limit(point.intensity) == "memory"]
    parts = [
        f"{len(left)} of {len(points)} layers are left of the ridge, {roof.ridge:.2g} FLOPs for each byte, on "
        f"{roof.threads} thread{'s' if roof.threads > 1 else ''} of {roof.machine}."
    ]
    fastest, slowest = max(points, key=lambda point: point.flops_per_s), max(points, key=lambda point: point.time_ms)
    parts.append(
        f"{_name(fastest)} is the fastest with {fastest.flops_per_s / GIGA:.3g} GFLOP/s; {_name(slowest)} takes "
        f"longest, {ms_text(slowest.time_ms)}, at {percent_text(_share(slowest, roof), 0)} of its roof."
    )
    parts += filter(None, [above_text(points, roof, in_cache=in_cache)])
    higher = [_name(p) for p in points if roof.limit(p.intensity) == "compute" and _share(p, roof) > 1]
    if higher:
        parts.append(f"Above the flat roof, which was measured in a slower moment: {', '.join(higher)}.")
    if roof.busy:
        parts.append("The machine was busy while the roof was measured, so it may be too low.")
    return " ".join(parts)


def _share(point: LayerPoint, roof: Roofline) -> float:
    """How much of what its roof allows a layer reaches."""
    return point.flops_per_s / roof.attainable(point.intensity)


def _table(points: Sequence[LayerPoint], roof: Roofline) -> pd.DataFrame:
    rows = [
        (
            _name(point),
            float(f"{point.intensity:.3g}"),
            round(point.flops_per_s / GIGA, 2),
            round(roof.attainable(point.intensity) / GIGA, 2),
            round(100 * _share(point, roof)),
            ROOFS[roof.limit(point.intensity)],
            float(f"{point.time_ms:.3g}"),
        )
        for point in points[:MAX_ROWS]
    ]
    columns = ["layer", "FLOPs a byte", "GFLOP/s", "roof (GFLOP/s)", "of the roof (%)", "whose roof", "time (ms)"]
    return pd.DataFrame(rows, columns=columns)
