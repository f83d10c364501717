"""The right-hand side of a bench: tiles, the main picture, the training curve and the tabs. It draws what it is given.

Everything here may be called from the worker thread.
"""

from collections.abc import Callable, Iterable
from html import escape
from typing import Any

import ipywidgets

from efflab.figures import tradeoff, training_curve
from efflab.figures.tradeoff import N_TRAIL
from efflab.figures.training import BEFORE
from efflab.journal import Journal
from efflab.lab import Lab, Preview, Report
from efflab.measure.machine import describe_machine
from efflab.recipe import AnyTechnique, Recipe
from efflab.training import Epoch, Progress
from efflab.widgets.diagnosis_panel import Diagnosing
from efflab.widgets.first_tabs import first_tabs, scanning
from efflab.widgets.grid_tabs import ROUNDED_FIRST
from efflab.widgets.running import Running
from efflab.widgets.tabs import CodeTab, ImagesTab, JournalTab, SpeedTab
from efflab.widgets.tiles import tiles
from efflab.widgets.view import PictureView
from efflab.widgets.worker import Turns

FLOATS = "float weights"
"""What a training that begins by rounding was given: it starts from another score."""
TRAINING = "Training with these settings: the curve grows below."


class Stage(ipywidgets.VBox):
    """Shows the preview of one recipe, the trail of those before, and what was measured of it.

    technique: what the controls set; it decides which tabs come first. x: the knob along the main picture. scan
    and redraw: what the buttons in the tabs ask for. diagnosing: what the tab about the speed shows.
    """

    def __init__(
        self,
        lab: Lab,
        technique: AnyTechnique,
        x: str,
        *,
        journal: Journal,
        chapter: str,
        scan: Callable[[], object],
        redraw: Callable[[], object],
        diagnosing: Diagnosing[Any],
    ) -> None:
        self.lab, self.x = lab, x
        self.preview: Preview | None = None
        self.report: Report | None = None
        self.reports: list[Report] = []
        self.trail: list[Preview] = []
        self.curve: list[Preview] = []
        self.is_curve_whole = True
        self.points: list[Any] = []
        self.is_scanned = False
        self.predicted: tuple[float, float] | None = None
        self.tiles, self.main, self.training = ipywidgets.HTML(), PictureView(height=340), PictureView(height=240)
        first = first_tabs(lab, technique, scan, redraw)
        self.layers, self.weights = scanning(first), next(tab for tab in first if not hasattr(tab, "scan"))
        self.images, self.code, self.journal = ImagesTab(lab), CodeTab(lab), JournalTab(lab, journal, chapter)
        self.speed = SpeedTab(diagnosing)
        named = {
            **{tab.title: tab for tab in first},
            "changed images": self.images,
            "code": self.code,
            "journal": self.journal,
            "speed": self.speed,
        }
        self.tabs = ipywidgets.Tab(list(named.values()), titles=tuple(named), selected_index=0)
        self.tabs.observe(lambda _: redraw(), "selected_index")
        super().__init__([self.tiles, self.main, self.training, self.tabs])
        self.add_class("efflab-main")

    def draw(self, preview: Preview) -> None:
        """Show a preview in the tiles and the main picture; nothing was measured of it yet."""
        self.preview, self.report = preview, None
        self.draw_main()  # first, for the page takes longest to paint it
        self.tiles.value = tiles(preview, self.lab.baseline, None)

    def draw_report(self, report: Report) -> None:
        """Add what was measured of the preview that is shown to the tiles; the main picture stays as it is."""
        self.report = report
        self.reports = [*self.reports, report][-N_TRAIL:]
        macs = self.layers.macs(report.preview)
        self.tiles.value = tiles(report.preview, self.lab.baseline, report, describe_machine().sentence, macs=macs)

    def pause(self, text: str) -> None:
        """Show no numbers but this sentence, until the next preview comes."""
        self.preview, self.report = None, None
        self.tiles.value = f"<div class='efflab-verdict'>{escape(text)}</div>"

    def visit(self, preview: Preview) -> None:
        """Add a complete preview to the trail; what was visited twice counts by its last visit."""
        self.trail = [*(p for p in self.trail if p.recipe != preview.recipe), preview][-N_TRAIL:]

    def draw_main(self) -> None:
        """Draw the main picture again, with the curve as far as it is known."""
        if self.preview is None or not self.preview.recipe:  # the base alone has no place along the knob
            return
        trail = self.trail if self.trail and self.trail[-1] is self.preview else [*self.trail, self.preview]
        picture = tradeoff(
            trail,
            self.x,
            baseline=self.lab.baseline,
            curve=self.curve,
            is_whole=self.is_curve_whole,
            predicted=self.predicted,
        )
        self.main.show_picture(picture)

    def draw_tab(self) -> None:
        """Draw the tab that is open; the others wait until they are opened."""
        index = self.tabs.selected_index
        if self.preview is not None and index is not None:
            self.tabs.children[index].show(self.preview)

    def draw_journal(self) -> None:
        """Draw the journal if its tab is open: another run was written down."""
        if self.preview is not None and self.tabs.children[self.tabs.selected_index or 0] is self.journal:
            self.journal.show(self.preview)

    def follow_curve(self, previews: Iterable[Preview]) -> Turns:
        """Draw a sweep along the main picture while it grows."""
        self.curve, self.is_curve_whole = [], False
        for preview in previews:
            self.curve.append(preview)
            if len(self.curve) % 3 == 0:
                self.draw_main()
            yield None
        self.is_curve_whole = True
        self.draw_main()

    def follow_scan(self, points: Iterable[Any]) -> Turns:
        """Draw a sensitivity scan while it grows; `is_scanned` once it is whole."""
        self.points, self.is_scanned = [], False
        for point in points:
            self.points.append(point)
            if len(self.points) % self.layers.every == 0:
                self.layers.show_points(self.points)
            yield None
        self.is_scanned = True
        self.layers.show_points(self.points)

    def follow_training(self, recipe: Recipe, running: Running, progress: Progress) -> Turns:
        """Train the last step of a recipe anew in turns, and draw its curve while it grows."""
        records: list[Epoch] = []
        before = self.lab.preview(recipe[:-1]).evaluation.value
        name = FLOATS if recipe[-1].technique in ROUNDED_FIRST else BEFORE

        def record(epoch: Epoch) -> None:
            records.append(epoch)
            self.draw_training(records, before, name)

        progress.on_record = record
        self.lab.forget(recipe)
        if self.preview is None:
            self.pause(TRAINING)
        return running.follow(lambda one: self.lab.build(recipe, progress=one), progress)

    def draw_training(self, records: list[Epoch], before: float, name: str) -> None:
        """Draw the training as far as it has come; `before` is the score before it, a fraction, under its name."""
        n_epochs, task = records[-1].n_epochs, self.lab.data.task
        self.training.show_picture(training_curve(records, n_epochs, task, before=before, before_name=name))

    def project(self, is_on: bool) -> None:
        """Large type and thick lines, or back."""
        in_tabs = [view for tab in self.tabs.children for view in tab.children if isinstance(view, PictureView)]
        for view in (self.main, self.training, *in_tabs):
            view.project(is_on)
        self.speed.diagnosing.stage.project(is_on)
