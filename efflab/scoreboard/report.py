"""A learner's report in one HTML file: what they expected and what came out, what they answered, tried and measured.

It asks nobody and runs nothing; at its end there are three questions for the teacher, and the journal itself as JSON.
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from efflab.costs.texts import plural, size, three
from efflab.journal import Entry, Journal, Json
from efflab.journal.whole import write_whole
from efflab.questions import Prediction, Quiz
from efflab.scoreboard.drawing import draw_front
from efflab.scoreboard.embedded import embed
from efflab.scoreboard.front import COSTS, select
from efflab.scoreboard.page import page, paragraph, section, table
from efflab.scoreboard.recipes import recipe_words
from efflab.scoreboard.runs import Run
from efflab.scoreboard.story import (
    Answered,
    Opened,
    Predicted,
    Story,
    Tried,
    Written,
    is_number,
    questions_of,
    story_of,
)

MOST_ROWS = 200
"""Runs in the table, the newest; the JSON at the end has all."""
MOST_LETTERS = 50
"""Of a file's name before its ending: no system takes names of any length."""
NONE = "–"
PREDICTED = ("chapter", "asked", "predicted", "came out here", "judgement")
WRITTEN = ("chapter", "asked", "answer")
ANSWERED = ("chapter", "asked", "first answer", "judgement", "tries")
TRIED = ("chapter", "check", "result", "cases passed", "tries", "recipe")
OPENED = (
    *("chapter", "network", "recipe", "test score (measured)", "validation score (measured)"),
    "validation is better by (95 % interval)",
)
RUN = (
    *(
        "chapter",
        "network",
        "recipe",
        "seed",
        "score (measured, 95 % interval)",
        "packed (computed)",
        "MACs (computed)",
    ),
    *("file (measured)", "batch", "base takes (measured)", "it takes (measured)"),
)
RUBRIC = (
    "Predictions: where one was far off, do the learner's own words name the thought behind it? (0 to 3 points)",
    "Evidence: is each claim backed by a number that says whether it was measured, computed or estimated? (0 to 3)",
    "Choice: is the best run chosen on validation data, with a reason why no other is better for this use? (0 to 3)",
)


def report_file(name: str = "") -> str:
    """What the file of a learner's report is called.

    Example:
        >>> report_file(), report_file("Ada King, Lady Lovelace")
        ('efflab-report.html', 'efflab-report-ada-king-lady-lovelace.html')
    """
    words = "".join(letter if letter.isalnum() else " " for letter in name.casefold()).split()
    return f"{'-'.join(['efflab-report', *words])[:MOST_LETTERS]}.html"


def write_report(path: str | os.PathLike[str], journal: Journal, *, name: str = "", overwrite: bool = False) -> Path:
    """Write the report of a journal to `path`, whole or not at all. name: the learner's, as it should be shown.

    Raises:
        FileNotFoundError: nothing is in the journal yet.
        FileExistsError: there is such a file, and `overwrite` is not True; or a folder of that name.
        OSError: the journal cannot be read, or the file not be written.
    """
    target, entries = Path(path), journal.entries()
    if not entries:
        raise FileNotFoundError(
            f"there is no report yet, because nothing is in the journal {journal.path}: predict, answer or measure "
            "something in a chapter first (EFFLAB_JOURNAL names another journal)"
        )
    if target.is_dir():
        raise FileExistsError(f"{target} is a folder: name the file to write, such as {target / 'efflab-report.html'}")
    if target.exists() and not overwrite:
        raise FileExistsError(f"{target} is there already and was left as it is: name another file, or add --force")
    try:
        write_whole(target, report(entries, name=name))
    except OSError as error:
        reason = error.strerror or error
        raise OSError(
            f"{target} was not written ({reason}): name a file in a folder that is there and yours"
        ) from error
    return target


def report(entries: Sequence[Entry], *, name: str = "") -> str:
    """The report on these entries as HTML. name: the learner's; nothing else says who it was.

    Raises:
        ValueError: there is no entry.
    """
    if not entries:
        raise ValueError("entries must be at least one: there is nothing to report yet")
    story = story_of(entries, questions_of(entries))
    title = f"What {name} did in efflab" if name else "What was done in efflab"
    return page(title, [*_parts(story, entries), *_rubric(), embed(name, entries)])


