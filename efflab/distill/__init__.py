"""Distillation: a small network learns from a large one.

Softening makes a teacher's doubt visible, losses say what the student should imitate, and similarity compares what the
two hold inside. Techniques start a student, train it on a teacher's predictions, hints, attention or relations,
and move the bias of a class that it was never shown.
"""

from efflab.distill.attention import distill_attention, pair_maps
from efflab.distill.biases import shift_bias
from efflab.distill.hidden import embedding, hidden_layers, outputs_of
from efflab.distill.hints import distill_hints, follow_hint, make_regressor
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
from efflab.distill.predictions import distill_predictions
from efflab.distill.relations import distill_relations
from efflab.distill.similarity import AlignedPca, aligned_pca, cka_matrix, linear_cka
from efflab.distill.softening import dark_knowledge, entropy_bits, soften
from efflab.distill.students import start_again, start_student
from efflab.distill.teachers import TeacherAnswers, ask

__all__ = [
    "AlignedPca",
    "TeacherAnswers",
    "aligned_pca",
    "angle_loss",
    "ask",
    "attention_loss",
    "attention_map",
    "cka_matrix",
    "dark_knowledge",
    "distance_loss",
    "distill_attention",
    "distill_hints",
    "distill_predictions",
    "distill_relations",
    "distillation_loss",
    "embedding",
    "entropy_bits",
    "follow_hint",
    "hard_loss",
    "hidden_layers",
    "hint_loss",
    "linear_cka",
    "make_regressor",
    "outputs_of",
    "pair_maps",
    "shift_bias",
    "soft_loss",
    "soften",
    "start_again",
    "start_student",
]
