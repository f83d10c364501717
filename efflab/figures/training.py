"""A training while it runs: the score after each epoch."""

from collections.abc import Sequence

import pandas as pd

from efflab.data import Classification
from efflab.figures.axes import score_axis
from efflab.figures.picture import MAX_ROWS, Picture, draw, thinned
from efflab.figures.text import score_text
from efflab.figures.theme import BASE, TUNED, Json
from efflab.training import Epoch

BEFORE = "before"
"""The name of the score before, unless another is given."""


def training_curve(
    records: Sequence[Epoch],
    n_epochs: int,
    task: Classification,
    *,
    before: float | None = None,
    before_name: str = BEFORE,
) -> Picture:
    """The score on validation data after each epoch that is done; the loss is in the table.

    before: the score of the network that was given to the training, a fraction; a line across and no first point, for a
    training may begin anew. before_name: what that network is, where the training begins with another one, such as
    "float weights" that go onto grids first. The axis ends at `n_epochs`, so that nothing jumps while records arrive.

    Raises:
        ValueError: `n_epochs` is not positive, or a record lies beyond it.
    """
    last = records[-1].number if records else 0
    if n_epochs < 1 or last > n_epochs:
        raise ValueError(f"n_epochs must be at least 1 and the last record's number, not {n_epochs} with {last}")
    scores = [(record.number, record.score) for record in records]
    traces = [] if before is None else [_before(before, before_name, n_epochs, task)]
    figure = draw([*traces, _line(scores, task)], _layout(n_epochs, task))
    return Picture(
        figure,
        _sentence(records, n_epochs, task, _began(before, before_name, task)),
        _table(records, task, before, before_name),
    )


def _before(before: float, name: str, n_epochs: int, task: Classification) -> Json:
    return {
        "type": "scatter",
        "mode": "lines",
        "x": [0, n_epochs],
        "y": [before * task.per_unit] * 2,
        "line": {"color": BASE, "dash": "dash"},
        "name": f"{name} {score_text(before, task)}",
        "hoverinfo": "skip",
    }


def _line(scores: Sequence[tuple[int, float]], task: Classification) -> Json:
    points = thinned(scores)
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "x": [number for number, _ in points],
        "y": [round(score * task.per_unit, 4) for _, score in points],
        "line": {"color": TUNED},
        "marker": {"color": TUNED, "symbol": "star"},
        "name": "after each epoch",
        "hovertemplate": "epoch %{x}: %{y:.1f}<extra></extra>",
    }


def _layout(n_epochs: int, task: Classification) -> Json:
    ticks = {"dtick": 1} if n_epochs <= 15 else {}
    room = 0.03 * n_epochs
    return {
        "xaxis": {"title": {"text": "epoch"}, "range": [-room, n_epochs + room]} | ticks,
        "yaxis": score_axis(task),
        "showlegend": True,
    }


def _began(before: float | None, name: str, task: Classification) -> str:
    """The score before, as the last sentence."""
    if before is None:
        return ""
    start = " Before the training it was" if name == BEFORE else f" Before the training, with {name}, it was"
    return f"{start} {score_text(before, task)}."


def _sentence(records: Sequence[Epoch], n_epochs: int, task: Classification, began: str) -> str:
    if not records:
        return f"Training: none of {n_epochs} epochs is done.{began}"
    now = records[-1]
    sign = 1 if task.higher_is_better else -1
    best = max(records, key=lambda record: sign * record.score)
    return (
        f"Epoch {now.number} of {n_epochs}: {score_text(now.score, task)} {task.score_name} on validation, training "
        f"loss {now.train_loss:.3f} nats. Best so far: {score_text(best.score, task)} after epoch {best.number}.{began}"
    )


def _table(records: Sequence[Epoch], task: Classification, before: float | None, name: str) -> pd.DataFrame:
    rows: list[tuple[int | str, float, float]] = []
    if before is not None:
        rows.append((name, float("nan"), round(before * task.per_unit, 1)))
    rows += [(one.number, round(one.train_loss, 4), round(one.score * task.per_unit, 1)) for one in records]
    return pd.DataFrame(rows[-MAX_ROWS:], columns=["epoch", "training loss (nats)", f"{task.score_name} ({task.unit})"])
