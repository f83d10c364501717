"""The break-even explorer: how sparse must a weight be before leaving out its zeros makes it faster, on this machine?

Each move of a control is measured once the hand is still; one button measures a whole grid and draws the frontier of
this processor. What was measured is kept on this machine, and is there at the next opening.

Reference: Han et al., Deep Compression, 2015, arXiv 1510.00149, section 6.3.
"""

from collections.abc import Callable, Mapping, Sequence

from efflab.figures.frontier import between_text, layout_text, needed_text, size_text
from efflab.knobs import Setting, Value
from efflab.measure.break_even import BreakEven, KernelSpeed, frontier, latest, line_of
from efflab.measure.grid import Grid, bracket, measure_grid
from efflab.measure.kept_points import add_points, read_points
from efflab.measure.kernel_speed import KernelStopwatch, kernel_stopwatch
from efflab.measure.speed import SpeedError
from efflab.training import Progress
from efflab.widgets.asking import Answer, Gate, Panel
from efflab.widgets.bench import STILL_SECONDS
from efflab.widgets.break_even_asked import Asked, asked_for, first_settings, knobs
from efflab.widgets.break_even_stage import JUST_NOW, BreakEvenStage, sentence
from efflab.widgets.controls import Control
from efflab.widgets.desk import Desk
from efflab.widgets.parts import button, side_by_side
from efflab.widgets.running import Running
from efflab.widgets.worker import Job, Stale, Turns, worker


