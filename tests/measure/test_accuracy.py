"""Accuracy: at any time the same as if only the images so far were there, and compared on the same images."""

import dataclasses

import numpy as np
import pytest
import support
import torch
from sklearn.metrics import accuracy_score, confusion_matrix, recall_score
from torch import Tensor, nn

from efflab.data import Data, Split
from efflab.measure import Evaluation, by_class, changed_images, compare, evaluate


@pytest.fixture(scope="module")
def data() -> Data:
    return support.tiny_data(n=1000)


@pytest.fixture(scope="module")
def model() -> nn.Module:
    return support.tiny_cnn(2)


class Returns(nn.Module):
    """Gives back what a function makes of the images."""

    def __init__(self, function) -> None:
        super().__init__()
        self.function = function

    def forward(self, images: Tensor) -> Tensor:
        return self.function(images)


def first(split: Split, n: int) -> Split:
    return Split(split.images[:n], split.labels[:n])


def complete(model: nn.Module, split: Split, data: Data) -> Evaluation:
    *_, evaluation = evaluate(model, split, data.task)
    return evaluation


def made_up(data: Data, *scores: int) -> Evaluation:
    """An evaluation with these scores; an answer of 1 is right."""
    return Evaluation(torch.tensor(scores), torch.tensor(scores, dtype=torch.float32), len(scores), data.task)


# At any time


@pytest.mark.parametrize("chunk", [1, 40, 249, 250, 1000])
def test_each_prefix_is_what_evaluating_only_that_prefix_gives(chunk, model, data):
    n_seen = []
    for one in evaluate(model, data.validation, data.task, chunk=chunk):
        n_seen.append(one.n)
        if one.n in (1, 40, 80, 249, 250):
            alone = complete(model, first(data.validation, one.n), data)
            assert torch.equal(one.answers, alone.answers)
            assert (one.value, one.interval) == (alone.value, alone.interval)
    assert n_seen == [min(n, 250) for n in range(chunk, 250 + chunk, chunk)]


def test_only_the_last_covers_all(model, data):
    found = list(evaluate(model, data.validation, data.task, chunk=100))
    assert [one.is_complete for one in found] == [False, False, True]
    assert [one.n_total for one in found] == [250] * 3


def test_what_was_yielded_is_not_changed_by_what_follows(model, data):
    steps = evaluate(model, data.validation, data.task, chunk=50)
    early = next(steps)
    answers, scores = early.answers.clone(), early.scores.clone()
    list(steps)
    assert torch.equal(early.answers, answers)
    assert torch.equal(early.scores, scores)
    assert early.n == 50


def test_nothing_is_evaluated_that_was_not_asked_for(data):
    seen = []
    watched = Returns(lambda images: seen.append(len(images)) or torch.zeros(len(images), 3))
    steps = evaluate(watched, data.validation, data.task, chunk=100)
    next(steps)
    assert seen == [100]


# The value


def test_the_value_is_scikit_learns_accuracy(model, data):
    evaluation = complete(model, data.validation, data)
    predicted = model(data.validation.images).argmax(dim=1)
    assert evaluation.value == accuracy_score(data.validation.labels, predicted)
    assert np.array_equal(evaluation.answers, predicted)


@pytest.mark.parametrize(("n_right", "n"), [(95, 100), (513, 540), (1, 3), (0, 7), (7, 7)])
def test_a_value_that_meets_a_budget_exactly_meets_it(n_right, n, data):
    scores = [1] * n_right + [0] * (n - n_right)
    assert made_up(data, *scores).value == n_right / n  # in 32 bits 513/540 would be less than 0.95


def test_the_interval_is_the_tasks_and_holds_the_value(model, data):
    evaluation = complete(model, data.validation, data)
    assert evaluation.interval == data.task.interval(evaluation.scores)
    low, high = evaluation.interval
    assert 0 < low < evaluation.value < high < 1


def test_the_interval_narrows_as_images_come_in(data):
    half_right = Returns(lambda images: torch.zeros(len(images), 3))
    widths = [one.interval[1] - one.interval[0] for one in evaluate(half_right, data.validation, data.task, chunk=60)]
    assert widths == sorted(widths, reverse=True)


