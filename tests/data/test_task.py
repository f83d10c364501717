import math

import numpy as np
import pytest
import torch
from scipy.stats import binomtest

from efflab.data import Classification, wilson
from efflab.data.task import matched_difference


@pytest.mark.parametrize(("n_right", "n"), [(0, 1), (1, 1), (0, 20), (95, 100), (1881, 2000), (2000, 2000)])
def test_wilson_gives_the_interval_that_scipy_gives(n_right: int, n: int) -> None:
    reference = binomtest(n_right, n).proportion_ci(0.95, method="wilson")
    assert wilson(n_right, n) == pytest.approx((reference.low, reference.high), abs=1e-12)


@pytest.mark.parametrize(("n_right", "n"), [(0, 0), (-1, 5), (6, 5)])
def test_wilson_names_both_counts_when_they_do_not_fit(n_right: int, n: int) -> None:
    with pytest.raises(ValueError, match=f"n_right={n_right}, n={n}"):
        wilson(n_right, n)


def test_loss_is_the_mean_negative_log_probability_of_the_right_class() -> None:
    outputs = torch.tensor([[0.0, 0.0], [0.0, math.log(3.0)]])  # probabilities 1/2, 1/2 and 1/4, 3/4
    loss = Classification().loss(outputs, torch.tensor([0, 1]))
    assert loss.item() == pytest.approx((math.log(2) + math.log(4 / 3)) / 2)


def test_answers_are_the_classes_with_the_largest_output_and_score_one_when_right() -> None:
    task = Classification()
    answers = task.answers(torch.tensor([[0.1, 0.9, 0.0], [2.0, 1.0, 0.0]]))
    assert answers.tolist() == [1, 0]
    assert task.scores(answers, torch.tensor([1, 2])).tolist() == [1.0, 0.0]


def test_interval_of_scores_is_that_of_their_count() -> None:
    scores = torch.tensor([1.0] * 9 + [0.0])
    assert Classification().interval(scores) == wilson(9, 10)


def test_matched_difference_is_the_normal_interval_after_half_an_example_was_added_to_each_cell() -> None:
    n_gained, n_lost, n = 12, 30, 540
    values, weights = np.array([1, -1, 0]), np.array([n_gained + 0.5, n_lost + 0.5, n - n_gained - n_lost + 1])
    mean = np.average(values, weights=weights)
    error = np.sqrt(np.average((values - mean) ** 2, weights=weights) / weights.sum())
    expected = (mean - 1.959963984540054 * error, mean + 1.959963984540054 * error)
    assert matched_difference(n_gained, n_lost, n) == pytest.approx(expected, abs=1e-12)


def test_interval_of_difference_counts_only_examples_that_changed() -> None:
    base, now = torch.tensor([1.0, 1.0, 0.0, 0.0]), torch.tensor([1.0, 0.0, 1.0, 0.0])
    assert Classification().interval_of_difference(base, now) == matched_difference(1, 1, 4)
