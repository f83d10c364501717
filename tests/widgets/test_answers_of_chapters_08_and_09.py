"""What a learner predicted of soft answers, of the loss, of a missing digit and of layers, as it was measured."""

from types import SimpleNamespace

import pandas as pd
import pytest
import support
import torch

from efflab import Lab, start_student, step
from efflab.lab.loss_terms import Variant, loss_terms
from efflab.lab.missing import MissingClass, Unshown
from efflab.lab.soft_answers import SoftAnswers
from efflab.widgets.answers_of_distillation import (
    UNTRAINED,
    effective_weight,
    first_layers_alike,
    fives_look_like,
    recall_of_missing,
)


def answers(*fives: list[float]) -> SoftAnswers:
    """Logits of images of fives."""
    logits = torch.tensor(fives, dtype=torch.float64)
    labels = torch.full((len(fives),), 5)
    return SoftAnswers(logits, torch.zeros(len(fives), 1, 8, 8), labels, tuple("0123456789"), None)


def test_what_fives_look_like_is_the_class_with_the_most_of_the_rest():
    found = answers([0, 0, 0, 2, 0, 9, 0, 0, 0, 3], [0, 0, 0, 2, 0, 9, 0, 0, 0, 0])
    panel = SimpleNamespace(answers=found, shown=SimpleNamespace(temperature=4.0))
    assert fives_look_like(panel) == "3"
    assert fives_look_like(SimpleNamespace(answers=None, shown=None)) is None


def test_the_answer_may_change_with_the_temperature():
    found = answers([0, 0, 0, 6, 0, 9, 0, 0, 0, 0], [0, 0, 0, 0, 0, 9, 0, 0, 0, 5], [0, 0, 0, 0, 0, 9, 0, 0, 0, 5])
    sharp, soft = (SimpleNamespace(answers=found, shown=SimpleNamespace(temperature=t)) for t in (0.5, 4.0))
    assert (fives_look_like(sharp), fives_look_like(soft)) == ("3", "9")


def test_the_effective_weight_is_that_at_the_weights_in_percent():
    terms = loss_terms(Lab(support.tiny_cnn(), support.tiny_data()), (step(start_student, kind="mlp", width=4),))
    weighed = terms.at(4.0, 0.9, Variant("mean", is_squared=False))
    assert effective_weight(SimpleNamespace(weighed=weighed)) == 100 * weighed.at_weights
    assert effective_weight(SimpleNamespace(weighed=None)) is None


def test_the_recall_of_the_missing_class_is_the_share_before_its_bias_is_raised():
    data = support.tiny_data()
    labels = data.validation.labels
    logits = torch.nn.functional.one_hot(labels, 3).double()
    wrong = (labels == 1).nonzero().flatten()[:4]
    logits[wrong] = torch.tensor([1.0, 0.5, 0.0], dtype=torch.float64)
    n = int((labels == 1).sum())
    taught = Unshown(logits, data, 1)
    assert recall_of_missing(MissingClass(1, taught, taught)) == pytest.approx(100 * (n - 4) / n)


def test_a_training_that_was_stopped_does_not_answer():
    stopped = Unshown(torch.zeros(50, 3), support.tiny_data(), 1, is_partial=True)
    assert recall_of_missing(MissingClass(1, stopped, stopped)) is None


def test_first_layers_are_compared_for_the_student_that_is_not_trained():
    compared = SimpleNamespace(cka=pd.DataFrame([[0.9, 0.2], [0.3, 0.4]], index=["a", "b"], columns=["c", "d"]))
    assert first_layers_alike(UNTRAINED, compared) == 0.9
    assert first_layers_alike("trained alone", compared) is None
