"""All techniques that a recipe may name, in one explicit list."""

from efflab.distill import (
    distill_attention,
    distill_hints,
    distill_predictions,
    distill_relations,
    shift_bias,
    start_again,
    start_student,
)
from efflab.knobs import Technique
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

AnyTechnique = Technique[...]

TECHNIQUES: dict[str, AnyTechnique] = {
    technique.name: technique
    for technique in (
        prune_weights,
        fine_tune,
        prune_gradually,
        prune_iteratively,
        train_ticket,
        zero_neurons,
        prune_neurons,
        prune_filters,
        prune_heads,
        recalibrate,
        fold_batch_norms,
        equalize,
        quantize_weights,
        quantize_activations,
        learn_rounding,
        correct_biases,
        train_quantized,
        share_weights,
        train_centroids,
        start_student,
        start_again,
        shift_bias,
        distill_predictions,
        distill_hints,
        distill_attention,
        distill_relations,
    )
}
"""All techniques, in teaching order."""
