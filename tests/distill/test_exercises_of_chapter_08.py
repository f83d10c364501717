"""Each usual mistake in the exercises of chapter 08 is told by its own sentence, and no other mistake gets it."""

import pytest
import torch
from torch.nn import functional as F

from efflab.questions import load
from efflab.questions.checking import run_check

SOFTEN, LOSS = (next(one for one in load("08").checks if one.id == id) for id in ("soften", "distillation_loss"))

MISTAKES_IN_SOFTEN = {
    "no_temperature": lambda z, t: z.softmax(1),
    "times": lambda z, t: (z * t).softmax(1),
    "squared": lambda z, t: (z / t**2).softmax(1),
    "after": lambda z, t: z.softmax(1) / t,
    "not_divided": lambda z, t: (z / t).exp(),
    "root": lambda z, t: z.softmax(1) ** (1 / t),
    "along_images": lambda z, t: (z / t).softmax(0),
    "logarithm": lambda z, t: (z / t).log_softmax(1),
    "twice": lambda z, t: (z.softmax(1) / t).softmax(1),
    "sigmoid": lambda z, t: (z / t).sigmoid(),
}


def soft_part(s, u, t, reduction="batchmean"):
    return t**2 * F.kl_div((s / t).log_softmax(1), (u / t).softmax(1), reduction=reduction)


def mixed(soft, imitate, be_right):
    return soft * imitate + (1 - soft) * be_right


def bare(s, u, t):
    return soft_part(s, u, t) / t**2


MISTAKES_IN_LOSS = {
    "no_t_squared": lambda s, u, y, t, a: mixed(a, bare(s, u, t), F.cross_entropy(s, y)),
    "t_once": lambda s, u, y, t, a: mixed(a, t * bare(s, u, t), F.cross_entropy(s, y)),
    "t_squared_on_both": lambda s, u, y, t, a: t**2 * mixed(a, bare(s, u, t), F.cross_entropy(s, y)),
    "t_squared_on_labels": lambda s, u, y, t, a: mixed(a, bare(s, u, t), t**2 * F.cross_entropy(s, y)),
    "mean_over_classes": lambda s, u, y, t, a: mixed(a, soft_part(s, u, t, "none").mean(), F.cross_entropy(s, y)),
    "mean_and_no_t_squared": lambda s, u, y, t, a: mixed(
        a, soft_part(s, u, t, "none").mean() / t**2, F.cross_entropy(s, y)
    ),
    "summed": lambda s, u, y, t, a: mixed(a, soft_part(s, u, t, "sum"), F.cross_entropy(s, y)),
    "no_logarithm": lambda s, u, y, t, a: mixed(
        a, t**2 * F.kl_div((s / t).softmax(1), (u / t).softmax(1), reduction="batchmean"), F.cross_entropy(s, y)
    ),
    "other_way": lambda s, u, y, t, a: mixed(a, soft_part(u, s, t), F.cross_entropy(s, y)),
    "networks_swapped": lambda s, u, y, t, a: mixed(a, soft_part(u, s, t), F.cross_entropy(u, y)),
    "not_a_number": lambda s, u, y, t, a: mixed(
        a, t**2 * F.kl_div((u / t).softmax(1), (s / t).log_softmax(1), reduction="batchmean"), F.cross_entropy(s, y)
    ),
    "weights_swapped": lambda s, u, y, t, a: mixed(1 - a, soft_part(s, u, t), F.cross_entropy(s, y)),
    "only_soft": lambda s, u, y, t, a: soft_part(s, u, t),
    "both_whole": lambda s, u, y, t, a: soft_part(s, u, t) + F.cross_entropy(s, y),
    "labels_softened": lambda s, u, y, t, a: mixed(a, soft_part(s, u, t), F.cross_entropy(s / t, y)),
    "labels_for_the_teacher": lambda s, u, y, t, a: mixed(a, soft_part(s, u, t), F.cross_entropy(u, y)),
    "labels_of_probabilities": lambda s, u, y, t, a: mixed(a, soft_part(s, u, t), F.cross_entropy(s.softmax(1), y)),
    "teacher_not_softened": lambda s, u, y, t, a: mixed(a, soft_part(s, t * u, t), F.cross_entropy(s, y)),
    "student_not_softened": lambda s, u, y, t, a: mixed(a, soft_part(t * s, u, t), F.cross_entropy(s, y)),
    "none_softened": lambda s, u, y, t, a: mixed(a, soft_part(t * s, t * u, t), F.cross_entropy(s, y)),
    "cross_entropy": lambda s, u, y, t, a: mixed(
        a, t**2 * F.cross_entropy(s / t, (u / t).softmax(1)), F.cross_entropy(s, y)
    ),
}


@pytest.mark.parametrize(
    ("check", "mistake", "function"),
    [
        *((SOFTEN, *one) for one in MISTAKES_IN_SOFTEN.items()),
        *((LOSS, *one) for one in MISTAKES_IN_LOSS.items()),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_usual_mistake_is_answered_with_its_own_sentence(check, mistake, function):
    sentences = {one.key: one.sentence for one in check.misconceptions}
    verdict = run_check(check, function)
    assert not verdict.passed
    assert [key for key, said in sentences.items() if said in verdict.message] == [mistake]


def test_there_is_a_mistake_to_try_for_each_sentence():
    assert set(MISTAKES_IN_SOFTEN) == {one.key for one in SOFTEN.misconceptions}
    assert set(MISTAKES_IN_LOSS) == {one.key for one in LOSS.misconceptions}


def test_the_temperature_on_both_terms_with_softened_labels_is_told_as_softened_labels():
    def both(s, u, y, t, a):
        return t**2 * mixed(a, bare(s, u, t), F.cross_entropy(s / t, y))

    assert "Labels are compared at temperature 1" in run_check(LOSS, both).message


def test_a_logarithm_in_both_places_is_told_as_no_number():
    def logarithms(s, u, y, t, a):
        return mixed(
            a, F.kl_div((s / t).log_softmax(1), (u / t).log_softmax(1), reduction="batchmean"), F.cross_entropy(s, y)
        )

    assert "The result is not a number" in run_check(LOSS, logarithms).message


def test_right_solutions_pass_however_they_are_written():
    def by_hand(s, u, y, t, a):
        p, q = (u / t).softmax(1), (s / t).softmax(1)
        return a * t**2 * (p * (p / q).log()).sum(1).mean() + (1 - a) * -s.log_softmax(1)[range(len(y)), y].mean()

    assert run_check(LOSS, by_hand).passed
    assert run_check(LOSS, lambda s, u, y, t, a: mixed(a, soft_part(s, u, t), F.cross_entropy(s, y))).passed
    assert run_check(SOFTEN, lambda z, t: torch.exp(z / t) / torch.exp(z / t).sum(1, keepdim=True)).passed
