"""One network beside another: a button, and the reasons why the one is not faster.

Reference: Williams, Waterman and Patterson, Roofline: an insightful visual performance model, 2009.
"""

from collections.abc import Callable

import ipywidgets
from torch import nn

from efflab.figures.diagnosis import diagnosis_sentence
from efflab.lab.diagnosis import Diagnosis, diagnose
from efflab.lab.rates import Rates
from efflab.training import Progress
from efflab.widgets.answers import is_rough
from efflab.widgets.asking import Answer, Gate
from efflab.widgets.desk import Desk
from efflab.widgets.diagnosis_panel import DiagnosisPanel
from efflab.widgets.parts import side_by_side
from efflab.widgets.worker import Stale


class DiagnosisView(DiagnosisPanel):
    """One network beside another, diagnosed. Make one with `chapter.diagnosis(model, base, shape=...)`.

    batch: the batch to begin with.
    gate: a prediction that must be made before the button unlocks.
    answer: a function of the view that gives its answer, or None while it is not known; if not given, the name of the
        first reason that holds, with _ for spaces ("zeros_are_not_removed"), or "none".

    Raises:
        ValueError: the batch is none of `BATCHES`.
    """

    def __init__(
        self,
        model: nn.Module,
        base: nn.Module,
        *,
        shape: tuple[int, int, int],
        batch: int = 1,
        gate: Gate | None = None,
        answer: "Callable[[DiagnosisView], Answer | None] | None" = None,
    ) -> None:
        self.model, self.base, self.shape = model, base, shape
        self.gate, self._answer = gate, answer or first_reason
        self.prepare(self._make, batch=batch, on_found=self._answer_gate, are_alike=lambda one, other: True)
        parts = self.diagnosing
        self.desk = Desk({"batch": self.batch_control}, [parts.button], [], self.project, parts.running)
        main = ipywidgets.VBox([parts.stage])
        main.add_class("efflab-main")
        super().__init__([*([gate] if gate else []), side_by_side(self.desk, main)])
        self.batch_control.on_change(self._turn)
        self.begin(gate, self.unlock, self._pause)

    def unlock(self) -> None:
        """Give the button free: there is no prediction to make, or it was made or skipped."""
        self.batch_control.lock(False)
        self._turn()

    def project(self, is_on: bool) -> None:
        """Large type and thick lines for a room, or back."""
        (self.add_class if is_on else self.remove_class)("efflab-projector")
        self.diagnosing.stage.project(is_on)

    def _pause(self, text: str) -> None:
        self.batch_control.lock(True)
        self.diagnosing.stage.clear(text)

    def _turn(self) -> None:
        self.diagnosing.turn_to(self.batch)
        self.readout.sentence = diagnosis_sentence(self.diagnosis) if self.diagnosis else ""

    def _make(self, subject: int, *, rates: Rates, progress: Progress, stale: Stale) -> Diagnosis | None:
        return diagnose(self.model, self.base, self.shape, batch=subject, rates=rates, progress=progress, stale=stale)

    def _answer_gate(self) -> None:
        self.tell_answer(self.gate, self._answer(self))
        if self.diagnosis and is_rough(self.diagnosis):
            self.ask_to_repeat(self.gate, "look again")


def first_reason(view: DiagnosisView) -> str | None:
    """The first reason that holds, as the key of an option; None until there is a diagnosis."""
    if view.diagnosis is None:
        return None
    return next((reason.name.replace(" ", "_") for reason in view.diagnosis.holding), "none")
