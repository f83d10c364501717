"""What the trade-off picture says in words and numbers."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import pandas as pd

from efflab.figures.axes import is_fraction
from efflab.figures.picture import MAX_ROWS
from efflab.figures.text import (
    difference_text,
    interval_text,
    percent_text,
    score_text,
    short,
    signed_interval_text,
)
from efflab.figures.visits import VISITED, Visit, judged, setting_text
from efflab.knobs import Knob
from efflab.measure import Evaluation

if TYPE_CHECKING:
    from efflab.lab import Preview

Row = tuple[str, str | float, float, float, float, int]


def tradeoff_sentence(
    visited: Sequence[Visit], knob: str, shape: Knob, baseline: Evaluation, predicted: tuple[float, float] | None
) -> str:
    """The last visit, compared with the base on the same images, and the prediction."""
    task = baseline.task
    base = f"The base has {score_text(baseline.value, task)} {task.score_name}."
    parts = [_last_sentence(visited[-1].preview, knob), base] if visited else [base]
    if predicted:
        at = percent_text(predicted[0], None) if is_fraction(shape) else f"{predicted[0]:g}"
        parts.append(f"You predicted {score_text(predicted[1], task)} at {at}.")
    return " ".join(parts)


def _last_sentence(preview: "Preview", knob: str) -> str:
    evaluation, difference = preview.evaluation, preview.difference
    task = evaluation.task
    then = "".join(f", then {step.technique.label}" for step in preview.recipe[1:])
    stopped = " (training was stopped early)" if preview.is_partial else ""
    so_far = "" if evaluation.is_complete else f", so far on {evaluation.n:,} of {evaluation.n_total:,} images"
    low, high = evaluation.interval
    return (
        f"At {setting_text(preview, knob)}{then}{stopped}: {score_text(evaluation.value, task)} {task.score_name} "
        f"(95 % interval {interval_text(low, high, per_unit=task.per_unit)}){so_far}, "
        f"{difference_text(difference.value, task)} against the base "
        f"({signed_interval_text(difference.low, difference.high, per_unit=task.per_unit)})."
    )


def tradeoff_table(
    visited: Sequence[Visit], swept: Sequence[Visit], knob: str, shape: Knob, baseline: Evaluation
) -> pd.DataFrame:
    """The base, the visits in their order, then the curve."""
    task = baseline.task
    base = ("base", float("nan"), *(round(number, 1) for number in judged(baseline)), baseline.n)
    rows = [base, *_rows(visited, "visited"), *_rows(swept, "curve")][:MAX_ROWS]
    setting = f"{knob.replace('_', ' ')} (%)" if is_fraction(shape) else knob.replace("_", " ")
    unit = f"({task.unit})"
    columns = ["point", setting, f"{task.score_name} {unit}", f"95 % from {unit}", f"to {unit}", "images"]
    return pd.DataFrame(rows, columns=columns)


def _rows(points: Sequence[Visit], what: str) -> Iterator[Row]:
    for point in points[:MAX_ROWS]:
        name = what if point.series == VISITED else f"{what}, {point.series}"
        x = point.x if isinstance(point.x, str) else float(short(point.x).replace(",", ""))
        yield (name, x, round(point.y, 1), round(point.low, 1), round(point.high, 1), point.preview.evaluation.n)
