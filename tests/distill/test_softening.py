"""Softening: NumPy's and SciPy's numbers, values worked by hand, and what a temperature does at its ends."""

import itertools

import numpy as np
import pytest
import torch
from scipy.special import softmax
from scipy.stats import entropy

from efflab.distill import dark_knowledge, entropy_bits, soften


def rand(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0, 20.0])
def test_softened_answers_are_those_of_scipy(temperature):
    logits = 5 * rand(0, 7, 4)
    theirs = softmax(logits.numpy() / temperature, axis=1)
    np.testing.assert_allclose(soften(logits, temperature), theirs, rtol=1e-12)
    np.testing.assert_allclose(soften(logits[3], temperature), theirs[3], rtol=1e-12)


def test_a_low_temperature_leaves_one_answer_and_a_high_one_leaves_them_equal():
    logits = torch.tensor([[3.0, 1.0, 2.0]])
    assert soften(logits, 0.001).tolist() == [[1.0, 0.0, 0.0]]
    assert soften(logits, 1e6)[0].tolist() == pytest.approx([1 / 3] * 3, abs=1e-5)


def test_the_ratio_of_two_classes_is_its_root_at_temperature_two():
    cold, warm = (soften(torch.tensor([16.0, 1.0]).log(), temperature) for temperature in (1.0, 2.0))
    assert (cold[0] / cold[1]).item() == pytest.approx(16)
    assert (warm[0] / warm[1]).item() == pytest.approx(4)


def test_huge_logits_are_no_nan():
    assert soften(torch.tensor([[3e38, 0.0]]), 1.0).tolist() == [[1.0, 0.0]]


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan"), float("inf")])
def test_a_temperature_that_is_not_above_zero_is_refused(temperature):
    with pytest.raises(ValueError, match=f"temperature must be a number above 0, not {temperature}"):
        soften(torch.zeros(2, 3), temperature)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_logit_that_is_no_number_is_refused_with_its_place(value):
    logits = torch.zeros(2, 3)
    logits[1, 2] = value
    with pytest.raises(ValueError, match=rf"logits holds {value} at position \(1, 2\)"):
        soften(logits, 1.0)


@pytest.mark.parametrize("shape", [(), (2, 3, 4)])
def test_logits_of_another_shape_are_refused(shape):
    with pytest.raises(ValueError, match=r"logits must have the shape \(n, classes\) or \(classes,\), not"):
        soften(torch.zeros(shape), 1.0)


def test_logits_of_no_image_are_refused():
    with pytest.raises(ValueError, match="logits must hold at least one value"):
        soften(torch.zeros(0, 3), 1.0)


def test_entropy_is_that_of_scipy_in_bits():
    probabilities = torch.softmax(3 * rand(1, 9, 5), dim=1)
    np.testing.assert_allclose(entropy_bits(probabilities), entropy(probabilities.numpy(), base=2, axis=1), rtol=1e-12)


def test_entropy_is_zero_when_sure_and_the_logarithm_of_the_classes_when_not():
    answers = torch.tensor([[0.0, 1.0, 0.0, 0.0], [0.25, 0.25, 0.25, 0.25], [0.5, 0.0, 0.5, 0.0]])
    assert entropy_bits(answers).tolist() == [0.0, 2.0, 1.0]
    assert entropy_bits(answers[1]).item() == 2.0


def test_a_higher_temperature_has_more_doubt():
    logits = rand(2, 20, 10)
    doubts = [entropy_bits(soften(logits, temperature)) for temperature in (0.5, 1.0, 2.0, 4.0, 20.0)]
    assert all(bool((colder < warmer).all()) for colder, warmer in itertools.pairwise(doubts))


@pytest.mark.parametrize("wrong", [[1.5, -0.5], [2.0, 3.0], [0.2, 0.2]])
def test_what_is_no_probability_has_no_entropy(wrong):
    with pytest.raises(ValueError, match="probabilities must be 0 or more and add up to 1"):
        entropy_bits(torch.tensor([wrong]))


def test_dark_knowledge_is_the_mean_answer_to_each_class():
    logits, labels = 3 * rand(3, 12, 4), torch.tensor([0, 1, 3] * 4)
    found = dark_knowledge(logits, labels, 2.0, 4)
    answers = softmax(logits.numpy() / 2.0, axis=1)
    for label in (0, 1, 3):
        np.testing.assert_allclose(found[label], answers[labels.numpy() == label].mean(axis=0), rtol=1e-12)
    assert found.shape == (4, 4)
    assert found[2].isnan().all()


def test_dark_knowledge_needs_a_column_and_a_label_for_each_class():
    with pytest.raises(ValueError, match="a column for each of 4 classes, not 3"):
        dark_knowledge(torch.zeros(2, 3), torch.tensor([0, 1]), 1.0, 4)
    with pytest.raises(ValueError, match="labels must lie between 0 and 2, not between 0 and 3"):
        dark_knowledge(torch.zeros(2, 3), torch.tensor([0, 3]), 1.0, 3)
