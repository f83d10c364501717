"""The right-hand side of a recipe bench: tiles, what each step did, the training, the seeds, and the recipe as text.

Everything here may be called from the worker thread.
"""

from collections.abc import Callable, Sequence
from html import escape

import ipywidgets

from efflab.figures import seed_scores, training_curve, waterfall
from efflab.figures.training import BEFORE
from efflab.figures.waterfall import waterfall_height
from efflab.journal import Journal
from efflab.lab import Lab
from efflab.lab.prefixes import Prefix
from efflab.lab.seeds import SeedRun
from efflab.measure.machine import describe_machine
from efflab.recipe import Recipe, to_json, to_line
from efflab.training import Epoch
from efflab.widgets.parts import code_html, line_text
from efflab.widgets.tabs import ImagesTab, JournalTab
from efflab.widgets.tiles import STILL, tiles
from efflab.widgets.view import PictureView

NO_FILE = "no file can be written, and so nothing timed"


class RecipeText(ipywidgets.VBox):
    """The recipe in three forms; each gives the same weights, bit for bit, on the same machine."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self.texts: dict[str, str] = {}
        self._html = ipywidgets.HTML()
        super().__init__([self._html])

    def show_recipe(self, recipe: Recipe) -> None:
        """Write all three; from any thread."""
        self.texts = {
            "one line, for a cell or for the box on the left": to_line(recipe),
            "JSON, for a file or for the box on the left": to_json(recipe),
            "a script, after model, data = lab.build(()), lab.data": self._lab.script(recipe),
        }
        parts = "".join(f"<p>As {escape(name)}:</p>{code_html(text, name)}" for name, text in self.texts.items())
        self._html.value = f"<p>Lab: {escape(self._lab.name)}, seed {self._lab.seed}.</p>{parts}"


class RecipeStage(ipywidgets.VBox):
    """Shows what a recipe has come to, step by step. redraw: what opening another tab asks for.

    `recipe` is the one that is built, also while it waits to be run; its text is shown.
    """

    def __init__(self, lab: Lab, journal: Journal, chapter: str, redraw: Callable[[], object]) -> None:
        self.lab = lab
        self.prefixes: list[Prefix] = []
        self.recipe: Recipe = ()
        self.note, self.tiles = ipywidgets.HTML(), ipywidgets.HTML()
        self.steps, self.training, self.seeds = (PictureView(height=height) for height in (300, 240, 280))
        self.text, self.images = RecipeText(lab), ImagesTab(lab)
        self.journal = JournalTab(
            lab, journal, chapter, "packed_bytes"
        )  # a recipe is about bytes; not all make it fast
        named = {"recipe": self.text, "changed images": self.images, "journal": self.journal}
        self.tabs = ipywidgets.Tab(list(named.values()), titles=tuple(named), selected_index=0)
        self.tabs.observe(lambda _: redraw(), "selected_index")
        self.seeds_said = ipywidgets.HTML()
        super().__init__([self.note, self.tiles, self.steps, self.training, self.seeds_said, self.seeds, self.tabs])
        self.add_class("efflab-main")

    def tell(self, text: str) -> None:
        """Say what happens, or what to do; nothing for an empty text."""
        self.note.value = f"<div class='efflab-verdict'>{escape(text)}</div>" if text else ""

    def wait(self) -> None:
        """What is shown is old: other steps are computed. The page says so if it takes long enough to be seen."""
        self.add_class("efflab-stale")

    def settle(self) -> None:
        """What is shown belongs to the steps again, or nothing else will come."""
        self.remove_class("efflab-stale")

    def draw(self, prefixes: Sequence[Prefix], *, waits: str = STILL) -> None:
        """Show prefixes, the base first, as far as they are known. waits: what file and time wait for."""
        self.prefixes = list(prefixes)
        last = self.prefixes[-1]
        self.settle()
        self.steps.set_height(waterfall_height(len(prefixes) - 1))
        self.steps.show_picture(waterfall(prefixes, self.lab.data.task))
        machine = describe_machine().sentence if last.report else ""
        missing = f"{NO_FILE}: {last.reason}" if last.reason else waits
        self.tiles.value = tiles(last.preview, self.lab.baseline, last.report, machine, missing=missing)

    def draw_training(self, records: list[Epoch], before: float) -> None:
        """The training as far as it has come. before: the score before it, a fraction."""
        task = self.lab.data.task
        self.training.show_picture(
            training_curve(records, records[-1].n_epochs, task, before=before, before_name=BEFORE)
        )

    def draw_seeds(self, runs: Sequence[SeedRun]) -> None:
        """The scores of the same recipe from several seeds, and what they say together; without runs, nothing."""
        if not runs:
            self.seeds.hide()
            self.seeds_said.value = ""
            return
        picture = seed_scores(runs, self.lab.data.task)
        self.seeds.show_picture(picture)
        self.seeds_said.value = line_text(f"Seeds: {picture.sentence}")

    def draw_tab(self) -> None:
        """Draw the tab that is open; the others wait until they are opened."""
        tab = self.tabs.children[self.tabs.selected_index or 0]
        if not self.prefixes:
            return
        if tab is self.text:
            self.text.show_recipe(self.recipe)
        else:
            tab.show(self.prefixes[-1].preview)

    def project(self, is_on: bool) -> None:
        """Large type and thick lines, or back."""
        in_tabs = [view for tab in self.tabs.children for view in tab.children if isinstance(view, PictureView)]
        for view in (self.steps, self.training, self.seeds, *in_tabs):
            view.project(is_on)
