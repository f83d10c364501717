from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils.data import IterableDataset, TensorDataset

from efflab.data import Data, DataError, from_arrays, from_torch


def images_of(labels: np.ndarray, *, size: tuple[int, ...] = (3, 4)) -> np.ndarray:
    """Image i is filled with the number i, so that it can be recognised after the split. -> (n, *size) uint8."""
    return np.broadcast_to(np.arange(len(labels), dtype=np.uint8).reshape(-1, *[1] * len(size)), (len(labels), *size))


LABELS = np.array([0] * 120 + [1] * 60 + [2] * 20)
IMAGES = images_of(LABELS)


def recognised(data: Data) -> list[tuple[int, int]]:
    """(number that fills the image, its label), sorted, with the standardisation undone by rank."""
    splits = (data.train, data.validation, data.test)
    values = torch.cat([split.images[:, 0, 0, 0] for split in splits])
    labels = torch.cat([split.labels for split in splits])
    return list(zip(range(len(values)), labels[values.argsort()].tolist(), strict=True))


def test_every_image_lands_in_one_split_with_its_own_label() -> None:
    assert recognised(from_arrays(IMAGES, LABELS)) == list(enumerate(LABELS.tolist()))


def test_each_split_has_each_class_in_its_share() -> None:
    data = from_arrays(IMAGES, LABELS, validation=0.2, test=0.1)
    assert data.train.labels.bincount().tolist() == [84, 42, 14]
    assert data.validation.labels.bincount().tolist() == [24, 12, 4]
    assert data.test.labels.bincount().tolist() == [12, 6, 2]


