"""What a teacher adds, seed by seed: whether it helps, or one training was only luckier than the other.

A point is one seed, and its bar the interval of the images. The band is the interval of the mean over the seeds: it
includes both chances, that of the images and that of the trainings. It is there from three seeds on, and so is the
verdict.

Reference: Bouthillier et al., Accounting for variance in machine learning benchmarks, 2021, arXiv 2103.03098.
"""

from collections.abc import Sequence

import pandas as pd

from efflab.data import Classification
from efflab.figures.axes import FIXED, interval_band
from efflab.figures.picture import MAX_ROWS, Picture, draw, nothing_yet
from efflab.figures.text import difference_text, score_text, signed_interval_text
from efflab.figures.theme import BASE, NOW, Json
from efflab.lab.side_by_side import ENOUGH_SEEDS, Pair, Verdict, verdict
from efflab.measure import Difference, Evaluation, compare

NONE_YET = "No seed is trained to its end yet, so there is no difference to show."
NO_VERDICT_YET = f"Other seeds may differ: a verdict needs at least {ENOUGH_SEEDS}."
OF_IMAGES = "One seed says something about these images only."
ROOM = 0.1
"""Free space above and below the intervals, as a fraction of what they span."""


def seed_differences(pairs: Sequence[Pair], task: Classification) -> Picture:
    """The score with the teacher minus the score without it: a point for each seed, and the mean as a band.

    pairs: of the same two recipes; those that are not over, or were stopped, do not count.
    """
    whole = [pair for pair in pairs if pair.is_whole]
    done = [(pair.seed, pair.difference) for pair in whole if pair.difference]
    if not done:
        return nothing_yet(NONE_YET, _table([], None, task))
    found = verdict(whole)
    ends = [-0.5, len(done) - 0.5]
    traces = [_zero(ends), *(_mean(found, ends, task) if found.is_enough else []), _points(done, task)]
    figure = draw(traces, _layout(done, found, task))
    return Picture(figure, verdict_text(pairs, task), _table(done, found, task))


def verdict_text(pairs: Sequence[Pair], task: Classification) -> str:
    """Whether the teacher helps, in a sentence with its numbers; of too few seeds, what it added to each."""
    whole = [pair for pair in pairs if pair.is_whole]
    if not whole:
        return NONE_YET
    found = verdict(whole)
    interval = f"95 % interval {signed_interval_text(found.low, found.high, per_unit=task.per_unit)}"
    if found.is_enough:
        added = f"{difference_text(found.value, task)} on average"
        return f"The teacher {found.word}: {added}, {interval} of the mean over {found.n_seeds} seeds."
    added = " and ".join(difference_text(pair.difference.value, task) for pair in whole if pair.difference)
    if len(whole) == 1:
        return f"With the teacher {added} ({interval} of the images), one seed. {OF_IMAGES} {NO_VERDICT_YET}"
    return f"With the teacher {added}, {len(whole)} seeds. {NO_VERDICT_YET}"


def teacher_text(teacher: Evaluation, alone: Evaluation) -> str:
    """A warning where the student alone is better than its teacher; empty where it is not."""
    task, ahead = teacher.task, compare(teacher, alone)
    if ahead.value <= 0:
        return ""
    clear = "clearly " if ahead.is_clear else ""
    return (
        f"The teacher itself has {score_text(teacher.value, task)}, {clear}below the student alone with "
        f"{score_text(alone.value, task)}: it can teach little."
    )


def _zero(ends: list[float]) -> Json:
    return {
        "type": "scatter",
        "mode": "lines",
        "x": ends,
        "y": [0, 0],
        "line": {"color": BASE, "dash": "dash"},
        "name": "no difference",
        "hoverinfo": "skip",
    }


def _mean(found: Verdict, ends: list[float], task: Classification) -> list[Json]:
    mean, low, high = (value * task.per_unit for value in (found.value, found.low, found.high))
    line = {
        "type": "scatter",
        "mode": "lines",
        "x": ends,
        "y": [mean, mean],
        "line": {"color": NOW},
        "name": f"mean {difference_text(found.value, task)}",
        "hoverinfo": "skip",
    }
    return [interval_band(list(ends), [low] * 2, [high] * 2, NOW), line]


def _points(done: Sequence[tuple[int, Difference]], task: Classification) -> Json:
    scale = task.per_unit
    error = {
        "type": "data",
        "symmetric": False,
        "array": [(one.high - one.value) * scale for _, one in done],
        "arrayminus": [(one.value - one.low) * scale for _, one in done],
        "color": NOW,
    }
    return {
        "type": "scatter",
        "mode": "markers",
        "x": list(range(len(done))),
        "y": [round(one.value * scale, 4) for _, one in done],
        "error_y": error,
        "marker": {"color": NOW, "symbol": "diamond", "size": 11},
        "name": "one seed",
        "hovertemplate": "%{y:+.1f}<extra></extra>",
    }


def _layout(done: Sequence[tuple[int, Difference]], found: Verdict, task: Classification) -> Json:
    ends = [end for _, one in done for end in (one.low, one.high)] + [found.low, found.high] * found.is_enough
    low, high = (task.per_unit * end for end in (min(0, *ends), max(0, *ends)))
    room = ROOM * (high - low)
    unit = "points" if task.unit == "%" else task.unit
    ticks = {"tickvals": list(range(len(done))), "ticktext": [str(seed) for seed, _ in done]}
    return {
        "xaxis": {"title": {"text": "seed"}, "range": [-0.5, len(done) - 0.5], **ticks, **FIXED},
        "yaxis": {"title": {"text": f"gain ({unit})"}, "range": [low - room, high + room]},
        "showlegend": True,
    }


def _table(done: Sequence[tuple[int, Difference]], found: Verdict | None, task: Classification) -> pd.DataFrame:
    rows = [
        (str(seed), difference_text(one.value, task), _interval(one.low, one.high, task), f"{one.n:,} images")
        for seed, one in done
    ]
    if found is not None and found.is_enough:
        mean = difference_text(found.value, task)
        rows.append(("mean", mean, _interval(found.low, found.high, task), f"{found.n_seeds} seeds"))
    return pd.DataFrame(rows[-MAX_ROWS:], columns=["seed", "with teacher - alone", "95 % interval", "of"])


def _interval(low: float, high: float, task: Classification) -> str:
    return signed_interval_text(low, high, per_unit=task.per_unit)
