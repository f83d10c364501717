"""The scoreboard: one's own runs from all chapters, what they cost, and those that no other beats.

A click on a point, or the list below the picture, chooses a run: its recipe, its seed and its code are shown then, and
the recipe bench opens with it.
"""

import math
from collections.abc import Sequence
from html import escape
from pathlib import Path

import ipywidgets

from efflab import models
from efflab.data import Classification
from efflab.figures import scoreboard
from efflab.figures.picture import MAX_ROWS
from efflab.figures.scoreboard import cost_text
from efflab.figures.text import score_text
from efflab.journal import Journal, JournalError
from efflab.knobs import Choice
from efflab.lab import Lab
from efflab.recipe import from_json, script, to_line
from efflab.scoreboard import COSTS, Cost, Run, cost_of, front, newest_of_each, recipe_text, runs_of, select
from efflab.widgets.controls import Control
from efflab.widgets.desk import Desk
from efflab.widgets.exports import Exports
from efflab.widgets.live_figure import Clicked
from efflab.widgets.live_panel import LivePanel
from efflab.widgets.parts import button, code_html, line_text, named_choice, offer
from efflab.widgets.recipe_bench import RecipeBench
from efflab.widgets.view import PictureView

EVERY = "all networks"
NONE, NOBODY = "no run", ""
"""The first of the list, and its value: None would leave the list without a choice."""
NO_RUN = 'No run is in the journal yet: measure one in any chapter, then press "Read again".'
CHOOSE = "Click a point, or choose a run below, for its recipe, seed and code."
NOT_CHOSEN = "Choose a run first: click its point, or take it from the list."
TIMED: tuple[Cost, ...] = ("ms", "joules")
"""Costs that can be compared at one batch only."""
TASK = Classification()
"""A run does not say its task yet, and all data of the course are classified."""
NOT_WRITTEN = "not written down"
"""The data of an older run of one's own network."""
STARTS = {"from 0 %": 0, "from 80 %": 80, "from 95 %": 95}
"""Where the axis of the scores begins, by its words."""
KINDS: dict[str, Cost] = {about.text: cost for cost, about in COSTS.items()}
"""The costs by the words of their axis."""


