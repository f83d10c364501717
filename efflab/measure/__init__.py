"""Accuracy, size and speed, measured here; the only room that owns a clock."""

from efflab.measure.accuracy import Difference, Evaluation, by_class, changed_images, compare, evaluate
from efflab.measure.size import Size, TensorSize, compute_size

__all__ = [
    "Difference",
    "Evaluation",
    "Size",
    "TensorSize",
    "by_class",
    "changed_images",
    "compare",
    "compute_size",
    "evaluate",
]
