"""Handing in: a run of the journal is chosen, its recipe runs again on the worker, and what comes out is judged."""

from collections.abc import Callable
from html import escape

import ipywidgets

from efflab.budget import RecipeBudget, StoppedError
from efflab.capstone import HandedIn, candidates, hand_in, told_before
from efflab.figures.text import score_text
from efflab.journal import Entry, Journal, JournalError
from efflab.lab import Lab
from efflab.questions import Verdict
from efflab.recipe import Recipe, from_json, to_json
from efflab.scoreboard import Run, recipe_text, run_entry, runs_of
from efflab.training import Progress
from efflab.widgets.asking import Checked, Panel, verdict_html
from efflab.widgets.parts import button, line, line_text, offer, wide
from efflab.widgets.running import Running
from efflab.widgets.worker import Turns, worker

Keep = Callable[[Verdict, str], Checked]
LABEL = (
    "Your runs as the journal has them: first those whose bytes keep to the budget, then by score. "
    "Packed bytes are computed, all else was measured"
)
NO_RUN = "No run of {lab} on {data} is in the journal yet: press Run in a bench above."
CHOOSE = "Choose a run, and hand it in: its recipe runs again from the start, and what comes out is judged."
STOPPED = "<b>Stopped.</b> Nothing was judged: hand in once more, and let the recipe run to its end."


