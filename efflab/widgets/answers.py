"""What was measured, in the terms of a question: functions of what is shown, for its `answer`."""

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from efflab.figures.states import AnyState
from efflab.lab.states import State
from efflab.prune import Point

if TYPE_CHECKING:  # a bench asks these functions
    from efflab.widgets.bench import Bench
    from efflab.widgets.diagnosis import DiagnosisView

SMALLER = 0.9
"""A file counts as smaller below this fraction of the base's bytes."""
REASONS = {"zeros are not removed": "zeros", "overhead of the call": "call", "bound by memory": "memory"}
"""The reasons for a time that a question offers, by the names that `why_not_faster` gives them."""
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
    """For "how long does it take now?": "tenth", "little_less", "same" or "more"; None until timed at batch 1."""
    if bench.report is None or bench.report.speed.batch > 1:
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


def zeroed_class(states: Sequence[AnyState]) -> str | None:
    """For "what has become of file and time?" of zeros in ONNX Runtime: "both", "file", "time" or "neither"."""
    state = _state("zeroed", "ONNX Runtime", states)
    if state is None:
        return None
    is_smaller = state.n_bytes < SMALLER * state.base_bytes
    is_faster = state.speed.is_different and state.speed.ratio < 1
    return {(True, True): "both", (True, False): "file", (False, True): "time"}.get((is_smaller, is_faster), "neither")


def encoded_class(states: Sequence[AnyState]) -> str | None:
    """For "how fast is what leaves out zeros?": "faster", "same" or "slower" than the base in torch."""
    state = _state("encoded", "torch", states)
    if state is None:
        return None
    if not state.speed.is_different:
        return "same"
    return "faster" if state.speed.ratio < 1 else "slower"


def main_reason(view: "DiagnosisView") -> str | None:
    """For "why is it not faster still?": "zeros", "call", "memory" or "other"; None until there is a diagnosis."""
    if view.diagnosis is None:
        return None
    names = [reason.name for reason in view.diagnosis.holding]
    return next((REASONS[name] for name in names if name in REASONS), "other")


def _state(name: str, runtime: str, states: Sequence[AnyState]) -> State | None:
    found = (state for state in states if (state.name, state.runtime) == (name, runtime))
    return next((state for state in found if isinstance(state, State)), None)


def mean_scores(points: list[Point]) -> dict[str, float]:
    """The mean score of each layer over its sparsities, a fraction; layers in the order of the network."""
    scores: dict[str, list[float]] = defaultdict(list)
    for point in points:
        scores[point.layer].append(point.evaluation.value)
    return {layer: sum(some) / len(some) for layer, some in scores.items()}
