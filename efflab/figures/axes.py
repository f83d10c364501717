"""The axes and the base line that several pictures share; every axis carries its unit."""

import math
from collections.abc import Sequence

from efflab.data import Classification
from efflab.figures.picture import array
from efflab.figures.text import score_text, short_number
from efflab.figures.theme import BASE, Json, translucent
from efflab.knobs import Choice, Knob, Range
from efflab.measure import Evaluation

ROOM = 0.03
"""Free space at both ends of an axis, as a fraction of it, so that a marker at the end is whole."""
LOG_ROOM, MAX_TICKS = 1.15, 6
"""Free space at both ends of a logarithmic axis, as a factor, and how many numbers it has at the most."""
ROUND = ((1,), (1, 3), (1, 2, 5), (1, 2, 3, 5, 7), *(tuple(n / 10 for n in range(10, 100, step)) for step in (5, 2, 1)))
"""The digits of round numbers, from coarse to fine."""
FIXED: Json = {"automargin": False, "tickangle": 0, "ticklabeloverflow": "allow"}
"""For an axis whose numbers fit into the margin: plotly need not measure them, which takes as long as to draw them."""


def score_axis(task: Classification, start: int = 0) -> Json:
    """The vertical axis of a score. Percent go from 0 to 100, always: a picture that follows a slider must not jump.

    start: percent, where the learner asked for a part of the axis; its title says so.
    """
    axis: Json = {"title": {"text": f"{task.score_name} ({task.unit})"}, **FIXED}
    if task.unit == "%":
        span = 100 - start
        ticks = [start + span * part // 5 for part in range(6)]
        axis |= {"range": [start - 0.02 * span, 100 + 0.04 * span], "tickvals": ticks}
        axis["title"]["text"] += f", from {start} %" if start else ""
    return axis


def is_fraction(knob: Knob) -> bool:
    """Whether the knob is a fraction, which is shown in percent; a choice never is."""
    return isinstance(knob, Range) and knob.is_fraction


def knob_axis(knob: Knob) -> Json:
    """The horizontal axis of a knob, from end to end of its range; fractions in percent."""
    if isinstance(knob, Choice):
        options = list(knob.options)
        return {
            "title": {"text": knob.label},
            "type": "category",
            "categoryorder": "array",
            "categoryarray": options,
            "range": [-0.5, len(options) - 0.5],
        }
    scale, title = 1.0, knob.label
    if is_fraction(knob):
        scale, title = 100.0, f"{knob.label.removeprefix('fraction of ').removeprefix('fraction ')} (%)"
    room = ROOM * (knob.high - knob.low)
    return {"title": {"text": title}, "range": [scale * (knob.low - room), scale * (knob.high + room)], **FIXED}


def log_axis(title: str, values: Sequence[float]) -> Json:
    """A logarithmic axis around the values, with one to six round numbers on it, each written out.

    plotly's own numbers leave the powers of ten away ("6 7 8 9 10k 2"), and in large type they run into each other.

    Raises:
        ValueError: there is no value, or one that is not above 0.
    """
    if not values or min(values) <= 0:
        raise ValueError(f"values of a logarithmic axis must be above 0, at least one, not {list(values)[:3]}")
    low, high = min(values) / LOG_ROOM, max(values) * LOG_ROOM
    powers = range(math.floor(math.log10(low)), math.floor(math.log10(high)) + 1)
    found = [[digit * 10.0**power for power in powers for digit in digits] for digits in ROUND]
    shown = [[tick for tick in ticks if low <= tick <= high] for ticks in found]
    ticks = max((ticks for ticks in shown if len(ticks) <= MAX_TICKS), key=len)
    return {
        "title": {"text": title},
        "type": "log",
        "range": [math.log10(low), math.log10(high)],
        "tickvals": ticks,
        "ticktext": [short_number(tick) for tick in ticks],
        **FIXED,
    }


def base_line(baseline: Evaluation, ends: Sequence[float | str]) -> list[Json]:
    """The score of the base as a dashed line across, with the band of its interval. `ends`: the x values it spans."""
    task = baseline.task
    y = baseline.value * task.per_unit
    low, high = (end * task.per_unit for end in baseline.interval)
    band = interval_band(list(ends), [low] * len(ends), [high] * len(ends), BASE)
    line = {
        "type": "scatter",
        "mode": "lines",
        "x": list(ends),
        "y": [y] * len(ends),
        "line": {"color": BASE, "dash": "dash"},
        "name": f"base {score_text(baseline.value, task)}",
        "hoverinfo": "skip",
    }
    return [band, line]


def interval_band(xs: list[float | str], lows: list[float], highs: list[float], colour: str) -> Json:
    """The area between two curves over the same xs."""
    return {
        "type": "scatter",
        "mode": "lines",
        "x": array(xs + xs[::-1]),
        "y": array(lows + highs[::-1]),
        "fill": "toself",
        "fillcolor": translucent(colour, 0.2),
        "line": {"width": 0, "color": colour},
        "hoverinfo": "skip",
        "showlegend": False,
    }
