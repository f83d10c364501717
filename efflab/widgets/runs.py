"""A run in the journal: what the bench writes down of a report, and how it reads it back into a row."""

from collections.abc import Mapping, Sequence
from typing import Any

from efflab.figures.pareto import Run
from efflab.figures.text import bytes_text, interval_text, ms_text, percent_text
from efflab.lab import Preview, Report
from efflab.recipe import TECHNIQUES, entries_of, to_json

COLUMNS = ("recipe", "packed", "score", "batch", "base takes", "it takes", "speed", "file", "network")
"""The heads of `run_texts`."""
NOT_TIMED = "–"


def run_entry(report: Report, network: str) -> dict[str, Any]:
    """What is kept of a report: the recipe as JSON, the score and its interval (fractions), bytes, and milliseconds.

    network: the name of the base.
    """
    speed = report.speed
    return {
        **judged_entry(report.preview, network),
        "file_bytes": report.file_bytes,
        "batch": speed.batch,
        "ms": round(speed.now.median_ms, 4),
        "base_ms": round(speed.base.median_ms, 4),
        "verdict": speed.verdict,
    }


def judged_entry(preview: Preview, network: str) -> dict[str, Any]:
    """What is kept of a network that was judged, and neither weighed nor timed; as in `run_entry`."""
    low, high = preview.evaluation.interval
    return {
        "network": network,
        "recipe": to_json(preview.recipe),
        "score": round(preview.evaluation.value, 4),
        "low": round(low, 4),
        "high": round(high, 4),
        "packed_bytes": preview.size.packed_bytes,
    }


def run_texts(run: Mapping[str, Any]) -> list[str]:
    """The columns of a run that was written down."""
    score = f"{percent_text(run['score'])} ({interval_text(run['low'], run['high'])})"
    batch = str(run.get("batch", 1))  # not written down before there was a choice: one image
    packed = bytes_text(run["packed_bytes"])
    if not is_timed(run):
        return [_run_text(run), packed, score, *[NOT_TIMED] * 5, run.get("network", "")]
    times = [batch, ms_text(run["base_ms"]), ms_text(run["ms"]), run["verdict"]]
    return [_run_text(run), packed, score, *times, bytes_text(run["file_bytes"]), run.get("network", "")]


def is_timed(run: Mapping[str, Any]) -> bool:
    """Whether the network of a run was timed, and its file weighed; of several seeds only one is."""
    return "ms" in run


def _run_text(run: Mapping[str, Any]) -> str:
    """The recipe in words, and the seed where one is said."""
    return recipe_text(run["recipe"]) + (f", seed {run['seed']}" if "seed" in run else "")


def recipe_text(recipe: str) -> str:
    """A recipe in JSON as words: the first setting of each step, and others that are not the usual ones."""
    return ", then ".join(_step_text(one.technique, one.settings) for one in entries_of(recipe))


def _step_text(technique: str, settings: Mapping[str, Any]) -> str:
    usual = TECHNIQUES[technique].defaults if technique in TECHNIQUES else {}
    told = [f"{k}={v}" for i, (k, v) in enumerate(settings.items()) if i == 0 or usual.get(k) != v]
    return f"{technique}({', '.join(told)})"


def comparable(runs: Sequence[Mapping[str, Any]], network: str, batch: int) -> list[Run]:
    """The runs of one network at one batch, whose times can stand in one picture; oldest first."""
    return [
        Run(_run_text(run), run["score"], run["low"], run["high"], run["ms"])
        for run in runs
        if is_timed(run) and run.get("network") == network and run.get("batch", 1) == batch
    ]
