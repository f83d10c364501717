"""Networks whose groups are known, with random weights, and images for them."""

from collections.abc import Callable
from dataclasses import dataclass

import networks
import pytest
import torch
from torch import nn

from efflab import models

BUILDERS: dict[str, tuple[Callable[[], nn.Module], tuple[int, int, int]]] = {
    **{name: (lambda name=name: models.build(name), (1, 28, 28)) for name in ("mlp", "lenet5", "cnn", "resnet8")},
    "resnet18": (networks.resnet18, (3, 64, 64)),
    "mobilenet_v2": (networks.mobilenet_v2, (3, 64, 64)),
}


@dataclass(frozen=True)
class Subject:
    """A network and what it takes."""

    name: str
    model: nn.Module
    shape: tuple[int, int, int]

    @property
    def images(self) -> torch.Tensor:
        """(2, *shape)."""
        return torch.rand(2, *self.shape, generator=torch.Generator().manual_seed(7))


@pytest.fixture(params=BUILDERS)
def subject(request: pytest.FixtureRequest) -> Subject:
    """Each of the networks; its batch norms scale, shift and remember numbers that are not all alike."""
    build, shape = BUILDERS[request.param]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = build().eval()
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                nn.init.uniform_(module.weight, 0.5, 1.5)
                nn.init.normal_(module.bias, std=0.1)
                nn.init.normal_(module.running_mean, std=0.1)
                nn.init.uniform_(module.running_var, 0.5, 1.5)
    return Subject(request.param, model, shape)
