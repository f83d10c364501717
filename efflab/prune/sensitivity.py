"""Which layers bear pruning: each layer is pruned alone, the others stay whole.

Reference: Han et al., Learning both weights and connections for efficient neural networks, 2015, arXiv
1506.02626, section 5 and figure 6.
"""

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torch import nn

from efflab.data import Classification, Split
from efflab.measure import Evaluation, evaluate
from efflab.prune.masks import keep_largest
from efflab.prune.scores import magnitude
from efflab.prune.weights import prunable_weights

SPARSITIES = (0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)


@dataclass(frozen=True, eq=False)
class Point:
    """The network with one layer pruned to one sparsity, the others whole."""

    layer: str
    sparsity: float
    evaluation: Evaluation


def scan_sensitivity(
    model: nn.Module, split: Split, task: Classification, *, sparsities: Sequence[float] = SPARSITIES
) -> Iterator[Point]:
    """Yield a point for each layer and sparsity, evaluated on all of `split`, in the order of the network.

    Raises:
        ValueError: no layer can be pruned, or a sparsity is not between 0 and 1.
    """
    if wrong := [sparsity for sparsity in sparsities if not 0 <= sparsity <= 1]:
        raise ValueError(f"sparsities must lie between 0 and 1, not {wrong[0]!r}")
    scratch = copy.deepcopy(model)
    for layer, weight in prunable_weights(scratch).items():
        whole = weight.clone()
        scores = magnitude(whole)
        for sparsity in sparsities:
            weight.copy_(whole * keep_largest(scores, round(sparsity * weight.numel())))
            *_, evaluation = evaluate(scratch, split, task)
            yield Point(layer, sparsity, evaluation)
        weight.copy_(whole)
