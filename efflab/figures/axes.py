"""The axes and the base line that several pictures share; every axis carries its unit."""

from collections.abc import Sequence

from efflab.data import Classification
from efflab.figures.picture import array
from efflab.figures.text import score_text
from efflab.figures.theme import BASE, Json, translucent
from efflab.knobs import Choice, Knob, Range
from efflab.measure import Evaluation

ROOM = 0.03
"""Free space at both ends of an axis, as a fraction of it, so that a marker at the end is whole."""
FIXED: Json = {"automargin": False, "tickangle": 0, "ticklabeloverflow": "allow"}
"""For an axis whose numbers fit into the margin: plotly need not measure them, which takes as long as to draw them."""


def score_axis(task: Classification) -> Json:
    """The vertical axis of a score. Percent go from 0 to 100, always: a picture that follows a slider must not jump."""
    axis: Json = {"title": {"text": f"{task.score_name} ({task.unit})"}, **FIXED}
    if task.unit == "%":
        axis |= {"range": [-2, 104], "tickvals": [0, 20, 40, 60, 80, 100]}
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
