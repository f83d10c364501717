"""Layers of teacher and student, compared: what they are made of, how alike they are, and what makes a hint."""

import numpy as np
import pytest
import support
import torch
from torch import nn

from efflab import start_student
from efflab.data import Data
from efflab.distill import distill_hints
from efflab.lab import representations
from efflab.lab.representations import Compared, as_hint, compare_layers, layers_of


@pytest.fixture(scope="module")
def data() -> Data:
    return support.tiny_data(n=800)


@pytest.fixture(scope="module")
def compared(data) -> Compared:
    return compare_layers(support.tiny_cnn(), support.tiny_mlp(), data.validation, 150)


def cka_by_hand(x: torch.Tensor, y: torch.Tensor) -> float:
    """Kornblith 2019, equation 3 with linear kernels: HSIC of centred Gram matrices, in NumPy."""
    n = len(x)
    centring = np.eye(n) - np.ones((n, n)) / n
    K, L = (centring @ (one.double().numpy() @ one.double().numpy().T) @ centring for one in (x, y))
    return float((K * L).sum() / np.sqrt((K * K).sum() * (L * L).sum()))


def test_each_layer_gives_what_running_the_network_by_hand_gives(data):
    model, images = support.tiny_cnn(), data.validation.images[:150]
    by_hand = images
    expected = {}
    for name, module in model.named_children():
        by_hand = module(by_hand)
        if isinstance(module, nn.ReLU):
            expected[name] = by_hand.detach().flatten(1)
    found = layers_of(model, images)
    assert list(found) == list(expected)
    for name, vectors in expected.items():
        torch.testing.assert_close(found[name].vectors, vectors)
        assert not found[name].is_averaged


def test_the_network_is_left_as_it_was(data):
    model = support.tiny_cnn().train()
    before = support.bits(model)
    layers_of(model, data.validation.images[:50])
    assert support.bits(model) == before
    assert model.training
    assert not any(module._forward_hooks for module in model.modules())


def test_maps_that_are_too_large_are_averaged_over_their_places_and_say_so(data, monkeypatch):
    model, images = support.tiny_cnn(), data.validation.images[:20]
    flat = layers_of(model, images)
    channels, height, width = flat["relu1"].shape
    monkeypatch.setattr(representations, "MOST_UNITS", channels * height * width - 1)
    found = layers_of(model, images)["relu1"]
    assert found.is_averaged
    means = flat["relu1"].vectors.view(20, channels, height * width).mean(dim=2)
    torch.testing.assert_close(found.vectors, means)


def test_vectors_are_never_averaged(data, monkeypatch):
    monkeypatch.setattr(representations, "MOST_UNITS", 3)
    found = layers_of(support.tiny_mlp(), data.validation.images[:20])["relu1"]
    assert (found.is_averaged, found.vectors.shape) == (False, (20, 12))


def test_the_matrix_has_a_row_for_each_layer_of_the_teacher_and_the_numbers_of_the_formula(compared):
    assert list(compared.cka.index) == ["relu1", "relu2", "relu3"]
    assert list(compared.cka.columns) == ["relu1", "relu2"]
    for teacher in compared.teacher:
        for student in compared.student:
            expected = cka_by_hand(compared.teacher[teacher].vectors, compared.student[student].vectors)
            assert compared.cka.loc[teacher, student] == pytest.approx(expected, abs=1e-9)


def test_a_network_beside_itself_has_ones_on_the_diagonal(data):
    same = compare_layers(support.tiny_mlp(), support.tiny_mlp(), data.validation, 100)
    assert np.diag(same.cka).tolist() == pytest.approx([1, 1])
    assert same.cka.loc["relu1", "relu2"] < 1
    assert same.most_alike("relu2") == "relu2"


def test_the_most_alike_layer_is_that_of_the_largest_number_in_the_column(compared):
    column = compared.cka["relu2"]
    assert column[compared.most_alike("relu2")] == max(column)


def test_the_images_are_the_first_of_the_split_or_all_that_there_are(data, compared):
    assert torch.equal(compared.labels, data.validation.labels[:150])
    whole = compare_layers(support.tiny_mlp(), support.tiny_mlp(), data.validation, 5000)
    assert len(whole.labels) == len(data.validation) == 200
    assert whole.teacher["relu1"].vectors.shape == (200, 12)


def test_one_image_has_nothing_to_be_compared(data):
    with pytest.raises(ValueError, match=r"n_images must be at least 2, .*, not 1"):
        compare_layers(support.tiny_mlp(), support.tiny_mlp(), data.validation, 1)


def test_the_points_are_those_of_both_layers_and_lie_on_each_other_as_well_as_turning_can(compared):
    points = compared.points("relu3", "relu2")
    assert points.x.shape == points.y.shape == (150, 2)
    turned = points.x.T @ points.y
    assert torch.allclose(turned, turned.T, atol=1e-9)  # the best turning leaves nothing to turn
    assert 0 < points.x_explained <= 1


def test_two_layers_as_a_hint_are_counted_as_hidden_layers_are(data):
    student = start_student(support.tiny_cnn(), data=data, kind="cnn", width=3)
    compared = compare_layers(support.tiny_cnn(), student, data.validation, 40)
    pairing = as_hint(compared, "relu3", "relu2")
    assert pairing.setting == "hint=3, guided=2"
    assert pairing.why_not == ""
    distill_hints(student, data=data, teacher=support.tiny_cnn(), hint=3, guided=2, hint_epochs=1, epochs=1)


def test_a_map_and_a_vector_make_no_hint_and_the_sentence_is_that_of_the_technique(compared, data):
    pairing = as_hint(compared, "relu1", "relu2")
    with pytest.raises(ValueError, match="which no regressor joins") as caught:
        distill_hints(support.tiny_mlp(), data=data, teacher=support.tiny_cnn(), hint=1, guided=2)
    assert pairing.why_not == str(caught.value)


def test_a_layer_too_deep_for_the_knob_says_so(data):
    deep = nn.Sequential(nn.Flatten(), *(one for _ in range(13) for one in (nn.Linear(64, 64), nn.ReLU())))
    compared = compare_layers(deep, support.tiny_mlp(), data.validation, 40)
    why_not = as_hint(compared, list(compared.teacher)[12], "relu1").why_not
    assert why_not.startswith("hint (number of ")
    assert why_not.endswith("must be a whole number from 1 to 12, not 13")
