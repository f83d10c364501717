"""One's own runs: the score over the measured time, and the front of those that no other run beats in both."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from efflab.data import Classification
from efflab.figures.axes import score_axis
from efflab.figures.picture import MAX_POINTS, MAX_ROWS, Picture, draw
from efflab.figures.text import ms_text, score_text
from efflab.figures.theme import BASE, NOW, TUNED, Json
from efflab.scoreboard import unbeaten

N_SAID = 6
"""Runs of the front that the sentence names; the table has all."""


@dataclass(frozen=True)
class Run:
    """A measured run: its recipe in words, its score with the interval (fractions), and milliseconds for one batch."""

    recipe: str
    score: float
    low: float
    high: float
    ms: float


def pareto(
    runs: Sequence[Run], task: Classification, *, batch: int, base: tuple[float, float] | None = None
) -> Picture:
    """The score over milliseconds, with the Pareto front as a line; the newest run, the last one, is large.

    runs: of one network, at one batch, for times of others are not comparable. base: score and milliseconds of the
    network as it was.
    """
    runs = list(runs)[-MAX_POINTS:]
    start = [Run("the base", base[0], base[0], base[0], base[1])] if base else []
    best = [i - len(start) for i in front([*start, *runs], task)]  # -1: the base
    corners = [*runs, *start]
    traces = [_line([corners[i] for i in best], task), _markers(runs, set(best), task)]
    traces += [_newest(run, task) for run in runs[-1:]] + [_base(run, task) for run in start]
    layout = {"xaxis": {"title": {"text": f"time of one run (ms, measured), batch {batch}"}, "rangemode": "tozero"}}
    return Picture(
        draw(traces, layout | {"yaxis": score_axis(task)}), _sentence(runs, best, task), _table(runs, best, task)
    )


def front(runs: Sequence[Run], task: Classification) -> list[int]:
    """The places of the runs that no other beats, from the fastest to the slowest; of twins, all.

    One run beats another if it is better in the score or the time, and not worse in the other.

    Example:
        >>> runs = [Run("a", 0.9, 0.8, 1.0, 2.0), Run("b", 0.8, 0.7, 0.9, 1.0), Run("c", 0.7, 0.6, 0.8, 1.5)]
        >>> front(runs, Classification())
        [1, 0]
    """
    sign = 1 if task.higher_is_better else -1
    return unbeaten([(sign * run.score, run.ms) for run in runs])


def _points(runs: Sequence[Run], task: Classification) -> Json:
    return {
        "type": "scatter",
        "x": [run.ms for run in runs],
        "y": [run.score * task.per_unit for run in runs],
        "hovertext": [run.recipe for run in runs],
        "hovertemplate": f"%{{hovertext}}<br>%{{y:.1f}} {task.unit} in %{{x:.3~g}} ms<extra></extra>",
    }


def _line(runs: Sequence[Run], task: Classification) -> Json:
    line = {"color": TUNED, "shape": "hv"}
    return _points(runs, task) | {"mode": "lines", "name": "front: none is faster and better", "line": line}


def _markers(runs: Sequence[Run], best: set[int], task: Classification) -> Json:
    symbols = ["circle" if i in best else "circle-open" for i in range(len(runs))]
    return _points(runs, task) | {
        "mode": "markers",
        "name": "your runs",
        "marker": {"color": [TUNED if i in best else BASE for i in range(len(runs))], "symbol": symbols, "size": 10},
    }


def _newest(run: Run, task: Classification) -> Json:
    scale = task.per_unit
    error = {"array": [(run.high - run.score) * scale], "arrayminus": [(run.score - run.low) * scale]}
    return _points([run], task) | {
        "mode": "markers",
        "name": "the newest",
        "marker": {"color": NOW, "symbol": "diamond", "size": 15},
        "error_y": {"type": "data", "symmetric": False, "color": NOW, **error},
    }


def _base(base: Run, task: Classification) -> Json:
    return _points([base], task) | {
        "mode": "markers",
        "name": "base",
        "marker": {"color": BASE, "symbol": "square", "size": 12},
    }


def _sentence(runs: Sequence[Run], best: Sequence[int], task: Classification) -> str:
    if not runs:
        return "No run of this network was measured yet at this batch."
    own = [runs[i] for i in best if i >= 0]
    count = f"{len(runs)} run{'s' if len(runs) > 1 else ''}"
    if not own:
        return f"Of {count}, none is faster than the base or better."
    said = "; ".join(f"{score_text(run.score, task)} in {ms_text(run.ms)}" for run in own[:N_SAID])
    more = f"; and {len(own) - N_SAID} more" if len(own) > N_SAID else ""
    return f"Of {count}, {len(own)} {'is' if len(own) == 1 else 'are'} not beaten in both (measured): {said}{more}."


def _table(runs: Sequence[Run], best: Sequence[int], task: Classification) -> pd.DataFrame:
    newest = list(enumerate(runs))[: -MAX_ROWS - 1 : -1]
    rows = [
        (run.recipe, round(run.score * task.per_unit, 1), float(f"{run.ms:.3g}"), "yes" if i in best else "")
        for i, run in newest
    ]
    return pd.DataFrame(rows, columns=["recipe", f"{task.score_name} ({task.unit})", "ms", "on the front"])
