"""What a learner predicted of bits, as it was computed or measured: the answers to the questions of chapter 05."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from efflab.figures.kernels import AnyKernel
from efflab.lab.kernels import Kernel
from efflab.quantize.observers import OBSERVERS
from efflab.widgets.answers import EQUAL, UNSURE, is_only, is_there

if TYPE_CHECKING:  # a bench asks these functions
    from efflab.widgets.bench import Bench

STATIC = "int8 static"
"""The way to run a network in which our grids are what multiplies."""
KEYS = {"min-max": "min_max", "percentile": "percentile", "MSE": "mse", "entropy": "entropy"}
"""Observers, by the keys under which a question offers them."""


def bits_stored(bench: "Bench") -> float | None:
    """For "how many bits a weight are stored in all?": packed bits over weights, once the controls are there."""
    if bench.preview is None or not is_there(bench):
        return None
    size = bench.preview.size
    return 8 * size.packed_bytes / sum(tensor.n for tensor in size.weights)


def worst_observer(bench: "Bench") -> str | None:
    """For "which observer ends lowest?", once all were seen where it is asked; "equal" where they are close."""
    there = [one for one in bench.stage.trail if is_only(bench, one.recipe)]
    scores = {str(one.recipe[0].values["observer"]): one.evaluation.value for one in there}
    if set(scores) != set(OBSERVERS.options):
        return None
    if max(scores.values()) - min(scores.values()) < EQUAL:
        return "equal"
    return KEYS[min(scores, key=lambda name: scores[name])]


def faster_in_integers(kernels: Sequence[AnyKernel]) -> float | None:
    """For "how many times faster in integers?", once measured in a calm moment: 1 where there is no difference."""
    found = next((one for one in kernels if isinstance(one, Kernel) and one.way == STATIC), None)
    if found is None or found.speed.noise_floor > UNSURE:
        return None
    return 1 / found.speed.ratio if found.speed.is_different else 1.0
