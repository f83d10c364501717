"""A teacher's answers to the validation images: NumPy's numbers, the order of doubt, and what is refused."""

import numpy as np
import pytest
import support
import torch
from scipy.special import softmax
from scipy.stats import entropy
from torch import nn

from efflab import fine_tune, step
from efflab.lab import Lab
from efflab.lab.soft_answers import SoftAnswers, soft_answers


@pytest.fixture(scope="module")
def lab() -> Lab:
    """A teacher that has learned a little."""
    return Lab(support.tiny_mlp(), support.tiny_data()).after((step(fine_tune, epochs=2),))


@pytest.fixture(scope="module")
def answers(lab) -> SoftAnswers:
    return soft_answers(lab)


@pytest.fixture(scope="module")
def plain(lab):
    """What the teacher says at the temperature 1, by NumPy, in the order of the data."""
    with torch.no_grad():
        return softmax(lab.build(())(lab.data.validation.images).double().numpy(), axis=1)


def test_the_order_of_doubt_is_that_of_scipys_entropy(answers, plain):
    bits = entropy(plain, base=2, axis=1)
    in_order = [answers.at(place, 1.0).plain_bits for place in range(1, len(plain) + 1)]
    np.testing.assert_allclose(in_order, np.sort(bits), rtol=1e-9)


def test_an_answer_is_the_softmax_of_the_logits_of_its_own_image(answers, lab, plain):
    validation = lab.data.validation
    for place in (1, 20, len(plain)):
        position = int(answers.order[place - 1])
        one = answers.at(place, 2.0)
        assert torch.equal(one.image, validation.images[position])
        assert one.label == int(validation.labels[position])
        np.testing.assert_allclose(one.plain.numpy(), plain[position], rtol=1e-6)
        root = np.sqrt(plain[position])
        np.testing.assert_allclose(one.probabilities.numpy(), root / root.sum(), rtol=1e-6)
        assert one.answer == plain[position].argmax()
        assert one.bits > one.plain_bits


def test_the_wrong_ones_are_found_where_they_stand_in_the_order(answers, lab):
    n = len(lab.data.validation)
    expected = [place for place in range(1, n + 1) if (one := answers.at(place, 1.0)).answer != one.label]
    assert list(answers.wrong) == expected
    assert 0 < len(expected) < n
    assert answers.teaching.value == pytest.approx(1 - len(expected) / n)


def test_what_looks_alike_is_the_mean_answer_to_each_class(answers, lab, plain):
    found, labels = answers.alike(1.0), lab.data.validation.labels.numpy()
    for label in range(support.N_CLASSES):
        np.testing.assert_allclose(found[label].numpy(), plain[labels == label].mean(axis=0), rtol=1e-6)


def test_the_teacher_looks_once(lab):
    calls = []

    class Counting(nn.Module):
        def __init__(self, inner):
            super().__init__()
            self.inner = inner

        def forward(self, images):
            calls.append(len(images))
            return self.inner(images)

    own = Lab(Counting(lab.build(())), lab.data)
    found = soft_answers(own)
    calls.clear()
    for temperature in (0.5, 2.0, 20.0):
        found.alike(temperature)
        found.at(3, temperature)
    assert calls == []


def test_a_teacher_that_is_not_the_base_is_the_one_that_is_asked(lab, answers):
    own = Lab(support.tiny_mlp(3), lab.data, teacher=lab.build(()))
    assert torch.equal(soft_answers(own).logits, answers.logits)
    assert soft_answers(own).teaching.value == answers.teaching.value != own.baseline.value


@pytest.mark.parametrize("place", [0, 51, -1])
def test_a_place_that_there_is_not_is_refused(answers, place):
    with pytest.raises(ValueError, match=rf"place must lie between 1 .* and 50 .*, not {place}"):
        answers.at(place, 1.0)


def test_a_teacher_with_more_answers_than_classes_is_refused():
    wide = nn.Sequential(nn.Flatten(), nn.Linear(64, 5))
    with pytest.raises(ValueError, match="the teacher must give a number for each of 3 classes, not 5"):
        soft_answers(Lab(wide, support.tiny_data()))
