"""The missing digit: recalls with and without a bias, and the bias that is best."""

import dataclasses
import math

import pytest
import support
import torch
from sklearn.metrics import recall_score

from efflab import Lab, distill_predictions, fine_tune, shift_bias, start_student, step
from efflab.data import Data, Split, without_class
from efflab.lab.missing import BiasCurve, Unshown, ask, recipes, train_without
from efflab.training import Progress, predict, train

LABEL = 1


@pytest.fixture(scope="module")
def others() -> Data:
    return without_class(support.tiny_data(n=400), LABEL)


@pytest.fixture(scope="module")
def lab(others) -> Lab:
    teacher = support.tiny_cnn()
    for _ in train(teacher, support.tiny_data(n=400), epochs=8):
        pass
    return Lab(teacher, others)


@pytest.fixture(scope="module")
def student(lab, others) -> Unshown:
    recipe = (step(start_student, kind="mlp", width=8), step(distill_predictions, soft=1.0, epochs=8))
    return ask(lab.build(recipe), others, LABEL)


def by_hand(rows: list[list[float]], labels: list[int]) -> Unshown:
    """A student with these logits, one row an image."""
    data = support.tiny_data()
    validation = Split(torch.zeros(len(rows), *support.SHAPE), torch.tensor(labels))
    return Unshown(torch.tensor(rows), dataclasses.replace(data, validation=validation), LABEL)


@pytest.mark.parametrize("by", [0.0, 2.5, -1.0])
def test_a_bias_added_to_the_logits_is_a_bias_added_to_the_network(lab, others, by):
    recipe = (step(start_student, kind="mlp", width=8), step(fine_tune, epochs=2))
    model = lab.build(recipe)
    shifted = shift_bias(model, label=LABEL, by=by)
    asked = ask(model, others, LABEL).evaluation(by)
    expected = others.task.answers(predict(shifted, others.validation.images))
    assert torch.equal(asked.answers, expected)
    assert asked.value == lab.preview((*recipe, step(shift_bias, label=LABEL, by=by))).evaluation.value


@pytest.mark.parametrize("by", [0.0, 3.0])
def test_the_recalls_are_those_of_scikit_learn(student, by):
    labels, answers = student.data.validation.labels, student.evaluation(by).answers
    expected = recall_score(labels, answers, average=None, labels=[0, 1, 2], zero_division=0)
    assert student.recalls(by)["score"].tolist() == pytest.approx(expected.tolist())
    assert student.recalls(by)["class"].tolist() == ["dark", "grey", "light"]
    assert student.recall(by) == pytest.approx(expected[LABEL])


def test_asking_with_a_bias_leaves_the_logits_as_they_were(student):
    before = student.logits.clone()
    student.evaluation(4.0)
    assert torch.equal(student.logits, before)


def test_a_student_recognises_what_it_was_never_shown_once_the_bias_is_raised():
    whole = Lab.open("mlp-digits")
    lab = Lab(whole.build(()), without_class(whole.data, 3))
    recipe = (step(start_student, kind="mlp", width=30), step(distill_predictions, soft=1.0, epochs=30))
    asked = ask(lab.build(recipe), lab.data, 3)
    best = asked.curve.best
    assert 1 < best < 6  # the paper: 3.5
    assert asked.recall(best) > asked.recall() + 0.3
    assert asked.recall(best) > 0.8
    assert asked.evaluation(best).value == max(asked.curve.overall) > asked.evaluation().value + 0.03


def test_the_curve_has_every_step_of_the_knob_and_the_scores_at_them(student):
    curve = student.curve
    assert (curve.by[0], curve.by[-1], len(curve.by)) == (-10.0, 10.0, 201)
    assert curve.by[100] == 0.0
    assert curve.by[135] == 3.5
    for index in (0, 100, 135, 200):
        by = curve.by[index]
        assert curve.overall[index] == student.evaluation(by).value
        assert curve.recall[index] == student.recall(by)
    assert curve.recall == tuple(sorted(curve.recall))  # a larger bias loses no image of the class
    assert (curve.recall[0], curve.recall[-1]) == (0.0, 1.0)


def test_the_best_bias_by_hand():
    # The two images of class 1 need 2.0 and 3.0 more; at 4.0 more, the image of class 0 is lost.
    student = by_hand([[4.0, 2.0, 0.0], [0.0, 1.0, 4.05], [6.05, 2.0, 0.0]], [1, 1, 0])
    assert student.curve.best == 3.1
    assert student.evaluation(3.1).value == 1.0
    assert student.recalls(2.5)["score"].tolist()[:2] == [1.0, 0.5]


def test_of_several_best_biases_the_smallest_change_counts():
    assert BiasCurve((-2.0, -1.0, 0.5, 1.0), (0.9, 0.9, 0.8, 0.9), (0.0, 0.0, 0.0, 0.0)).best in (-1.0, 1.0)
    assert BiasCurve((-1.0, 0.0, 2.0, 3.0), (0.1, 0.2, 0.9, 0.9), (0.0, 0.0, 0.0, 0.0)).best == 2.0
    assert by_hand([[9.0, 0.0, 0.0]], [0]).curve.best == 0.0


def test_a_class_without_validation_images_has_no_recall():
    assert math.isnan(by_hand([[9.0, 0.0, 0.0]], [0]).recall())


def test_a_class_that_the_network_does_not_have_is_refused(lab, others):
    with pytest.raises(ValueError, match="label must be a class of this network, from 0 to 2, not 3"):
        ask(lab.build(()), others, 3)


START = step(start_student, kind="mlp", width=6)


def test_both_students_are_those_of_their_recipes_on_the_data_without_the_class(lab):
    whole = Lab(lab.build(()), support.tiny_data(n=400))
    found = train_without(whole, START, LABEL, temperature=2.0, epochs=2)
    alone, taught = recipes(START, temperature=2.0, epochs=2)
    for student, recipe in ((found.alone, alone), (found.taught, taught)):
        assert torch.equal(student.logits, ask(lab.build(recipe), lab.data, LABEL).logits)
        assert student.label == LABEL
        assert LABEL not in student.data.train.labels
        assert not student.is_partial


def test_the_students_differ_in_what_they_learn_from_and_in_nothing_else():
    (start, alone), (other, taught) = recipes(START, temperature=2.0, epochs=5)
    assert start == other == START
    assert taught.values["soft"] == 1.0
    assert {name: taught.values[name] for name in alone.values} == alone.values


def test_the_fraction_done_grows_to_one_and_stop_ends_both(lab):
    fractions = []
    train_without(lab, START, 0, temperature=2.0, epochs=1, progress=Progress(on_batch=fractions.append))
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    stopped = Progress()
    stopped.stop()
    found = train_without(lab, START, 0, temperature=2.0, epochs=5, progress=stopped)
    assert found.alone.is_partial
    assert found.taught.is_partial
