"""The left-hand side of a bench: the controls, the buttons, the work at hand and the test score."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Protocol

import ipywidgets

from efflab.knobs import Setting, Value
from efflab.widgets.budgeting import Budgeting
from efflab.widgets.controls import Control
from efflab.widgets.first_tabs import layers_with_knobs
from efflab.widgets.parts import button
from efflab.widgets.running import Running
from efflab.widgets.structure_tabs import STRUCTURED

if TYPE_CHECKING:  # a bench makes its desk
    from efflab.widgets.bench import Bench


class Lockable(Protocol):
    """What can be taken away from a hand, and given back."""

    def lock(self, is_locked: bool) -> None:
        """Let nobody move it, or let them again."""


class Desk(ipywidgets.VBox):
    """What a hand may touch; controls and buttons are locked and freed together.

    train: the buttons that train, above the training's bar. look: the other buttons, below it. running: the bar, if
    it is not a training that runs. batch: the choice of a batch, where one can be chosen beside the controls. more:
    what else a hand may touch, such as a search that moves a control.
    """

    def __init__(
        self,
        controls: Mapping[str, Control],
        train: Sequence[ipywidgets.Button],
        look: Sequence[ipywidgets.Button],
        project: Callable[[bool], object],
        running: Running | None = None,
        batch: Control | None = None,
        more: Sequence[Lockable] = (),
    ) -> None:
        self.controls, self.buttons, self.batch, self._more = dict(controls), (*train, *look), batch, tuple(more)
        self.running = running or Running("Training")
        self.test_line = ipywidgets.HTML()
        projector = ipywidgets.Checkbox(False, description="projector", indent=False)
        projector.observe(lambda change: project(change["new"]), "value")
        timed = [batch] if batch else []
        super().__init__(
            [*self.controls.values(), *train, self.running, *timed, *look, self.test_line, *more, projector]
        )
        self.add_class("efflab-controls")

    @property
    def settings(self) -> dict[str, Setting]:
        """What the controls are set to."""
        return {name: control.setting for name, control in self.controls.items()}

    def set(self, settings: Mapping[str, Setting]) -> None:
        """Move controls as a hand would.

        Raises:
            ValueError, TypeError: no such control, or no value for it.
        """
        for name, setting in settings.items():
            if name not in self.controls:
                raise ValueError(f"this bench has no control {name!r}; it has: {', '.join(self.controls)}")
            self.controls[name].set(setting)

    def lock(self, is_locked: bool) -> None:
        """Take the controls and buttons away, or give them free; Stop and the projector stay."""
        for control in (*self.controls.values(), *([self.batch] if self.batch else [])):
            control.lock(is_locked)
        for one in self.buttons:
            one.disabled = is_locked
        for other in self._more:
            other.lock(is_locked)


def controls_of(bench: "Bench", names: Sequence[str], start: Mapping[str, Value]) -> dict[str, Control]:
    """The controls of some knobs, which move the bench; one for each layer where a knob may differ between them."""
    made = {}
    for name in names:
        layers = layers_with_knobs(bench.lab, bench.technique) if name in bench.technique.per_layer else ()
        made[name] = Control(name, bench.technique.knobs[name], start[name], layers)
        made[name].on_change(bench.refresh)
    return made


def budgeting(bench: "Bench", knob: str) -> Budgeting | None:
    """A search for a knob, where the technique makes the network smaller without training."""
    if bench.technique not in STRUCTURED:
        return None
    return Budgeting(bench, knob, lambda: bench.step.values, lambda: bench.batch)


def buttons(bench: "Bench") -> tuple[list[ipywidgets.Button], list[ipywidgets.Button]]:
    """The buttons that train, and the others; a technique that trains has no curve to reveal."""
    train, look = [], []
    if bench.technique.is_slow:
        train.append(button("Run", bench.run, "trains with these settings"))
    else:
        look.append(button("Reveal the curve", bench.reveal, "evaluates the whole range"))
    for one in bench.recover:
        what = "trains the weights that are left" if one.is_slow else "changes what is left, without training"
        train.append(button(one.label.capitalize(), partial(bench.tune, one), what))
    look.append(button("Measure again", bench.measure, "weighs the file and times it once more"))
    look.append(button("Open the test set", bench.open_test, "once, at the end: choose with validation data"))
    return train, look