def test_the_same_seed_divides_in_the_same_way_and_another_one_does_not() -> None:
    one, again, other = (from_arrays(IMAGES, LABELS, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(one.test.images, again.test.images)
    assert not torch.equal(one.test.images, other.test.images)


@pytest.mark.parametrize(
    ("size", "shape"),
    [
        ((3, 4), (1, 3, 4)),
        ((5, 4, 3), (3, 5, 4)),
        ((3, 5, 4), (3, 5, 4)),
        ((5, 4, 1), (1, 5, 4)),
        ((1, 5, 4), (1, 5, 4)),
    ],
)
def test_the_axis_of_the_channels_is_found(size: tuple[int, ...], shape: tuple[int, ...]) -> None:
    assert from_arrays(images_of(LABELS, size=size), LABELS).shape == shape


@pytest.mark.parametrize(("channels", "shape"), [("first", (3, 5, 1)), ("last", (1, 3, 5))])
def test_the_axis_of_the_channels_can_be_said(channels: str, shape: tuple[int, ...]) -> None:
    data = from_arrays(images_of(LABELS, size=(3, 5, 1)), LABELS, channels=channels)  # type: ignore[arg-type]
    assert data.shape == shape


@pytest.mark.parametrize("convert", [np.asarray, torch.tensor, np.ndarray.tolist], ids=["numpy", "torch", "lists"])
def test_arrays_tensors_and_lists_give_the_same_data(convert: Callable[[np.ndarray], object]) -> None:
    images, expected = IMAGES / np.float64(255), from_arrays(IMAGES / 255, LABELS)
    data = from_arrays(convert(images), convert(LABELS))  # type: ignore[arg-type]
    assert torch.equal(data.train.images, expected.train.images)


def test_big_endian_and_reversed_arrays_are_taken_too() -> None:
    data = from_arrays(IMAGES.astype(">f4")[:, ::-1], LABELS.astype(">i2"))
    assert torch.equal(data.test.images, from_arrays(IMAGES.astype(np.float32), LABELS).test.images)


def test_the_given_arrays_are_neither_changed_nor_shared() -> None:
    images = torch.tensor(IMAGES, dtype=torch.float32)
    before = images.clone()
    data = from_arrays(images, LABELS)
    data.train.images.zero_()
    data.train.labels.zero_()
    assert torch.equal(images, before)
    assert LABELS.sum() == 100


def test_classes_are_numbered_unless_named() -> None:
    assert from_arrays(IMAGES, LABELS).classes == ("0", "1", "2")
    assert from_arrays(IMAGES, LABELS, classes=["cat", "dog", "fox"]).classes == ("cat", "dog", "fox")


def with_one(value: float) -> np.ndarray:
    images = IMAGES.astype(np.float32)
    images[17, 1, 2] = value
    return images


NAN, INFINITE = with_one(float("nan")), with_one(float("inf"))
BAD: dict[str, tuple[object, object, str]] = {
    "integers": (IMAGES.astype(np.int64), LABELS, r"images must be uint8 \(0 to 255\) or float, not int64"),
    "booleans": (IMAGES > 3, LABELS, "images must be uint8 .* not bool"),
    "text": (IMAGES.astype(str), LABELS, "images must be uint8 .* not <U"),
    "flat": (IMAGES.reshape(200, 12), LABELS, r"images must have the shape .* not \(200, 12\)"),
    "no channels to be seen": (images_of(LABELS, size=(5, 4, 2)), LABELS, 'say channels="first"'),
    "two axes like channels": (images_of(LABELS, size=(3, 4, 3)), LABELS, 'say channels="first"'),
    "NaN": (NAN, LABELS, "image 17 holds NaN or infinity"),
    "infinite": (INFINITE, LABELS, "image 17 holds NaN or infinity"),
    "fewer labels": (IMAGES, LABELS[:-1], "200 images but 199 labels"),
    "one-hot labels": (
        IMAGES,
        np.eye(3, dtype=np.int64)[LABELS],
        r"labels must have the shape \(n,\), .* not \(200, 3\)",
    ),
    "float labels": (IMAGES, LABELS / 1, "labels must be whole numbers from 0 on, not float64"),
    "boolean labels": (IMAGES, LABELS > 0, "labels must be whole numbers from 0 on, not bool"),
    "text labels": (IMAGES, LABELS.astype(str), "labels must be whole numbers from 0 on, not <U"),
    "negative labels": (IMAGES, LABELS - 1, "labels must lie between 0 and 1, not between -1 and 1"),
    "only negative labels": (IMAGES, LABELS - 9, "labels must lie between 0 and 0, not between -9 and -7"),
    "a label beyond all images": (IMAGES, LABELS + 10**9, "a label is 1000000002 though there are 200 images"),
    "a class without images": (IMAGES, LABELS * 2, "class '1' has 0 of 200; give more images of it"),
    "nothing": (IMAGES[:0], LABELS[:0], "there are no images"),
}


@pytest.mark.parametrize(("images", "labels", "sentence"), BAD.values(), ids=BAD.keys())
def test_arrays_that_do_not_fit_are_refused_with_a_sentence_that_begins_with_the_name(
    images: np.ndarray, labels: np.ndarray, sentence: str
) -> None:
    with pytest.raises(DataError, match=f"^pets: .*{sentence}"):
        from_arrays(images, labels, name="pets")


def test_a_label_beyond_the_named_classes_is_refused() -> None:
    with pytest.raises(DataError, match="labels must lie between 0 and 1, not between 0 and 2"):
        from_arrays(IMAGES, LABELS, classes=["cat", "dog"])


@pytest.mark.parametrize(("validation", "test"), [(0.0, 0.2), (0.2, 0.0), (0.5, 0.5), (-0.1, 0.2), (float("nan"), 0.2)])
def test_fractions_that_leave_a_split_empty_are_refused(validation: float, test: float) -> None:
    with pytest.raises(DataError, match=f"fractions above 0 .* not {validation} and {test}"):
        from_arrays(IMAGES, LABELS, validation=validation, test=test)


@pytest.mark.parametrize("n_rare", [1, 2, 3])
def test_a_class_too_rare_for_every_split_is_named(n_rare: int) -> None:
    labels = np.array([0] * 100 + [1] * n_rare)
    with pytest.raises(DataError, match=f"class 'fox' has {n_rare} of {100 + n_rare}; give more images of it"):
        from_arrays(images_of(labels), labels, classes=["cat", "fox"])


def test_a_bad_seed_is_named_and_not_taken_for_a_rare_class() -> None:
    with pytest.raises(DataError, match="seed must be a whole number from 0"):
        from_arrays(IMAGES, LABELS, seed=-1)


def test_a_torch_dataset_gives_the_data_of_its_arrays() -> None:
    images = torch.tensor(IMAGES)[:, None]
    data = from_torch(TensorDataset(images, torch.tensor(LABELS)), seed=4)
    expected = from_arrays(images, LABELS, seed=4)
    assert torch.equal(data.train.images, expected.train.images)
    assert torch.equal(data.test.labels, expected.test.labels)


class Pets:
    """A dataset as torchvision's are: arrays with the channels last, labels as int, and names of the classes."""

    classes = ("cat", "dog", "fox")

    def __len__(self) -> int:
        return len(LABELS)

    def __getitem__(self, index: int, /) -> tuple[np.ndarray, int]:
        return np.full((5, 4, 3), index, np.uint8), int(LABELS[index])


def test_the_names_of_the_classes_are_the_datasets_own_unless_given() -> None:
    assert from_torch(Pets()).classes == ("cat", "dog", "fox")
    assert from_torch(Pets(), classes=["a", "b", "c"]).classes == ("a", "b", "c")
    assert recognised(from_torch(Pets())) == list(enumerate(LABELS.tolist()))


def test_a_dataset_without_length_is_refused() -> None:
    class Endless(IterableDataset[Tensor]):
        def __iter__(self) -> Iterator[Tensor]:
            return iter(())

    with pytest.raises(TypeError, match="a length and an index, and Endless has not"):
        from_torch(Endless())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("examples", "sentence"),
    [
        ([(np.zeros((3, 4)), 0), np.zeros((3, 4))], r"example 1 must be a pair \(image, label\), not ndarray"),
        ([(np.zeros((3, 4)), 0), (np.zeros((4, 4)), 0)], r"example 1 is float64 of shape \(4, 4\), but .* \(3, 4\)"),
        (
            [(np.zeros((3, 4)), 0), (np.zeros((3, 4), np.uint8), 0)],
            "example 1 is uint8 .* but mine: example 0 is float64",
        ),
        ([(np.zeros((3, 4)), [0, 1])], "example 0 has the label .*, but a whole number is needed"),
        ([], "there are no images"),
    ],
)
def test_an_example_that_does_not_fit_is_named(examples: list[object], sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        from_torch(examples)