class BreakEvenExplorer(Panel):
    """Sparse against dense products on the screen. Make one with `chapter.break_even()`.

    grid: which sizes and batches there are, and what the button measures; the usual grid if not given.
    start: settings to begin with: layout, size ("1024x1024"), batch ("1") and sparsity.
    gate: a prediction, of a break-even in percent, that must be made before the controls unlock.
    at: the layout, size and batch that the prediction is about; those of `start` if not given.
    answer: where the answer is not the middle of the two sparsities between which the break-even lies, a function of
        the explorer that gives it, or None while it is not known.
    stopwatch: what times; the one of this process if not given.

    Raises:
        ValueError: a setting of `start` or `at` is none of the grid's.
    """

    def __init__(
        self,
        *,
        grid: Grid | None = None,
        start: Mapping[str, Value] | None = None,
        gate: Gate | None = None,
        at: Mapping[str, Value] | None = None,
        answer: "Callable[[BreakEvenExplorer], Answer | None] | None" = None,
        stopwatch: KernelStopwatch | None = None,
    ) -> None:
        self.grid, self.gate = grid or Grid(), gate
        self.point: KernelSpeed | None = None
        self._stopwatch, self._answer = stopwatch, answer or _middle_asked_for
        kept = read_points()
        self.points: tuple[KernelSpeed, ...] = kept.content or ()
        begin = first_settings(self.grid, start or {})
        self.at = asked_for(self.grid, {**begin, **(at or {})})
        again = button("Measure again", self.measure, "times these settings once more")
        whole = button("Measure this CPU", self.measure_all, "times the whole grid")
        running = Running("Measuring this CPU", "end the measurement; what was measured is kept")
        controls = {name: Control(name, knob, begin[name]) for name, knob in knobs(self.grid).items()}
        self.desk = Desk(controls, [whole], [again], self.project, running)
        self.stage = BreakEvenStage(self.grid)
        super().__init__([*([gate] if gate else []), side_by_side(self.desk, self.stage)])
        for control in controls.values():
            control.on_change(self.refresh)
        self.stage.tell(self.points, kept.reason)
        self.begin(gate, self.unlock, self._pause)

    @property
    def controls(self) -> dict[str, Control]:
        """What can be moved, by its name."""
        return self.desk.controls

    @property
    def asked(self) -> Asked:
        """The product that the controls ask for."""
        return asked_for(self.grid, self.desk.settings)

    @property
    def break_even_percent(self) -> float | None:
        """The break-even of the chosen layout, size and batch in percent; None until it is known, or if there is none.

        It is the smallest sparsity from which on sparse was faster, once a point close below it was not.
        """
        return self.percent_of(self.asked)

    def percent_of(self, asked: Asked) -> float | None:
        """The same for another layout, size and batch."""
        one = self.break_even_of(asked)
        return round(100 * one.sparsity, 2) if one is not None and one.sparsity and self.grid.knows(one) else None

    def break_even_of(self, asked: Asked) -> BreakEven | None:
        """Between which sparsities the break-even lies, as far as was measured; None where nothing was."""
        return next(iter(frontier(point for point in self.points if line_of(point) == asked.line)), None)

    @property
    def prediction_text(self) -> str:
        """Where the break-even that the prediction is about lies, or which point its answer still needs."""
        if self.gate is None or self._answer is not _middle_asked_for:
            return ""
        name = f"{layout_text(self.at.layout, self.at.block)} {size_text(self.at.rows, self.at.columns)}"
        where, one = f"{name} at batch {self.at.batch}", self.break_even_of(self.at)
        found = one and bracket(one)
        if found:
            return f" The break-even of {where} lies {between_text(*found)} zeros; above stands the middle."
        if self.gate.measured is not None:
            return ""
        missing = (needed_text(one) if one else "") or "another point"
        return f" Your prediction waits for {where}; still needed: {missing}."

    def set(self, **settings: Setting) -> None:
        """Move controls as a hand would: `explorer.set(sparsity=0.8, batch="64")`.

        Raises:
            ValueError, TypeError: no such control, or no value for it.
        """
        self.desk.set(settings)

    def refresh(self) -> None:
        """Show what is known of the settings of the controls, and measure them once the hand is still."""
        asked = self.asked
        self._submit("live", lambda stale: self._follow(asked, stale))

    def measure(self) -> None:
        """Measure what the controls are set to once more."""
        self.refresh()

    def measure_all(self) -> None:
        """Measure the whole grid, which takes about a minute and can be stopped; what was measured is kept."""
        progress = self.desk.running.start()
        self._submit("grid", lambda stale: self._measure_in_turns(progress))

    def stop(self) -> None:
        """End the measurement of the grid; what was measured is kept."""
        self.desk.running.stop()

    def unlock(self) -> None:
        """Give the controls free: there is no prediction to make, or it was made or skipped."""
        self.desk.lock(False)
        if self.gate is not None and isinstance(self.gate.answer, (int, float)):
            self.stage.predicted = (self.at, self.gate.answer / 100)
        self.refresh()
        self._answer_gate()

    def project(self, is_on: bool) -> None:
        """Large type and thick lines for a room, or back."""
        (self.add_class if is_on else self.remove_class)("efflab-projector")
        self.stage.project(is_on)

    def _pause(self, text: str) -> None:
        self.desk.lock(True)
        self.stage.pause(text)

    # What the worker does.

    def _submit(self, what: str, job: Job) -> None:
        self.clear_error()
        worker().submit((id(self), what), job, on_error=self._fail)

    def _fail(self, error: BaseException) -> None:
        self.show_error(error)
        self._show(self.asked, "not measured: see the message below")

    def _follow(self, asked: Asked, stale: Stale) -> Turns:
        self._show(asked, "to be measured once the hand is still")
        yield STILL_SECONDS
        self._show(asked, "measuring", pictures=False)
        watch = self._stopwatch or kernel_stopwatch()
        point = watch.compare(**asked.settings, seconds=self.grid.seconds, stale=stale)
        if point is not None and not stale():
            self._take(point)
            self._show(asked, JUST_NOW, point)
            self._keep([point])

    def _measure_in_turns(self, progress: Progress) -> Turns:
        measured: list[KernelSpeed] = []
        self.desk.lock(True)
        try:
            yield from self.desk.running.follow(lambda p: self._measure(p, measured), progress)
        finally:
            self.desk.lock(False)
            self._keep(measured)
            self._show(self.asked, "")

    def _measure(self, progress: Progress, measured: list[KernelSpeed]) -> None:
        watch = self._stopwatch or kernel_stopwatch()
        for point in measure_grid(watch, self.grid, known=self.points, stale=lambda: progress.is_stopped):
            measured.append(point)
            self._take(point)
            self._show(self.asked, "")
            if progress.on_batch:
                progress.on_batch(len(measured) / self.grid.n_points)

    def _take(self, point: KernelSpeed) -> None:
        self.points = latest((*self.points, point))

    def _keep(self, points: Sequence[KernelSpeed]) -> None:
        if not points:
            return
        try:
            add_points(points)
        except SpeedError as error:
            self.show_error(error)

    def _show(self, asked: Asked, state: str, point: KernelSpeed | None = None, *, pictures: bool = True) -> None:
        """Show this point, or what is known of what is asked for."""
        self.point = point or next((p for p in self.points if asked.is_of(p)), None)
        self.stage.draw(asked, self.point, self.points, self.break_even_of(asked), state)
        if pictures:
            self.stage.draw_pictures(asked, self.point, self.points)
        self.readout.sentence = sentence(asked, self.point) + self.prediction_text
        self._answer_gate()

    def _answer_gate(self) -> None:
        self.tell_answer(self.gate, self._answer(self))


def _middle_asked_for(explorer: BreakEvenExplorer) -> float | None:
    """The middle in percent, once the two sparsities around the break-even are close: a guess between them is close."""
    one = explorer.break_even_of(explorer.at)
    found = bracket(one) if one is not None else None
    return round(50 * sum(found), 2) if found else None
