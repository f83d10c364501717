"""Weight sharing: the weights of a layer take a few values, found by clustering, and the values are trained.

Reference: Han et al., Deep Compression: compressing deep neural networks with pruning, trained quantization and Huffman
coding, 2016, arXiv 1510.00149, section 3.

Where we simplify: the network computes with floats as before, so only the bytes get fewer. At work: Core ML's
palettization, or the codebooks of llama.cpp's "IQ" formats for language models.
"""

from collections.abc import Mapping
from typing import Annotated

import numpy as np
import torch
from torch import nn

from efflab.data import Data
from efflab.knobs import Choice, technique
from efflab.quantize.codebook.clustering import STARTS, find_values
from efflab.quantize.grids import Bits, check_finite
from efflab.quantize.weights import bits_of, quantizable_layers
from efflab.runtime.coded import coded_layers
from efflab.runtime.quantized import quantized_layers
from efflab.runtime.shared import put_in_codebook, shared_layers
from efflab.training import (
    Epochs,
    LearningRate,
    Progress,
    copy_model,
    keep_best,
    train,
)

Start = Annotated[str, Choice(STARTS, "where the shared values start")]


@technique
def share_weights(
    model: nn.Module, *, bits: Bits | Mapping[str, Bits] = 4, start: Start = "linear", seed: int = 0
) -> nn.Module:
    """A copy of `model` in which the weights of each linear layer and convolution share 2**bits values.

    The layers become `SharedLinear` and `SharedConv2d`, which know their codebook and give the indices. Zeros stay zero
    and take no value, so of a pruned layer only what is left is clustered. `bits` may be a mapping {layer: bits};
    layers that it does not name stay float. A layer with fewer different weights gets fewer values.

    Example:
        >>> layer = nn.Linear(4, 1, bias=False)
        >>> layer.weight.data = torch.tensor([[1.0, 1.5, 0.0, -3.0]])
        >>> shared = share_weights(layer, bits=1)
        >>> shared.weight.data, shared.codebook, shared.indices()
        (tensor([[ 1.2500,  1.2500,  0.0000, -3.0000]]), tensor([-3.0000,  1.2500]), tensor([[ 1,  1, -1,  0]]))

    Raises:
        ValueError: the model has no plain linear layer or convolution; `bits` names one that is not there; a weight
        has a code already, is computed from others, or holds NaN.

    Reference: Han et al., 2016, arXiv 1510.00149, section 3.
    """
    _refuse_activation_grids(model)
    generator = np.random.default_rng(seed)
    with torch.inference_mode(False), torch.no_grad():
        quantizable_layers(model, bits)  # for its sentences: torch cannot copy every model
        shared = copy_model(model)
        layers = quantizable_layers(shared, bits)
        for name, n_bits in bits_of(layers, bits).items():
            try:
                _share(layers[name], 2**n_bits, start, generator)
            except ValueError as error:
                raise ValueError(f"the weights of layer {name!r} cannot be shared: {error}") from error
    return shared


@technique
def train_centroids(
    model: nn.Module,
    *,
    data: Data,
    epochs: Epochs = 3,
    learning_rate: LearningRate = 0.001,
    seed: int = 0,
    progress: Progress | None = None,
) -> nn.Module:
    """A copy of `model` with its shared values trained: a value gets the summed gradient of its weights.

    Which weight has which value stays, and so do the zeros; biases, batch norms and layers without a codebook train
    too. The result is the epoch that was best on validation data, the start included; stopped early, the best so far.

    Raises:
        ValueError: no layer has a codebook, or one lies on a grid.

    Reference: Han et al., 2016, arXiv 1510.00149, section 3.3, equation 3.
    """
    if not shared_layers(model):
        raise ValueError(f"{type(model).__name__} has no layer whose weights share values: share_weights comes first")
    for name, layer in quantized_layers(model).items():
        raise ValueError(
            f"layer {name!r} has {layer.code}, and here only shared values train: share its weights as well, from the "
            "float network"
        )
    tuned = copy_model(model)
    records = train(
        tuned,
        data,
        epochs=epochs,
        learning_rate=learning_rate,
        seed=seed,
        keep_zeros=True,
        keep_codes=True,
        progress=progress,
    )
    keep_best(tuned, data, records)
    return tuned


def _refuse_activation_grids(model: nn.Module) -> None:
    for name, layer in coded_layers(model).items():
        if not layer.has_coded_weight:
            raise ValueError(
                f"layer {name!r} has {layer.code}, and no kernel reads them beside a codebook: share the values of the "
                "float network"
            )


def _share(layers: tuple[nn.Module, ...], n_values: int, start: str, generator: np.random.Generator) -> None:
    """Put the one weight of some layers into a codebook, in place."""
    weight = layers[0].get_parameter("weight")
    check_finite("weight", weight)
    is_kept = weight != 0
    kept = weight[is_kept]
    values = find_values(kept.double().numpy(force=True), n_values, start, generator)
    codebook = torch.from_numpy(values).to(weight).unique()
    midpoints = (codebook[1:] + codebook[:-1]) / 2
    weight[is_kept] = codebook[torch.bucketize(kept, midpoints)]
    stored = codebook[codebook != 0]  # the mean of some weights may be 0, which removes them
    for layer in layers:
        put_in_codebook(layer, stored)
