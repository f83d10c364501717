"""What several tests build on: small data, small networks, and ways to compare two networks bit for bit."""

import itertools
import linecache
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from efflab import models
from efflab.data import Data, Split
from efflab.knobs import Technique, technique

N_CLASSES = 3
SHAPE = (1, 8, 8)


def tiny_data(*, n: int = 200, seed: int = 0, noise: float = 1.0) -> Data:
    """Images of 8x8 noise, brighter with the class: a network learns them within an epoch or two."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(n) % N_CLASSES
    brightness = (labels - 1)[:, None, None, None] * 0.6
    images = torch.randn(n, *SHAPE, generator=generator) * noise + brightness
    ends = [0, int(0.65 * n), int(0.9 * n), n]
    train, validation, test = (Split(images[a:b].clone(), labels[a:b].clone()) for a, b in itertools.pairwise(ends))
    calibration = Split(train.images[:20].clone(), train.labels[:20].clone())
    return Data("tiny", train, validation, test, calibration, ("dark", "grey", "light"))


def tiny_cnn(seed: int = 0) -> models.Network:
    """Three convolutions without biases, batch normalisation between them, and an output with a bias: 366 weights."""
    return models.build("cnn", seed=seed, shape=SHAPE, n_classes=N_CLASSES, sizes=(2,))


def tiny_mlp(seed: int = 0) -> models.Network:
    """64 inputs, 12 and 8 hidden units, 3 classes: 888 weights."""
    return models.build("mlp", seed=seed, shape=SHAPE, n_classes=N_CLASSES, sizes=(12, 8))


def bits(model: nn.Module) -> dict[str, bytes]:
    """Every parameter and buffer as its bytes, so that -0.0 and 0.0, or two NaNs, are told apart."""
    tensors = (dict(model.named_parameters()) | dict(model.named_buffers())).items()
    return {name: tensor.detach().contiguous().numpy().tobytes() for name, tensor in tensors}


def storages(model: nn.Module) -> set[int]:
    """Where the memory of each parameter and buffer starts."""
    found = {tensor.untyped_storage().data_ptr() for tensor in _tensors(model)}
    assert found
    return found


def count_zeros(model: nn.Module) -> int:
    """Zeros in the matrices and kernels, which are what pruning removes."""
    return sum(int((weight == 0).sum()) for weight in _weights(model))


def count_weights(model: nn.Module) -> int:
    """Numbers in the matrices and kernels."""
    return sum(weight.numel() for weight in _weights(model))


def define(source: str, name: str, cell: str) -> Technique[...]:
    """What running `source` in a notebook cell leaves under `name`; `cell` is a file name of its own."""
    linecache.cache[cell] = (len(source), None, source.splitlines(keepends=True), cell)
    scope: dict[str, Any] = {"__name__": "__main__", "nn": nn, "torch": torch, "technique": technique}
    exec(compile(source, cell, "exec"), scope)
    return scope[name]


def _tensors(model: nn.Module) -> Iterator[Tensor]:
    yield from model.parameters()
    yield from model.buffers()


def _weights(model: nn.Module) -> list[Tensor]:
    weights = [parameter.detach() for parameter in model.parameters() if parameter.ndim > 1]
    assert weights
    return weights
