import numpy as np
import pytest
import torch
from sklearn.preprocessing import StandardScaler

from efflab.data.prepare import N_CALIBRATION, Pixels, channel_statistics, prepare, seeded, standardise


def pixels(n: int, *, seed: int = 0, dtype: torch.dtype = torch.uint8) -> Pixels:
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(256, (n, 3, 4, 5), generator=generator)
    return Pixels(images.to(dtype), torch.arange(n) % 2)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.float64])
def test_images_are_standardised_as_scikit_learn_does_it_channel_by_channel(dtype: torch.dtype) -> None:
    train, other = pixels(40, dtype=dtype), pixels(10, seed=1, dtype=dtype)
    scaler = StandardScaler().fit(train.images.permute(0, 2, 3, 1).reshape(-1, 3).numpy().astype(np.float64))
    expected = scaler.transform(other.images.permute(0, 2, 3, 1).reshape(-1, 3).numpy().astype(np.float64))
    data = prepare("some", train, other, other, classes=("a", "b"))
    found = data.validation.images.permute(0, 2, 3, 1).reshape(-1, 3).numpy()
    np.testing.assert_allclose(found, expected, atol=2e-6)


def test_only_training_images_decide_the_mean() -> None:
    train = pixels(40)
    one = prepare("some", train, pixels(10, seed=1), pixels(10, seed=2), classes=("a", "b"))
    two = prepare("some", train, pixels(10, seed=3), pixels(10, seed=4), classes=("a", "b"))
    assert torch.equal(one.train.images, two.train.images)
    assert one.train.images.mean(dim=(0, 2, 3)).abs().max().item() < 1e-6


@pytest.mark.parametrize("value", [7, 0.1])
def test_a_channel_that_never_changes_becomes_zero(value: float) -> None:
    images = torch.full((5, 1, 3, 3), value, dtype=torch.uint8 if isinstance(value, int) else torch.float32)
    mean, deviation = channel_statistics(images)
    assert deviation.tolist() == [1.0]
    assert standardise(images, mean, deviation).abs().max().item() < 1e-6


def test_prepared_images_are_new_and_the_given_ones_untouched() -> None:
    train = pixels(40, dtype=torch.float32)
    before = train.images.clone()
    data = prepare("some", train, train, train, classes=("a", "b"))
    data.train.images.zero_()
    assert torch.equal(train.images, before)


@pytest.mark.parametrize(("n", "expected"), [(N_CALIBRATION + 9, N_CALIBRATION), (40, 40)])
def test_calibration_is_the_beginning_of_train(n: int, expected: int) -> None:
    data = prepare("some", pixels(n), pixels(4), pixels(4), classes=("a", "b"))
    assert len(data.calibration) == expected
    assert torch.equal(data.calibration.images, data.train.images[:expected])
    assert torch.equal(data.calibration.labels, data.train.labels[:expected])


@pytest.mark.parametrize("seed", [-1, 2**32, 1.0, True, "0"])
def test_a_seed_that_is_no_whole_number_from_zero_on_is_refused(seed: int) -> None:
    with pytest.raises(ValueError, match=r"seed must be a whole number from 0"):
        seeded(seed)
