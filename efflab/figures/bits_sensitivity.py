"""Which layers bear few bits: one line a layer, its weights alone on a grid, or in a codebook."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd

from efflab.figures.axes import base_line, score_axis
from efflab.figures.picture import MAX_ROWS, Picture, draw
from efflab.figures.text import score_text
from efflab.figures.theme import Json, layer_look
from efflab.measure import Evaluation
from efflab.runtime.quantized import bits_text

if TYPE_CHECKING:
    from efflab.lab.bits_alone import BitsPoint

ENDS = (0.6, 8.4)
"""The axis of the bits, with room for a marker at 1 and at 8."""


def bits_sensitivity(points: Sequence["BitsPoint"], baseline: Evaluation, *, where: str = "on a grid") -> Picture:
    """The score over the bits of one layer alone, the others float; one line a layer. where: its weights are."""
    lines: dict[str, list[BitsPoint]] = {}
    for point in points:
        lines.setdefault(point.layer, []).append(point)
    traces = base_line(baseline, ENDS)
    traces += [_line(i, layer, scanned) for i, (layer, scanned) in enumerate(lines.items())]
    axis = {"title": {"text": "bits of the weights of this layer alone"}, "range": list(ENDS), "dtick": 1}
    figure = draw(traces, {"xaxis": axis, "yaxis": score_axis(baseline.task)})
    return Picture(figure, _sentence(points, baseline, where), _table(points, baseline))


def _line(index: int, layer: str, points: Sequence["BitsPoint"]) -> Json:
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": layer,
        "x": [point.bits for point in points],
        "y": [round(point.evaluation.value * point.evaluation.task.per_unit, 4) for point in points],
        "hovertemplate": f"{layer}, %{{x}} bits: %{{y:.1f}}<extra></extra>",
        **layer_look(index),
    }


def _sentence(points: Sequence["BitsPoint"], baseline: Evaluation, where: str) -> str:
    """The layer that hurts most and the one that hurts least, at the fewest bits."""
    task = baseline.task
    base = f"The base has {score_text(baseline.value, task)} {task.score_name}."
    if not points:
        return f"No layer has been scanned yet. {base}"
    fewest, sign = min(point.bits for point in points), 1 if task.higher_is_better else -1
    there = [point for point in points if point.bits == fewest]
    ranked = sorted(there, key=lambda point: sign * point.evaluation.value)
    worst, best = (f"{point.layer} ({score_text(point.evaluation.value, task)})" for point in (ranked[0], ranked[-1]))
    at = f"With the weights of one layer alone {where} of {bits_text(fewest)}"
    if len(ranked) == 1:
        return f"{at}: {worst}. {base}"
    return f"{at}, {worst} hurts most and {best} least. {base}"


def _table(points: Sequence["BitsPoint"], baseline: Evaluation) -> pd.DataFrame:
    task = baseline.task
    rows = [
        (
            point.layer,
            point.bits,
            *(round(v * task.per_unit, 1) for v in (point.evaluation.value, *point.evaluation.interval)),
        )
        for point in points[:MAX_ROWS]
    ]
    unit = f"({task.unit})"
    columns = ["layer", "bits", f"{task.score_name} {unit}", f"95 % from {unit}", f"to {unit}"]
    return pd.DataFrame(rows, columns=columns)
