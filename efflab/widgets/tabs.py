"""The tabs below the main picture: layers, weights, changed images, the code that ran, the journal, and the speed.

Only the tab that is open is drawn, and only when the hand is still: what nobody sees costs nothing.
"""

from collections.abc import Callable, Iterator, Sequence
from html import escape
from typing import Any

import ipywidgets
from torch import Tensor

from efflab.figures import changed, histogram, layers, mask, pareto, scoreboard, sensitivity
from efflab.figures.text import interval_text, score_text
from efflab.journal import Journal
from efflab.lab import Lab, Preview
from efflab.measure import by_class, changed_images
from efflab.prune import Point, prunable_weights
from efflab.recipe import to_line
from efflab.scoreboard import Cost, Run, runs_of, select
from efflab.widgets.diagnosis_panel import Diagnosing
from efflab.widgets.parts import breakable, button, code_html, named_choice, scrolling
from efflab.widgets.runs import COLUMNS, comparable, run_texts
from efflab.widgets.view import PictureView

N_IMAGES = 12
"""Changed images that are shown."""
ABOUT_RUNS = "The newest runs first. Scores, times and files were measured; packed bytes are computed."


class LayersTab(ipywidgets.VBox):
    """Each layer: what it lost and what it weighs; on a button, how much of it alone the network bears to lose."""

    title = "layers"
    every = 4
    """Points come faster than they need to be drawn."""

    def __init__(self, lab: Lab, scan: Callable[[], object]) -> None:
        self._lab = lab
        self._layers, self._sensitivity = PictureView(height=300), PictureView(height=340)
        self.button = button("Prune each layer alone", scan, "evaluates the network once a layer and sparsity")
        super().__init__([self._layers, self.button, self._sensitivity])

    def show(self, preview: Preview) -> None:
        """Draw the layers of this preview; from any thread."""
        self._layers.show_picture(layers(preview.size, preview.base_size))

    def macs(self, preview: Preview) -> None:
        """Zeros take no work away, so there is nothing to tell."""

    def scan(self, batch: int) -> Iterator[Point]:
        """What the button asks for: each layer pruned alone; nothing is timed, so the batch says nothing."""
        return self._lab.sensitivity()

    def show_points(self, points: list[Point]) -> None:
        """Draw the sensitivity scan as far as it has come; from any thread."""
        self._sensitivity.show_picture(sensitivity(points, self._lab.baseline))


class WeightsTab(ipywidgets.VBox):
    """One layer's weights: their values before and after, and where some are removed, which of them stayed."""

    title = "weights"

    def __init__(self, lab: Lab, again: Callable[[], object]) -> None:
        self._lab = lab
        names = list(lab.layers())
        self._layer = ipywidgets.Dropdown(options=names, value=names[0])
        self._layer.observe(lambda _: again(), "value")
        self._histogram, self._mask = PictureView(height=300), PictureView(height=360)
        super().__init__([named_choice("Layer", self._layer), self._histogram, self._mask])

    def choose(self, layer: str) -> None:
        """Show another layer."""
        self._layer.value = layer

    def show(self, preview: Preview) -> None:
        """Draw the chosen layer's weights; from any thread."""
        layer = self._layer.value
        before, now = self._lab.layers()[layer], _weights(self._lab, preview)[layer]
        self._histogram.show_picture(histogram(layer, before, now))
        if now.all():
            self._mask.hide()  # nothing is removed, so there is nothing to tell apart
        else:
            self._mask.show_picture(mask(layer, now))


class ImagesTab(ipywidgets.VBox):
    """The images whose answer changed."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._images, self._classes = PictureView(height=420), ipywidgets.HTML()
        super().__init__([self._images, self._classes])

    def show(self, preview: Preview) -> None:
        """Draw the first images whose answer is not the base's; from any thread."""
        base, now, split = self._lab.baseline, preview.evaluation, self._lab.data.validation
        positions = changed_images(base, now)
        some = positions[:N_IMAGES]
        picture = changed(
            split.images[some],
            split.labels[some],
            base.answers[some],
            now.answers[some],
            self._lab.data.classes,
            n_changed_total=len(positions),
        )
        self._images.show_picture(picture)
        self._classes.value = _class_table(self._lab, preview)


