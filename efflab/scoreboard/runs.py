"""A run: what is kept of a measured network in the journal, and how it is read back, also as older versions wrote it.

Everything about the network's size and work is computed, its score is measured on validation data, and its file and
times are measured, on the machine of the learner.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from efflab.journal import Entry, Json
from efflab.lab import Lab, Preview, Report
from efflab.measure import Evaluation, scored
from efflab.recipe import Recipe, to_json
from efflab.scoreboard.recipes import check_recipe_text

MOST = 2**63
"""No count of bytes, no time and no score is as large: it is a slip of the pen."""
_NEEDED = ("recipe", "score", "low", "high", "packed_bytes")


@dataclass(frozen=True)
class Run:
    """A run as it was written down; None or "" where nobody wrote it, as older versions did not.

    `id`, `at` and `chapter` are those of the journal's entry. `network` is the name of the base and `data` that of
    what it was judged on; `recipe` is JSON, as `efflab.from_json` reads it. `score` and the ends of its interval are
    fractions; `macs` are those of one image, zeros included. Where the network was not timed and its file not weighed,
    `batch`, `ms` (of one run, which is `batch` images), `base_ms` and `file_bytes` are None.
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

    @property
    def is_timed(self) -> bool:
        """Whether the network was timed, and its file weighed; of several seeds only one is."""
        return self.ms is not None


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


def judged_entry(preview: Preview, lab: Lab) -> dict[str, Json]:
    """What is kept of a network that was judged, and neither weighed nor timed; as in `run_entry`."""
    low, high = preview.evaluation.interval
    return {
        "network": lab.name,
        "data": lab.data.name,
        "recipe": to_json(preview.recipe),
        "seed": lab.seed,
        "score": round(preview.evaluation.value, 4),
        "low": round(low, 4),
        "high": round(high, 4),
        "packed_bytes": preview.size.packed_bytes,
        "macs": lab.macs(preview.recipe),
    }


def opened_entry(recipe: Recipe, test: Evaluation, lab: Lab) -> dict[str, Json]:
    """What is kept of a look at the test data: whose score it is, and both scores with their intervals, fractions."""
    subject: dict[str, Json] = {"network": lab.name, "data": lab.data.name, "recipe": to_json(recipe), "seed": lab.seed}
    score, low, high = scored(test)
    validation, validation_low, validation_high = scored(lab.preview(recipe).evaluation)
    return subject | {
        "score": score,
        "low": round(low, 4),
        "high": round(high, 4),
        "validation": validation,
        "validation_low": round(validation_low, 4),
        "validation_high": round(validation_high, 4),
    }


def runs_of(entries: Iterable[Entry]) -> tuple[tuple[Run, ...], tuple[Unread, ...]]:
    """The runs among the journal's entries, in their order; and the entries that should be runs and are none.

    Example:
        >>> runs_of([Entry(1, "2025-03-01T18:20:05.123Z", "03", "run", "prune_weights", "by hand")])[1][0].reason
        'it has no fields'
    """
    runs: list[Run] = []
    unread: list[Unread] = []
    sound: set[str] = set()  # recipes that were looked at: a journal has many runs of few recipes
    for entry in entries:
        if entry.kind == "run":
            try:
                runs.append(_run(entry, sound))
            except ValueError as error:
                unread.append(Unread(entry, str(error)))
    return tuple(runs), tuple(unread)


def _run(entry: Entry, sound: set[str]) -> Run:
    value = entry.value
    if not isinstance(value, dict):
        raise ValueError("it has no fields")
    for name in _NEEDED:
        if value.get(name) is None:
            raise ValueError(f"it has no {name}")
    recipe, ms = _text(value, "recipe"), _number(value, "ms")
    if recipe not in sound:
        check_recipe_text(recipe)
        sound.add(recipe)
    return Run(
        id=entry.id,
        at=entry.at,
        chapter=entry.chapter,
        network=_text(value, "network"),
        data=_text(value, "data"),
        recipe=recipe,
        seed=_whole(value, "seed"),
        score=_number(value, "score") or 0.0,
        low=_number(value, "low") or 0.0,
        high=_number(value, "high") or 0.0,
        packed_bytes=_whole(value, "packed_bytes") or 0,
        macs=_whole(value, "macs"),
        file_bytes=_whole(value, "file_bytes"),
        # not written down before there was a choice: one image
        batch=(_whole(value, "batch") or 1) if ms is not None else None,
        ms=ms,
        base_ms=_number(value, "base_ms"),
        verdict=_text(value, "verdict"),
    )


def _text(value: Mapping[str, Json], name: str) -> str:
    found = value.get(name, "")
    if not isinstance(found, str):
        raise ValueError(f"its {name} is {repr(found)[:60]}, which is no text")
    return found


def _number(value: Mapping[str, Json], name: str) -> float | None:
    found = value.get(name)
    if found is None:
        return None
    if isinstance(found, bool) or not isinstance(found, (float, int)) or not 0 <= found < MOST:
        raise ValueError(f"its {name} is {repr(found)[:60]}; it must be a finite number from 0 up")
    return found


def _whole(value: Mapping[str, Json], name: str) -> int | None:
    found = value.get(name)
    if found is None:
        return None
    if isinstance(found, bool) or not isinstance(found, int) or not 0 <= found < MOST:
        raise ValueError(f"its {name} is {repr(found)[:60]}; it must be a whole number from 0 up")
    return found
