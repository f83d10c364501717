"""A run in the journal: what the bench writes down of a report, and how it reads it back into a row."""

import json
from collections.abc import Mapping
from typing import Any

from efflab.figures.text import bytes_text, interval_text, ms_text, percent_text
from efflab.lab import Report
from efflab.recipe import to_json

COLUMNS = ("recipe", "score", "packed", "file", "batch", "base takes", "it takes", "speed")
"""The heads of `run_texts`."""


def run_entry(report: Report) -> dict[str, Any]:
    """What is kept of a report: the recipe as JSON, the score and its interval (fractions), bytes, and milliseconds."""
    preview, speed = report.preview, report.speed
    low, high = preview.evaluation.interval
    return {
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
    steps = [
        f"{one['technique']}({', '.join(f'{name}={value}' for name, value in one['settings'].items())})"
        for one in json.loads(run["recipe"])
    ]
    score = f"{percent_text(run['score'])} ({interval_text(run['low'], run['high'])})"
    sizes = [bytes_text(run["packed_bytes"]), bytes_text(run["file_bytes"])]
    times = [str(run.get("batch", 1)), ms_text(run["base_ms"]), ms_text(run["ms"])]  # without a batch: one image
    return [", then ".join(steps), score, *sizes, *times, run["verdict"]]
