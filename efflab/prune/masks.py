"""Masks: which weights stay. `True` is kept, `False` is removed.

Rank, do not threshold: asked for s of n, exactly `round(s * n)` weights go, whatever the ties; of equal
scores the first positions go first. A threshold taken from a sorted list removes one weight when asked for
none, and all of them when all are equal.

Reference: Han et al., 2015, arXiv 1506.02626. At work: `torch.nn.utils.prune`, which our tests compare with.
"""

from collections.abc import Mapping
from typing import Annotated

import torch
from torch import Tensor

from efflab.knobs import Choice, Range

Sparsity = Annotated[float, Range(0.0, 1.0, 0.01, "fraction of weights removed")]
Scope = Annotated[str, Choice(("global", "per layer"), "where weights compete to stay")]


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
    if bool(scores.isnan().any()):
        raise ValueError("scores hold NaN, so they cannot be ranked; check the weights")
    if n_removed == 0:
        return torch.ones_like(scores, dtype=torch.bool)
    flat = scores.flatten()
    last = flat.kthvalue(n_removed).values  # the largest score that still goes
    below, ties = flat < last, flat == last
    first_ties = ties & (ties.cumsum(0) <= n_removed - below.sum())
    return ~(below | first_ties).reshape(scores.shape)


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
