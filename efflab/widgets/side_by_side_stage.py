"""The right-hand side of the two trainings: three tiles, the verdict, the curves, the seeds and the tabs.

Everything here may be called from the worker thread.
"""

from collections.abc import Callable, Sequence
from html import escape

import ipywidgets
import torch

from efflab.data import Data
from efflab.figures import changed, seed_differences, side_by_side_curves
from efflab.figures.images import N_COLUMNS, N_SHOWN
from efflab.figures.seed_differences import teacher_text, verdict_text
from efflab.figures.text import (
    bytes_text,
    difference_text,
    interval_text,
    ms_text,
    percent_text,
    score_text,
    signed_interval_text,
)
from efflab.journal import Journal
from efflab.lab import Lab
from efflab.lab.comparison import TEACHER, Agreement, Comparison, Row, agreement, three_rows
from efflab.lab.side_by_side import ALONE, ENOUGH_SEEDS, TAUGHT, Pair
from efflab.measure import Evaluation, compare
from efflab.measure.machine import describe_machine
from efflab.recipe import script
from efflab.widgets.parts import code_html, scrolling
from efflab.widgets.tabs import JournalTab
from efflab.widgets.tiles import OPENED_AGAIN, PACKED, SEPARATE, badge, optimism_text, tile
from efflab.widgets.view import PictureView

N_MORE = 3
"""Seeds that the second button trains."""
NOT_TRAINED = "not trained yet"
NOT_TIMED = "not timed yet"
STOPPED = "The training was stopped early: what was learned until then is shown, and does not count for the verdict."
MARKS = ("■", "●")
"""What stands for the two students below an image: their markers in the curves."""


class SideBySideStage(ipywidgets.VBox):
    """Shows what two recipes have come to. redraw: what opening another tab asks for."""

    def __init__(self, lab: Lab, journal: Journal, chapter: str, redraw: Callable[[], object]) -> None:
        self._lab = lab
        self._comparison: Comparison | None = None
        self.verdict = ""
        self.tiles, self.note, self.told = ipywidgets.HTML(), ipywidgets.HTML(), ipywidgets.HTML()
        self.curves, self.seeds = PictureView(height=340), PictureView(height=300)
        self.images, self.agreement, self.code = ImagesTab(lab.data), AgreementTab(), CodeTab()
        self.journal = JournalTab(lab, journal, chapter)
        named = {
            "changed images": self.images,
            "agreement": self.agreement,
            "code": self.code,
            "journal": self.journal,
        }
        self.tabs = ipywidgets.Tab(list(named.values()), titles=tuple(named), selected_index=0)
        self.tabs.observe(lambda _: redraw(), "selected_index")
        self.tabs.layout.display = "none"
        super().__init__([self.tiles, self.note, self.told, self.curves, self.seeds, self.tabs])
        self.add_class("efflab-main")

    def tell(self, text: str) -> None:
        """Say what happens, or what to do, above the verdict; nothing for an empty text."""
        self.note.value = f"<div class='efflab-line'>{escape(text)}</div>" if text else ""

    def draw_rows(self, comparison: Comparison | None) -> None:
        """The tiles of the three networks, as far as they are known."""
        rows = three_rows(self._lab, comparison)
        seed = self._lab.seed
        self.tiles.value = f"<div class='efflab-tiles efflab-three'>{''.join(_tile(row, seed) for row in rows)}</div>"

    def draw_training(self, pair: Pair | None, before: Sequence[Pair]) -> None:
        """The curves of the pair that trains, as far as they have come, and of other seeds before it."""
        self.curves.show_picture(side_by_side_curves(pair, before, self._lab.data.task, self._lab.teaching))

    def draw(self, comparison: Comparison) -> None:
        """Show all that is known of a comparison; the thick curves are those of the pair in the tiles."""
        self._comparison = comparison
        shown = _shown(comparison, self._lab.seed)
        self.draw_rows(comparison)
        self.draw_training(shown, [pair for pair in comparison.pairs if pair is not shown])
        self.seeds.show_picture(seed_differences(comparison.pairs, self._lab.data.task))
        self.verdict = _verdict(comparison, self._lab.teaching, self._lab.seed)
        self.told.value = f"<div class='efflab-verdict'>{escape(self.verdict)} {badge('measured', MEASURED)}</div>"
        self.tabs.layout.display = ""
        self.draw_tab()

    def clear(self) -> None:
        """Show the teacher alone, and nothing of what was trained."""
        self._comparison, self.verdict, self.told.value = None, "", ""
        self.draw_rows(None)
        for view in (self.curves, self.seeds):
            view.hide()
        self.tabs.layout.display = "none"

    def draw_tab(self) -> None:
        """Draw the tab that is open; the others wait until they are opened."""
        tab, comparison = self.tabs.children[self.tabs.selected_index or 0], self._comparison
        if comparison is None:
            return
        if tab is self.code:
            self.code.show(comparison, self._lab.seed)
        elif tab is self.journal:
            self.journal.show_runs()
        else:
            tab.show_pair(_shown(comparison, self._lab.seed), self._lab.teaching)

    def project(self, is_on: bool) -> None:
        """Large type and thick lines, or back."""
        in_tabs = [view for tab in self.tabs.children for view in tab.children if isinstance(view, PictureView)]
        for view in (self.curves, self.seeds, *in_tabs):
            view.project(is_on)


