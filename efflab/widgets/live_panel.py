"""A live panel: controls on the left, words and pictures on the right, and above them a prediction if one is asked.

What every such panel does is here: controls that wait for the prediction, that move by hand or by `set`, and large type
for a room. What it shows of them is its own: `refresh`.
"""

from abc import abstractmethod
from collections.abc import Sequence
from html import escape

import ipywidgets

from efflab.knobs import Setting
from efflab.widgets.asking import Gate, Panel
from efflab.widgets.desk import Desk
from efflab.widgets.parts import side_by_side
from efflab.widgets.view import PictureView
from efflab.widgets.worker import Job, worker


class LivePanel(Panel):
    """The frame of a panel whose worker draws what the controls ask for.

    desk: what a hand may touch. stage: what stands below the line of words, in this order. gate: a prediction that must
    be made before the controls unlock. below: what stands under both, over the whole width. begins: what is said once
    the controls unlock. then: what the learner is told to do then.
    """

    FAILED = "not drawn: see the message below"
    """What the line of words says when the work failed."""

    def __init__(
        self,
        gate: Gate | None,
        desk: Desk,
        stage: Sequence[ipywidgets.Widget],
        *,
        below: Sequence[ipywidgets.Widget] = (),
        begins: str = "",
        then: str = "",
    ) -> None:
        self.gate, self.desk, self._begins = gate, desk, begins
        self.note = ipywidgets.HTML()
        self._views = [one for one in stage if isinstance(one, PictureView)]
        right = ipywidgets.VBox([self.note, *stage])
        right.add_class("efflab-main")
        super().__init__([*([gate] if gate else []), side_by_side(desk, right), *below])
        for control in desk.controls.values():
            control.on_change(self.refresh)
        self.begin(gate, self.unlock, self._pause, then)

    @property
    def settings(self) -> dict[str, Setting]:
        """What the controls are set to."""
        return self.desk.settings

    def set(self, **settings: Setting) -> None:
        """Move controls as a hand would: `panel.set(temperature=4.0)`.

        Raises:
            ValueError, TypeError: no such control, or no value for it.
        """
        self.desk.set(settings)

    @abstractmethod
    def refresh(self) -> None:
        """Show what the controls ask for."""

    def stop(self) -> None:
        """End a training after its batch; the best network so far stays."""
        self.desk.running.stop()

    def unlock(self) -> None:
        """Give the controls free: there is no prediction to make, or it was made or skipped."""
        self._lock(False)
        if self._begins:
            self._tell(self._begins)
        self.refresh()

    def project(self, is_on: bool) -> None:
        """Large type and thick lines for a room, or back."""
        (self.add_class if is_on else self.remove_class)("efflab-projector")
        for view in self._views:
            view.project(is_on)

    def _lock(self, is_locked: bool) -> None:
        self.desk.lock(is_locked)

    def _pause(self, text: str) -> None:
        self._lock(True)
        self._tell(text)

    def _tell(self, text: str, label: str = "") -> None:
        """Write the line of words; label: HTML behind it."""
        self.note.value = f"<div class='efflab-line'>{escape(text)} {label}</div>"

    def _submit(self, what: str, job: Job) -> None:
        """Let the worker do a job; a newer one of the same name takes its place."""
        worker().submit((id(self), what), job, on_error=self._fail)

    def _fail(self, error: BaseException) -> None:
        self.show_error(error)
        self._tell(self.FAILED)

    def _hide(self) -> None:
        """Take the pictures away, so that no number of another setting stays."""
        for view in self._views:
            view.hide()
