"""Make neural networks small and fast, and watch measured size, speed and accuracy move.

Example:
    >>> from efflab import Lab, prune_weights, step
    >>> lab = Lab.open("mlp-digits")
    >>> lab.preview((step(prune_weights, sparsity=0.5),)).difference.value > -0.1
    True
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from efflab import data, models
    from efflab.budget import Budget
    from efflab.data import Data
    from efflab.distill import (
        distill_attention,
        distill_hints,
        distill_predictions,
        distill_relations,
        shift_bias,
        start_again,
        start_student,
    )
    from efflab.knobs import Choice, Range, Technique, technique
    from efflab.lab import Lab, Preview, Report
    from efflab.prune import (
        fine_tune,
        prune_filters,
        prune_gradually,
        prune_heads,
        prune_iteratively,
        prune_neurons,
        prune_weights,
        recalibrate,
        train_ticket,
        zero_neurons,
    )
    from efflab.quantize import (
        correct_biases,
        equalize,
        fold_batch_norms,
        learn_rounding,
        quantize_activations,
        quantize_weights,
        share_weights,
        train_centroids,
        train_quantized,
    )
    from efflab.recipe import (
        TECHNIQUES,
        Recipe,
        Step,
        from_json,
        recipe_from,
        run,
        script,
        step,
        to_json,
        to_line,
    )

# ONNX Runtime's wheels send telemetry unless this is set before they are loaded; nothing here leaves the machine.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

__version__ = "0.1.0"

__all__ = [
    "TECHNIQUES",
    "Budget",
    "Choice",
    "Data",
    "Lab",
    "Preview",
    "Range",
    "Recipe",
    "Report",
    "Step",
    "Technique",
    "correct_biases",
    "data",
    "distill_attention",
    "distill_hints",
    "distill_predictions",
    "distill_relations",
    "equalize",
    "fine_tune",
    "fold_batch_norms",
    "from_json",
    "learn_rounding",
    "models",
    "prune_filters",
    "prune_gradually",
    "prune_heads",
    "prune_iteratively",
    "prune_neurons",
    "prune_weights",
    "quantize_activations",
    "quantize_weights",
    "recalibrate",
    "recipe_from",
    "run",
    "script",
    "share_weights",
    "shift_bias",
    "start_again",
    "start_student",
    "step",
    "technique",
    "to_json",
    "to_line",
    "train_centroids",
    "train_quantized",
    "train_ticket",
    "zero_neurons",
]

_ROOMS = ("knobs", "data", "models", "prune", "quantize", "distill", "recipe", "lab", "budget")
"""The rooms that the names above come from."""


def __getattr__(name: str) -> object:
    """A public name, when it is first asked for: torch takes seconds, which `efflab --help` need not wait for."""
    if name not in __all__:
        raise AttributeError(f"module 'efflab' has no attribute {name!r}")
    if name in _ROOMS:
        return import_module(f"efflab.{name}")
    rooms = (import_module(f"efflab.{room}") for room in _ROOMS)
    return next(getattr(room, name) for room in rooms if hasattr(room, name))


def __dir__() -> list[str]:
    return __all__
