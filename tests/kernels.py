"""Rows of kernels as a lab would measure them, without a stopwatch, for the tests of pictures and panels."""

import support
import torch

from efflab.data import Classification
from efflab.lab.kernels import WAYS, Kernel
from efflab.measure import Difference, Evaluation

FACTORS = dict(zip(WAYS, (1.0, 2.0, 0.8, 0.9, 0.4, 0.5), strict=True))


def kernel(way: str, factor: float | None = None, *, n_bytes: int = 400_000, busy: bool = False) -> Kernel:
    """A way that takes `factor` ms, where the float file takes 1 ms; nine of ten images are right."""
    speed = support.product(0.5, FACTORS[way] if factor is None else factor, busy=busy).speed
    scores = torch.tensor([1.0] * 9 + [0.0])
    evaluation = Evaluation(torch.zeros(10, dtype=torch.int64), scores, 10, Classification())
    floats, integers = ("conv1", "Conv"), ("output", "QGemm")
    layers = {"float32": (floats,), "int8 weights": (floats,), "int8 dynamic": (floats, integers)}.get(way, (integers,))
    return Kernel(way, layers, n_bytes, n_bytes // 10, evaluation, Difference(-0.0125, -0.02, 0.0, 10), speed)


def all_kernels() -> tuple[Kernel, ...]:
    """Every way, measured."""
    return tuple(kernel(way) for way in WAYS)
