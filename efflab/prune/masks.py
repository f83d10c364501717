"""Masks: which weights stay. `True` is kept, `False` is removed.

Rank, do not threshold: asked for s of n, exactly `round(s * n)` weights go, whatever the ties; of equal
scores the first positions go first. A threshold taken from a sorted list removes one weight when asked for
none, and all of them when all are equal.

Reference: Han et al., 2015, arXiv 1506.02626. At work: `torch.nn.utils.prune`, which our tests compare with.
"""

from collections.abc import Mapping
from typing import Annotated

import numpy as np
import torch
from torch import Tensor

from efflab.knobs import Choice, Range

Sparsity = Annotated[float, Range(0.0, 1.0, 0.01, "fraction of weights removed")]
Scope = Annotated[str, Choice(("global", "per layer"), "who competes with whom to stay")]


def keep_largest(scores: Tensor, n_removed: int) -> Tensor:
    """A mask that removes exactly the `n_removed` smallest scores. scores: (any shape) -> same shape, bool.

    Example:
        >>> keep_largest(torch.tensor([3.0, 1.0, 1.0, 2.0]), n_removed=1)
        tensor([ True, False,  True,  True])

    Raises:
        ValueError: `n_removed` is not between 0 and the number of scores, or a score is NaN.
    """
    if not 0 <= n_removed <= scores.numel():
        raise ValueError(f"n_removed must lie between 0 and {scores.numel()}, not {n_removed}")
    if scores.numel() and bool(scores.max().isnan()):  # torch's maximum is NaN as soon as one score is
        raise ValueError("scores hold NaN, so they cannot be ranked; check the weights")
    if n_removed == 0:
        return torch.ones_like(scores, dtype=torch.bool)
    flat = scores.flatten()
    last = _smallest(flat, n_removed)  # the largest score that still goes
    kept = flat > last
    n_missing = len(flat) - n_removed - int(kept.count_nonzero())
    if n_missing:
        ties = (flat == last).nonzero().flatten()
        kept[ties[-n_missing:]] = True  # the first of them go, so the last stay
    return kept.reshape(scores.shape)


def masks_for(scores: Mapping[str, Tensor], sparsity: float | Mapping[str, float], scope: str) -> dict[str, Tensor]:
    """The mask of each layer. {layer: (any shape)} -> {layer: same shape, bool}.

    `scope` "global" lets all layers compete; "per layer" removes the same fraction of each. A mapping gives
    each layer its own fraction; layers that it does not name keep all.

    Raises:
        ValueError: the mapping names a layer that is not there.
    """
    if isinstance(sparsity, Mapping):
        if unknown := sorted(set(sparsity) - set(scores)):
            raise ValueError(f"sparsity names {unknown[0]!r}; the layers that can be pruned are: {', '.join(scores)}")
        return {name: keep_largest(s, round(sparsity.get(name, 0.0) * s.numel())) for name, s in scores.items()}
    if scope == "per layer":
        return {name: keep_largest(s, round(sparsity * s.numel())) for name, s in scores.items()}
    together = torch.cat([s.flatten() for s in scores.values()])
    kept = keep_largest(together, round(sparsity * together.numel()))
    parts = kept.split([s.numel() for s in scores.values()])
    return {name: part.reshape(s.shape) for part, (name, s) in zip(parts, scores.items(), strict=True)}


def _smallest(scores: Tensor, n: int) -> float:
    """The n-th smallest of the scores, counted from 1: (k,) -> what `scores.kthvalue(n)` gives, in less time."""
    lowest = scores.min()
    above = scores > lowest
    n_lowest = len(scores) - int(above.count_nonzero())
    if n <= n_lowest:
        return lowest.item()
    if n_lowest > 1:  # the zeros of an earlier pruning; NumPy is slow where many are equal
        scores, n = scores[above], n - n_lowest
    exact = scores.float() if scores.dtype == torch.bfloat16 else scores  # a type that NumPy does not know
    value: float = np.partition(exact.numpy(force=True), n - 1)[n - 1].item()
    return value