class ImagesTab(ipywidgets.VBox):
    """The images whose answer the teacher changed: gained ones first, then lost ones."""

    def __init__(self, data: Data) -> None:
        self._data = data
        self.note, self.view = ipywidgets.HTML(), PictureView(height=420)
        super().__init__([self.note, self.view])

    def show_pair(self, pair: Pair, teacher: Evaluation) -> None:
        """Draw the images of one pair that is over."""
        alone, taught = _judged(pair)
        found, split = agreement(alone, taught), self._data.validation
        some = _to_show(found)
        picture = changed(
            split.images[some],
            split.labels[some],
            alone.answers[some],
            taught.answers[some],
            self._data.classes,
            n_changed_total=len(found.changed),
            names=(ALONE, TAUGHT),
            marks=MARKS,
        )
        self.view.show_picture(picture)
        self.note.value = (
            f"<div class='efflab-line'>Seed {pair.seed}: with the teacher {len(found.gained):,} images are gained and "
            f"{len(found.lost):,} lost, of {found.n:,} validation images {badge('measured')}</div>"
        )


class AgreementTab(ipywidgets.VBox):
    """How often two of the three networks give the same answer, right or wrong."""

    def __init__(self) -> None:
        self.text = ipywidgets.HTML()
        super().__init__([self.text])

    def show_pair(self, pair: Pair, teacher: Evaluation) -> None:
        """Write the table of one pair that is over."""
        alone, taught = _judged(pair)
        judged = {TEACHER: teacher, ALONE: alone, TAUGHT: taught}
        pairs = ((TEACHER, ALONE), (TEACHER, TAUGHT), (ALONE, TAUGHT))
        rows = [
            _agreement_row(f"{_whose(one)} and {_whose(other)}", agreement(judged[one], judged[other]))
            for one, other in pairs
        ]
        heads = ("networks", "same answer", "95 % interval", "gained", "lost")
        head = "".join(f"<th scope='col'>{name}</th>" for name in heads)
        table = f"<table class='efflab-journal'><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
        self.text.value = (
            f"<div class='efflab-line'>Seed {pair.seed}, {teacher.n:,} validation images; same answers may be wrong "
            f"ones; gained: only the second is right {badge('measured')}</div>{scrolling(table, 'agreement')}"
        )


class CodeTab(ipywidgets.VBox):
    """Both recipes as Python."""

    def __init__(self) -> None:
        self.texts: tuple[str, str] = ("", "")
        self._code = ipywidgets.HTML()
        super().__init__([self._code])

    def show(self, comparison: Comparison, seed: int) -> None:
        """Write the calls of both students of a seed."""
        self.texts = (script(comparison.alone, seed=seed), script(comparison.taught, seed=seed))
        parts = "".join(
            f"<p>The student {name}:</p>{code_html(text, f'the student {name}')}"
            for name, text in zip((ALONE, TAUGHT), self.texts, strict=True)
        )
        self._code.value = (
            f"<p>This ran with seed {seed}; of another seed, only that number differs. In a cell, after <code>model, "
            f"data = lab.build(()), lab.data</code>, each gives the same weights, bit for bit.</p>{parts}"
        )


Tested = tuple[Evaluation, Evaluation]
"""What one network answered on validation and on test data."""
MEASURED = (
    "the score on validation data, of both on the same images; of one seed, the interval is that of the images, from "
    f"{ENOUGH_SEEDS} on that of the mean over the seeds, by Student's t"
)


