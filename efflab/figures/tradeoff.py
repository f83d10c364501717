"""The main picture: the score over one knob, as a trail of the settings that were visited."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from efflab.figures.axes import base_line, interval_band, is_fraction, knob_axis, score_axis
from efflab.figures.picture import Picture, array, draw, thinned
from efflab.figures.reading import tradeoff_sentence, tradeoff_table
from efflab.figures.text import score_text, short
from efflab.figures.theme import PREDICTED, Json
from efflab.figures.visits import VISITED, Visit, knob_of, last_visits, visits, with_knob
from efflab.knobs import Choice, Knob
from efflab.measure import Evaluation

if TYPE_CHECKING:
    from efflab.lab import Preview

N_TRAIL = 100
"""Settings that the trail remembers."""


def tradeoff(
    trail: Sequence["Preview"],
    knob: str,
    *,
    baseline: Evaluation,
    curve: Sequence["Preview"] = (),
    is_whole: bool = True,
    predicted: tuple[float, float] | None = None,
    title: str = "",
) -> Picture:
    """The score over `knob`, the knob's value taken from the first step of each recipe.

    trail: previews in the order of the visits; older ones are fainter, the last one is large and has its interval.
    curve: the previews of a sweep; `is_whole` unless it still grows.
    predicted: value of the knob and score that the learner expects; fractions.

    Raises:
        ValueError: neither `trail` nor `curve` has such a knob in a first step.
    """
    shape = knob_of([*trail, *curve], knob)
    trail, curve = last_visits(with_knob(trail, knob))[-N_TRAIL:], with_knob(curve, knob)
    points = visits([*trail, *curve], knob)
    visited, swept = points[: len(trail)], points[len(trail) :]
    traces = base_line(baseline, _ends(shape)) + _curves(swept, is_whole) + _trail(visited, shape)
    if predicted:
        traces.append(_prediction(predicted, shape, baseline))
    legend = {"title": {"text": title, "side": "top"}}
    layout = {"xaxis": knob_axis(shape), "yaxis": score_axis(baseline.task), "legend": legend}
    sentence = tradeoff_sentence(visited, knob, shape, baseline, predicted)
    return Picture(draw(traces, layout), sentence, tradeoff_table(visited, swept, knob, shape, baseline))


def _ends(shape: Knob) -> list[float | str]:
    """Where the base line begins and ends."""
    return list(shape.options) if isinstance(shape, Choice) else list(knob_axis(shape)["range"])


def _curves(swept: Sequence[Visit], is_whole: bool) -> list[Json]:
    """The swept curve of each series with the band of its intervals."""
    traces: list[Json] = []
    for name, points in _by_series(_in_order(swept)).items():
        points = thinned(points)
        xs, lows, highs = ([getattr(p, end) for p in points] for end in ("x", "low", "high"))
        traces.append(interval_band(xs, lows, highs, points[0].colour))
        line = {"color": points[0].colour}
        label = ("whole curve" if is_whole else "curve so far") + ("" if name == VISITED else f", {name}")
        traces.append(_scatter(points, "lines", name=label, line=line))
    return traces


def _trail(visited: Sequence[Visit], shape: Knob) -> list[Json]:
    """One trace of small markers a series, fading with age, and a large one for the last visit."""
    if not visited:
        return []
    age = {id(point): len(visited) - 1 - i for i, point in enumerate(visited)}
    traces = []
    for name, points in _by_series(visited[-2::-1]).items():  # newest first: the legend shows the first one's look
        opacity = [max(0.5, 0.9 - 0.05 * age[id(point)]) for point in points]
        marker = {"color": points[0].colour, "symbol": points[0].symbol, "opacity": array(opacity)}
        traces.append(_scatter(points, "markers", name=name, marker=marker))
    return [*traces, _last(visited[-1], shape)]


def _last(point: Visit, shape: Knob) -> Json:
    task = point.preview.evaluation.task
    up, down = point.high - point.y, point.y - point.low
    error = {"type": "data", "symmetric": False, "array": [up], "arrayminus": [down], "color": point.colour}
    text = score_text(point.preview.evaluation.value, task)
    return _scatter(
        [point],
        "markers+text",
        name=f"now {text}",
        marker={"color": point.colour, "symbol": point.symbol, "size": 17},
        error_y=error,
    ) | {"text": [f" {text} "], "textposition": _beside(point, shape)}


def _beside(point: Visit, shape: Knob) -> str:
    """Where a text meets least: curves come from the upper left and leave to the lower right."""
    if isinstance(point.x, str):
        return "bottom right"
    low, high = _ends(shape)
    assert not isinstance(low, str)
    assert not isinstance(high, str)
    if point.x < low + 0.15 * (high - low):
        return "bottom right"
    return "bottom left" if point.y > 25 else "middle left"


def _scatter(points: Sequence[Visit], mode: str, **look: Json | str) -> Json:
    return {
        "type": "scatter",
        "mode": mode,
        "x": array([point.x for point in points]),
        "y": array([point.y for point in points]),
        "hovertemplate": "%{x:.4~g}: %{y:.1f}<extra></extra>",
        **look,
    }


def _prediction(predicted: tuple[float, float], shape: Knob, baseline: Evaluation) -> Json:
    x, score = predicted
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [x * 100 if is_fraction(shape) else x],
        "y": [score * baseline.task.per_unit],
        "name": f"you predicted {short(score * baseline.task.per_unit)} {baseline.task.unit}".rstrip(),
        "marker": {"color": PREDICTED, "symbol": "diamond-open", "size": 17, "line": {"width": 4}},
        "hoverinfo": "name",
    }


def _in_order(points: Sequence[Visit]) -> list[Visit]:
    """Along the axis; options keep their order."""
    return sorted(points, key=lambda point: 0.0 if isinstance(point.x, str) else point.x)


def _by_series(points: Sequence[Visit]) -> dict[str, list[Visit]]:
    groups: dict[str, list[Visit]] = {}
    for point in points:
        groups.setdefault(point.series, []).append(point)
    return groups
