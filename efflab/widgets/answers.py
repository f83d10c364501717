"""What was measured, in the terms of a question: functions of what is shown, for its `answer`."""

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from efflab.figures.states import AnyState
from efflab.knobs import Value
from efflab.lab.states import State
from efflab.measure.speed import Speed
from efflab.prune import Point
from efflab.recipe import Recipe, Step

if TYPE_CHECKING:  # a bench asks these functions
    from efflab.lab.diagnosis import Diagnosis
    from efflab.widgets.bench import Bench
    from efflab.widgets.diagnosis import DiagnosisView

SMALLER = 0.9
"""A file counts as smaller below this fraction of the base's bytes."""
REASONS = {"zeros are not removed": "zeros", "overhead of the call": "call", "bound by memory": "memory"}
"""The reasons for a time that a question offers, by the names that `why_not_faster` gives them."""
LITTLE = 0.1
"""Less than this fraction of a loss counts as nothing, and all but this fraction as all of it."""
UNSURE = 0.2
"""Above this noise floor a factor is not taken as an answer: it waits until the network is timed again."""
EQUAL = 0.02
"""Layers whose mean loss differs by less than this fraction of the score count as equal."""


def score_when_there(bench: "Bench") -> float | None:
    """For "what accuracy is left?": the score in its unit, once the controls are where the prediction is about.

    A training that was stopped early does not answer.
    """
    preview = bench.preview if is_there(bench) else None
    if preview is None or preview.is_partial:
        return None
    return preview.evaluation.value * preview.evaluation.task.per_unit


def predicted_score(bench: "Bench") -> tuple[float, float] | None:
    """Where a predicted score stands in the main picture: the value of its knob, and the score as a fraction.

    A prediction of anything else has no place there.
    """
    gate, x = bench.gate, bench.stage.x
    if gate is None or bench.answer is not score_when_there or x not in bench.at:
        return None
    if not isinstance(gate.answer, int | float):
        return None
    return float(bench.at[x]), gate.answer / bench.lab.data.task.per_unit


def macs_left(bench: "Bench") -> float | None:
    """For "how many multiplications are left?": percent of the base's, once the controls are there."""
    return 100 * bench.lab.macs(bench.recipe) / bench.lab.macs(()) if is_there(bench) else None


def times_faster(bench: "Bench") -> float | None:
    """For "how many times faster?", once timed at 64 images in a calm moment: 1 where there is no difference."""
    report = bench.report if is_there(bench) else None
    if report is None or report.speed.batch == 1 or report.speed.noise_floor > UNSURE:
        return None
    return 1 / report.speed.ratio if report.speed.is_different else 1.0


def with_a_multiple(bench: "Bench") -> str | None:
    """For "a few more channels, a multiple of 8: how long now?": "shorter", "same" or "longer" than with any number."""
    return with_another(bench, "multiple", 1, 8)


def with_another(bench: "Bench", knob: str, before: Value, now: Value) -> str | None:
    """How long it takes with another value of one knob: "shorter", "same" or "longer".

    None until both were timed in calm moments at the batch of the bench, where the prediction is about.
    """
    timed = [one for one in bench.stage.reports if one.speed.batch == bench.batch and one.speed.noise_floor <= UNSURE]
    there = [one for one in timed if is_only(bench, one.preview.recipe)]
    first, other = (
        next((one.speed for one in reversed(there) if one.preview.recipe[0].values[knob] == value), None)
        for value in (before, now)
    )
    if first is None or other is None:
        return None
    noise = max(first.noise_floor, other.noise_floor) * first.ratio
    if other.ratio_high < first.ratio_low - noise:
        return "shorter"
    return "longer" if other.ratio_low > first.ratio_high + noise else "same"


def tied_to_first(bench: "Bench") -> str | None:
    """For "which layers lose their filters with the first?": "alone", "next", "all" or "sum", as the groups say."""
    if bench.preview is None:
        return None
    first, *others = (block for block in bench.lab.blocks(()) if block.kind == "Conv2d")
    tied = [block.layer for block in others if block.group == first.group]
    if len(tied) == len(others) > 0:
        return "all"
    return ("next" if tied == [others[0].layer] else "sum") if tied else "alone"


