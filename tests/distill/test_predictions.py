"""Distilling predictions: what it has in common with plain training, what it keeps, and what it refuses."""

import pytest
import support
import torch
from torch import nn

from efflab import models
from efflab.data import Data
from efflab.distill import distill_predictions, soft_loss
from efflab.prune import fine_tune, prune_weights
from efflab.quantize import quantize_weights, share_weights
from efflab.runtime.quantized import quantized_layers
from efflab.runtime.shared import shared_layers
from efflab.training import Progress, predict, train


@pytest.fixture(scope="module")
def data() -> Data:
    return support.tiny_data()


@pytest.fixture(scope="module")
def teacher(data) -> nn.Module:
    network = support.tiny_cnn()
    for _ in train(network, data, epochs=8):
        pass
    return network


def distance(student: nn.Module, teacher: nn.Module, data: Data) -> float:
    """How far the student's softened answers to new images are from the teacher's, in nats."""
    images = data.validation.images
    return soft_loss(predict(student, images), predict(teacher, images), 4.0).item()


def test_without_the_soft_part_it_is_plain_training_bit_for_bit(data, teacher):
    student = support.tiny_mlp()
    alone = fine_tune(student, data=data, epochs=3, learning_rate=0.005, seed=5)
    taught = distill_predictions(student, data=data, teacher=teacher, soft=0.0, epochs=3, learning_rate=0.005, seed=5)
    assert support.bits(taught) == support.bits(alone)


def test_without_the_hard_part_no_label_is_used(data, teacher):
    wrong = type(data.train)(data.train.images, (data.train.labels + 1) % support.N_CLASSES)
    lied_to = Data("lies", wrong, data.validation, data.test, data.calibration, data.classes)
    told = [
        distill_predictions(support.tiny_mlp(), data=one, teacher=teacher, soft=1.0, epochs=2)
        for one in (data, lied_to)
    ]
    assert support.bits(told[0]) == support.bits(told[1])


def test_the_student_comes_closer_to_the_teacher_than_one_that_learns_alone(data, teacher):
    student = support.tiny_mlp()
    alone = fine_tune(student, data=data, epochs=8, learning_rate=0.005)
    taught = distill_predictions(student, data=data, teacher=teacher, soft=1.0, epochs=8)
    assert distance(taught, teacher, data) < 0.7 * distance(alone, teacher, data)


def test_the_first_step_follows_the_gradient_of_the_paper(data, teacher):
    """Section 2: the gradient of the soft part for a logit is (q - p) / T, times T^2, and the mean over the images."""
    temperature, images = 3.0, data.train.images[:50]
    student, said = support.tiny_mlp(), teacher(images).detach()
    logits = student(images)
    (gradient,) = torch.autograd.grad(soft_loss(logits, said, temperature), logits)
    q, p = ((one / temperature).softmax(dim=1) for one in (logits, said))
    torch.testing.assert_close(gradient, temperature * (q - p).detach() / len(images), atol=1e-7, rtol=1e-4)


# What was done before stays


def test_zeros_stay_zeros(data, teacher):
    pruned = prune_weights(support.tiny_mlp(), sparsity=0.8)
    taught = distill_predictions(pruned, data=data, teacher=teacher, epochs=2)
    assert support.count_zeros(taught) == support.count_zeros(pruned) == round(0.8 * support.count_weights(pruned))


def test_weights_stay_on_their_grid(data, teacher):
    rounded = quantize_weights(support.tiny_mlp(), bits=3)
    taught = distill_predictions(rounded, data=data, teacher=teacher, epochs=8, learning_rate=0.01)
    grids = quantized_layers(taught)
    assert {layer.bits for layer in grids.values()} == {3}
    assert any(
        not torch.equal(layer.integers(), quantized_layers(rounded)[name].integers()) for name, layer in grids.items()
    )


def test_weights_stay_in_their_codebook(data, teacher):
    shared = share_weights(support.tiny_mlp(), bits=2)
    taught = distill_predictions(shared, data=data, teacher=teacher, epochs=2)
    for name, layer in shared_layers(taught).items():
        assert torch.equal(layer.indices(), shared_layers(shared)[name].indices())
        assert not torch.equal(layer.codebook, shared_layers(shared)[name].codebook)


def test_the_teacher_stays_as_it_is(data, teacher):
    before = support.bits(teacher)
    distill_predictions(support.tiny_mlp(), data=data, teacher=teacher, epochs=1)
    assert support.bits(teacher) == before
    assert not teacher.training


# What it refuses


def test_other_classes_are_refused(data):
    teacher = models.build("mlp", shape=support.SHAPE, n_classes=5, sizes=(4,))
    with pytest.raises(ValueError, match=r"^the teacher gives 5 numbers for an image and the student 3"):
        distill_predictions(support.tiny_mlp(), data=data, teacher=teacher)


@pytest.mark.parametrize("whose", ["teacher", "student"])
def test_another_input_shape_is_refused(whose, data):
    pair = {"student": support.tiny_mlp(), "teacher": support.tiny_mlp()}
    pair[whose] = models.build("mlp", shape=(1, 9, 9), n_classes=3, sizes=(4,))
    with pytest.raises(ValueError, match=rf"^the {whose} cannot read images of shape \(1, 8, 8\): "):
        distill_predictions(pair["student"], data=data, teacher=pair["teacher"])


def test_a_teacher_that_gives_no_row_of_numbers_is_refused(data):
    with pytest.raises(ValueError, match=r"^the teacher must give \(n, classes\) for n images, not \(1, 1, 8, 8\)$"):
        distill_predictions(support.tiny_mlp(), data=data, teacher=nn.Identity())


def test_temperature_0_is_refused(data, teacher):
    with pytest.raises(ValueError, match=r"^temperature \(what the logits are divided by\) must be a number from 0.5"):
        distill_predictions(support.tiny_mlp(), data=data, teacher=teacher, temperature=0)


def test_a_teacher_that_answers_nan_ends_the_training_with_a_sentence(data, teacher):
    broken = support.tiny_mlp()
    broken.output.bias.data[0] = torch.nan
    with pytest.raises(ValueError, match=r"^teacher_logits holds nan"):
        distill_predictions(support.tiny_mlp(), data=data, teacher=broken)


def test_stopped_it_gives_the_best_so_far(data, teacher):
    progress = Progress()
    progress.on_batch = lambda done: progress.stop()
    student = support.tiny_mlp()
    stopped = distill_predictions(student, data=data, teacher=teacher, epochs=5, progress=progress)
    assert support.bits(stopped) == support.bits(student)  # no epoch was over
