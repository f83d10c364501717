"""Distilling hints, attention and relations: each comes closer to what it imitates, and says what it cannot join."""

import pytest
import support
import torch
from torch import nn

from efflab.data import Data
from efflab.distill import (
    angle_loss,
    attention_loss,
    distance_loss,
    distill_attention,
    distill_hints,
    distill_relations,
    embedding,
    follow_hint,
    make_regressor,
    outputs_of,
    pair_maps,
)
from efflab.models import build
from efflab.prune import fine_tune
from efflab.training import Epoch, Progress, train


@pytest.fixture(scope="module")
def data() -> Data:
    return support.tiny_data()


@pytest.fixture(scope="module")
def teacher(data) -> nn.Module:
    network = build("cnn", shape=support.SHAPE, n_classes=support.N_CLASSES, sizes=(4,))
    for _ in train(network, data, epochs=8):
        pass
    return network


def seen(model: nn.Module, layer: str, data: Data) -> torch.Tensor:
    """What a layer gives for the images that it was trained on: 130 of noise say little about others."""
    with outputs_of(model, [layer]) as outputs, torch.no_grad():
        model.eval()(data.train.images)
    return outputs[layer]


# Hints


def test_a_guided_layer_predicts_the_hint_better_than_before(data, teacher):
    student = support.tiny_cnn()
    guided = follow_hint(student, teacher, data, hint="relu2", guided="relu2", epochs=150, learning_rate=0.03, seed=0)
    wanted = seen(teacher, "relu2", data).flatten(2).transpose(1, 2).flatten(0, 1)  # (places, channels)
    errors = [
        residual(seen(one, "relu2", data).flatten(2).transpose(1, 2).flatten(0, 1), wanted) for one in (student, guided)
    ]
    assert errors[1] < 0.8 * errors[0]


def residual(x: torch.Tensor, wanted: torch.Tensor) -> float:
    """The mean squared error of the best linear prediction, by least squares of torch.linalg."""
    inputs = torch.cat([x, torch.ones(len(x), 1)], dim=1)
    best = torch.linalg.lstsq(inputs, wanted, driver="gelsd").solution
    return (inputs @ best - wanted).square().mean().item()


def test_the_records_count_both_stages(data, teacher):
    records: list[Epoch] = []
    fractions: list[float] = []
    progress = Progress(records.append, fractions.append)
    distill_hints(support.tiny_cnn(), data=data, teacher=teacher, hint_epochs=2, epochs=3, progress=progress)
    assert [(one.number, one.n_epochs) for one in records] == [(1, 5), (2, 5), (3, 5), (4, 5), (5, 5)]
    assert fractions == sorted(fractions)
    assert fractions[-1] == pytest.approx(1.0)


def test_a_regressor_joins_widths_but_no_map_and_vector():
    assert make_regressor((8, 7, 7), (32, 14, 14)).weight.shape == (32, 8, 1, 1)
    assert make_regressor((30,), (300,)).weight.shape == (300, 30)
    assert make_regressor((49, 16), (49, 64)).weight.shape == (64, 16)
    with pytest.raises(ValueError, match=r"^the student's layer gives a vector of 30 and the teacher's maps of 32x7x7"):
        make_regressor((30,), (32, 7, 7))
    with pytest.raises(
        ValueError, match=r"gives tokens of 49x16 and the teacher's tokens of 16x16, which no regressor"
    ):
        make_regressor((49, 16), (16, 16))


def test_a_map_and_a_vector_are_refused_by_the_technique(data, teacher):
    with pytest.raises(ValueError, match=r"^the student's layer gives a vector of 12 and the teacher's maps of 8x2x2"):
        distill_hints(support.tiny_mlp(), data=data, teacher=teacher, hint=2, guided=1)


def test_maps_of_two_sizes_are_compared_at_the_smaller_one(data, teacher):
    student = support.tiny_cnn()
    result = distill_hints(student, data=data, teacher=teacher, hint=1, guided=3, hint_epochs=1, epochs=1)
    assert support.bits(result) != support.bits(student)


# Attention


def test_layers_are_paired_by_the_size_of_their_maps(data, teacher):
    resnet = build("resnet8", shape=(1, 28, 28), sizes=(4,))
    cnn = build("cnn", shape=(1, 28, 28), sizes=(8,))
    assert pair_maps(cnn, resnet, torch.zeros(1, 1, 28, 28)) == {"relu1": "block2", "relu3": "block3"}


def test_a_network_without_maps_has_no_attention(data, teacher):
    with pytest.raises(ValueError, match=r"the student has maps of: none; the teacher of: 4x4, 2x2$"):
        distill_attention(support.tiny_mlp(), data=data, teacher=teacher)


def test_the_student_looks_where_the_teacher_looks(data, teacher):
    student = support.tiny_cnn(seed=3)
    alone = fine_tune(student, data=data, epochs=12, learning_rate=0.005)
    taught = distill_attention(student, data=data, teacher=teacher, attention=100.0, epochs=12, learning_rate=0.005)
    losses = [attention_loss(seen(one, "relu3", data), seen(teacher, "relu3", data)).item() for one in (alone, taught)]
    assert losses[1] < 0.8 * losses[0]


def test_without_attention_it_is_plain_training(data, teacher):
    student = support.tiny_cnn()
    alone = fine_tune(student, data=data, epochs=2, learning_rate=0.005, seed=1)
    taught = distill_attention(
        student, data=data, teacher=teacher, attention=0.0, epochs=2, learning_rate=0.005, seed=1
    )
    torch.testing.assert_close(dict(taught.named_parameters()), dict(alone.named_parameters()), atol=1e-6, rtol=1e-4)


# Relations


@pytest.mark.parametrize(("knob", "loss"), [("distances", distance_loss), ("angles", angle_loss)])
def test_images_lie_to_each_other_as_they_do_for_the_teacher(knob, loss, data, teacher):
    student = support.tiny_mlp(seed=2)
    weights = {"distances": 0.0, "angles": 0.0}
    alone, taught = (
        distill_relations(student, data=data, teacher=teacher, epochs=8, **{**weights, knob: weight})
        for weight in (0.0, 100.0)
    )
    wanted = embedding(seen(teacher, "relu3", data))
    losses = [loss(embedding(seen(one, "relu2", data)), wanted).item() for one in (alone, taught)]
    assert losses[1] < 0.8 * losses[0]


def test_the_student_may_be_of_another_kind(data, teacher):
    result = distill_relations(support.tiny_mlp(), data=data, teacher=teacher, epochs=1)
    assert type(result) is type(support.tiny_mlp())
