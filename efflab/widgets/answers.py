"""What was measured, in the terms of a question: functions of a bench for its `answer`."""

from collections import defaultdict
from typing import TYPE_CHECKING

from efflab.prune import Point

if TYPE_CHECKING:  # a bench asks these functions
    from efflab.widgets.bench import Bench

EQUAL = 0.02
"""Layers whose mean loss differs by less than this fraction of the score count as equal."""


def score_when_there(bench: "Bench") -> float | None:
    """For "what accuracy is left?": the score in its unit, once the controls are where the prediction is about."""
    preview = bench.preview
    if preview is None or not bench.at or len(preview.recipe) != 1:
        return None
    values = preview.recipe[0].values
    is_there = all(values[name] == value for name, value in bench.at.items())
    return preview.evaluation.value * preview.evaluation.task.per_unit if is_there else None


def speed_class(bench: "Bench") -> str | None:
    """For "how long does it take now?": "tenth", "little_less", "same" or "more"; None until the speed was measured."""
    if bench.report is None:
        return None
    speed = bench.report.speed
    if not speed.is_different:
        return "same"
    if speed.ratio > 1:
        return "more"
    return "tenth" if speed.ratio < 0.2 else "little_less"


def steepest_layer(bench: "Bench") -> str | None:
    """For "which layer costs the most?": "first", "middle", "last" or "equal"; None until the layers were scanned."""
    if not bench.stage.is_scanned:
        return None
    losses = mean_scores(bench.stage.points)
    layers = list(losses)
    if max(losses.values()) - min(losses.values()) < EQUAL:
        return "equal"
    worst = min(layers, key=lambda layer: losses[layer])
    return {layers[0]: "first", layers[-1]: "last"}.get(worst, "middle")


def mean_scores(points: list[Point]) -> dict[str, float]:
    """The mean score of each layer over its sparsities, a fraction; layers in the order of the network."""
    scores: dict[str, list[float]] = defaultdict(list)
    for point in points:
        scores[point.layer].append(point.evaluation.value)
    return {layer: sum(some) / len(some) for layer, some in scores.items()}
