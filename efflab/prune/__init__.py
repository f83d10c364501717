"""Pruning: take away what matters least. Scores say what matters, masks say what stays, techniques apply them."""

from efflab.prune.lottery import train_ticket
from efflab.prune.masks import keep_largest, masks_for
from efflab.prune.neurons import neurons_to_keep, remove_neurons, zero_neurons
from efflab.prune.recalibration import recalibrate
from efflab.prune.schedules import cubic_sparsity, prune_gradually, prune_iteratively
from efflab.prune.scores import magnitude
from efflab.prune.sensitivity import SPARSITIES, Point, scan_sensitivity
from efflab.prune.structure import prune_filters, prune_heads, prune_neurons
from efflab.prune.tuning import fine_tune
from efflab.prune.weights import apply_masks, prunable_weights, prune_weights, sparsity_of

__all__ = [
    "SPARSITIES",
    "Point",
    "apply_masks",
    "cubic_sparsity",
    "fine_tune",
    "keep_largest",
    "magnitude",
    "masks_for",
    "neurons_to_keep",
    "prunable_weights",
    "prune_filters",
    "prune_gradually",
    "prune_heads",
    "prune_iteratively",
    "prune_neurons",
    "prune_weights",
    "recalibrate",
    "remove_neurons",
    "scan_sensitivity",
    "sparsity_of",
    "train_ticket",
    "zero_neurons",
]
