"""What a calculator is about: a formula, the presets to choose from, and how its result is shown."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from efflab.figures import Picture
from efflab.knobs import Setting, Value, defaults_of
from efflab.widgets.tiles import badge


class Result(Protocol):
    """What a formula gives: among its numbers, how they came about, a line each."""

    @property
    def working(self) -> tuple[str, ...]:
        """The formula with the numbers put in."""
        ...


@dataclass(frozen=True)
class Preset:
    """Numbers for some controls, and where they come from: kind is the word on their badge, source lies behind it."""

    name: str
    settings: Mapping[str, Value]
    source: str
    kind: str = "cited"

    @property
    def badge(self) -> str:
        """The badge with the source behind it."""
        return badge(self.kind, f"{self.name}: {self.source}")


Chosen = Mapping[str, Preset | None]
"""For each chooser the preset that the controls are at, or None."""


def no_remark(chosen: Chosen, settings: Mapping[str, Setting]) -> str:
    """Nothing to say beside the result."""
    return ""


@dataclass(frozen=True)
class Subject:
    """What a calculator is about.

    choosers: for each title the presets to choose from, and which is chosen to begin with. folded: controls that lie
    behind a title, because a preset sets them. tiles and picture: how a result is shown. remark: a sentence on what the
    formula does not know, such as a context that the model was not trained for.
    """

    formula: Callable[..., Any]
    tiles: Callable[[Any, Chosen], str]
    picture: Callable[[Any, Mapping[str, Setting]], Picture]
    choosers: Mapping[str, Sequence[Preset]]
    chosen: Mapping[str, str]
    start: Mapping[str, Value] = field(default_factory=dict)
    folded: tuple[str, ...] = ()
    fold_title: str = "More numbers"
    height: int = 340
    remark: Callable[[Chosen, Mapping[str, Setting]], str] = no_remark


def from_chooser(chosen: Chosen, title: str) -> str:
    """The badge of a number from a chooser: the preset's while the controls are at it, else estimated."""
    preset = chosen[title]
    return preset.badge if preset else badge("estimated", "your own numbers")


def first_settings(subject: Subject, start: Mapping[str, Value]) -> dict[str, Value]:
    """The defaults of the formula, the subject's own start, its presets, and what was asked for, in this order.

    Raises:
        ValueError: a setting is none of the formula's, or there is no such preset.
    """
    settings = {**defaults_of(subject.formula), **subject.start}
    for title, name in subject.chosen.items():
        settings |= find_preset(title, subject.choosers[title], name).settings
    for name in start:
        if name not in settings:
            raise ValueError(f"{subject.formula.__name__} has no setting {name!r}; it has: {', '.join(settings)}")
    return {**settings, **start}


def find_preset(title: str, presets: Sequence[Preset], name: str) -> Preset:
    """The preset of this name.

    Raises:
        ValueError: there is none.
    """
    for preset in presets:
        if preset.name == name:
            return preset
    raise ValueError(f"{title} has no preset {name!r}; it has: {', '.join(one.name for one in presets)}")
