"""Students: new networks that fit the data, whatever the model is."""

import support
import torch

from efflab.distill import start_again, start_student
from efflab.models import build


def test_a_student_fits_the_data_and_not_the_model():
    data = support.tiny_data()
    student = start_student(support.tiny_cnn(), data=data, kind="mlp", width=5, seed=3)
    expected = build("mlp", seed=3, shape=support.SHAPE, n_classes=3, sizes=(5, 5))
    assert support.bits(student) == support.bits(expected)


def test_another_seed_gives_other_weights():
    data = support.tiny_data()
    one, other = (start_student(support.tiny_cnn(), data=data, kind="cnn", width=8, seed=seed) for seed in (0, 1))
    assert not torch.equal(one.conv1.weight, other.conv1.weight)


def test_to_start_again_is_the_same_shape_with_the_weights_of_a_seed():
    trained = support.tiny_mlp(seed=8)
    again = start_again(trained, seed=2)
    assert [one.shape for one in again.parameters()] == [one.shape for one in trained.parameters()]
    assert support.bits(again) == support.bits(start_again(support.tiny_mlp(seed=9), seed=2))
    assert support.bits(again) != support.bits(trained)
