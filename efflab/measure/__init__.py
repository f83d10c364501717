"""Accuracy, size, work and speed, measured here; the only room that owns a clock."""

from efflab.measure.accuracy import Difference, Evaluation, by_class, changed_images, compare, evaluate
from efflab.measure.optimism import Optimism, optimism_of, scored
from efflab.measure.size import Size, TensorSize, compute_size
from efflab.measure.work import LayerWork, Work, count_work

__all__ = [
    "Difference",
    "Evaluation",
    "LayerWork",
    "Optimism",
    "Size",
    "TensorSize",
    "Work",
    "by_class",
    "changed_images",
    "compare",
    "compute_size",
    "count_work",
    "evaluate",
    "optimism_of",
    "scored",
]