def test_the_model_and_the_callers_mode_stay_as_they_are(model, data):
    before = support.bits(model)
    for _ in evaluate(model, data.validation, data.task, chunk=100):
        assert not torch.is_inference_mode_enabled()
    assert support.bits(model) == before


# Compared on the same images


def test_the_difference_is_now_minus_base(data):
    base, now = made_up(data, 1, 1, 0, 0), made_up(data, 1, 0, 0, 0)
    assert compare(base, now).value == -0.25
    assert compare(now, base).value == 0.25


def test_the_other_way_round_the_interval_is_mirrored(data):
    base, now = made_up(data, *[1] * 90, *[0] * 10), made_up(data, *[1] * 70, *[0] * 20, *[1] * 10)
    there, back = compare(base, now), compare(now, base)
    assert (there.low, there.high) == pytest.approx((-back.high, -back.low))
    assert there.low < there.value < there.high


def test_only_images_that_both_have_seen_are_compared(data):
    base, now = made_up(data, 1, 1, 1, 1, 0, 0), made_up(data, 1, 0, 1)
    assert compare(base, now) == compare(made_up(data, 1, 1, 1), now)
    assert compare(base, now).n == 3


def test_no_change_at_all_has_an_interval_around_zero(data):
    same = made_up(data, *[1] * 180, *[0] * 20)
    difference = compare(same, same)
    assert difference.value == 0
    assert difference.low < 0 < difference.high
    assert difference.high < 0.02
    assert not difference.is_clear


def test_a_change_is_clear_when_its_interval_leaves_out_zero(data):
    base = made_up(data, *[1] * 200)
    assert compare(base, made_up(data, *[1] * 180, *[0] * 20)).is_clear
    assert compare(made_up(data, *[1] * 180, *[0] * 20), base).is_clear
    assert not compare(base, made_up(data, *[1] * 199, 0)).is_clear


def test_pairing_makes_the_interval_narrower_than_two_separate_ones(data):
    base = made_up(data, *[1] * 160, *[0] * 40)
    now = made_up(data, *[1] * 156, *[0] * 44)
    paired = compare(base, now)
    (base_low, base_high), (now_low, now_high) = base.interval, now.interval
    apart = np.hypot(base_high - base_low, now_high - now_low)
    assert paired.high - paired.low < apart / 2


@pytest.mark.parametrize(("gain", "loss"), [(0.0, 0.05), (0.02, 0.02), (0.1, 0.02)])
def test_about_95_in_100_intervals_hold_the_true_difference(gain, loss, data):
    chance = np.random.default_rng(0)
    n, n_tries, n_held = 300, 400, 0
    for _ in range(n_tries):
        drawn = chance.random(n)
        base = np.where(drawn < gain, 0, 1)  # the first share is gained, the second lost, the others stay right
        now = np.where((drawn >= gain) & (drawn < gain + loss), 0, 1)
        difference = compare(made_up(data, *base.tolist()), made_up(data, *now.tolist()))
        n_held += difference.low <= gain - loss <= difference.high
    assert 0.92 <= n_held / n_tries <= 0.99


# Changed images


def test_changed_images_are_those_with_another_answer_right_or_wrong(data):
    scores = torch.zeros(4)
    base = Evaluation(torch.tensor([0, 1, 2, 1]), scores, 4, data.task)
    now = Evaluation(torch.tensor([0, 2, 2, 0]), scores, 4, data.task)
    assert changed_images(base, now).tolist() == [1, 3]
    assert changed_images(base, base).tolist() == []


def test_changed_images_are_sought_among_those_that_both_have_seen(data):
    base = Evaluation(torch.tensor([0, 1, 2, 1]), torch.zeros(4), 4, data.task)
    now = Evaluation(torch.tensor([1, 1]), torch.zeros(2), 4, data.task)
    assert changed_images(base, now).tolist() == [0]


