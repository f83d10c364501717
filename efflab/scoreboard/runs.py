"""A run: what is kept of a measured network in the journal, and how it is read back, also as older versions wrote it.

Everything about the network's size and work is computed, its score is measured on validation data, and its file and
times are measured, on the machine of the learner.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, NamedTuple

from efflab.journal import Entry, Json
from efflab.lab import Lab, Preview, Report
from efflab.measure import Evaluation, scored
from efflab.recipe import Recipe, to_json
from efflab.scoreboard.recipes import check_recipe_text

MOST = 2**63
"""No count of bytes, no time and no score is as large: it is a slip of the pen."""
_NEEDED = ("recipe", "score", "low", "high", "packed_bytes")
_TEXTS = ("network", "data", "recipe", "verdict", "teacher")
_FRACTION = ((float, int), 1, "number from 0 to 1")
_NUMBER = ((float, int), MOST - 1, "finite number from 0 up")
_WHOLE = ((int,), MOST - 1, "whole number from 0 up")
_COUNTS = {
    **dict.fromkeys(("score", "low", "high"), _FRACTION),
    **dict.fromkeys(("ms", "base_ms"), _NUMBER),
    **dict.fromkeys(("seed", "packed_bytes", "macs", "file_bytes", "batch"), _WHOLE),
}


class Run(NamedTuple):
    """A run as it was written down; None or "" where nobody wrote it, as older versions did not.

    A tuple, because a journal may have ten thousand: as a frozen dataclass each takes five times as long to make.

    `id`, `at` and `chapter` are those of the journal's entry. `network` is the name of the base and `data` that of
    what it was judged on; `recipe` is JSON, as `efflab.from_json` reads it. `score` and the ends of its interval are
    fractions; `macs` are those of one image, zeros included. Where the network was not timed and its file not weighed,
    `batch`, `ms` (of one run, which is `batch` images), `base_ms` and `file_bytes` are None. `teacher` is the network
    that taught, as `Lab.own_teacher` names it; "" where that was the base, or nobody.
    """

    id: int | None
    at: str
    chapter: str
    network: str
    data: str
    recipe: str
    seed: int | None
    score: float
    low: float
    high: float
    packed_bytes: int
    macs: int | None
    file_bytes: int | None
    batch: int | None
    ms: float | None
    base_ms: float | None
    verdict: str
    teacher: str

    @property
    def is_timed(self) -> bool:
        """Whether the network was timed, and its file weighed; of several seeds only one is."""
        return self.ms is not None


_WRITTEN = Run._fields[3:]
"""The fields of the entry's value; the others are the entry's own."""
_UNWRITTEN = dict.fromkeys(_WRITTEN) | {"network": "", "data": "", "verdict": "", "teacher": ""}
_in_order = itemgetter(*_WRITTEN)
_COUNTED = slice(_WRITTEN.index("seed"), _WRITTEN.index("verdict"))
"""Where the numbers are among them."""


@dataclass(frozen=True)
class Unread:
    """An entry of the journal that should be a run and is none, and why, as a clause."""

    entry: Entry
    reason: str


def run_entry(report: Report, lab: Lab) -> dict[str, Json]:
    """What is kept of a report; `lab` made it."""
    speed = report.speed
    return {
        **judged_entry(report.preview, lab),
        "file_bytes": report.file_bytes,
        "batch": speed.batch,
        "ms": round(speed.now.median_ms, 4),
        "base_ms": round(speed.base.median_ms, 4),
        "verdict": speed.verdict,
    }


def newest_of_each(runs: Iterable[Run]) -> tuple[Run, ...]:
    """Without repeats: of runs of one recipe, base and seed that came to the same only the newest, in their order."""
    found: dict[tuple[object, ...], Run] = {}
    for run in runs:
        key = (run.network, run.teacher, run.data, run.recipe, run.seed, run.batch, run.score, run.packed_bytes)
        found.pop(key, None)
        found[key] = run
    return tuple(found.values())


def judged_entry(preview: Preview, lab: Lab) -> dict[str, Json]:
    """What is kept of a network that was judged, and neither weighed nor timed; as in `run_entry`."""
    low, high = preview.evaluation.interval
    return {
        **_subject(preview.recipe, lab),
        "score": round(preview.evaluation.value, 4),
        "low": round(low, 4),
        "high": round(high, 4),
        "packed_bytes": preview.size.packed_bytes,
        "macs": lab.macs(preview.recipe),
    }


def opened_entry(recipe: Recipe, test: Evaluation, lab: Lab) -> dict[str, Json]:
    """What is kept of a look at the test data: whose score it is, and both scores with their intervals, fractions."""
    score, low, high = scored(test)
    validation, validation_low, validation_high = scored(lab.preview(recipe).evaluation)
    return {
        **_subject(recipe, lab),
        "score": score,
        "low": round(low, 4),
        "high": round(high, 4),
        "validation": validation,
        "validation_low": round(validation_low, 4),
        "validation_high": round(validation_high, 4),
    }


def _subject(recipe: Recipe, lab: Lab) -> dict[str, Json]:
    """What a score is of; the teacher is named where a step asked for one that is not the base."""
    is_taught = any("teacher" in one.technique.inputs for one in recipe)
    return {
        "network": lab.name,
        "data": lab.data.name,
        "recipe": to_json(recipe),
        "seed": lab.seed,
        "teacher": lab.own_teacher if is_taught else "",
    }


def runs_of(entries: Iterable[Entry]) -> tuple[tuple[Run, ...], tuple[Unread, ...]]:
    """The runs among the journal's entries, in their order; and the entries that should be runs and are none.

    Example:
        >>> runs_of([Entry(1, "2025-03-01T18:20:05.123Z", "03", "run", "prune_weights", "by hand")])[1][0].reason
        'it has no fields'
    """
    runs: list[Run] = []
    unread: list[Unread] = []
    sound: set[object] = set()  # what was looked at: a journal has many runs of few recipes
    for entry in entries:
        if entry.kind == "run":
            try:
                runs.append(_run(entry, sound))
            except ValueError as error:
                unread.append(Unread(entry, str(error)))
    return tuple(runs), tuple(unread)


def _run(entry: Entry, sound: set[object]) -> Run:
    """The run of an entry. sound: recipes, and kinds of fields, that were looked at; what is new and sound is added."""
    if not isinstance(entry.value, dict):
        raise ValueError("it has no fields")
    fields = _fields(entry.value)
    run, kinds = Run(entry.id, entry.at, entry.chapter, *fields), tuple(map(type, fields))
    if kinds not in sound:
        _check(run)
        sound.add(kinds)
    for count in fields[_COUNTED]:
        if count is not None and not 0 <= count < MOST:
            _check(run)  # says which it is
    if run.score > 1 or run.low > 1 or run.high > 1:  # percent, perhaps: it would be the best run of all
        _check(run)
    if run.recipe not in sound:
        check_recipe_text(run.recipe)
        sound.add(run.recipe)
    batch = None if run.ms is None else run.batch or 1  # not written down before there was a choice: one image
    return run if batch == run.batch else run._replace(batch=batch)


def _fields(value: Mapping[str, Any]) -> tuple[Any, ...]:
    """The fields of a run in their order; where some were not written down, with what stands for them."""
    try:
        found: tuple[Any, ...] = _in_order(value)
    except KeyError:
        found = _in_order({**_UNWRITTEN, **value})
    return found


def _check(run: Run) -> None:
    """Raise ValueError unless what a run needs is there, and all is text or number as it should be."""
    for name in _NEEDED:
        if getattr(run, name) is None:
            raise ValueError(f"it has no {name}")
    for name in _TEXTS:
        if type(found := getattr(run, name)) is not str:
            raise ValueError(f"its {name} is {repr(found)[:60]}, which is no text")
    for name, (kinds, most, wanted) in _COUNTS.items():
        found = getattr(run, name)
        if found is not None and not (type(found) in kinds and 0 <= found <= most):  # a bool is no number
            raise ValueError(f"its {name} is {repr(found)[:60]}; it must be a {wanted}")