class Scoreboard(LivePanel):
    """All runs of a journal. Make one with `Scoreboard()`, or `chapter.scoreboard()`.

    folder: where the two exports are written; the folder of the notebook if not given.
    chapter: what the journal calls the place of a bench that is opened here.

    Raises:
        JournalError: the journal cannot be read.
    """

    def __init__(
        self, journal: Journal | None = None, *, folder: Path | None = None, chapter: str = "scoreboard"
    ) -> None:
        self.journal, self.chapter = journal or Journal(), chapter
        self.runs: tuple[Run, ...] = ()
        self.chosen: Run | None = None
        self._read()
        self.board, self.detail, self.code = PictureView(height=380), ipywidgets.HTML(), ipywidgets.HTML()
        self.code.add_class("efflab-wide")
        within = ipywidgets.Layout(flex="1 1 0%", min_width="0")  # no wider than the picture, whatever the names are
        self.list = ipywidgets.Dropdown(options=[(NONE, NOBODY)], layout=within)
        self.list.observe(lambda change: self._take(change["new"]), "value")
        self._is_offering = False
        self.place = ipywidgets.VBox([])
        self.board.on_clicked(self.choose_point)
        buttons = [
            button("Read again", self.read_again, "takes the runs that were measured since"),
            button("Open in the recipe bench", self.open_bench, "the recipe that is chosen, step by step"),
        ]
        self.exports = Exports(folder or Path(), self.export_csv, self.export_report)
        desk = Desk(_controls(self.runs), [], buttons, self.project, more=[self.exports])
        stage = [self.board, named_choice("Run", self.list), self.detail, self.code]
        super().__init__(None, desk, stage, below=[self.place])  # a bench needs the whole width

    @property
    def cost(self) -> Cost:
        """What is along the axis."""
        return KINDS[str(self.settings["cost"])]

    @property
    def selected(self) -> tuple[Run, ...]:
        """The runs that the controls ask for."""
        found = self.settings
        network = None if found["network"] == EVERY else str(found["network"])
        batch = int(str(found["batch"])) if self.cost in TIMED else None
        return select(self.runs, data=str(found["data"]), network=network, batch=batch)

    def refresh(self) -> None:
        """Draw the runs that the controls ask for, and offer them in the list; one that is not among them is let go."""
        self.clear_error()
        found, cost = self.selected, self.cost
        shown = newest_of_each(found)
        if self.chosen not in found:
            self.chosen = None
        self._offer(shown, cost)
        chosen = self.chosen
        self._submit("board", lambda stale: self._draw(shown, cost, chosen))

    def read_again(self) -> None:
        """Take the runs that were written down since; data, networks and batches that came with them can be chosen."""
        try:
            self._read()
        except JournalError as error:
            self.show_error(error)
            return
        for name, (options, first) in _choices(self.runs).items():
            self.desk.controls[name].offer(options, first)
        self.refresh()

    def choose(self, run: Run | None) -> None:
        """Show a run's recipe, seed and code; None for none. A bench that is open for another run is closed."""
        if run != self.chosen:
            self.place.children = ()
        self.chosen = run
        self.refresh()

    def choose_point(self, point: Clicked) -> None:
        """Choose the run that is drawn at a point."""
        x, y = float(point.x), float(point.y)
        costs = [(run, cost_of(run, self.cost)) for run in newest_of_each(self.selected)]
        near = [run for run, value in costs if value is not None and math.isclose(value, x, rel_tol=1e-6)]
        self.choose(min(near, key=lambda run: abs(run.score * TASK.per_unit - y), default=None))

    def open_bench(self) -> None:
        """Open the recipe bench with the run that is chosen; one of your own network is told how to be pasted."""
        self.clear_error()
        if self.chosen is None:
            self.show_error(ValueError(NOT_CHOSEN))
            return
        chosen = self.chosen
        self._submit("bench", lambda stale: self._open(chosen))

    def export_csv(self) -> None:
        """Write the runs that are shown for a spreadsheet."""
        self.clear_error()
        self._submit("csv", lambda stale: self._say_written(self.exports.write_runs(self.selected)))

    def export_report(self) -> None:
        """Write the page that a learner hands in."""
        self.clear_error()
        self._submit("report", lambda stale: self._say_written(self.exports.write_report(self.journal)))

    # What the worker does.

    def _read(self) -> None:
        runs, _ = runs_of(self.journal.entries(kind="run"))
        self.runs = tuple(run if run.data else run._replace(data=_data_of(run.network)) for run in runs)

    def _say_written(self, path: Path) -> None:
        self.readout.sentence = f"Written: {path}"
        self.exports.said.value = line_text(self.readout.sentence)

    def _draw(self, shown: Sequence[Run], cost: Cost, chosen: Run | None) -> None:
        self.detail.value = self.code.value = ""  # if the new one cannot be read, no old one stays
        if not self.runs:
            self.board.hide()
            self._tell(NO_RUN)
            self.readout.sentence = NO_RUN
            return
        picture = scoreboard(shown, cost, TASK, chosen, start=STARTS[str(self.settings["scores"])])
        self.board.show_picture(picture)
        self.readout.sentence = picture.sentence
        what = f"{len(shown):,} on {self.settings['data']}, repeats only once"
        self._tell(f"{len(self.runs):,} runs in the journal; shown are {what}. {CHOOSE}")
        if chosen:
            self.detail.value, self.code.value = _words(chosen), _code(chosen)

    def _open(self, run: Run) -> None:
        recipe = from_json(run.recipe)
        if run.network not in models.names():
            raise ValueError(f"{run.network} is a network of your own: paste the line above into its recipe bench")
        if run.data != (own := models.card(run.network).data):
            raise ValueError(
                f"this run was judged on {run.data}, and {run.network} comes with {own}: open a recipe bench on "
                f"Lab(model, data) with {run.data}, and paste the line above into it"
            )
        if run.teacher:
            raise ValueError(
                f"this run was taught by {run.teacher}, and not by its base: open a recipe bench on "
                "Lab(model, data, teacher=...) with that network as its teacher, and paste the line above into it"
            )
        lab = Lab.open(run.network, seed=run.seed or 0)
        self.place.children = (RecipeBench(lab, recipe, journal=self.journal, chapter=self.chapter),)

    # The list, which the keyboard reaches; all of it on the thread of the hand.

    def _offer(self, shown: Sequence[Run], cost: Cost) -> None:
        """List the front and the newest others, and the chosen one wherever it is."""
        best = front(shown, cost)
        newest = shown[: -MAX_ROWS - 1 : -1]
        listed = dict.fromkeys([*best, *newest, *([self.chosen] if self.chosen else [])])
        self._is_offering = True
        offer(self.list, [(NONE, NOBODY), *((_title(run, cost), run) for run in listed)])
        self.list.value = self.chosen or NOBODY
        self._is_offering = False

    def _take(self, chosen: Run | str) -> None:
        if not self._is_offering:
            self.choose(chosen if isinstance(chosen, Run) else None)


