"""What several tests build on: small data, small networks, and ways to compare two networks bit for bit."""

import itertools
import linecache
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from efflab import Lab, models
from efflab.data import Data, Split
from efflab.knobs import Technique, technique
from efflab.lab.states import ROWS, State
from efflab.measure.kernel_speed import KernelSpeed
from efflab.measure.speed import Speed, TorchStopwatch, summarise
from efflab.runtime import Artefact

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


def tiny_both(seed: int = 0) -> nn.Sequential:
    """The same three convolutions, then 6 hidden units and the output."""
    *body, _ = tiny_cnn(seed).named_children()
    hidden = models.build("mlp", seed=seed, shape=(8, 1, 1), n_classes=N_CLASSES, sizes=(6,))
    ends = [("hidden", hidden.hidden1), ("relu4", hidden.relu1), ("output", hidden.output)]
    return nn.Sequential(OrderedDict([*body, *ends])).eval()


def tiny_all(seed: int = 0) -> nn.Sequential:
    """The same behind an attention with 2 heads, whose tokens are the rows of the image: heads can go, too."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        attention = models.SelfAttention(SHAPE[2], n_heads=2)
    return nn.Sequential(OrderedDict([("attention", attention), *tiny_both(seed).named_children()])).eval()


def before(name: str) -> dict[str, dict[str, int]]:
    """The techniques that must have run before one can act, with their settings."""
    needs: dict[str, dict[str, dict[str, int]]] = {
        "train_centroids": {"share_weights": {}},
        "correct_biases": {"quantize_weights": {"bits": 6}},
    }
    return needs.get(name, {})


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


class AnsweringStopwatch(TorchStopwatch):
    """Answers at once; remembers which files it was given, and their bytes."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[str, str, int, object, object]] = []

    def compare(
        self, base: Artefact, now: Artefact, *, stale: Callable[[], bool] | None = None, **settings: object
    ) -> Speed | None:
        if stale is not None and stale():
            return None
        self.asked.append((base.path.name, now.path.name, now.n_bytes, settings["batch"], settings["threads"]))
        return product(0.5, 1.0, batch=settings["batch"]).speed


def tiny_lab(seed: int = 0) -> Lab:
    """A lab of the tiny CNN on the tiny data."""
    return Lab(tiny_cnn(), tiny_data(), seed=seed)


def product(sparsity: float, factor: float, *, busy: bool = False, **changes: Any) -> KernelSpeed:
    """A sparse product 64x32 at batch 1 that takes `factor` ms, where the dense one takes 1 ms."""
    answer = {"rounds": [[0.001, 0.001, 0.001 * factor]] * 8, "wall_s": 1.0, "cpu_s": 0.5 if busy else 1.0}
    speed = summarise(answer, batch=changes.pop("batch", 1), threads=changes.pop("threads", 1), machine="a machine")
    return replace(KernelSpeed("csr", 64, 32, sparsity, 1, speed), **changes)


def state(name: str, runtime: str, factor: float = 1.0, *, n_bytes: int = 400_000, busy: bool = False) -> State:
    """A state that takes `factor` ms, where the base takes 1 ms and 1 MB; zipped, each is a tenth of its bytes."""
    speed = product(0.5, factor, busy=busy).speed
    return State(name, runtime, n_bytes, n_bytes // 10, 1_000_000, 100_000, speed)


def four_states(**factors: float) -> tuple[State, ...]:
    """All states in all runtimes; factors: by name, 1 unless given."""
    return tuple(state(name, runtime, factors.get(name, 1.0)) for name, runtime in ROWS)
