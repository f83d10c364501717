"""The shared values are those of scikit-learn's k-means from the same start."""

import itertools

import numpy as np
import pytest
from sklearn.cluster import KMeans

from efflab.quantize.codebook import STARTS, find_values, first_values


def weights(kind: str) -> np.ndarray:
    drawn = np.random.default_rng(3).laplace(size=3000)
    return {"all": drawn, "pruned": drawn[np.abs(drawn) > 1]}[kind]


def error(values: np.ndarray, found: np.ndarray) -> float:
    return float((np.abs(values[:, None] - found).min(axis=1) ** 2).mean())


@pytest.mark.parametrize(
    ("kind", "n", "start"),
    [
        *itertools.product(("all", "pruned"), (2, 4, 8, 32), ("random", "density")),
        *itertools.product(("all", "pruned"), (2, 4), ("linear",)),  # with more, some start where no weight is
    ],
)
def test_they_are_those_of_scikit_learn_from_the_same_start(kind, n, start):
    values = weights(kind)
    first = first_values(np.sort(values), n, start, np.random.default_rng(0))
    theirs = KMeans(n, init=first[:, None], n_init=1, tol=0, algorithm="lloyd", max_iter=300).fit(values[:, None])
    ours = find_values(values, n, start, np.random.default_rng(0))
    np.testing.assert_allclose(ours, np.sort(theirs.cluster_centers_.ravel()), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("n", [16, 64, 256])
@pytest.mark.parametrize("start", STARTS)
def test_many_values_are_as_close_as_those_of_scikit_learn(n, start):
    values = weights("pruned")
    ours = find_values(values, n, start, np.random.default_rng(0))
    first = first_values(np.sort(values), n, start, np.random.default_rng(0))
    theirs = KMeans(n, init=first[:, None], n_init=1, tol=0, max_iter=300).fit(values[:, None])
    assert len(ours) == n
    assert error(values, ours) <= 1.5 * theirs.inertia_ / len(values)


def test_a_linear_start_leaves_values_to_the_few_large_weights_and_the_others_do_not():
    values = weights("pruned")
    largest = np.abs(values) > np.quantile(np.abs(values), 0.999)
    found = {start: find_values(values, 16, start, np.random.default_rng(0)) for start in STARTS}
    errors = {start: error(values[largest], one) for start, one in found.items()}
    assert errors["linear"] < min(errors["random"], errors["density"]) / 3


def test_values_that_are_few_stay_as_they_are():
    values = np.array([3.0, -1.0, 3.0, 0.5])
    assert find_values(values, 4, "linear", np.random.default_rng(0)).tolist() == [-1.0, 0.5, 3.0]
    assert find_values(np.array([]), 4, "random", np.random.default_rng(0)).tolist() == []


def test_a_value_that_no_weight_is_next_to_moves_to_the_farthest_weight():
    values = np.array([0.0, 0.1, 0.5, 9.0, 10.0])  # starts at 0, 3.3, 6.7 and 10, and nothing is next to 3.3
    found = find_values(values, 4, "linear", np.random.default_rng(0))
    assert found.tolist() == pytest.approx([0.05, 0.5, 9.0, 10.0], rel=1e-12)


def test_density_puts_equally_many_weights_between_two_values():
    ordered = np.sort(np.random.default_rng(0).exponential(size=4000))
    first = first_values(ordered, 8, "density", np.random.default_rng(0))
    between = np.diff(np.searchsorted(ordered, first))
    assert between.min() >= 499
    assert between.max() <= 501
    assert np.searchsorted(ordered, first[[0, -1]]).tolist() == [250, 3750]  # and half as many outside


def test_a_weight_between_two_values_goes_to_the_smaller():
    assert find_values(np.array([0.0, 0.0, 1.0, 2.0, 2.0]), 2, "linear", np.random.default_rng(0)).tolist() == [
        1 / 3,
        2,
    ]


def test_another_start_is_refused():
    with pytest.raises(ValueError, match="start must be one of linear, random, density, not 'best'"):
        find_values(np.arange(9.0), 2, "best", np.random.default_rng(0))
