"""The left-hand side of a bench: the controls, the buttons, the training at work and the test score."""

from collections.abc import Callable, Mapping, Sequence

import ipywidgets

from efflab.knobs import Setting
from efflab.widgets.controls import Control
from efflab.widgets.running import Running


class Desk(ipywidgets.VBox):
    """What a hand may touch; controls and buttons are locked and freed together.

    train: the buttons that train, above the training's bar. look: the other buttons, below it.
    """

    def __init__(
        self,
        controls: Mapping[str, Control],
        train: Sequence[ipywidgets.Button],
        look: Sequence[ipywidgets.Button],
        project: Callable[[bool], object],
    ) -> None:
        self.controls, self.buttons = dict(controls), (*train, *look)
        self.running = Running("Training")
        self.test_line = ipywidgets.HTML()
        projector = ipywidgets.Checkbox(False, description="projector", indent=False)
        projector.observe(lambda change: project(change["new"]), "value")
        super().__init__([*self.controls.values(), *train, self.running, *look, self.test_line, projector])
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
        for control in self.controls.values():
            control.lock(is_locked)
        for one in self.buttons:
            one.disabled = is_locked