def test_changed_images_are_those_that_torch_finds(model, data):
    other = support.tiny_cnn(3)
    found = changed_images(complete(model, data.validation, data), complete(other, data.validation, data))
    answers = [network(data.validation.images).argmax(1) for network in (model, other)]
    assert len(found) > 0
    assert found.tolist() == np.flatnonzero(answers[0] != answers[1]).tolist()


# By class


def test_the_score_of_each_class_is_scikit_learns_recall(data):
    model = support.tiny_mlp(1)
    evaluation = complete(model, data.validation, data)
    table = by_class(evaluation, data)
    labels = data.validation.labels.numpy()
    assert table["score"].tolist() == recall_score(labels, evaluation.answers.numpy(), average=None).tolist()
    matrix = confusion_matrix(labels, evaluation.answers.numpy())
    assert table["n"].tolist() == matrix.sum(axis=1).tolist()
    assert (table["score"] * table["n"]).tolist() == pytest.approx(matrix.diagonal().tolist())
    assert table["class"].tolist() == list(data.classes)
    assert ((table["low"] <= table["score"] + 1e-9) & (table["score"] <= table["high"] + 1e-9)).all()
    assert len(set(table["score"])) > 1


def test_a_class_of_which_nothing_was_seen_has_no_score_and_the_widest_interval(model, data):
    early = next(evaluate(model, data.validation, data.task, chunk=2))
    table = by_class(early, data).set_index("class")
    unseen = table[table["n"] == 0]
    assert len(unseen) == 1
    assert unseen["score"].isna().all()
    assert (unseen["low"].item(), unseen["high"].item()) == (0.0, 1.0)
    assert table["n"].sum() == 2


# What is refused


@pytest.mark.parametrize(
    ("function", "sentence"),
    [
        (lambda x: torch.full((len(x), 3), float("nan")), "the model's outputs are NaN"),
        (lambda x: torch.zeros(len(x)), r"must return \(n, classes\) for 125 images, not \(125,\)"),
        (lambda x: torch.zeros(len(x), 3, 1, 1), r"must return \(n, classes\) for 125 images, not \(125, 3, 1, 1\)"),
        (lambda x: torch.zeros(3, len(x)), r"must return \(n, classes\) for 125 images, not \(3, 125\)"),
        (lambda x: torch.zeros(1, 3), r"must return \(n, classes\) for 125 images, not \(1, 3\)"),
        (lambda x: torch.zeros(len(x), 2), "must return a number for each of 3 classes, not 2"),
        (lambda x: (torch.zeros(len(x), 3),), r"must return a tensor \(n, classes\), not a tuple"),
        (lambda x: {"logits": x}, r"must return a tensor \(n, classes\), not a dict"),
        (lambda x: None, r"must return a tensor \(n, classes\), not a NoneType"),
    ],
)
def test_outputs_that_are_no_answers_get_a_sentence(function, sentence, data):
    with pytest.raises(ValueError, match=sentence):
        next(evaluate(Returns(function), data.validation, data.task))


def test_a_single_nan_late_in_the_split_is_found(data):
    poisoned = Split(data.validation.images.clone(), data.validation.labels)
    poisoned.images[200, 0, 0, 0] = 1e30

    def overflow(images: Tensor) -> Tensor:
        large = images[:, 0, 0, :3] * 1e30  # inf where the pixel is 1e30
        return large - large

    steps = evaluate(Returns(overflow), poisoned, data.task, chunk=100)
    next(steps), next(steps)
    with pytest.raises(ValueError, match="the model's outputs are NaN"):
        next(steps)


def test_more_outputs_than_classes_are_allowed(data):
    wide = Returns(lambda images: torch.eye(1000)[5].expand(len(images), 1000))
    assert complete(wide, data.validation, data).value == 0


def test_the_task_decides_what_is_right(model, data):
    class Contrary(type(data.task)):
        def scores(self, answers: Tensor, labels: Tensor) -> Tensor:
            return (answers != labels).float()

    contrary = dataclasses.replace(data, task=Contrary())
    assert complete(model, contrary.validation, contrary).value == pytest.approx(
        1 - complete(model, data.validation, data).value
    )