def _parts(story: Story, entries: Sequence[Entry]) -> Iterator[str]:
    days = sorted({entry.at[:10] for entry in entries})
    yield paragraph(
        f"{len(entries):,} entries of the journal, from {days[0]} to {days[-1]} (UTC). Measured means: by efflab, on "
        "the learner's machine. Computed: from the network's shape and bits."
    )
    n_skipped = sum(one.predicted is None for one in story.predictions)
    yield section(
        "Predictions, beside what came out",
        paragraph(f"{plural(len(story.predictions), 'question')}, {n_skipped} skipped."),
        table("The first answer counts, not one after a look.", PREDICTED, map(_prediction_row, story.predictions)),
    )
    yield section("In their own words", table("What they saw.", WRITTEN, map(_written_row, story.words)))
    yield section("Quiz", table("The first answer, and how it went on.", ANSWERED, map(_answer_row, story.answers)))
    yield section("Exercises and budgets", table("The best try of each.", TRIED, map(_tried_row, story.tried)))
    yield section(
        "Openings of the test data",
        paragraph(
            "Who chooses by validation data finds it better than the test: each choice picks some luck. The interval "
            "is that of two separate samples. Who opens the test several times and keeps the best chooses by it, too."
        ),
        table(plural(len(story.opened), "opening"), OPENED, map(_opened_row, story.opened)),
    )
    yield section("Runs", *_runs(story))


def _prediction_row(one: Predicted) -> tuple[str, ...]:
    judgement = {True: "close", False: "not close", None: NONE}[one.is_close]
    predicted = "skipped" if one.predicted is None else _shown(one.question, one.predicted)
    measured = "not yet" if one.measured is None else _shown(one.question, one.measured)
    return one.chapter, one.question.text if one.question else one.id, predicted, measured, judgement


def _written_row(one: Written) -> tuple[str, ...]:
    return one.chapter, f"{one.question.text} {one.question.seen}" if one.question else one.id, one.words


def _answer_row(one: Answered) -> tuple[str, ...]:
    later = "right later" if one.is_right_now else "not right"
    judgement = "right at first" if one.is_right_first else later
    return one.chapter, one.question.text, _option(one.question, one.keys[0]), judgement, str(len(one.keys))


def _tried_row(one: Tried) -> tuple[str, ...]:
    result = "passed" if one.passed else "not passed"
    return one.chapter, one.id, result, f"{one.n_passed} of {one.n_cases}", str(one.n_tries), recipe_words(one.recipe)


def _opened_row(one: Opened) -> tuple[str, ...]:
    validation = "not known" if one.validation is None else _percent(one.validation)
    better = "not known" if one.better is None else f"{100 * one.better:+.1f} points"
    if one.optimism is not None:
        better += f" ({100 * one.optimism.low:+.1f} to {100 * one.optimism.high:+.1f}): {one.optimism.verdict}"
    return one.chapter, one.network or "not known", recipe_words(one.recipe), _percent(one.test), validation, better


def _runs(story: Story) -> Iterator[str]:
    for one in story.unread:
        yield paragraph(f"Entry {one.entry.id} should be a run and cannot be read: {one.reason}.")
    for network in dict.fromkeys(run.network for run in story.runs):
        own = select(story.runs, network=network)
        yield f"{_figure(own, network or 'a network without a name')}"
    shown = story.runs[: -MOST_ROWS - 1 : -1]
    yield table(f"The newest {len(shown)} of {plural(len(story.runs), 'run')}.", RUN, map(_run_row, shown))


def _figure(runs: Sequence[Run], network: str) -> str:
    """The pictures of one network: its size, and the time at the batch of its newest run that was timed."""
    batch = next((run.batch for run in reversed(runs) if run.is_timed), None)
    pictures = [(COSTS["packed_bytes"].text, draw_front(runs, "packed_bytes"))]
    if batch is not None:
        pictures.append((f"{COSTS['ms'].text}, batch {batch}", draw_front(select(runs, batch=batch), "ms")))
    told = "Filled and joined by a line: those that no other beats in both."
    return "".join(f"{paragraph(f'{network}: score over {text}. {told}')}{svg}" for text, svg in pictures)


def _run_row(run: Run) -> tuple[str, ...]:
    score = f"{_percent(run.score)} ({100 * run.low:.1f} to {100 * run.high:.1f})"
    counts = (NONE if n is None else f"{n:,}" for n in (run.seed, run.macs, run.batch))
    seed, macs, batch = counts
    file = NONE if run.file_bytes is None else size(run.file_bytes)
    base_ms, ms = (NONE if one is None else f"{three(one)} ms" for one in (run.base_ms, run.ms))
    taught = f", taught by {run.teacher}" if run.teacher else ""
    words = (run.chapter, run.network or NONE, f"{recipe_words(run.recipe)}{taught}")
    return (*words, seed, score, size(run.packed_bytes), macs, file, batch, base_ms, ms)


def _rubric() -> Iterator[str]:
    boxes = (f"{paragraph(f'{number}. {text}')}<div class='blank'></div>\n" for number, text in enumerate(RUBRIC, 1))
    yield section("For the teacher", *boxes)


def _shown(question: Prediction | None, value: Json) -> str:
    """A predicted or measured value as its question shows it."""
    if question is not None and question.number is not None and is_number(value):
        return question.number.shown(value, finer=1)
    return next((one.text for one in question.options if one.key == value), str(value)) if question else str(value)


def _option(quiz: Quiz, key: str) -> str:
    return next((one.text for one in quiz.options if one.key == key), key)


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.1f} %"