def next_text(comparison: Comparison, is_awaited: bool) -> str:
    """What to press for a verdict, and what else it gives; nothing once there is one.

    is_awaited: a prediction has its answer then.
    """
    if len(comparison.whole) >= ENOUGH_SEEDS:
        return ""
    return f"Press {N_MORE} more seeds{': your prediction is answered then' if is_awaited else ' for a verdict'}."


def test_html(alone: Tested, taught: Tested, n_before: int) -> str:
    """Both scores on the test data, what the teacher adds there, how optimistic validation was, and a note if reopened.

    alone, taught: the evaluation of each student on validation and on test data.
    """
    task, added, both = alone[1].task, compare(alone[1], taught[1]), ((ALONE, alone), (TAUGHT, taught))
    scores = "; ".join(
        f"{name} {score_text(test.value, task)} ({interval_text(*test.interval, per_unit=task.per_unit)})"
        for name, (_, test) in both
    )
    change = signed_interval_text(added.low, added.high, per_unit=task.per_unit)
    minus = " ".join(f"{name} {optimism_text(*evaluations)}" for name, evaluations in both)
    often = "" if not n_before else f" It was opened before: {OPENED_AGAIN}"
    return (
        f"<b>Test {task.score_name}</b>, with 95 % intervals: {scores}. The teacher adds "
        f"{difference_text(added.value, task)} ({change}), one seed; {alone[1].n:,} images {badge('measured')} "
        f"Validation minus test: {minus} {badge('measured', SEPARATE)}{often}"
    )


def _verdict(comparison: Comparison, teacher: Evaluation, seed: int) -> str:
    """What the teacher adds, that a training was stopped, and whether the teacher is worse than the student."""
    told = verdict_text(comparison.pairs, teacher.task)
    stopped = STOPPED if comparison.pairs[-1].is_partial else ""
    pair = _shown(comparison, seed)
    behind = teacher_text(teacher, _judged(pair)[0]) if pair.is_whole else ""
    return " ".join(part for part in (told, stopped, behind) if part)


def _whose(name: str) -> str:
    return name if name == TEACHER else f"student {name}"


def _shown(comparison: Comparison, seed: int) -> Pair:
    """The pair whose images and agreement are shown: that of the tiles, or the last one."""
    return comparison.of_seed(seed) or comparison.pairs[-1]


def _judged(pair: Pair) -> tuple[Evaluation, Evaluation]:
    """What both students of a pair that is over answered: alone, and with the teacher."""
    assert pair.alone.evaluation is not None
    assert pair.taught.evaluation is not None
    return pair.alone.evaluation, pair.taught.evaluation


def _tile(row: Row, seed: int) -> str:
    """One network: its score with the interval, its bytes and its milliseconds, each with where it comes from."""
    title = {ALONE: f"student alone, seed {seed}", TAUGHT: f"student with teacher, seed {seed}"}.get(row.name, row.name)
    if row.evaluation is None:
        return tile(title, "...", NOT_TRAINED)
    task = row.evaluation.task
    interval = interval_text(*row.evaluation.interval, per_unit=task.per_unit)
    lines = [f"{task.score_name}; 95 % interval {interval} {badge('measured', f'{row.evaluation.n:,} images')}"]
    if row.size is not None:
        lines.append(f"{bytes_text(row.size.packed_bytes)} packed {badge('computed', PACKED)}")
    if row.is_partial:
        lines.append("training stopped early")
    if row.time is None:
        lines.append(NOT_TIMED)
    else:
        half = f"middle half of the runs {ms_text(row.time.q1_ms)} to {ms_text(row.time.q3_ms)}"
        how = f"ONNX Runtime, batch 1, in turns with the base; {half}; {describe_machine().sentence}"
        told = "timed once: same network, same time" if row.is_time_of_both else half
        lines.append(f"{ms_text(row.time.median_ms)} an image; {told} {badge('measured', how)}")
    return tile(title, escape(score_text(row.evaluation.value, task)), *lines)


def _agreement_row(name: str, found: Agreement) -> str:
    cells = (percent_text(found.share), interval_text(found.low, found.high), len(found.gained), len(found.lost))
    return f"<tr><th scope='row'>{name}</th>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def _to_show(found: Agreement) -> torch.Tensor:
    """Up to twelve positions: a row of gained images and one of lost ones, so that neither hides the other."""
    gained, lost = found.gained[:N_COLUMNS], found.lost[:N_COLUMNS]
    shown = torch.cat([gained, lost])
    rest = found.changed[~torch.isin(found.changed, shown)]
    return torch.cat([shown, rest])[:N_SHOWN]