def _controls(runs: Sequence[Run]) -> dict[str, Control]:
    """What can be chosen."""
    choices = _choices(runs)
    choices |= {name: (tuple(kinds), next(iter(kinds))) for name, kinds in (("cost", KINDS), ("scores", STARTS))}
    about = {
        "data": "what the networks were judged on",
        "network": "the base of the runs",
        "cost": "what is along the axis",
        "scores": "where their axis begins",
        "batch": "images in a run that was timed",
    }
    return {name: Control(name, Choice(choices[name][0], text), choices[name][1]) for name, text in about.items()}


def _choices(runs: Sequence[Run]) -> dict[str, tuple[tuple[str, ...], str]]:
    """What can be chosen among the runs that there are, and what is chosen first: the newest run's data."""
    data = tuple(dict.fromkeys(run.data for run in runs if run.data)) or ("-",)
    networks = (EVERY, *dict.fromkeys(run.network for run in runs if run.network))
    batches = tuple(map(str, sorted({run.batch for run in runs if run.batch is not None}))) or ("1",)
    newest = next((run.data for run in reversed(runs) if run.data), data[0])
    return {"data": (data, newest), "network": (networks, EVERY), "batch": (batches, batches[0])}


def _data_of(network: str) -> str:
    """What a network of an older run was judged on, which nobody wrote down: a checkpoint's name says it."""
    return models.card(network).data if network in models.names() else NOT_WRITTEN


def _title(run: Run, cost: Cost) -> str:
    """A run in a list."""
    costs = cost_text(run, cost) or "not known"
    return f"{score_text(run.score, TASK)}, {costs}: {recipe_text(run.recipe)} on {run.network}, seed {_seed(run)}"


def _words(run: Run) -> str:
    """A run in words, as HTML."""
    costs = "; ".join(
        f"{about.label} {text} ({about.badge})" for cost, about in COSTS.items() if (text := cost_text(run, cost))
    )
    taught = f", taught by {run.teacher}" if run.teacher else ""
    what = f"{recipe_text(run.recipe)} on {run.network}{taught}, seed {_seed(run)}, chapter {run.chapter}"
    score = f"{score_text(run.score, TASK)} {TASK.score_name} on validation data (measured)"
    return f"<div class='efflab-verdict'>{escape(f'{what}: {score}. {costs}.')}</div>"


def _code(run: Run) -> str:
    """The recipe of a run as a line and as calls, as HTML; where a technique is not known here, why there is none."""
    try:
        recipe = from_json(run.recipe)
    except (ValueError, TypeError) as error:
        return line_text(f"There is no code to show: {error}")
    text = script(recipe, seed=_seed(run), has_teacher=bool(run.teacher))
    told = line_text(f"They need `teacher`, which was {run.teacher} and not the base:") if run.teacher else ""
    return code_html(to_line(recipe), "the recipe") + told + code_html(text, "the calls")


def _seed(run: Run) -> int:
    return 0 if run.seed is None else run.seed
