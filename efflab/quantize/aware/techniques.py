"""Quantization-aware training: the network learns while it computes with the few numbers that it will have.

    1. batch norms are folded, so that the weights that train are the weights that lie on the grid
    2. activations are observed on calibration images; their grids stay as they are from then on
    3. each layer sees its weights on a grid, and gradients pass straight through to the floats behind them
    4. at the end the floats are dropped

References: Jacob et al., Quantization and training of neural networks for efficient integer-arithmetic-only inference,
2018, arXiv 1712.05877, section 3; Nagel et al., A white paper on neural network quantization, 2021, arXiv 2106.08295,
section 4.2.

Where we simplify: Jacob et al. fold anew in each pass, with the statistics of its batch, and freeze them late. Folding
once ("static folding" in the white paper) is one idea less, takes half the time, and is as good where a network was
trained already: with weights of 2 bits, 95.3 % on cnn-scattered in place of 95.0 %. Papers spare the first and the last
layer (LSQ gives them 8 bits, XNOR-Net leaves them float); here they get the bits of all others unless `bits` names
layers. At work: `torchao.quantization.qat`, or Brevitas.
"""

from collections.abc import Mapping
from typing import Annotated

import torch
from torch import Tensor, nn

from efflab.data import Data
from efflab.knobs import Choice, technique
from efflab.quantize.activations import ActivationBits, quantize_activations
from efflab.quantize.aware.in_training import (
    OBSERVER,
    Binary,
    Fixed,
    Learned,
    Rounding,
    first_step,
    put_in_training,
    put_training_to_an_end,
)
from efflab.quantize.folding import PAIRS, find_folds, fold_batch_norms
from efflab.quantize.grids import Bits, Grid
from efflab.quantize.sharing import GRANULARITIES
from efflab.quantize.weights import bits_of, check_zeros, quantizable_layers
from efflab.runtime.coded import refuse_coded
from efflab.training import Epochs, LearningRate, Progress, keep_best, train

METHODS = Choice(("straight-through", "LSQ"), "whether the steps of the grids learn, too")
Method = Annotated[str, METHODS]
WholeRows = Annotated[str, Choice(GRANULARITIES.options[:2], GRANULARITIES.label)]


@technique
def train_quantized(
    model: nn.Module,
    *,
    data: Data,
    bits: Bits | Mapping[str, Bits] = 4,
    activation_bits: ActivationBits = 8,
    granularity: WholeRows = "per channel",
    method: Method = "straight-through",
    epochs: Epochs = 3,
    learning_rate: LearningRate = 0.002,
    seed: int = 0,
    progress: Progress | None = None,
) -> nn.Module:
    """A copy of `model`, trained on grids: its weights lie on them, its layers read from them, batch norms are folded.

    The layers become `QuantizedLinear` and `QuantizedConv2d`. `bits` may be a mapping {layer: bits}; layers that it
    does not name keep float weights, which train, too. Weights that are zero stay zero. The result is the epoch that
    was best on validation data, the start included, which is quantization without training; stopped early, the best so
    far. With "LSQ" the step of each grid is trained, but not that of 1 bit, which is a mean.

    Raises:
        ValueError: the model has no plain linear layer or convolution; `bits` names one that is not there; a layer lies
        on a grid already, has weights that are computed from others, or has zeros and is to get 1 bit; what comes
        before a batch norm is not known; the loss became NaN.

    References: Jacob et al., 2018, arXiv 1712.05877; Bengio et al., 2013, arXiv 1308.3432; Esser et al., 2020, arXiv
    1902.08153.
    """
    refuse_coded(model, "this training puts floats on grids itself: give it the network before it was quantized")
    bits_of(quantizable_layers(model), bits)  # for its sentences: torch cannot copy every model
    with torch.inference_mode(False):
        trained = quantize_activations(
            _without_batch_norms(model, data), data=data, bits=activation_bits, observer=OBSERVER
        )
        roundings = _put_in_training(trained, bits, granularity, method)
        records = train(
            trained,
            data,
            epochs=epochs,
            learning_rate=learning_rate,
            seed=seed,
            keep_zeros=True,
            progress=progress,
        )
        keep_best(trained, data, records)
        for layers, rounding in roundings:
            put_training_to_an_end(layers, rounding)
    return trained


def _without_batch_norms(model: nn.Module, data: Data) -> nn.Module:
    """A copy without the batch norms that can be folded; the model itself if there are none."""
    has_norms = any(isinstance(one, tuple(PAIRS)) for one in model.modules())
    can_fold = has_norms and any(not fold.why for fold in find_folds(model))
    return fold_batch_norms(model, data=data) if can_fold else model


def _put_in_training(
    model: nn.Module, bits: int | Mapping[str, int], granularity: str, method: str
) -> list[tuple[tuple[nn.Module, ...], Rounding]]:
    """Let the layers see their weights on grids, in place; the layers that share a weight, and how it is rounded."""
    layers = quantizable_layers(model)
    found = []
    for name, n_bits in bits_of(layers, bits).items():
        try:
            rounding = _rounding(layers[name][0].get_parameter("weight"), n_bits, granularity, method)
        except ValueError as error:
            raise ValueError(f"layer {name!r} cannot be quantized: {error}") from error
        put_in_training(layers[name], rounding)
        found.append((layers[name], rounding))
    return found


def _rounding(weight: Tensor, bits: int, granularity: str, method: str) -> Rounding:
    grid = Grid(bits)
    check_zeros(weight, grid)
    if grid.is_binary:
        return Binary(granularity)
    step = first_step(weight, grid, granularity)
    return Learned(step, grid) if method == "LSQ" else Fixed(step, grid)
