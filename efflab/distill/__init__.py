"""Distillation: a small network learns from a large one.

Softening makes a teacher's doubt visible, and losses say what the student should imitate.
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
from efflab.distill.softening import dark_knowledge, entropy_bits, soften

__all__ = [
    "angle_loss",
    "attention_loss",
    "attention_map",
    "dark_knowledge",
    "distance_loss",
    "distillation_loss",
    "entropy_bits",
    "hard_loss",
    "hint_loss",
    "soft_loss",
    "soften",
]
