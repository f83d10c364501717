"""The bench: controls on the left, what they do on the right, measured while you watch.

Every handler is one line that calls a public method, so whatever a hand does, one line of Python does too. The work
runs on the one worker thread: the newest setting wins, a first picture is drawn within the live budget, the exact one
when it is evaluated, and once the hand is still the file is weighed and the speed timed.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from efflab.journal import Journal
from efflab.journal.journal import Kind
from efflab.knobs import Range, Setting, Technique, Value
from efflab.lab import Lab, Preview, Report
from efflab.lab.diagnosis import Diagnosis
from efflab.measure.clock import now
from efflab.prune import fine_tune, prune_weights
from efflab.recipe import AnyTechnique, Recipe, Step, check_recipe, step
from efflab.scoreboard import opened_entry, run_entry
from efflab.training import Progress, warm_up
from efflab.training.turns import one_thread
from efflab.widgets.answers import predicted_score, score_when_there
from efflab.widgets.asking import PREDICT_FIRST, Answer, Gate
from efflab.widgets.controls import Control, knobs_to_show
from efflab.widgets.desk import Desk, budgeting, buttons, controls_of
from efflab.widgets.diagnosis_panel import DiagnosisPanel
from efflab.widgets.parts import side_by_side
from efflab.widgets.stage import TRAINING, Stage
from efflab.widgets.tiles import base_sentence, sentence, test_sentence
from efflab.widgets.worker import Job, Stale, Turns, worker

LIVE_SECONDS = 0.02
"""How long a moving hand waits for the score before the first picture is drawn."""
STILL_SECONDS = 0.3
"""How long a hand rests before the file is exported and timed, which would only hold up its next move."""


class Bench(DiagnosisPanel):
    """A lab on the screen. Make one with `lab.bench(...)`.

    technique: what the controls set; `prune_weights` if not given.
    controls: the knobs to show, in this order; all if not given. The first number runs along the main picture.
    start: settings to begin with.
    then: steps that follow that of the controls, as they are.
    recover: the technique behind the training button, `fine_tune` unless another is given; of several each has a
        button; None for no such button.
    batch: images in a run that is timed, to begin with.
    gate: a prediction that must be made before the controls unlock.
    at: the settings that the prediction is about; once the controls are there, the score answers it.
    answer: where the answer is not the score, a function of the bench that gives it, or None while it is not known.

    Raises:
        ValueError: a control is no knob of the technique, or none of them is a number.
    """

    def __init__(
        self,
        lab: Lab,
        technique: AnyTechnique | None = None,
        *,
        controls: Sequence[str] | None = None,
        start: Mapping[str, Value] | None = None,
        then: Recipe = (),
        recover: AnyTechnique | Sequence[AnyTechnique] | None = fine_tune,
        batch: int = 1,
        gate: Gate | None = None,
        at: Mapping[str, Value] | None = None,
        answer: "Callable[[Bench], Answer | None] | None" = None,
        journal: Journal | None = None,
        chapter: str = "bench",
    ) -> None:
        self.lab, self.technique, self.then = lab, technique or prune_weights, then
        check_recipe(then)
        self.recover = (recover,) if isinstance(recover, Technique) else tuple(recover or ())
        self.journal, self.chapter = journal or Journal(), chapter
        self.gate, self.at, self.answer = gate, dict(at or {}), answer or score_when_there
        self._start: dict[str, Value] = {**self.technique.defaults, **(start or {})}
        names = knobs_to_show(self.technique, controls)
        x = next(name for name in names if isinstance(self.technique.knobs[name], Range))
        self._asked: Recipe | None = None
        self.prepare(self._make_diagnosis, batch=batch)
        self.budgeting = budgeting(self, x)
        self.desk = Desk(
            controls_of(self, names, self._start),
            *buttons(self),
            self.project,
            batch=self.batch_control,
            more=[self.budgeting] if self.budgeting else [],
        )
        asked = {"scan": self.scan_layers, "redraw": self.redraw_tab}
        self.stage = Stage(
            lab, self.technique, x, journal=self.journal, chapter=chapter, **asked, diagnosing=self.diagnosing
        )
        self.batch_control.on_change(self._time_again)
        super().__init__([*([gate] if gate else []), side_by_side(self.desk, self.stage)])
        self._submit("warm-up", lambda stale: warm_up())
        self._lock(gate is not None)
        self.begin(gate, self.unlock, self._pause)
        if gate is not None:  # last, for the pause above would replace what it says
            self._submit("base", lambda stale: self._tell_base())

    @property
    def controls(self) -> dict[str, Control]:
        """What can be moved, by the name of its knob."""
        return self.desk.controls

    @property
    def step(self) -> Step:
        """The technique with the settings of the controls."""
        return step(self.technique, **{**self._start, **self.desk.settings})

    @property
    def recipe(self) -> Recipe:
        """What the tiles show, or will show once the first picture is drawn."""
        return self.stage.preview.recipe if self.stage.preview else (self.step, *self.then)

    @property
    def preview(self) -> Preview | None:
        """What is shown."""
        return self.stage.preview

    @property
    def report(self) -> Report | None:
        """What was weighed and timed of what is shown, or None while it is not known."""
        return self.stage.report

    def set(self, **settings: Setting) -> None:
        """Move controls as a hand would: `bench.set(sparsity=0.8)`.

        Raises:
            ValueError, TypeError: no such control, or no value for it.
        """
        self.desk.set(settings)

    def refresh(self) -> None:
        """Show what the controls are set to; a technique that trains waits for its button, unless it ran before."""
        self.stage.training.layout.display = "none"  # it belongs to a setting that is not shown any more
        recipe = (self.step, *self.then)
        if self.technique.is_slow and not self.lab.knows(recipe):
            self.clear_error()
            self._pause("Not run with these settings yet: press Run.")
        else:
            self._show(recipe)

    def measure(self) -> None:
        """Weigh and time again what is shown; if nothing is shown yet, nothing happens."""
        if self.preview is not None:
            self._show(self.recipe)

    def run(self) -> None:
        """Train with the settings of the controls, when the technique is one that trains."""
        self._train((self.step, *self.then))

    def tune(self, technique: AnyTechnique | None = None) -> None:
        """Go on with a technique that recovers, the first one unless another is given.

        Raises:
            ValueError: this bench has none.
        """
        if not self.recover:
            raise ValueError("this bench was made with recover=None, so there is nothing to train with")
        self._train((self.step, *self.then, step(technique or self.recover[0])))

    def stop(self) -> None:
        """End the training after its batch; the best network so far stays."""
        self.desk.running.stop()

    def reveal(self) -> None:
        """Draw the whole curve along the main picture, with the other settings as they are.

        Raises:
            ValueError: the technique trains, so that a curve would be twenty trainings.
        """
        if self.technique.is_slow:
            raise ValueError(f"{self.technique.name} trains at every point: run the settings that you want to compare")
        previews = self.lab.sweep_previews(self.step, self.stage.x, then=self.then)
        self._submit("curve", lambda stale: self.stage.follow_curve(previews))

    def scan_layers(self) -> None:
        """Prune each layer alone, and draw what that costs."""
        self._submit("scan", lambda stale: self._scan())

    def open_test(self) -> None:
        """Evaluate what is shown on the test data, and write down that it was opened; nothing shown, nothing opened."""
        if self.preview is None:
            return
        recipe = self.recipe
        self._submit("test", lambda stale: self._open_test(recipe))

    def redraw_tab(self) -> None:
        """Draw the open tab again."""
        self._submit("tab", lambda stale: self.stage.draw_tab())

    def unlock(self) -> None:
        """Give the controls free: the prediction was made or skipped."""
        self._lock(False)
        self.refresh()
        self.stage.predicted = predicted_score(self)

    def project(self, is_on: bool) -> None:
        """Large type and thick lines for a room, or back."""
        (self.add_class if is_on else self.remove_class)("efflab-projector")
        self.stage.project(is_on)

    def _tell_base(self) -> None:
        text = f"{base_sentence(self.lab.baseline)} {PREDICT_FIRST}"
        if self.gate is not None and not self.gate.is_open:  # asked last: the hand may have been quicker
            self.stage.pause(text)
            self.readout.sentence = text

    def _submit(self, what: str, job: Job) -> None:
        self.clear_error()
        worker().submit((id(self), what), job, on_error=self.show_error)

    def _pause(self, text: str) -> None:
        self._asked = None
        self.diagnosing.turn_to(None)
        worker().cancel((id(self), "live"))
        self.stage.pause(text)
        self.readout.sentence, self.desk.test_line.value = text, ""

    def _show(self, recipe: Recipe) -> None:
        self.desk.test_line.value = ""  # it was about another network
        batch, self._asked = self.batch, recipe
        self.diagnosing.turn_to((recipe, batch))  # a measurement of another setting ends now
        self._submit("live", lambda stale: self._follow(recipe, batch, stale))

    def _time_again(self) -> None:
        if self._asked is not None:
            self._show(self._asked)

    def _follow(self, recipe: Recipe, batch: int, stale: Stale) -> Turns:
        started, is_drawn = now(), False
        with one_thread():
            for preview in self.lab.previews(recipe):
                if stale():
                    return
                if not is_drawn and now() - started > LIVE_SECONDS:
                    self._draw(preview)
                    is_drawn = True
        self.stage.visit(preview)
        self._draw(preview)
        yield STILL_SECONDS
        self.stage.draw_tab()
        report = self.lab.measure(recipe, batch=batch, stale=stale)
        if report is not None and not stale():
            self.stage.draw_report(report)
            self._tell(preview, report)
            self._write("run", run_entry(report, self.lab))
            self.stage.draw_journal()

    def _draw(self, preview: Preview) -> None:
        self.stage.draw(preview)
        self._tell(preview, None)

    def _tell(self, preview: Preview, report: Report | None) -> None:
        self.readout.sentence = sentence(preview, report)
        if preview.evaluation.is_complete:
            self._answer_gate()

    def _answer_gate(self) -> None:
        self.tell_answer(self.gate, self.answer(self))

    def _make_diagnosis(self, subject: tuple[Recipe, int], **asked: Any) -> Diagnosis | None:
        recipe, batch = subject
        return self.lab.diagnose(recipe, batch=batch, **asked)

    def _train(self, recipe: Recipe) -> None:
        self.diagnosing.stop()
        progress = self.desk.running.start()
        self._submit("train", lambda stale: self._train_in_turns(recipe, progress))

    def _train_in_turns(self, recipe: Recipe, progress: Progress) -> Turns:
        self._lock(True)  # what is shown in the end belongs to the setting that was trained
        self.readout.sentence = TRAINING
        try:
            yield from self.stage.follow_training(recipe, self.desk.running, progress)
        except Exception:
            self.refresh()  # it trains no more; the error line says why
            raise
        finally:
            self._lock(False)
        self._show(recipe)

    def _scan(self) -> Turns:
        yield from self.stage.follow_scan(self.stage.layers.scan(self.batch))
        self._answer_gate()

    def _open_test(self, recipe: Recipe) -> None:
        validation, test = self.lab.preview(recipe).evaluation, self.lab.open_test(recipe)
        self.desk.test_line.value = test_sentence(validation, test, self.lab.n_test_openings)
        self._write("test_opened", opened_entry(recipe, test, self.lab))

    def _write(self, kind: Kind, value: object) -> None:
        self.keep_in(self.journal, kind, self.technique.name, value, chapter=self.chapter)

    def _lock(self, is_locked: bool) -> None:
        self.desk.lock(is_locked)
        self.stage.layers.button.disabled = is_locked
        self.diagnosing.lock(is_locked)
