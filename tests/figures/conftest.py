"""Results made by hand, so that every number in a picture is known beforehand."""

from collections.abc import Callable

import pytest
import torch

from efflab.data import Classification
from efflab.lab import Preview
from efflab.measure import Evaluation, Size, TensorSize, compare
from efflab.prune import fine_tune, prune_weights
from efflab.recipe import step

N = 1000


def _evaluation(n_right: int, n: int = N, n_total: int = N) -> Evaluation:
    scores = (torch.arange(n) < n_right).float()
    return Evaluation(torch.zeros(n, dtype=torch.int64), scores, n_total, Classification())


def _size(*tensors: tuple[str, int, int]) -> Size:
    found = tuple(
        TensorSize(name, n, kept, 4 * n, 4 * kept + n // 8, "bitmask", name.endswith("weight") and "norm" not in name)
        for name, n, kept in tensors
    )
    return Size(found, sum(t.n for t in found), sum(t.n_nonzero for t in found))


@pytest.fixture
def evaluation() -> Callable[..., Evaluation]:
    """Make an evaluation with the first `n_right` of `n` images right."""
    return _evaluation


@pytest.fixture
def size() -> Callable[..., Size]:
    """Make a size of (name, numbers, non-zeros)."""
    return _size


@pytest.fixture
def baseline() -> Evaluation:
    return _evaluation(946)


@pytest.fixture
def visit(baseline: Evaluation) -> Callable[..., Preview]:
    """Make the preview of a pruned network, fine-tuned or not."""

    def make(sparsity: object, n_right: int, *, tuned: bool = False, n: int = N, **options: str) -> Preview:
        recipe = (step(prune_weights, sparsity=sparsity, **options),)
        now, whole = _evaluation(n_right, n), _size(("a.weight", 100, 100), ("b.weight", 300, 300))
        return Preview(recipe + (step(fine_tune),) * tuned, now, compare(baseline, now), whole, whole)

    return make
