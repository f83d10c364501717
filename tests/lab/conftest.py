"""What the tests of the lab share: small data, a small lab, and a technique that notes down its calls."""

import copy
import dataclasses
from typing import Annotated

import pytest
import support
from torch import nn

from efflab.data import Data, Split
from efflab.knobs import Range, technique
from efflab.lab import Lab
from efflab.lab import measuring as measuring_module

Factor = Annotated[float, Range(0.5, 2.0, 0.25, "factor of all weights")]


@pytest.fixture
def data() -> Data:
    """1,000 validation images, which are eight chunks, and few to train on."""
    whole = support.tiny_data(n=4000)
    return dataclasses.replace(whole, train=Split(whole.train.images[:60], whole.train.labels[:60]))


@pytest.fixture
def lab(data) -> Lab:
    return Lab(support.tiny_cnn(2), data)


@pytest.fixture
def calls() -> list[str]:
    """What `counted` noted down, one entry a call."""
    return []


@pytest.fixture
def counted(calls):
    @technique
    def scale(model: nn.Module, *, factor: Factor = 1.0) -> nn.Module:
        calls.append(f"scale {factor}")
        scaled = copy.deepcopy(model)
        scaled.output.weight.data.mul_(factor)
        return scaled

    return scale


class StubStopwatch:
    """Takes no time; hands over what it was given."""

    def __init__(self) -> None:
        self.requests: list[dict[str, object]] = []

    def compare(self, base, now, **settings):
        self.requests.append({"base": base.path.read_bytes(), "now": now.path.read_bytes(), **settings})
        stale = settings["stale"]
        return None if stale and stale() else "a speed"


@pytest.fixture
def stopwatch_stub(monkeypatch) -> StubStopwatch:
    stub = StubStopwatch()
    monkeypatch.setattr(measuring_module, "stopwatch", lambda: stub)
    return stub
