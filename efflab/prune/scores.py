"""How much each weight matters: a score goes in, a mask comes out (`masks.py`). The smallest scores are removed.

References:
    Magnitude: Han et al., Learning both weights and connections for efficient neural networks, 2015, arXiv 1506.02626.
    Random as a control: Blalock et al., What is the state of neural network pruning?, 2020, arXiv 2003.03033.
"""

from collections.abc import Mapping
from typing import Annotated

import torch
from torch import Tensor

from efflab.knobs import Choice

Criterion = Annotated[str, Choice(("magnitude", "random"), "which weights go first")]


def magnitude(weight: Tensor) -> Tensor:
    """The absolute value of each weight. (any shape) -> same shape."""
    return weight.abs()


def random(weight: Tensor, generator: torch.Generator) -> Tensor:
    """A random number between 0 and 1 for each weight, 0 where it is gone already. (any shape) -> same shape."""
    return torch.rand(weight.shape, generator=generator) * (weight != 0)


def score(weights: Mapping[str, Tensor], criterion: Criterion, *, seed: int) -> dict[str, Tensor]:
    """The score of every weight of every layer; higher matters more. {layer: (any shape)} -> same shapes."""
    if criterion == "magnitude":
        return {name: magnitude(weight) for name, weight in weights.items()}
    generator = torch.Generator().manual_seed(seed)
    return {name: random(weight, generator) for name, weight in weights.items()}
