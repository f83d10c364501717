"""Quantization: few bits for each number. Grids say which numbers there are, observers how far a grid should reach.

In a codebook the numbers lie anywhere: `efflab.quantize.codebook`.
"""

from efflab.quantize.activations import (
    ActivationBits,
    CalibrationImages,
    Seen,
    outputs_without_reader,
    quantize_activations,
    record_activations,
)
from efflab.quantize.allocation import TRIED, BitPoint, allocate_bits, scan_bit_sensitivity
from efflab.quantize.aware import gradient_scale, initial_step, learned_step, straight_through, train_quantized
from efflab.quantize.biases import correct_biases
from efflab.quantize.codebook import Start, share_weights, train_centroids
from efflab.quantize.equalizing import Pair, equalize, find_pairs
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
from efflab.quantize.outliers import OutlierErrors, integer_product, mixed_product, plant_outlier, scan_outliers
from efflab.quantize.rounding import learn_rounding
from efflab.quantize.saturation import (
    Saturation,
    exact_product,
    may_saturate,
    saturating_product,
    simulate_saturation,
)
from efflab.quantize.sharing import Granularity
from efflab.quantize.weights import GroupSize, Scheme, WeightObserver, quantizable_layers, quantize_weights

__all__ = [
    "TRIED",
    "ActivationBits",
    "BitPoint",
    "Bits",
    "CalibrationImages",
    "Fold",
    "Granularity",
    "Grid",
    "GroupSize",
    "Kept",
    "Observer",
    "OutlierErrors",
    "Pair",
    "Saturation",
    "Scheme",
    "Seen",
    "Start",
    "WeightObserver",
    "allocate_bits",
    "correct_biases",
    "cosine",
    "dequantize",
    "equalize",
    "exact_product",
    "fake_quantize",
    "find_folds",
    "find_pairs",
    "fold_batch_norms",
    "gradient_scale",
    "initial_step",
    "integer_product",
    "integer_range",
    "learn_rounding",
    "learned_step",
    "max_error",
    "may_saturate",
    "mean_squared_error",
    "mixed_product",
    "observe",
    "observe_batches",
    "outputs_without_reader",
    "plant_outlier",
    "quantizable_layers",
    "quantize",
    "quantize_activations",
    "quantize_weights",
    "record_activations",
    "saturating_product",
    "scale_and_zero_point",
    "scan_bit_sensitivity",
    "scan_outliers",
    "share_weights",
    "signal_to_noise_db",
    "simulate_saturation",
    "straight_through",
    "ternarize",
    "train_centroids",
    "train_quantized",
]
