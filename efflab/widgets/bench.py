"""The bench: controls on the left, what they do on the right, measured while you watch.

Every handler is one line that calls a public method, so whatever a hand does, one line of Python does too. The work
runs on the one worker thread: the newest setting wins, a first picture is drawn within the live budget, the exact one
when it is evaluated, and once the hand is still the file is weighed and the speed timed.
"""

from collections.abc import Callable, Mapping, Sequence

import ipywidgets

from efflab.journal import Journal, JournalError
from efflab.knobs import Range, Setting, Value
from efflab.lab import Lab, Preview, Report
from efflab.measure.clock import Pace, now
from efflab.prune import fine_tune, prune_weights
from efflab.recipe import AnyTechnique, Recipe, Step, step, to_json
from efflab.training import Epoch, Progress, warm_up
from efflab.widgets.asking import Answer, Gate, Panel
from efflab.widgets.controls import Control
from efflab.widgets.stage import Stage
from efflab.widgets.tiles import sentence, test_sentence
from efflab.widgets.turns import in_turns, one_thread
from efflab.widgets.worker import Job, Stale, Turns, worker

LIVE_SECONDS = 0.03
"""How long a moving hand waits for the score before the first picture is drawn."""
STILL_SECONDS = 0.3
"""How long a hand rests before the file is exported and timed, which would only hold up its next move."""


