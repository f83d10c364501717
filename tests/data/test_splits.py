import dataclasses

import pytest
import torch

from efflab.data import Data, Split


def a_split(n: int = 4, *, height: int = 2, highest: int = 1) -> Split:
    return Split(torch.zeros(n, 1, height, 3), torch.arange(n) % (highest + 1))


def test_a_split_counts_its_images() -> None:
    assert len(a_split(5)) == 5


@pytest.mark.parametrize(
    ("images", "labels", "sentence"),
    [
        (
            torch.zeros(4, 2, 3),
            torch.zeros(4, dtype=torch.int64),
            r"images must be .* not torch.float32 of shape \(4, 2, 3\)",
        ),
        (
            torch.zeros(4, 1, 2, 3).double(),
            torch.zeros(4, dtype=torch.int64),
            "images must be float32 .* not torch.float64",
        ),
        (torch.zeros(4, 1, 2, 3), torch.zeros(3, dtype=torch.int64), r"labels must be int64 of shape \(4,\)"),
        (torch.zeros(4, 1, 2, 3), torch.zeros(4), "labels must be int64 .* not torch.float32"),
        (torch.zeros(0, 1, 2, 3), torch.zeros(0, dtype=torch.int64), "at least one image, not 0"),
        (torch.full((4, 1, 2, 3), float("nan")), torch.zeros(4, dtype=torch.int64), "NaN or infinite"),
        (torch.full((4, 1, 2, 3), float("inf")), torch.zeros(4, dtype=torch.int64), "NaN or infinite"),
    ],
)
def test_a_split_refuses_what_does_not_fit(images: torch.Tensor, labels: torch.Tensor, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        Split(images, labels)


def test_data_knows_the_shape_of_an_image_and_the_number_of_classes() -> None:
    data = Data("tiny", a_split(), a_split(), a_split(), a_split(2), ("no", "yes"))
    assert (data.shape, data.n_classes) == ((1, 2, 3), 2)
    assert repr(data) == "<Data tiny: 4 / 4 / 4 images of (1, 2, 3), 2 classes>"


def test_data_cannot_be_changed() -> None:
    data = Data("tiny", a_split(), a_split(), a_split(), a_split(2), ("no", "yes"))
    with pytest.raises(dataclasses.FrozenInstanceError):
        data.name = "other"  # type: ignore[misc]


@pytest.mark.parametrize("which", ["validation", "test", "calibration"])
def test_data_names_the_split_whose_images_have_another_shape(which: str) -> None:
    splits = dict.fromkeys(("train", "validation", "test", "calibration"), a_split()) | {which: a_split(height=5)}
    with pytest.raises(ValueError, match=rf"images of {which} have the shape \(1, 5, 3\), those of train \(1, 2, 3\)"):
        Data("tiny", **splits, classes=("no", "yes"))


@pytest.mark.parametrize("which", ["train", "validation", "test", "calibration"])
def test_data_names_the_split_with_a_label_outside_the_classes(which: str) -> None:
    splits = dict.fromkeys(("train", "validation", "test", "calibration"), a_split()) | {which: a_split(highest=2)}
    with pytest.raises(ValueError, match=f"labels of {which} must lie between 0 and 1, .* between 0 and 2"):
        Data("tiny", **splits, classes=("no", "yes"))
