"""Distillation: a small network learns from a large one.

Softening makes a teacher's doubt visible, losses say what the student should imitate, and similarity compares what the
two hold inside.
"""

from efflab.distill.losses import (
    angle_loss,
    attention_loss,
    attention_map,
    distance_loss,
    distillation_loss,
    hard_loss,
    hint_loss,
    soft_loss,
)
from efflab.distill.similarity import AlignedPca, aligned_pca, cka_matrix, linear_cka
from efflab.distill.softening import dark_knowledge, entropy_bits, soften

__all__ = [
    "AlignedPca",
    "aligned_pca",
    "angle_loss",
    "attention_loss",
    "attention_map",
    "cka_matrix",
    "dark_knowledge",
    "distance_loss",
    "distillation_loss",
    "entropy_bits",
    "hard_loss",
    "hint_loss",
    "linear_cka",
    "soft_loss",
    "soften",
]
