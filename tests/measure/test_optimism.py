"""How optimistic validation was, against the examples that were published with the method."""

import pytest
import torch

from efflab.data import Classification, wilson
from efflab.measure import Evaluation, Optimism, optimism_of, scored

NEWCOMBE = [
    ((56, 70), (48, 80), (0.0524, 0.3339)),
    ((9, 10), (3, 10), (0.1705, 0.8090)),
    ((6, 7), (2, 7), (0.0582, 0.8062)),
    ((5, 56), (0, 29), (-0.0381, 0.1926)),
    ((0, 10), (0, 20), (-0.1611, 0.2775)),
    ((0, 10), (0, 10), (-0.2775, 0.2775)),
    ((10, 10), (0, 20), (0.6791, 1.0)),
    ((10, 10), (0, 10), (0.6075, 1.0)),
]
"""Table II of Newcombe, 1998, method 10: right and all of two samples, and the interval of the difference."""


def of(n_right: int, n: int) -> tuple[float, float, float]:
    return n_right / n, *wilson(n_right, n)


@pytest.mark.parametrize(("validation", "test", "ends"), NEWCOMBE)
def test_the_interval_is_the_published_one(validation, test, ends):
    found = optimism_of(of(*validation), of(*test))
    assert found.value == pytest.approx(validation[0] / validation[1] - test[0] / test[1])
    assert (found.low, found.high) == pytest.approx(ends, abs=5e-5)


@pytest.mark.parametrize(
    ("ends", "verdict"),
    [
        ((0.05, 0.001, 0.1), "validation was too optimistic"),
        ((0.05, 0.0, 0.1), "no measurable difference"),
        ((-0.05, -0.1, 0.0), "no measurable difference"),
        ((-0.05, -0.1, -0.001), "validation was too pessimistic"),
    ],
)
def test_only_an_interval_without_zero_is_a_verdict(ends, verdict):
    assert Optimism(*ends).verdict == verdict


def test_an_evaluation_is_scored_with_its_own_interval():
    right = Evaluation(torch.zeros(70), (torch.arange(70) < 56).float(), 70, Classification())
    assert scored(right) == pytest.approx(of(56, 70))
