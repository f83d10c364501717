"""A student alone and the same student with its teacher, while both train: the score of each after each epoch.

The student alone is the control of the experiment. Both lines begin at epoch 0, the same untrained network, and the
axis ends where the longer of both trainings will end, so that nothing moves while the points arrive. The scores begin
at 0 %, and at 50 % once both students and the teacher are above it, or the gain of a point or two would not be seen:
one of two places, never one that depends on how low a first epoch happened to be. What lies below is in the table.
"""

import math
from collections.abc import Sequence

import pandas as pd

from efflab.data import Classification
from efflab.figures.axes import FIXED, ROOM, base_line, score_axis
from efflab.figures.picture import MAX_ROWS, Picture, draw, thinned
from efflab.figures.text import score_text
from efflab.figures.theme import CONTROL, NOW, Json
from efflab.lab.side_by_side import ALONE, TAUGHT, Arm, Pair, n_epochs
from efflab.measure import Evaluation

LOOKS: dict[str, Json] = {
    ALONE: {"line": {"color": CONTROL, "dash": "dot"}, "marker": {"color": CONTROL, "symbol": "square"}},
    TAUGHT: {"line": {"color": NOW}, "marker": {"color": NOW, "symbol": "circle"}},
}
"""Colour, dash and marker of each arm, the same wherever the two stand beside each other."""
START, TOP = 50, 100
"""Percent: where the axis begins once all are above, and the most there is."""


def side_by_side_curves(
    pair: Pair | None, before: Sequence[Pair], task: Classification, teacher: Evaluation
) -> Picture:
    """The score on validation data after each epoch of both arms; the teacher's is the dashed line.

    pair: the one that trains now, or trained last; None while there is none. before: those of other seeds, as thin
    lines.
    """
    pairs = [*before, *([pair] if pair else [])]
    end = max((n_epochs(arm.recipe[-1]) for one in pairs for arm in _arms(one)), default=1)
    starts_at_zero = task.unit != "%" or not _are_above(pairs, teacher)
    traces = _teacher(teacher, end)
    for earlier in before:
        traces += [_thin(arm, earlier.seed, task) for arm in _arms(earlier)]
    if pair is not None:
        traces += [_line(arm, task) for arm in _arms(pair)]
    return Picture(
        draw(traces, _layout(end, task, starts_at_zero=starts_at_zero)),
        _sentence(pair, before, task, teacher) + ("" if starts_at_zero else f" The axis begins at {START} %."),
        _table(pairs, task),
    )


def _arms(pair: Pair) -> tuple[Arm, Arm]:
    return pair.alone, pair.taught


def _teacher(teacher: Evaluation, end: int) -> list[Json]:
    band, line = base_line(teacher, [0, end])
    return [band, line | {"name": f"teacher {score_text(teacher.value, teacher.task)}"}]


def _line(arm: Arm, task: Classification) -> Json:
    points = thinned(arm.records)
    look = LOOKS[arm.name]
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "x": [record.number for record in points],
        "y": [round(record.score * task.per_unit, 4) for record in points],
        "name": arm.name,
        "hovertemplate": f"{arm.name}, epoch %{{x}}: %{{y:.1f}}<extra></extra>",
        **look,
    }


def _thin(arm: Arm, seed: int, task: Classification) -> Json:
    """A line of an earlier seed: without markers, and pale enough to see the newest one through many."""
    line = _line(arm, task)
    return line | {
        "mode": "lines",
        "line": line["line"] | {"width": 1},
        "opacity": 0.6,
        "showlegend": False,
        "hovertemplate": f"{arm.name}, seed {seed}, epoch %{{x}}: %{{y:.1f}}<extra></extra>",
    }


def _are_above(pairs: Sequence[Pair], teacher: Evaluation) -> bool:
    """Whether the teacher and the best epochs of both students lie above `START`; of pairs that are over, if any is.

    So the axis moves once in the first training, and not again while more seeds are trained.
    """
    arms = [_arms(one) for one in pairs if one.difference is not None] or [_arms(one) for one in pairs[-1:]]
    best = [max((record.score for record in arm.records), default=0.0) for both in arms for arm in both]
    return bool(best) and min(teacher.value, *best) > START / TOP


def _layout(end: int, task: Classification, *, starts_at_zero: bool) -> Json:
    ticks = {"dtick": 1} if end <= 15 else {}
    axis = {"title": {"text": "epoch"}, "range": [-ROOM * end, end * (1 + ROOM)], **FIXED}
    scores = score_axis(task, 0 if starts_at_zero else START)
    return {"xaxis": axis | ticks, "yaxis": scores, "showlegend": True}


def _sentence(pair: Pair | None, before: Sequence[Pair], task: Classification, teacher: Evaluation) -> str:
    teaching = f"The teacher has {score_text(teacher.value, task)} {task.score_name}."
    if pair is None:
        return f"Nothing is trained yet. {teaching}"
    said = "; ".join(f"{arm.name} {_so_far(arm, task)}" for arm in _arms(pair))
    earlier = f" Thin lines: {len(before)} other seed{'s' if len(before) > 1 else ''}." if before else ""
    return f"Seed {pair.seed}, {task.score_name} on validation: {said}. {teaching}{earlier}"


def _so_far(arm: Arm, task: Classification) -> str:
    if arm.evaluation is not None:
        return f"{score_text(arm.evaluation.value, task)}{', stopped early' if arm.is_partial else ''}"
    if not arm.records:
        return "not begun"
    last = arm.records[-1]
    if last.number == 0:
        return f"{score_text(last.score, task)} before the training"
    return f"{score_text(last.score, task)} after epoch {last.number} of {last.n_epochs}"


def _table(pairs: Sequence[Pair], task: Classification) -> pd.DataFrame:
    rows = []
    for pair in pairs:
        scores = [{record.number: record.score for record in arm.records} for arm in _arms(pair)]
        for number in sorted(scores[0] | scores[1]):
            found = (round(one.get(number, math.nan) * task.per_unit, 1) for one in scores)
            rows.append((pair.seed, number, *found))
    return pd.DataFrame(rows[-MAX_ROWS:], columns=["seed", "epoch", *(f"{arm} ({task.unit})" for arm in LOOKS)])
