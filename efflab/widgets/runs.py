"""The runs of the journal as rows of a table and as points of a picture."""

from collections.abc import Iterable

from efflab.figures.pareto import Run as Point
from efflab.figures.text import bytes_text, interval_text, ms_text, percent_text
from efflab.scoreboard import Run, recipe_text, select

COLUMNS = ("recipe", "packed", "score", "batch", "base takes", "it takes", "speed", "file", "network")
"""The heads of `run_texts`."""
NOT_KNOWN = "–"


def run_texts(run: Run) -> list[str]:
    """The columns of a run that was written down."""
    score = f"{percent_text(run.score)} ({interval_text(run.low, run.high)})"
    batch = NOT_KNOWN if run.batch is None else str(run.batch)
    base_ms, ms = (NOT_KNOWN if one is None else ms_text(one) for one in (run.base_ms, run.ms))
    file = NOT_KNOWN if run.file_bytes is None else bytes_text(run.file_bytes)
    speed = run.verdict or NOT_KNOWN
    return [_words(run), bytes_text(run.packed_bytes), score, batch, base_ms, ms, speed, file, run.network]


def comparable(runs: Iterable[Run], network: str, batch: int) -> list[Point]:
    """The runs of one network at one batch, whose times can stand in one picture; in their order."""
    return [
        Point(_words(run), run.score, run.low, run.high, run.ms)
        for run in select(runs, network=network, batch=batch)
        if run.ms is not None
    ]


def _words(run: Run) -> str:
    """The recipe in words, and the seed where one was written down."""
    return recipe_text(run.recipe) + (f", seed {run.seed}" if run.seed is not None else "")
