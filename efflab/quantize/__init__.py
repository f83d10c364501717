"""Quantization: few bits for each number. Grids say which numbers there are, observers how far a grid should reach."""

from efflab.quantize.activations import (
    ActivationBits,
    CalibrationImages,
    Seen,
    outputs_without_reader,
    quantize_activations,
    record_activations,
)
from efflab.quantize.codebook import Start, share_weights, train_centroids
from efflab.quantize.errors import cosine, max_error, mean_squared_error, signal_to_noise_db
from efflab.quantize.few_bits import ternarize
from efflab.quantize.folding import Fold, find_folds, fold_batch_norms
from efflab.quantize.grids import (
    Bits,
    Grid,
    dequantize,
    fake_quantize,
    integer_range,
    quantize,
    scale_and_zero_point,
)
from efflab.quantize.observers import Kept, Observer, observe, observe_batches
from efflab.quantize.sharing import Granularity
from efflab.quantize.weights import GroupSize, Scheme, quantizable_layers, quantize_weights

__all__ = [
    "ActivationBits",
    "Bits",
    "CalibrationImages",
    "Fold",
    "Granularity",
    "Grid",
    "GroupSize",
    "Kept",
    "Observer",
    "Scheme",
    "Seen",
    "Start",
    "cosine",
    "dequantize",
    "fake_quantize",
    "find_folds",
    "fold_batch_norms",
    "integer_range",
    "max_error",
    "mean_squared_error",
    "observe",
    "observe_batches",
    "outputs_without_reader",
    "quantizable_layers",
    "quantize",
    "quantize_activations",
    "quantize_weights",
    "record_activations",
    "scale_and_zero_point",
    "share_weights",
    "signal_to_noise_db",
    "ternarize",
    "train_centroids",
]
