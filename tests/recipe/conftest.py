"""What the tests of recipes share: small data, and a technique that is not one of `TECHNIQUES`."""

from collections.abc import Mapping
from typing import Annotated

import pytest
import support
from torch import nn

from efflab.data import Data
from efflab.knobs import Range, Technique, technique

Factor = Annotated[float, Range(0.5, 2.0, 0.1, "factor of all weights")]


@technique
def scale(model: nn.Module, *, factor: Factor | Mapping[str, Factor] = 2.0) -> nn.Module:
    """A linear layer with its weight multiplied."""
    scaled = nn.Linear(1, 1, bias=False)
    scaled.weight = nn.Parameter(model.weight.detach() * factor)
    return scaled


@pytest.fixture(name="scale")
def own_technique() -> Technique[...]:
    """A technique that a learner wrote."""
    return scale


@pytest.fixture(scope="module")
def data() -> Data:
    return support.tiny_data()
