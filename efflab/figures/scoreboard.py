"""All runs on one kind of data: the score over what a run costs, the front, and the run that is chosen."""

from collections.abc import Sequence

import pandas as pd

from efflab.data import Classification
from efflab.figures.axes import log_axis, score_axis
from efflab.figures.picture import MAX_POINTS, MAX_ROWS, Picture, draw, nothing_yet
from efflab.figures.text import fixed, score_text
from efflab.figures.theme import BASE, NOW, TUNED, Json
from efflab.scoreboard import COSTS, Cost, Run, cost_of, front, recipe_text

NO_RUN = "No run of this kind is in the journal yet."
N_SAID = 4
"""Runs of the front that the sentence names, those with the best scores; the table has all."""


def scoreboard(
    runs: Sequence[Run],
    cost: Cost,
    task: Classification,
    chosen: Run | None = None,
    *,
    called: str = "chosen",
    start: int = 0,
) -> Picture:
    """Each run as a point, those that no other beats joined by a line, and the chosen one large.

    runs: on one kind of data, and where the cost is a time, at one batch. Those without the cost are left out; of very
    many, the front and the newest are drawn. called: what the large one is.
    start: percent, at which the axis of the scores begins; runs below it are counted in the sentence.
    """
    known = [run for run in runs if cost_of(run, cost)]  # on a logarithmic axis there is no 0
    if not known:
        return nothing_yet(NO_RUN, _table([], [], cost, task))
    best = front(known, cost)
    on_front = set(best)
    others = [run for run in known if run not in on_front][-MAX_POINTS:]
    line: Json = {"mode": "lines+markers", "name": "front: none is better and costs less"}
    line |= {"line": {"color": TUNED, "shape": "hv"}}
    traces = [
        _points(others, cost, task) | {"mode": "markers", "name": "other runs", "marker": _marker(BASE, "circle-open")},
        _points(best[-MAX_POINTS:], cost, task) | line | {"marker": _marker(TUNED, "circle")},
    ]
    told = _sentence(known, best, cost, task)
    if n_below := sum(run.score < start / 100 for run in known):
        told += f" Below the axis, which begins at {start} %: {n_below:,}."
    if chosen is not None and chosen in known:
        told += f" {called.capitalize()}: {score_text(chosen.score, task)} at {cost_text(chosen, cost)}."
        look = _marker(NOW, "diamond") | {"size": 16}
        traces.append(_points([chosen], cost, task) | {"mode": "markers", "name": called, "marker": look})
    axis = log_axis(COSTS[cost].text, [value for run in known if (value := cost_of(run, cost))])
    layout = {"xaxis": axis, "yaxis": score_axis(task, start), "showlegend": True}
    return Picture(draw(traces, layout), told, _table(known, best, cost, task))


def cost_text(run: Run, cost: Cost) -> str:
    """What a run costs, with its unit; empty where it is not known."""
    value = cost_of(run, cost)
    if value is None:
        return ""
    text = f"{value:,.0f}" if value >= 1000 else fixed(value, 0 if float(value).is_integer() else 3)
    return f"{text} {COSTS[cost].unit}"


def _marker(colour: str, symbol: str) -> Json:
    return {"color": colour, "symbol": symbol, "size": 10}


def _points(runs: Sequence[Run], cost: Cost, task: Classification) -> Json:
    return {
        "type": "scatter",
        "x": [cost_of(run, cost) for run in runs],
        "y": [run.score * task.per_unit for run in runs],
        "hovertext": [f"{score_text(run.score, task)}, {cost_text(run, cost)}" for run in runs],
        "hovertemplate": "%{hovertext}<extra></extra>",
    }


def _sentence(known: Sequence[Run], best: Sequence[Run], cost: Cost, task: Classification) -> str:
    most = sorted(best, key=lambda run: run.score, reverse=task.higher_is_better)[:N_SAID]
    named = "; ".join(f"{score_text(run.score, task)} at {cost_text(run, cost)}" for run in most)
    more = f"; and {len(best) - N_SAID} more" if len(best) > N_SAID else ""
    count = f"{len(known):,} run{'s' if len(known) > 1 else ''}"
    both = f"{task.score_name} and {COSTS[cost].label} ({COSTS[cost].badge})"
    return f"Of {count}, {len(best)} not beaten in both {both}, the best first: {named}{more}."


def _table(known: Sequence[Run], best: Sequence[Run], cost: Cost, task: Classification) -> pd.DataFrame:
    on_front = set(best)
    rows = [
        (
            recipe_text(run.recipe),
            run.network,
            score_text(run.score, task),
            cost_text(run, cost),
            "yes" if run in on_front else "",
        )
        for run in list(known)[: -MAX_ROWS - 1 : -1]
    ]
    return pd.DataFrame(rows, columns=["recipe", "network", task.score_name, COSTS[cost].text, "on the front"])
