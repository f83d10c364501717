"""One recipe from several seeds: the score of each, and the mean with its interval.

A point is one seed, and its bar the interval of the images. The band is the interval of the mean over the seeds, by
Student's t; of two seeds it says next to nothing, so it is there from three on.

Reference: Bouthillier et al., Accounting for variance in machine learning benchmarks, 2021, arXiv 2103.03098.
"""

from collections.abc import Sequence

import pandas as pd

from efflab.data import Classification
from efflab.figures.axes import FIXED, interval_band
from efflab.figures.picture import MAX_ROWS, Picture, draw, nothing_yet
from efflab.figures.text import interval_text, score_text
from efflab.figures.theme import NOW, Json
from efflab.lab.seeds import SeedRun, Spread, spread_of
from efflab.lab.side_by_side import ENOUGH_SEEDS

NONE_YET = "No seed is trained to its end yet."
ROOM = 0.1
"""Free space above and below the intervals, as a fraction of what they span."""


def seed_scores(runs: Sequence[SeedRun], task: Classification) -> Picture:
    """The score on validation data of each seed that was trained to its end; the base's is not in the picture.

    runs: of one recipe.

    Raises:
        ValueError: the runs are of several recipes.
    """
    whole = [run for run in runs if run.is_whole]
    if not whole:
        return nothing_yet(NONE_YET, _table([], None, task))
    spread = spread_of(whole)
    ends = [-0.5, len(whole) - 0.5]
    traces = [*(_mean(spread, ends, task) if _is_enough(spread) else []), _points(whole, task)]
    return Picture(draw(traces, _layout(whole, spread, task)), spread_text(spread, task), _table(whole, spread, task))


def spread_text(spread: Spread, task: Classification) -> str:
    """The mean with its interval, in a sentence; of too few seeds each score."""
    n = len(spread.seeds)
    if spread.is_same_everywhere:
        score = score_text(spread.scores[0], task)
        return f"{n} seeds give one and the same network, with {score}: nothing is drawn by chance."
    if not _is_enough(spread):
        each = " and ".join(score_text(score, task) for score in spread.scores)
        return f"{each} {task.score_name}, {n} seed{'s' if n > 1 else ''}: an interval needs {ENOUGH_SEEDS}."
    low, high = spread.interval or (spread.mean, spread.mean)
    return (
        f"{score_text(spread.mean, task)} {task.score_name} on average over {n} seeds, 95 % interval of the mean "
        f"{interval_text(low, high, per_unit=task.per_unit)}; single seeds from {score_text(min(spread.scores), task)} "
        f"to {score_text(max(spread.scores), task)}."
    )


def _is_enough(spread: Spread) -> bool:
    return len(spread.seeds) >= ENOUGH_SEEDS and not spread.is_same_everywhere


def _mean(spread: Spread, ends: list[float], task: Classification) -> list[Json]:
    low, high = spread.interval or (spread.mean, spread.mean)
    line = {
        "type": "scatter",
        "mode": "lines",
        "x": ends,
        "y": [spread.mean * task.per_unit] * 2,
        "line": {"color": NOW},
        "name": f"mean {score_text(spread.mean, task)}",
        "hoverinfo": "skip",
    }
    return [interval_band(list(ends), [low * task.per_unit] * 2, [high * task.per_unit] * 2, NOW), line]


def _points(whole: Sequence[SeedRun], task: Classification) -> Json:
    values = [run.preview.evaluation.value for run in whole]
    intervals = [run.preview.evaluation.interval for run in whole]
    error = {
        "type": "data",
        "symmetric": False,
        "array": [(high - value) * task.per_unit for value, (_, high) in zip(values, intervals, strict=True)],
        "arrayminus": [(value - low) * task.per_unit for value, (low, _) in zip(values, intervals, strict=True)],
        "color": NOW,
    }
    return {
        "type": "scatter",
        "mode": "markers",
        "x": list(range(len(whole))),
        "y": [round(value * task.per_unit, 4) for value in values],
        "error_y": error,
        "marker": {"color": NOW, "symbol": "diamond", "size": 11},
        "name": "one seed, with the interval of its images",
        "hovertemplate": "%{y:.1f}<extra></extra>",
    }


def _layout(whole: Sequence[SeedRun], spread: Spread, task: Classification) -> Json:
    ends = [end for run in whole for end in run.preview.evaluation.interval]
    ends += list(spread.interval or ()) if _is_enough(spread) else []
    low, high = min(ends) * task.per_unit, max(ends) * task.per_unit
    room = ROOM * (high - low)
    ticks = {"tickvals": list(range(len(whole))), "ticktext": [str(run.seed) for run in whole]}
    return {
        "xaxis": {"title": {"text": "seed"}, "range": [-0.5, len(whole) - 0.5], **ticks, **FIXED},
        "yaxis": {"title": {"text": f"{task.score_name} ({task.unit})"}, "range": [low - room, high + room]},
        "showlegend": True,
    }


def _table(whole: Sequence[SeedRun], spread: Spread | None, task: Classification) -> pd.DataFrame:
    rows = [
        (
            str(run.seed),
            score_text(one.value, task),
            interval_text(*one.interval, per_unit=task.per_unit),
            f"{one.n:,} images",
        )
        for run in whole
        for one in [run.preview.evaluation]
    ]
    if spread is not None and _is_enough(spread) and spread.interval:
        interval = interval_text(*spread.interval, per_unit=task.per_unit)
        rows.append(("mean", score_text(spread.mean, task), interval, f"{len(whole)} seeds"))
    return pd.DataFrame(rows[-MAX_ROWS:], columns=["seed", task.score_name, "95 % interval", "of"])
