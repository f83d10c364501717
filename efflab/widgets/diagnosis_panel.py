"""A panel that can look where the time goes: the button, the bar, what was found, and the choice of a batch.

Nothing is measured before the button is pressed. What is shown always belongs to what is asked about now: a newer
subject ends a measurement that runs, and takes what was shown away. What was measured is kept: going back to a subject
shows it again at once, and the button measures it anew.
"""

import threading
from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar

from efflab.figures.diagnosis import diagnosis_sentence
from efflab.knobs import Choice
from efflab.lab.diagnosis import Diagnosis
from efflab.lab.rates import Rates
from efflab.training import Progress
from efflab.widgets.asking import Panel
from efflab.widgets.controls import Control
from efflab.widgets.diagnosis_stage import DiagnosisStage
from efflab.widgets.parts import button
from efflab.widgets.running import Running
from efflab.widgets.worker import Stale, Turns, worker

LOOK = "Look where the time goes"
BEFORE = "Nothing is measured yet. The button times every layer: about ten seconds, and twenty the first time."
FAILED = "Not measured: see the message below."
STOPPED = "Stopped before the end, so there is nothing to show."
STOPPED_AGAIN = "Stopped before the end. What you see was measured before."
KEPT = 12
"""So many diagnoses are kept, the newest."""
BATCHES = ("1", "64")
"""The batches to choose from: one image, and enough for the overhead of a call to be shared."""

S = TypeVar("S")
S_contra = TypeVar("S_contra", contravariant=True)


class Ask(Protocol[S_contra]):
    """Makes the diagnosis of a subject, on the worker; None if stopped."""

    def __call__(self, subject: S_contra, *, rates: Rates, progress: Progress, stale: Stale) -> Diagnosis | None:
        """The diagnosis."""
        ...


class Diagnosing(Generic[S]):
    """The button, the bar of the work and the stage, for a panel that puts them on the screen.

    ask: makes the diagnosis. panel: says the sentence, and the errors. on_found: is called after it was shown.
    are_alike: whether two subjects are the same network at different batches, so that their reasons are compared.
    """

    def __init__(
        self,
        ask: Ask[S],
        panel: Panel,
        on_found: Callable[[], object] = lambda: None,
        are_alike: Callable[[S, S], bool] = lambda one, other: one == other,
    ) -> None:
        self.subject: S | None = None
        self._kept: list[tuple[S, Diagnosis]] = []
        self._are_alike = are_alike
        self._ask, self._panel, self._on_found = ask, panel, on_found
        self._is_locked, self._changing = False, threading.Lock()
        self.button = button(LOOK, self.look, "times every layer, beside the base")
        self.running = Running("Looking where the time goes", "end the measurement; there will be nothing to show")
        self.stage = DiagnosisStage(panel.show_error)
        self.turn_to(None)

    @property
    def diagnosis(self) -> Diagnosis | None:
        """What is shown."""
        return self.stage.diagnosis

    def turn_to(self, subject: S | None) -> None:
        """Be about this from now on; what is shown or measured of another one goes. None: there is nothing to ask.

        What was measured of it before is shown at once.
        """
        with self._changing:
            if subject is None or subject != self.subject:
                self.subject = subject
                self.stop()
                worker().cancel(self._key)
                self._draw_kept(subject)
            self._free()

    def look(self) -> None:
        """Measure the subject; without one, nothing happens."""
        subject = self.subject
        if subject is not None:
            self._panel.clear_error()
            progress = self.running.start()
            job = lambda stale: self._look(subject, progress, stale)  # noqa: E731
            worker().submit(self._key, job, on_error=lambda error: self._failed(subject, error))

    def stop(self) -> None:
        """End the measurement; there is nothing to show of it."""
        self.running.stop()

    def lock(self, is_locked: bool) -> None:
        """Take the button away, or give it free."""
        self._is_locked = is_locked
        self._free()

    @property
    def _key(self) -> tuple[int, str]:
        return id(self), "diagnosis"

    def _free(self) -> None:
        self.button.disabled = self._is_locked or self.subject is None

    def _look(self, subject: S, progress: Progress, stale: Stale) -> Turns:
        found: list[Diagnosis | None] = []

        def work(one: Progress) -> None:
            found.append(self._ask(subject, rates=self.stage.rates, progress=one, stale=stale))

        self._show(subject, "Measuring.")
        yield from self.running.follow(work, progress)
        if found[0] is None:
            self._show(subject, STOPPED)
        elif self._show(subject, found[0]):
            self._panel.readout.sentence = diagnosis_sentence(found[0])
            self._on_found()

    def _show(self, subject: S, what: Diagnosis | str) -> bool:
        """Show a diagnosis of this subject, or a sentence, if it is still the one that is asked about."""
        with self._changing:
            if subject != self.subject:
                return False
            if isinstance(what, Diagnosis):
                self._kept = [*((s, d) for s, d in self._kept if s != subject), (subject, what)][-KEPT:]
                self._draw_kept(subject)
            elif what == STOPPED:
                self._draw_kept(subject, STOPPED, STOPPED_AGAIN)
            else:
                self.stage.clear(what)
            return True

    def _draw_kept(self, subject: S | None, otherwise: str = BEFORE, note: str = "") -> None:
        """Show what was measured of the subject, with a note, or say what there is otherwise."""
        kept = next((diagnosis for one, diagnosis in self._kept if one == subject), None)
        if kept is None or subject is None:
            self.stage.clear(otherwise if subject is not None else "")
        else:
            self.stage.draw(kept, [one for other, one in self._kept if self._are_alike(subject, other)], note)

    def _failed(self, subject: S, error: BaseException) -> None:
        if self._show(subject, FAILED):
            self._panel.show_error(error)


class DiagnosisPanel(Panel):
    """A panel with a choice of a batch and a diagnosis. Whoever inherits calls `prepare` before `super().__init__`."""

    diagnosing: Diagnosing[Any]
    batch_control: Control

    def prepare(
        self,
        ask: Ask[Any],
        *,
        batch: int = 1,
        on_found: Callable[[], object] = lambda: None,
        are_alike: Callable[[Any, Any], bool] = lambda one, other: one == other,
    ) -> None:
        """Make the parts; they are put on the screen by whoever inherits.

        are_alike: as `Diagnosing` takes it.

        Raises:
            ValueError: the batch is none of `BATCHES`.
        """
        self.batch_control = Control("batch", Choice(BATCHES, "images in a run that is timed"), str(batch))
        self.diagnosing = Diagnosing(ask, self, on_found, are_alike)

    @property
    def batch(self) -> int:
        """Images in a run that is timed."""
        return int(str(self.batch_control.setting))

    def set_batch(self, batch: int) -> None:
        """Time with another batch, as a hand would choose it: `bench.set_batch(64)`.

        Raises:
            ValueError: it is none of `BATCHES`.
        """
        self.batch_control.set(str(batch))

    @property
    def diagnosis(self) -> Diagnosis | None:
        """What is shown of where the time goes."""
        return self.diagnosing.diagnosis

    def diagnose(self) -> None:
        """Look where the time goes, and why it is not faster."""
        self.diagnosing.look()

    def stop_diagnosis(self) -> None:
        """End the measurement; there is nothing to show of it."""
        self.diagnosing.stop()