def brought_back(bench: "Bench") -> str | None:
    """For "what brings a step back that trains nothing?": "worse", "nothing", "part" or "all" of what a cut lost."""
    if bench.preview is None or len(bench.recipe) != 2 or bench.recipe[1].technique.is_slow:
        return None
    return part_of_loss(bench) if _stands_at(bench, bench.recipe[0]) else None


def part_of_loss(bench: "Bench") -> str | None:
    """How much of what the first step lost the others brought back: "worse", "nothing", "part" or "all".

    A training that was stopped early does not answer.
    """
    if bench.preview is None or bench.preview.is_partial:
        return None
    before, cut, now = bench.lab.baseline, bench.lab.preview(bench.recipe[:1]).evaluation, bench.preview.evaluation
    lost, back = before.value - cut.value, now.value - cut.value
    if lost <= 0:
        return None
    if back < -LITTLE * lost:
        return "worse"
    return "nothing" if back < LITTLE * lost else "all" if back > (1 - LITTLE) * lost else "part"


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
    """For "what has become of file and time?" of zeros in ONNX Runtime: "both", "file", "time" or "neither".

    None where the machine was too busy to find a difference.
    """
    state = _state("zeroed", "ONNX Runtime", states)
    if state is None or is_too_rough(state.speed):
        return None
    is_smaller = state.n_bytes < SMALLER * state.base_bytes
    is_faster = state.speed.is_different and state.speed.ratio < 1
    return {(True, True): "both", (True, False): "file", (False, True): "time"}.get((is_smaller, is_faster), "neither")


def encoded_class(states: Sequence[AnyState]) -> str | None:
    """For "how fast is what leaves out zeros?": "faster", "same" or "slower" than the base in torch.

    None where the machine was too busy to find a difference.
    """
    state = _state("encoded", "torch", states)
    if state is None or is_too_rough(state.speed):
        return None
    if not state.speed.is_different:
        return "same"
    return "faster" if state.speed.ratio < 1 else "slower"


def main_reason(view: "DiagnosisView") -> str | None:
    """For "why is one image not faster still?": "zeros", "call", "memory" or "other", as measured at batch 1.

    None until it was looked for in a calm moment: in a busy one nobody knows of a reason that was not found. Zeros are
    counted, and that of the call only holds if its own timing was calm, so these two are an answer at any time.
    """
    found = view.diagnosis
    if found is None or found.speed.batch > 1:
        return None
    names = [reason.name for reason in found.holding]
    key = next((REASONS[name] for name in names if name in REASONS), "other")
    return key if key in ("zeros", "call") or not is_rough(found) else None


def is_too_rough(speed: Speed) -> bool:
    """Whether no difference was found where there may be one: one beyond the noise is an answer in any moment."""
    return not speed.is_different and speed.noise_floor > UNSURE


def is_rough(diagnosis: "Diagnosis") -> bool:
    """Whether the machine was too busy to say of a reason that it does not hold."""
    return diagnosis.busy or diagnosis.speed.noise_floor > UNSURE


def is_there(bench: "Bench") -> bool:
    """Whether what is shown is the one step that the prediction is about."""
    return bench.preview is not None and is_only(bench, bench.preview.recipe)


def is_only(bench: "Bench", recipe: Recipe) -> bool:
    """Whether a recipe is one step, with the settings that the prediction is about, and what always follows it."""
    return recipe[1:] == bench.then and _stands_at(bench, recipe[0])


def _stands_at(bench: "Bench", one: Step) -> bool:
    return bool(bench.at) and all(one.values[name] == value for name, value in bench.at.items())


def _state(name: str, runtime: str, states: Sequence[AnyState]) -> State | None:
    found = (state for state in states if (state.name, state.runtime) == (name, runtime))
    return next((state for state in found if isinstance(state, State)), None)


def mean_scores(points: list[Point]) -> dict[str, float]:
    """The mean score of each layer over its sparsities, a fraction; layers in the order of the network."""
    scores: dict[str, list[float]] = defaultdict(list)
    for point in points:
        scores[point.layer].append(point.evaluation.value)
    return {layer: sum(some) / len(some) for layer, some in scores.items()}
