"""A wrong file is fast and small too: the comparison with the model must see it."""

from pathlib import Path

import pytest
import torch
from torch import nn

from efflab.runtime import Artefact, export, parity

SHAPE = (1, 2, 2)


def model_with_bias(bias: list[float]) -> nn.Sequential:
    """Scores that are the bias, whatever the image."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, len(bias)))
    with torch.no_grad():
        model[1].weight.zero_()
        model[1].bias.copy_(torch.tensor(bias))
    return model


@pytest.fixture
def artefact(tmp_path: Path) -> Artefact:
    return export(model_with_bias([1.0, 0.0]), SHAPE, tmp_path)


def test_the_largest_difference_of_a_score_is_found(artefact: Artefact) -> None:
    found = parity(artefact, model_with_bias([1.25, 0.0]), torch.rand(3, *SHAPE))

    assert found.max_difference == 0.25
    assert found.agreement == 1


def test_agreement_is_the_share_of_equal_answers(tmp_path: Path) -> None:
    torch.manual_seed(0)
    first, second = nn.Sequential(nn.Flatten(), nn.Linear(4, 3)), nn.Sequential(nn.Flatten(), nn.Linear(4, 3))
    images = torch.rand(40, *SHAPE)
    equal = (first(images).argmax(1) == second(images).argmax(1)).sum().item()

    found = parity(export(first, SHAPE, tmp_path), second, images)

    assert 0 < equal < 40
    assert found.agreement == equal / 40


def test_no_images_are_refused(artefact: Artefact) -> None:
    with pytest.raises(ValueError, match="images is empty: parity needs at least one image"):
        parity(artefact, model_with_bias([1.0, 0.0]), torch.rand(0, *SHAPE))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_scores_that_are_no_numbers_are_refused_with_the_name_of_who_gave_them(value: float, tmp_path: Path) -> None:
    sound, broken = model_with_bias([1.0, 0.0]), model_with_bias([value, 0.0])

    with pytest.raises(ValueError, match="the scores of the model hold NaN or infinity"):
        parity(export(sound, SHAPE, tmp_path), broken, torch.rand(3, *SHAPE))
    with pytest.raises(ValueError, match=r"the scores of broken\.onnx hold NaN or infinity"):
        parity(export(broken, SHAPE, tmp_path, "broken"), sound, torch.rand(3, *SHAPE))


def test_the_training_flag_of_the_model_comes_back(artefact: Artefact) -> None:
    model = model_with_bias([1.0, 0.0]).train()

    parity(artefact, model, torch.rand(3, *SHAPE))

    assert model.training