class Bench(Panel):
    """A lab on the screen. Make one with `lab.bench(...)`.

    technique: what the controls set; `prune_weights` if not given.
    controls: the knobs to show, in this order; all if not given. The first number runs along the main picture.
    start: settings to begin with.
    recover: the technique behind the training button, `fine_tune` unless another is given; None for no such button.
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
        recover: AnyTechnique | None = fine_tune,
        gate: Gate | None = None,
        at: Mapping[str, Value] | None = None,
        answer: "Callable[[Bench], Answer | None] | None" = None,
        journal: Journal | None = None,
        chapter: str = "bench",
    ) -> None:
        self.lab, self.technique, self.recover = lab, technique or prune_weights, recover
        self.journal, self.chapter = journal or Journal(), chapter
        self.gate, self._at, self._answer = gate, dict(at or {}), answer or _score_when_there
        self._progress: Progress | None = None
        self._start: dict[str, Value] = {**self.technique.defaults, **(start or {})}
        names = _shown(self.technique, controls)
        x = next(name for name in names if isinstance(self.technique.knobs[name], Range))
        self.controls = {name: self._control(name) for name in names}
        self.stage = Stage(lab, x, journal=self.journal, chapter=chapter, scan=self.scan_layers, redraw=self.redraw_tab)
        box = ipywidgets.HBox([ipywidgets.VBox(self._left()), self.stage])
        box.add_class("efflab-bench")
        box.children[0].add_class("efflab-controls")
        super().__init__([*([gate] if gate else []), box])
        self._submit("warm-up", lambda stale: warm_up())
        if gate is None:
            self.refresh()
            return
        self._lock(True)
        self._pause("Predict first: lock in what you expect, or skip.")
        gate.on_open(self.unlock)

    @property
    def step(self) -> Step:
        """The technique with the settings of the controls."""
        return step(self.technique, **{**self._start, **{name: c.setting for name, c in self.controls.items()}})

    @property
    def recipe(self) -> Recipe:
        """What the tiles show, or will show once the first picture is drawn."""
        return self.stage.preview.recipe if self.stage.preview else (self.step,)

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
        for name, setting in settings.items():
            if name not in self.controls:
                raise ValueError(f"this bench has no control {name!r}; it has: {', '.join(self.controls)}")
            self.controls[name].set(setting)

    def refresh(self) -> None:
        """Show what the controls are set to; a technique that trains waits for its button, unless it ran before."""
        self.stage.training.layout.display = "none"  # it belongs to a setting that is not shown any more
        recipe = (self.step,)
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
        self._train((self.step,))

    def tune(self) -> None:
        """Train on after the controls' step, with the technique that recovers.

        Raises:
            ValueError: this bench has none.
        """
        if self.recover is None:
            raise ValueError("this bench was made with recover=None, so there is nothing to train with")
        self._train((self.step, step(self.recover)))

    def stop(self) -> None:
        """End the training after its batch; the best network so far stays."""
        if self._progress is not None:
            self._progress.stop()

    def reveal(self) -> None:
        """Draw the whole curve along the main picture, with the other settings as they are.

        Raises:
            ValueError: the technique trains, so that a curve would be twenty trainings.
        """
        if self.technique.is_slow:
            raise ValueError(f"{self.technique.name} trains at every point: run the settings that you want to compare")
        one = self.step
        self._submit("curve", lambda stale: self._sweep(one))

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
        if self.gate is not None and isinstance(self.gate.answer, (int, float)) and self.stage.x in self._at:
            self.stage.predicted = (float(self._at[self.stage.x]), self.gate.answer / self.lab.data.task.per_unit)

    def project(self, is_on: bool) -> None:
        """Large type and thick lines for a room, or back."""
        (self.add_class if is_on else self.remove_class)("efflab-projector")
        self.stage.project(is_on)

    # What the worker does.

    def _submit(self, what: str, job: Job) -> None:
        self.clear_error()
        worker().submit((id(self), what), job, on_error=self.show_error)

    def _pause(self, text: str) -> None:
        worker().cancel((id(self), "live"))
        self.stage.pause(text)
        self.readout.sentence, self._test.value = text, ""

    def _show(self, recipe: Recipe) -> None:
        self._test.value = ""  # it was about another network
        self._submit("live", lambda stale: self._follow(recipe, stale))

    def _follow(self, recipe: Recipe, stale: Stale) -> Turns:
        started, is_drawn = now(), False
        with one_thread():
            for preview in self.lab.previews(recipe):
                if stale():
                    return
                if not is_drawn and now() - started > LIVE_SECONDS:
                    self._draw(preview, None)
                    is_drawn = True
        self.stage.visit(preview)
        self._draw(preview, None)
        yield STILL_SECONDS
        self.stage.draw_tab()
        report = self.lab.measure(recipe, stale=stale)
        if report is not None and not stale():
            self._draw(preview, report)
            self._record(report)
            self.stage.draw_journal()

    def _draw(self, preview: Preview, report: Report | None) -> None:
        self.stage.draw(preview, report)
        self.readout.sentence = sentence(preview, report)
        if preview.evaluation.is_complete:
            self._answer_gate()

    def _answer_gate(self) -> None:
        measured = self._answer(self)
        if measured is not None and self.gate is not None:
            self.gate.reveal(measured)

    def _train(self, recipe: Recipe) -> None:
        self.stop()
        progress = self._progress = Progress()
        self._submit("train", lambda stale: self._train_in_turns(recipe, progress))

    def _train_in_turns(self, recipe: Recipe, progress: Progress) -> Turns:
        records: list[Epoch] = []
        start, pace = self.lab.preview(recipe[:-1]).evaluation.value, Pace()

        def record(epoch: Epoch) -> None:
            records.append(epoch)
            self.stage.draw_training(records, start)

        progress.on_record = record
        self.lab.forget(recipe)
        self._show_training(True)
        self._lock(True)  # what is shown in the end belongs to the setting that was trained
        try:
            for done in in_turns(lambda p: self.lab.build(recipe, progress=p), progress):
                left = pace.seconds_left(done)
                self._bar.value, self._seconds_left.value = done, "" if left is None else f"{left:.0f} s left"
                yield None
        finally:
            self._show_training(False)
            self._lock(False)
        self._show(recipe)

    def _sweep(self, one: Step) -> Turns:
        curve: list[Preview] = []
        others = {name: value for name, value in one.values.items() if name != self.stage.x}
        for preview in self.lab.sweep_previews(one.technique, self.stage.x, None, **others):
            curve.append(preview)
            self.stage.curve = curve
            if len(curve) % 3 == 0:
                self.stage.draw_main()
            yield None
        self.stage.draw_main()

    def _scan(self) -> Turns:
        points = []
        for point in self.lab.sensitivity():
            points.append(point)
            if len(points) % 4 == 0:
                self.stage.draw_points(points, is_scanned=False)
            yield None
        self.stage.draw_points(points, is_scanned=True)
        self._answer_gate()

    def _open_test(self, recipe: Recipe) -> None:
        evaluation = self.lab.open_test(recipe)
        self._test.value = test_sentence(evaluation, self.lab.n_test_openings)
        self._write("test_opened", {"recipe": to_json(recipe), "score": evaluation.value})

    def _record(self, report: Report) -> None:
        preview = report.preview
        low, high = preview.evaluation.interval
        run = {
            "recipe": to_json(preview.recipe),
            "score": round(preview.evaluation.value, 4),
            "low": round(low, 4),
            "high": round(high, 4),
            "packed_bytes": preview.size.packed_bytes,
            "file_bytes": report.file_bytes,
            "ms": round(report.speed.now.median_ms, 4),
            "base_ms": round(report.speed.base.median_ms, 4),
            "verdict": report.speed.verdict,
        }
        self._write("run", run)

    def _write(self, kind: str, value: object) -> None:
        try:
            self.journal.record(kind, self.technique.name, value, chapter=self.chapter)  # type: ignore[arg-type]
        except JournalError as error:
            self.show_error(error)

    # What stands on the left.

    def _control(self, name: str) -> Control:
        layers = tuple(self.lab.layers()) if name in self.technique.per_layer else ()
        control = Control(name, self.technique.knobs[name], self._start[name], layers)
        control.on_change(self.refresh)
        return control

    def _left(self) -> list[ipywidgets.Widget]:
        self._test = ipywidgets.HTML()
        self._buttons = (
            _button("Run", self.run, "trains with these settings") if self.technique.is_slow else None,
            _button(self.recover.label.capitalize(), self.tune, "trains the weights that are left")
            if self.recover
            else None,
            None if self.technique.is_slow else _button("Reveal the curve", self.reveal, "evaluates the whole range"),
            _button("Measure again", self.measure, "weighs the file and times it once more"),
            _button("Open the test set", self.open_test, "once, at the end: choose with validation data"),
        )
        self._stop_button = _button("Stop", self.stop, "end the training; the best network so far stays")
        self._bar = ipywidgets.FloatProgress(0.0, min=0.0, max=1.0, layout=_wide())
        self._seconds_left = ipywidgets.HTML()
        label = ipywidgets.HTML("<span class='efflab-label'>Training</span>")
        self._training = ipywidgets.VBox([label, self._bar, self._seconds_left, self._stop_button])
        self._training.add_class("efflab-control")
        self._show_training(False)
        projector = ipywidgets.Checkbox(False, description="projector", indent=False)
        projector.observe(lambda change: self.project(change["new"]), "value")
        return [
            *self.controls.values(),
            *(button for button in self._buttons[:2] if button),
            self._training,
            *(button for button in self._buttons[2:] if button),
            self._test,
            projector,
        ]

    def _show_training(self, is_on: bool) -> None:
        self._training.layout.display = "" if is_on else "none"
        self._bar.value, self._seconds_left.value = 0.0, ""

    def _lock(self, is_locked: bool) -> None:
        for control in self.controls.values():
            control.lock(is_locked)
        for button in (*self._buttons, self.stage.layers.button):
            if button is not None:
                button.disabled = is_locked


def _score_when_there(bench: Bench) -> float | None:
    """The score in its unit, once the controls are where the prediction is about."""
    preview = bench.preview
    if preview is None or not bench._at or len(preview.recipe) != 1:
        return None
    values = preview.recipe[0].values
    is_there = all(values[name] == value for name, value in bench._at.items())
    return preview.evaluation.value * preview.evaluation.task.per_unit if is_there else None


def _shown(technique: AnyTechnique, controls: Sequence[str] | None) -> list[str]:
    names = list(technique.knobs if controls is None else controls)
    if unknown := [name for name in names if name not in technique.knobs]:
        raise ValueError(f"{technique.name} has no knob {unknown[0]!r}; its knobs are: {', '.join(technique.knobs)}")
    if not any(isinstance(technique.knobs[name], Range) for name in names):
        raise ValueError(
            f"a bench needs a control that is a number, for its main picture; {technique.name} shows {names}"
        )
    return names


def _button(text: str, act: Callable[[], object], tooltip: str = "") -> ipywidgets.Button:
    button = ipywidgets.Button(description=text, tooltip=tooltip, layout=_wide())
    button.on_click(lambda _: act())
    return button


def _wide() -> ipywidgets.Layout:
    return ipywidgets.Layout(width="auto")
