"""Previews as points over one knob: where they lie, which series they belong to and how that series looks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from efflab.figures.axes import is_fraction
from efflab.figures.text import percent_text
from efflab.figures.theme import CONTROL, NOW, TUNED
from efflab.knobs import Choice, Knob, Setting
from efflab.measure import Evaluation, Size
from efflab.recipe import AnyTechnique

if TYPE_CHECKING:  # a lab brings the runtime; a picture only needs its results
    from efflab.lab import Preview

FILLED = {
    NOW: ("circle", "square", "triangle-up", "hexagon", "triangle-down", "pentagon", "triangle-left", "triangle-right"),
    TUNED: ("star", "star-square", "hexagram", "star-diamond", "star-triangle-up", "hourglass", "star-triangle-down"),
    CONTROL: ("x", "cross", "bowtie"),
}
SYMBOLS = {colour: (*symbols, *(f"{symbol}-open" for symbol in symbols)) for colour, symbols in FILLED.items()}
"""The marker of each series of a role: the second cue beside the colour. The diamond is that of a prediction."""


VISITED = "visited"
"""The series whose options are all at their defaults, where no other is there."""


@dataclass(frozen=True, eq=False)
class Visit:
    """A preview as a point: `x` in the knob's unit as drawn; `y` and its interval in the score's unit."""

    preview: "Preview"
    x: float | str
    y: float
    low: float
    high: float
    series: str
    colour: str
    symbol: str


def knob_of(previews: Sequence["Preview"], name: str) -> Knob:
    """The knob of the first preview whose first step has one of this name.

    Raises:
        ValueError: none of them has it.
    """
    for preview in with_knob(previews, name):
        return preview.recipe[0].technique.knobs[name]
    raise ValueError(f"no preview has a knob {name!r} in the first step of its recipe")


def with_knob(previews: Sequence["Preview"], name: str) -> list["Preview"]:
    """The previews whose first step has the knob."""
    return [one for one in previews if one.recipe and name in one.recipe[0].technique.knobs]


def last_visits(previews: Sequence["Preview"]) -> list["Preview"]:
    """Each recipe once, as it was judged last, in the order of the last visit."""
    last: dict[object, Preview] = {}
    for preview in previews:
        last.pop(preview.recipe, None)
        last[preview.recipe] = preview
    return list(last.values())


def visits(previews: Sequence["Preview"], name: str) -> list[Visit]:
    """The previews as points over the knob. A series is named by what is not as usual, or differs from other series."""
    several = len({preview.recipe[0].technique for preview in previews}) > 1
    told = _told(previews, name)
    series = [_series(preview, name, told, several) for preview in previews]
    looks = _looks(previews, series)
    return [
        Visit(preview, place(preview, name), *judged(preview.evaluation), one, *looks[one])
        for preview, one in zip(previews, series, strict=True)
    ]


def judged(evaluation: Evaluation) -> tuple[float, float, float]:
    """The score and the ends of its interval, in the task's unit."""
    low, high = evaluation.interval
    scale = evaluation.task.per_unit
    return scale * evaluation.value, scale * low, scale * high


def place(preview: "Preview", name: str) -> float | str:
    """Where a preview lies on the axis of the knob; a setting per layer lies at its mean over all weights."""
    step = preview.recipe[0]
    value, knob = _single(step.values[name], preview.base_size), step.technique.knobs[name]
    if isinstance(value, str):
        return value
    return round(value * 100, 6) if is_fraction(knob) else value


def setting_text(preview: "Preview", name: str) -> str:
    """The setting in words: "80 % sparsity", "3 epochs", "scope global", "50 % sparsity on average"."""
    step = preview.recipe[0]
    setting, label = step.values[name], name.replace("_", " ")
    value = _single(setting, preview.base_size)
    if isinstance(value, str):
        return f"{label} {value}"
    text = percent_text(value, None) if is_fraction(step.technique.knobs[name]) else f"{value:g}"
    average = "" if isinstance(setting, float | int | str) else " on average over the weights"
    return f"{text} {label.removesuffix('s') if value == 1 else label}{average}"


def _single(setting: Setting, size: Size) -> float | str:
    """One value for a setting: a large layer counts as its weights do; one without a value is left alone, at 0."""
    if isinstance(setting, float | int | str):
        return setting
    n = {tensor.name.removesuffix(".weight"): tensor.n for tensor in size.weights}
    values = {layer: value for layer, value in setting.items() if not isinstance(value, str)}
    if len(values) < len(setting) or not n:
        return "per layer"
    return sum(value * n.get(layer, 0) for layer, value in values.items()) / sum(n.values())


def _told(previews: Sequence["Preview"], name: str) -> set[tuple[AnyTechnique, str]]:
    """The options that a series is named by: those that are not at their default in at least one preview."""
    return {
        (one.technique, key)
        for one in (preview.recipe[0] for preview in previews)
        for key, value in one.settings
        if key != name and value != one.technique.defaults[key] and isinstance(one.technique.knobs[key], Choice)
    }


def _series(preview: "Preview", name: str, told: set[tuple[AnyTechnique, str]], several: bool) -> str:
    """Those options, and the steps after the first; VISITED when there are none.

    several: whether there is more than one technique, so that each is named.
    """
    step = preview.recipe[0]
    words = [step.technique.label] if several else []
    words += ["one for each layer"] if isinstance(step.values[name], Mapping) else []
    words += [str(value) for key, value in step.values.items() if (step.technique, key) in told]
    words += [f"then {then.technique.label}" for then in preview.recipe[1:]]
    return ", ".join(words) or VISITED


def _looks(previews: Sequence["Preview"], series: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Colour and marker of each series. In the order of the options, so that none changes when it is visited again."""
    first = {one: preview for preview, one in zip(reversed(previews), reversed(series), strict=True)}
    looks: dict[str, tuple[str, str]] = {}
    for one in sorted(first, key=lambda one: (*_rank(first[one]), one)):
        colour = _colour(first[one])
        symbols, n_taken = SYMBOLS[colour], sum(taken == colour for taken, _ in looks.values())
        looks[one] = colour, symbols[n_taken % len(symbols)]
    return looks


def _rank(preview: "Preview") -> tuple[int, list[int]]:
    """Short recipes first, and of each technique the options in their order."""
    step = preview.recipe[0]
    choices = [(knob, step.values[key]) for key, knob in step.technique.knobs.items() if isinstance(knob, Choice)]
    return len(preview.recipe), [knob.options.index(value) for knob, value in choices if isinstance(value, str)]


def _colour(preview: "Preview") -> str:
    if preview.recipe[0].values.get("criterion") == "random":
        return CONTROL
    return TUNED if len(preview.recipe) > 1 else NOW
