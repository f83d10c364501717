"""Previews as points over one knob: where they lie, which series they belong to and how that series looks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from efflab.figures.axes import is_fraction
from efflab.figures.text import percent_text
from efflab.figures.theme import CONTROL, NOW, TUNED
from efflab.knobs import Choice, Knob, Setting, Value
from efflab.measure import Evaluation, Size
from efflab.recipe import AnyTechnique

if TYPE_CHECKING:  # a lab brings the runtime; a picture only needs its results
    from efflab.lab import Preview

SYMBOLS = {
    NOW: ("circle", "square", "triangle-up", "hexagon"),
    TUNED: ("star", "star-square", "hexagram"),
    CONTROL: ("x", "cross"),
}
"""The marker of each series of a role, in turn: the second cue beside the colour."""


VISITED = "visited"
"""The series whose options are all at their defaults."""


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
    """The previews as points over the knob. A series is named by what is not as usual beside that knob."""
    usual = {technique: technique.defaults for technique in {preview.recipe[0].technique for preview in previews}}
    looks: dict[str, tuple[str, str]] = {}
    points = []
    for preview in previews:
        series = _series(preview, name, usual)
        if series not in looks:
            looks[series] = _look(preview, [colour for colour, _ in looks.values()])
        points.append(Visit(preview, place(preview, name), *judged(preview.evaluation), series, *looks[series]))
    return points


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


def _series(preview: "Preview", name: str, usual: Mapping[AnyTechnique, Mapping[str, Value]]) -> str:
    """The options that are not the defaults, and the steps after the first; VISITED when there are none.

    The technique itself is named when there are several. usual: the defaults of each.
    """
    step = preview.recipe[0]
    words = [step.technique.label] if len(usual) > 1 else []
    words += ["one for each layer"] if isinstance(step.values[name], Mapping) else []
    words += [
        str(value)
        for key, value in step.settings
        if key != name and value != usual[step.technique][key] and isinstance(step.technique.knobs[key], Choice)
    ]
    words += [f"then {then.technique.label}" for then in preview.recipe[1:]]
    return ", ".join(words) or VISITED


def _look(preview: "Preview", taken: Sequence[str]) -> tuple[str, str]:
    """Colour and marker of a new series, given the colours of those before it."""
    is_control = preview.recipe[0].values.get("criterion") == "random"
    colour = CONTROL if is_control else TUNED if len(preview.recipe) > 1 else NOW
    symbols = SYMBOLS[colour]
    return colour, symbols[taken.count(colour) % len(symbols)]
