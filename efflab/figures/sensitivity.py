"""Which layers bear pruning: one line a layer, pruned alone.

Reference: Han et al., Learning both weights and connections for efficient neural networks, 2015, arXiv 1506.02626,
figure 6.
"""

from collections.abc import Sequence

import pandas as pd

from efflab.figures.axes import base_line, score_axis
from efflab.figures.picture import MAX_ROWS, Picture, draw
from efflab.figures.text import percent_text, score_text
from efflab.figures.theme import Json, layer_look
from efflab.measure import Evaluation
from efflab.prune import Point

ENDS = (-3.0, 103.0)
"""The sparsity axis in percent, with room for a marker at 0 and at 100."""


def sensitivity(points: Sequence[Point], baseline: Evaluation) -> Picture:
    """The score over the sparsity of one layer alone, the others whole; one line a layer."""
    lines: dict[str, list[Point]] = {}
    for point in points:
        lines.setdefault(point.layer, []).append(point)
    traces = base_line(baseline, ENDS)
    traces += [_line(i, layer, scanned) for i, (layer, scanned) in enumerate(lines.items())]
    axis = {"title": {"text": "weights removed from this layer alone (%)"}, "range": list(ENDS)}
    figure = draw(traces, {"xaxis": axis, "yaxis": score_axis(baseline.task)})
    return Picture(figure, _sentence(points, baseline), _table(points, baseline))


def _line(index: int, layer: str, points: Sequence[Point]) -> Json:
    look = layer_look(index)
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": layer,
        "x": [round(100 * point.sparsity, 4) for point in points],
        "y": [round(point.evaluation.value * point.evaluation.task.per_unit, 4) for point in points],
        "hovertemplate": f"{layer}, %{{x:.4~g}} % removed: %{{y:.1f}}<extra></extra>",
        **look,
    }


def _sentence(points: Sequence[Point], baseline: Evaluation) -> str:
    """The layer that hurts most and the one that hurts least, at the highest sparsity."""
    task = baseline.task
    base = f"The base has {score_text(baseline.value, task)} {task.score_name}."
    if not points:
        return f"No layer has been scanned yet. {base}"
    top = max(point.sparsity for point in points)
    sign = 1 if task.higher_is_better else -1
    ranked = sorted(
        (point for point in points if point.sparsity == top), key=lambda point: sign * point.evaluation.value
    )
    worst, best = (f"{point.layer} ({score_text(point.evaluation.value, task)})" for point in (ranked[0], ranked[-1]))
    at = f"With {percent_text(top, None)} removed from one layer alone"
    if len(ranked) == 1:
        return f"{at}: {worst}. {base}"
    return f"{at}, {worst} hurts most and {best} least. {base}"


def _table(points: Sequence[Point], baseline: Evaluation) -> pd.DataFrame:
    task = baseline.task
    rows = [
        (
            point.layer,
            round(100 * point.sparsity, 1),
            *(round(v * task.per_unit, 1) for v in (point.evaluation.value, *point.evaluation.interval)),
        )
        for point in points[:MAX_ROWS]
    ]
    unit = f"({task.unit})"
    columns = ["layer", "removed (%)", f"{task.score_name} {unit}", f"95 % from {unit}", f"to {unit}"]
    return pd.DataFrame(rows, columns=columns)