class CodeTab(ipywidgets.VBox):
    """The call that was made, and the source of the function that did it."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self.text = ""
        self._code = ipywidgets.HTML()
        super().__init__([self._code])

    def show(self, preview: Preview) -> None:
        """Write the code that ran; from any thread."""
        self.text = self._lab.script(preview.recipe)
        sources = dict.fromkeys(one.technique.source for one in preview.recipe)
        stopped = "<p>The training was stopped early; this text trains to the end.</p>" if preview.is_partial else ""
        self._code.value = (
            "<p>This ran. In a cell, after <code>model, data = lab.build(()), lab.data</code> with the lab of "
            f"{escape(self._lab.name)}, it gives the same weights, bit for bit.</p>{stopped}"
            f"{code_html(self.text, 'the calls')}<p>As a recipe, for a cell:</p>"
            f"{code_html(f'recipe = {to_line(preview.recipe)}', 'the recipe')}<p>What it calls:</p>"
            + "".join(code_html(source, "the source") for source in sources)
        )


class SpeedTab(ipywidgets.VBox):
    """Where the time goes, and why it is not faster; measured on its button only."""

    def __init__(self, diagnosing: Diagnosing[Any]) -> None:
        self.diagnosing = diagnosing
        super().__init__([diagnosing.button, diagnosing.running, diagnosing.stage])

    def show(self, preview: Preview) -> None:
        """What is shown was drawn when it was measured, and goes with the setting that it belongs to."""


class JournalTab(ipywidgets.VBox):
    """The runs that were measured: those of this network over what they cost, and all in a table, newest first.

    cost: along the axis; of times, only runs at the batch of the last one are drawn, beside the base.
    """

    def __init__(self, lab: Lab, journal: Journal, chapter: str, cost: Cost = "ms") -> None:
        self._lab, self._journal, self._chapter, self._cost = lab, journal, chapter, cost
        self._front, self._table = PictureView(height=340), ipywidgets.HTML()
        super().__init__([self._front, self._table])

    def show(self, preview: Preview) -> None:
        """The runs do not depend on what is shown: as `show_runs`."""
        self.show_runs()

    def show_runs(self) -> None:
        """Draw the runs, and write the table; from any thread.

        Raises:
            JournalError: the journal cannot be read.
        """
        runs, unread = runs_of(self._journal.entries(chapter=self._chapter, kind="run"))
        self._draw(runs)
        head = "".join(f"<th scope='col'>{name}</th>" for name in COLUMNS)
        rows = "".join(
            "<tr>" + "".join(f"<td>{breakable(text)}</td>" for text in run_texts(run)) + "</tr>"
            for run in runs[:-31:-1]
        )
        table = f"<table class='efflab-journal'><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
        self._table.value = (
            f"<div class='efflab-line'>{ABOUT_RUNS}</div>{scrolling(table, 'runs')}"
            if runs
            else "<p>No run was measured yet: leave the controls alone for a second.</p>"
        ) + "".join(f"<p>Entry {one.entry.id} is no run: {escape(one.reason)}.</p>" for one in unread)

    def _draw(self, runs: Sequence[Run]) -> None:
        if self._cost == "ms":
            self._draw_times(runs)
        elif own := select(runs, network=self._lab.name):
            picture = scoreboard(own, self._cost, self._lab.data.task, own[-1], called="the newest")
            self._front.show_picture(picture)

    def _draw_times(self, runs: Sequence[Run]) -> None:
        own = [run for run in select(runs, network=self._lab.name) if run.is_timed]
        if not own or (batch := own[-1].batch) is None:
            return
        base_ms = own[-1].base_ms
        base = None if base_ms is None else (self._lab.baseline.value, base_ms)
        same = comparable(own, self._lab.name, batch)
        self._front.show_picture(pareto(same, self._lab.data.task, batch=batch, base=base))


def _class_table(lab: Lab, preview: Preview) -> str:
    """The score of each class before and now, with intervals, on demand."""
    task = preview.evaluation.task
    before, now = by_class(lab.baseline, lab.data), by_class(preview.evaluation, lab.data)
    rows = [
        f"<tr><th scope='row'>{escape(str(name))}</th><td>{n}</td><td>{score_text(old, task)}</td>"
        f"<td>{score_text(new, task)}</td><td>{interval_text(low, high, per_unit=task.per_unit)}</td></tr>"
        for name, n, old, new, low, high in zip(
            now["class"], now["n"], before["score"], now["score"], now["low"], now["high"], strict=True
        )
    ]
    head = "".join(f"<th scope='col'>{text}</th>" for text in ("class", "images", "base", "now", "95 % interval"))
    return (
        f"<details><summary>{task.score_name.capitalize()} of each class (measured)</summary>"
        f"<table class='efflab-journal'><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></details>"
    )


def _weights(lab: Lab, preview: Preview) -> dict[str, Tensor]:
    return prunable_weights(lab.build(preview.recipe))
