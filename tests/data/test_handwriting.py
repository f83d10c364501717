import torch
from sklearn.datasets import load_digits

from efflab.data import Split, digits
from efflab.data.handwriting import originals


def as_scikit_learn_has_them(split: Split) -> list[tuple[bytes, int]]:
    """Undo the standardisation: pixels from 0 to 16, as bytes, and the label."""
    train = originals()[0][torch.randperm(1797, generator=torch.Generator().manual_seed(0))[:897]].double()
    pixels = (split.images.double() * train.std(correction=0) + train.mean()) * 16
    return [
        (image.round().byte().numpy().tobytes(), int(label)) for image, label in zip(pixels, split.labels, strict=True)
    ]


def test_digits_are_all_of_scikit_learns_images_with_their_labels_each_once() -> None:
    data, bunch = digits(), load_digits()
    found = [pair for split in (data.train, data.validation, data.test) for pair in as_scikit_learn_has_them(split)]
    expected = [
        (image.astype("uint8").tobytes(), int(label)) for image, label in zip(bunch.images, bunch.target, strict=True)
    ]
    assert sorted(found) == sorted(expected)


def test_digits_are_divided_into_897_360_and_540() -> None:
    data = digits()
    assert [len(split) for split in (data.train, data.validation, data.test)] == [897, 360, 540]
    assert data.shape == (1, 8, 8)
    assert data.classes == tuple("0123456789")


def test_the_same_seed_shuffles_digits_in_the_same_way_and_another_one_does_not() -> None:
    assert torch.equal(digits(3).test.images, digits(3).test.images)
    assert not torch.equal(digits(3).test.labels, digits(4).test.labels)


def test_digits_leave_the_global_generator_alone() -> None:
    before = torch.get_rng_state()
    digits(1)
    assert torch.equal(torch.get_rng_state(), before)
