"""A run in the journal: what the bench writes down of a report, and how it reads it back into a row."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from efflab.figures.pareto import Run
from efflab.figures.text import bytes_text, interval_text, ms_text, percent_text
from efflab.lab import Report
from efflab.recipe import TECHNIQUES, to_json

COLUMNS = ("recipe", "score", "batch", "base takes", "it takes", "speed", "packed", "file", "network")
"""The heads of `run_texts`."""


def run_entry(report: Report, network: str) -> dict[str, Any]:
    """What is kept of a report: the recipe as JSON, the score and its interval (fractions), bytes, and milliseconds.

    network: the name of the base.
    """
    preview, speed = report.preview, report.speed
    low, high = preview.evaluation.interval
    return {
        "network": network,
        "recipe": to_json(preview.recipe),
        "score": round(preview.evaluation.value, 4),
        "low": round(low, 4),
        "high": round(high, 4),
        "packed_bytes": preview.size.packed_bytes,
        "file_bytes": report.file_bytes,
        "batch": speed.batch,
        "ms": round(speed.now.median_ms, 4),
        "base_ms": round(speed.base.median_ms, 4),
        "verdict": speed.verdict,
    }


def run_texts(run: Mapping[str, Any]) -> list[str]:
    """The columns of a run that was written down."""
    score = f"{percent_text(run['score'])} ({interval_text(run['low'], run['high'])})"
    batch = str(run.get("batch", 1))  # not written down before there was a choice: one image
    times = [batch, ms_text(run["base_ms"]), ms_text(run["ms"]), run["verdict"]]
    sizes = [bytes_text(run["packed_bytes"]), bytes_text(run["file_bytes"])]
    return [recipe_text(run["recipe"]), score, *times, *sizes, run.get("network", "")]


def recipe_text(recipe: str) -> str:
    """A recipe in JSON as words: the first setting of each step, and others that are not the usual ones."""
    return ", then ".join(_step_text(one["technique"], one["settings"]) for one in json.loads(recipe))


def _step_text(technique: str, settings: Mapping[str, Any]) -> str:
    usual = TECHNIQUES[technique].defaults if technique in TECHNIQUES else {}
    told = [f"{k}={v}" for i, (k, v) in enumerate(settings.items()) if i == 0 or usual.get(k) != v]
    return f"{technique}({', '.join(told)})"


def comparable(runs: Sequence[Mapping[str, Any]], network: str, batch: int) -> list[Run]:
    """The runs of one network at one batch, whose times can stand in one picture; oldest first."""
    return [
        Run(recipe_text(run["recipe"]), run["score"], run["low"], run["high"], run["ms"])
        for run in runs
        if run.get("network") == network and run.get("batch", 1) == batch
    ]