class HandIn(Panel):
    """The runs that can be handed in for a budget, and how it went before. Make one with `chapter.hand_in(...)`.

    id: the name of the budget in the journal. keep: writes the verdict down: verdict, recipe as JSON. `handed_in` is
    what was judged last, or None.
    """

    def __init__(self, id: str, lab: Lab, budget: RecipeBudget, journal: Journal, keep: Keep, *, chapter: str) -> None:
        self.handed_in: HandedIn | None = None
        self._known: tuple[Run, ...] = ()
        self._before = ""
        self._is_judging = False
        self.id, self.lab, self.budget, self.journal, self.chapter = id, lab, budget, journal, chapter
        self._keep = keep
        self.choice = ipywidgets.Dropdown(options=[], layout=wide())
        self._recipe = line("")
        self._text = ipywidgets.HTML()
        self._running = Running("Running the recipe again", "end the training; nothing is judged")
        again = button(
            "Read the journal again", self.read_again, "offers runs that other notebooks have measured since"
        )
        self._button = button("Hand in", self.hand_in, "runs its recipe again, and judges what comes out")
        label = ipywidgets.HTML(f"<span class='efflab-label'>{LABEL}</span>")
        box = ipywidgets.VBox([label, self.choice, self._recipe, ipywidgets.HBox([again, self._button])])
        box.add_class("efflab-question")
        box.add_class("efflab-control")
        super().__init__([box, self._running, self._text])
        self.choice.observe(lambda _: self._show_recipe(), "value")
        self.read_again()
        journal.on_record(self.offer_new)

    @property
    def runs(self) -> tuple[Run, ...]:
        """What can be handed in: first what keeps to the bytes of the budget, then by score."""
        return tuple(run for _, run in self.choice.options)

    def read_again(self) -> None:
        """Offer the runs that the journal has now; if it cannot be read, say why, and offer what there was."""
        self.clear_error()
        try:
            self._known, _ = runs_of(self.journal.entries(kind="run"))
            self._before = told_before(self.journal.entries(self.chapter, "check", self.id))
        except JournalError as error:
            self.show_error(error)
            return
        self._offer()
        self._invite()

    def offer_new(self, entry: Entry) -> None:
        """Offer a run that was just measured, too; what is said of an earlier one stays."""
        if entry.kind != "run":
            return
        new, _ = runs_of([entry])
        was_empty = not self.runs
        self._known = (*self._known, *new)
        self._offer()
        if was_empty and self.runs:
            self._invite()

    def _offer(self) -> None:
        found = candidates(self._known, self.lab, self.budget)
        offer(self.choice, [(_words(run, self.lab), run) for run in found])
        self._button.disabled = not found or self._is_judging

    def _show_recipe(self) -> None:
        """The whole recipe of the run that is chosen: the closed list cuts it."""
        run = self.choice.value
        self._recipe.value = line_text(f"The recipe of the chosen run: {recipe_text(run.recipe)}" if run else "")

    def hand_in(self) -> None:
        """Run the recipe of the run that is chosen again, and judge it."""
        run = self.choice.value
        if run is None:
            self._invite()
            return
        self._start(lambda progress: hand_in(run, self.lab, self.budget, progress))

    def run_and_hand_in(self, recipe: Recipe) -> None:
        """What a bench and the button do, one after the other: run a recipe, write the run down, and hand it in."""
        self._start(lambda progress: self._run_and_hand_in(recipe, progress))

    def stop(self) -> None:
        """End a training after its batch; nothing is judged."""
        self._running.stop()

    def _start(self, work: Callable[[Progress], HandedIn]) -> None:
        self.clear_error()
        self.readout.sentence = ""  # what was said of the last one
        progress = self._running.start()
        worker().submit((id(self), "hand in"), lambda stale: self._judge(work, progress), on_error=self._fail)

    def _run_and_hand_in(self, recipe: Recipe, progress: Progress) -> HandedIn:
        self.lab.forget_stopped(recipe)  # another panel may have stopped it
        self.lab.build(recipe, progress=progress.part(0, 2))
        report = self.lab.measure(recipe)
        if report is None or report.preview.is_partial:
            self.lab.forget_stopped(recipe)
            raise StoppedError("a training was stopped early: it is no run")
        entry = self.journal.record("run", "recipe", run_entry(report, self.lab), chapter=self.chapter)
        ((run,), _) = runs_of([entry])
        return hand_in(run, self.lab, self.budget, progress.part(1, 2))

    def _judge(self, work: Callable[[Progress], HandedIn], progress: Progress) -> Turns:
        found: list[HandedIn] = []

        def run(one: Progress) -> None:
            try:
                found.append(work(one))
            except StoppedError:
                return

        self._is_judging = self._button.disabled = True
        self._tell("Working ...")
        try:
            yield from self._running.follow(run, progress)
        finally:
            self._is_judging = self._button.disabled = False
        if not found:
            self._text.value = f"<div class='efflab-verdict'>{STOPPED}</div>"
            return
        self.handed_in = one = found[0]
        checked = self._keep(one.verdict, to_json(from_json(one.run.recipe)))
        self._text.value = verdict_html(one.verdict) + f"<p>{escape(one.comparison(self.lab))}</p>"
        self.readout.error = checked.note
        self.readout.sentence = "The budget is met." if one.verdict.passed else "The budget is not met yet."

    def _fail(self, error: BaseException) -> None:
        self._text.value = "<div class='efflab-verdict efflab-failed'><b>Not yet.</b> This recipe did not run:</div>"
        self.show_error(error)

    def _invite(self) -> None:
        invitation = CHOOSE if self.runs else NO_RUN.format(lab=self.lab.name, data=self.lab.data.name)
        self._tell("\n".join(text for text in (self._before, invitation) if text))

    def _tell(self, text: str) -> None:
        self._text.value = f"<div class='efflab-verdict'>{escape(text)}</div>"


def _words(run: Run, lab: Lab) -> str:
    """A run as it stands in the menu: what the journal says of it."""
    file = "" if run.file_bytes is None else f", {run.file_bytes:,} in the file"
    time = "" if run.ms is None else f", {run.ms:.3g} ms at batch {run.batch}"
    score = score_text(run.score, lab.data.task)
    seed = "" if not run.seed else f", seed {run.seed}"
    return f"{score}, {run.packed_bytes:,} bytes packed{file}{time}{seed}: {recipe_text(run.recipe)}"
