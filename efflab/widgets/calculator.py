"""A calculator: a formula with its numbers to move, presets that were published, and the result as you move.

Everything on the screen comes from the formula: its knobs give the controls, its result the tiles and the picture, its
working the lines behind "how it is computed". What the calculator does, one call of the formula does too: `call`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any, Protocol

import ipywidgets

from efflab.figures import Picture
from efflab.knobs import Setting, Value, defaults_of, knobs_of
from efflab.widgets.asking import Panel
from efflab.widgets.controls import Control
from efflab.widgets.fold import Fold
from efflab.widgets.parts import code_html, wide
from efflab.widgets.tiles import badge
from efflab.widgets.view import PictureView
from efflab.widgets.worker import worker

OWN = "your own numbers"
"""What a chooser says when the controls are at no preset of its."""


class Result(Protocol):
    """What a formula gives: among its numbers, how they came about, a line each."""

    @property
    def working(self) -> tuple[str, ...]:
        """The formula with the numbers put in."""
        ...


@dataclass(frozen=True)
class Preset:
    """Published numbers for some controls, and where they stand."""

    name: str
    settings: Mapping[str, Value]
    source: str

    @property
    def badge(self) -> str:
        """The badge "cited" with the source behind it."""
        return badge("cited", f"{self.name}: {self.source}")


Chosen = Mapping[str, Preset | None]
"""For each chooser the preset that the controls are at, or None."""


@dataclass(frozen=True)
class Subject:
    """What a calculator is about.

    choosers: for each title the presets to choose from, and which is chosen to begin with. folded: controls that lie
    behind a title, because a preset sets them. tiles and picture: how a result is shown.
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


class Calculator(Panel):
    """A formula on the screen. `result` is what it gives for `settings`.

    Raises:
        TypeError, ValueError: the start is no setting of the formula.
    """

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self._is_setting = False
        start = {**defaults_of(subject.formula), **subject.start}
        for title, name in subject.chosen.items():
            start |= _preset(title, subject.choosers[title], name).settings
        self.controls = {name: Control(name, knob, start[name]) for name, knob in knobs_of(subject.formula).items()}
        self._choosers = {title: _chooser(presets) for title, presets in subject.choosers.items()}
        self.result: Any = subject.formula(**self.settings)
        self._tiles, self.view, self.fold = ipywidgets.HTML(), PictureView(height=subject.height), Fold()
        main = ipywidgets.VBox([self._tiles, self.view, self.fold])
        main.add_class("efflab-main")
        box = ipywidgets.HBox([self._desk(), main])
        box.add_class("efflab-bench")
        super().__init__([box])
        for control in self.controls.values():
            control.on_change(self.refresh)
        for title, chooser in self._choosers.items():
            chooser.observe(lambda change, title=title: self.choose(title, change["new"]), "value")
        self.refresh()

    @property
    def settings(self) -> dict[str, Setting]:
        """What the controls are at."""
        return {name: control.setting for name, control in self.controls.items()}

    @property
    def chosen(self) -> dict[str, Preset | None]:
        """For each chooser the preset that the controls are at, or None."""
        now = self.settings
        return {
            title: next((one for one in presets if all(now[k] == v for k, v in one.settings.items())), None)
            for title, presets in self.subject.choosers.items()
        }

    @property
    def call(self) -> str:
        """The line of Python that gives the same result."""
        settings = ", ".join(f"{name}={setting!r}" for name, setting in self.settings.items())
        return f"{self.subject.formula.__name__}({settings})"

    def set(self, **settings: Setting) -> None:
        """Move controls as a hand would, in one move: `calculator.set(bits=4, batch=8)`.

        Raises:
            ValueError, TypeError: no such control, or no value for it; nothing has moved then.
        """
        for name, setting in settings.items():
            if name not in self.controls:
                raise ValueError(f"this calculator has no control {name!r}; it has: {', '.join(self.controls)}")
            self.controls[name].knob.check(name, setting)
        self._is_setting = True
        try:
            for name, setting in settings.items():
                self.controls[name].set(setting)
        finally:
            self._is_setting = False
        self.refresh()

    def choose(self, title: str, name: str) -> None:
        """Move the controls to a preset; the entry for one's own numbers moves nothing.

        Raises:
            ValueError: there is no such chooser or preset.
        """
        if title not in self.subject.choosers:
            raise ValueError(f"there is no choice of {title!r}; there are: {', '.join(self.subject.choosers)}")
        if name != OWN:
            self.set(**_preset(title, self.subject.choosers[title], name).settings)

    def refresh(self) -> None:
        """Compute and show what the controls are at; only the newest picture is drawn."""
        if self._is_setting:
            return
        try:
            self.result = self.subject.formula(**self.settings)
            picture = self.subject.picture(self.result, self.settings)
            self._tiles.value = f"<div class='efflab-tiles'>{self.subject.tiles(self.result, self.chosen)}</div>"
        except (ValueError, TypeError) as error:
            self.show_error(error)
            return
        self.clear_error()
        for title, preset in self.chosen.items():
            self._choosers[title].value = preset.name if preset else OWN
        lines = "".join(f"<p>{escape(line)}</p>" for line in self.result.working)
        self.fold.summary = "How it is computed"
        self.fold.html = f"{lines}<p>The same in one line of Python:</p>{code_html(self.call, 'the call')}"
        self.readout.sentence = picture.sentence
        worker().submit((id(self), "picture"), lambda stale: self.view.show_picture(picture), on_error=self.show_error)

    def project(self, is_on: bool) -> None:
        """Large type and thick lines for a room, or back."""
        (self.add_class if is_on else self.remove_class)("efflab-projector")
        self.view.project(is_on)

    def _desk(self) -> ipywidgets.VBox:
        shown = [control for name, control in self.controls.items() if name not in self.subject.folded]
        folded = [self.controls[name] for name in self.subject.folded]
        more = [ipywidgets.Accordion([ipywidgets.VBox(folded)], titles=(self.subject.fold_title,))] if folded else []
        projector = ipywidgets.Checkbox(False, description="projector", indent=False)
        projector.observe(lambda change: self.project(change["new"]), "value")
        choosers = [_labelled(title, chooser) for title, chooser in self._choosers.items()]
        desk = ipywidgets.VBox([*choosers, *shown, *more, projector])
        desk.add_class("efflab-controls")
        return desk


def _preset(title: str, presets: Sequence[Preset], name: str) -> Preset:
    for preset in presets:
        if preset.name == name:
            return preset
    raise ValueError(f"{title} has no preset {name!r}; it has: {', '.join(one.name for one in presets)}")


def _chooser(presets: Sequence[Preset]) -> ipywidgets.Dropdown:
    return ipywidgets.Dropdown(options=[*(preset.name for preset in presets), OWN], value=OWN, layout=wide())


def _labelled(title: str, chooser: ipywidgets.Dropdown) -> ipywidgets.VBox:
    box = ipywidgets.VBox([ipywidgets.HTML(f"<span class='efflab-label'><b>{escape(title)}</b></span>"), chooser])
    box.add_class("efflab-control")
    return box
