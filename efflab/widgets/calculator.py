"""A calculator: a formula with its numbers to move, presets that were published, and the result as you move.

Everything on the screen comes from the formula: its knobs give the controls, its result the tiles and the picture, its
working the lines behind "how it is computed". What the calculator does, one call of the formula does too: `call`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from html import escape
from typing import Any

import ipywidgets

from efflab.figures import Picture
from efflab.figures.text import percent_text
from efflab.knobs import Knob, Range, Setting, Value, knobs_of
from efflab.widgets.asking import Answer, Gate, Panel
from efflab.widgets.calculator_subject import Preset, Subject, find_preset, first_settings
from efflab.widgets.controls import Control, spoken
from efflab.widgets.fold import Fold
from efflab.widgets.parts import code_html, side_by_side, wide
from efflab.widgets.view import PictureView
from efflab.widgets.worker import worker

OWN = "your own numbers"
"""What a chooser says when the controls are at no preset of its."""


class Calculator(Panel):
    """A formula on the screen. `result` is what it gives for `settings`.

    controls: the knobs and the titles of choosers to show, where a lesson needs few; all if not given.
    start: settings to begin with. actions: buttons above the controls.

    Raises:
        TypeError, ValueError: the start is no setting of the formula, or a control is none of its knobs.
    """

    def __init__(
        self,
        subject: Subject,
        *,
        controls: Sequence[str] | None = None,
        start: Mapping[str, Value] | None = None,
        actions: Sequence[ipywidgets.Button] = (),
    ) -> None:
        self.subject = subject
        self.gate: Gate | None = None
        self._is_setting, self._is_locked, self._actions = False, False, tuple(actions)
        self._at: Mapping[str, Value] = {}
        self._answer: Callable[[Any], Answer | None] = lambda result: None
        start = first_settings(subject, start or {})
        self.controls = {name: Control(name, knob, start[name]) for name, knob in knobs_of(subject.formula).items()}
        self._choosers = {title: _chooser(presets) for title, presets in subject.choosers.items()}
        self.result: Any = subject.formula(**self.settings)
        self._tiles, self.view, self.fold = ipywidgets.HTML(), PictureView(height=subject.height), Fold()
        main = ipywidgets.VBox([self._tiles, self.view, self.fold])
        main.add_class("efflab-main")
        self._desk_box = self._desk(controls)
        self._asked = ipywidgets.VBox([])
        super().__init__([self._asked, side_by_side(self._desk_box, main)])
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
        self._check(settings)
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
        if name != OWN and not self._is_setting:
            self.set(**find_preset(title, self.subject.choosers[title], name).settings)

    def offer(self, title: str, preset: Preset) -> None:
        """Add a preset to a chooser, in place of one of the same name, and move the controls to it.

        Raises:
            ValueError, TypeError: there is no such chooser, or the formula does not take these settings.
        """
        others = [one for one in self.subject.choosers.get(title, ()) if one.name != preset.name]
        self.subject = replace(self.subject, choosers={**self.subject.choosers, title: (preset, *others)})
        self._is_setting = True  # a chooser with new options forgets what was chosen
        self._choosers[title].options = _names(self.subject.choosers[title], None)
        self._is_setting = False
        self.set(**preset.settings)

    def ask(self, gate: Gate, at: Mapping[str, Value], answer: Callable[[Any], Answer | None]) -> None:
        """Put a prediction before the controls: nothing is shown until it is made or skipped.

        at: the settings that it is about. answer: takes the result there and gives what the prediction is compared
        with, a number or the key of an option.

        Raises:
            ValueError, TypeError: `at` names no control, or no value for it.
        """
        self._check(at)
        self.gate, self._at, self._answer = gate, dict(at), answer
        self._asked.children = (gate,)
        self.begin(gate, self.unlock, self._pause, then=self._what_to_set())

    def _pause(self, text: str) -> None:
        self._lock(True)
        self._tiles.value = ""  # the text stands in the read-out already

    def _what_to_set(self) -> str:
        """What a hand must do to see the answer: "Now set the bits to 16."; empty if it need not do anything."""
        now = self.settings
        moves = [
            f"the {_in_a_sentence(name)} to {_shown(self.controls[name].knob, value)}"
            for name, value in self._at.items()
            if now[name] != value
        ]
        return f"Now set {' and '.join(moves)}." if moves else ""

    def unlock(self) -> None:
        """Give the controls free: the prediction was made or skipped."""
        self._lock(False)
        self.refresh()

    def refresh(self) -> None:
        """Compute and show what the controls are at; only the newest picture is drawn."""
        if self._is_setting or self._is_locked:
            return
        try:
            self.result = self.subject.formula(**self.settings)
            picture = self.subject.picture(self.result, self.settings)
            tiles = self.subject.tiles(self.result, self.chosen)
        except (ValueError, TypeError) as error:
            self.show_error(error)
            return
        self.clear_error()
        self._tell(tiles, picture)
        worker().submit((id(self), "picture"), lambda stale: self._draw(picture), on_error=self.show_error)
        if all(self.settings[name] == value for name, value in self._at.items()):
            self.tell_answer(self.gate, self._answer(self.result))

    def _tell(self, tiles: str, picture: Picture) -> None:
        remark = self.subject.remark(self.chosen, self.settings)
        warning = f"<div class='efflab-verdict efflab-failed'>{escape(remark)}</div>" if remark else ""
        self._tiles.value = f"<div class='efflab-tiles'>{tiles}</div>{warning}"
        for title, preset in self.chosen.items():
            self._show_chosen(title, preset)
        lines = "".join(f"<p>{escape(line)}</p>" for line in self.result.working)
        self.fold.summary = "How it is computed"
        self.fold.html = f"{lines}<p>The same in one line of Python:</p>{code_html(self.call, 'the call')}"
        self.readout.sentence = f"{picture.sentence} {remark}".strip()

    def _show_chosen(self, title: str, preset: Preset | None) -> None:
        """Say in a chooser where the controls are; its entry for own numbers is there only while it is true."""
        chooser, names = self._choosers[title], _names(self.subject.choosers[title], preset)
        self._is_setting = True  # a chooser with new options says that something was chosen
        with chooser.hold_sync():
            if list(chooser.options) != names:
                chooser.options = names
            chooser.value = preset.name if preset else OWN
        self._is_setting = False

    def _draw(self, picture: Picture) -> None:
        if not self._is_locked:  # it may have been locked after the picture was ordered
            self.view.show_picture(picture)

    def _check(self, settings: Mapping[str, Setting]) -> None:
        for name, setting in settings.items():
            if name not in self.controls:
                raise ValueError(f"this calculator has no control {name!r}; it has: {', '.join(self.controls)}")
            self.controls[name].knob.check(name, setting)

    def _lock(self, is_locked: bool) -> None:
        self._is_locked = is_locked
        for control in self.controls.values():
            control.lock(is_locked)
        for widget in (*self._choosers.values(), *self._actions):
            widget.disabled = is_locked
        self.view.layout.display = self.fold.layout.display = "none" if is_locked else ""

    def project(self, is_on: bool) -> None:
        """Large type and thick lines for a room, or back."""
        (self.add_class if is_on else self.remove_class)("efflab-projector")
        self.view.project(is_on)

    def _desk(self, names: Sequence[str] | None) -> ipywidgets.VBox:
        for name in names or ():
            if name not in self.controls and name not in self._choosers:
                known = ", ".join([*self._choosers, *self.controls])
                raise ValueError(f"this calculator has no control {name!r}; it has: {known}")
        folded = [self.controls[name] for name in self.subject.folded] if names is None else []
        wanted = [name for name in self.controls if name not in self.subject.folded] if names is None else names
        shown = [control for name, control in self.controls.items() if name in wanted]
        more = [ipywidgets.Accordion([ipywidgets.VBox(folded)], titles=(self.subject.fold_title,))] if folded else []
        projector = ipywidgets.Checkbox(False, description="projector", indent=False)
        projector.observe(lambda change: self.project(change["new"]), "value")
        choosers = [
            _labelled(title, chooser) for title, chooser in self._choosers.items() if names is None or title in names
        ]
        desk = ipywidgets.VBox([*self._actions, *choosers, *shown, *more, projector])
        desk.add_class("efflab-controls")
        return desk


def _chooser(presets: Sequence[Preset]) -> ipywidgets.Dropdown:
    return ipywidgets.Dropdown(options=_names(presets, None), value=OWN, layout=wide())


def _names(presets: Sequence[Preset], chosen: Preset | None) -> list[str]:
    """The entries of a chooser; own numbers are one of them while no preset is chosen."""
    return [*(preset.name for preset in presets), *([] if chosen else [OWN])]


def _in_a_sentence(name: str) -> str:
    """The name of a knob within a sentence: `bits` -> "bits", `kv_bits` -> "KV bits"."""
    text = spoken(name)
    return text if text[:2].isupper() else text[0].lower() + text[1:]


def _shown(knob: Knob, value: Value) -> str:
    """A value as its slider shows it."""
    if isinstance(knob, Range) and knob.is_fraction and not isinstance(value, str):
        return percent_text(float(value), None)
    return f"{value:,}" if isinstance(value, int) else f"{value}"


def _labelled(title: str, chooser: ipywidgets.Dropdown) -> ipywidgets.VBox:
    box = ipywidgets.VBox([ipywidgets.HTML(f"<span class='efflab-label'><b>{escape(title)}</b></span>"), chooser])
    box.add_class("efflab-control")
    return box
