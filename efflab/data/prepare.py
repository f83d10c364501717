"""From pixels to a `Data`: every source ends here, so that all of them are standardised in the same way.

Standardising means: subtract the mean and divide by the standard deviation, per channel, both taken from the training
images alone. Taking them from all images would let the test leak into the training.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from efflab.data.files import DataError
from efflab.data.splits import Data, Split

N_CALIBRATION = 256
"""Calibration images: the first ones of train (all of them, where there are fewer)."""


class Pixels(NamedTuple):
    """Images as a source gives them: (n, channels, height, width), uint8 (0 to 255) or float; labels (n,) int64."""

    images: Tensor
    labels: Tensor


def seeded(seed: int) -> torch.Generator:
    """A generator of our own, so that the global one is left alone.

    Raises:
        DataError: the seed is not a whole number from 0 to 2**32 - 1 (scikit-learn takes no other).
    """
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**32:
        raise DataError(f"seed must be a whole number from 0 to 2**32 - 1, not {seed!r}")
    return torch.Generator().manual_seed(seed)


def prepare(name: str, train: Pixels, validation: Pixels, test: Pixels, *, classes: tuple[str, ...]) -> Data:
    """A `Data` whose images are standardised by the mean and deviation of the training images.

    Raises:
        ValueError: the splits do not fit together; see `Data`.
    """
    mean, deviation = channel_statistics(train.images)
    parts = (train, validation, test)
    fitted, chosen, tested = (Split(standardise(part.images, mean, deviation), part.labels) for part in parts)
    calibration = Split(fitted.images[:N_CALIBRATION], fitted.labels[:N_CALIBRATION])
    return Data(name, fitted, chosen, tested, calibration, classes)


def channel_statistics(images: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each channel, (channels,) float64 each; uint8 counts as 0 to 1.

    A channel that never changes gets the deviation 1, so that it becomes 0 and not NaN.
    """
    channels = images.transpose(0, 1).flatten(1)  # (channels, n * height * width)
    found = [_statistics(channel) for channel in channels]
    mean, deviation = (torch.stack(values) for values in zip(*found, strict=True))
    constant = channels.amin(dim=1) == channels.amax(dim=1)
    return mean, torch.where(constant, 1.0, deviation)


def _statistics(channel: Tensor) -> tuple[Tensor, Tensor]:
    if channel.dtype != torch.uint8:
        values = channel.double()
        return values.mean(), values.std(correction=0)
    # Counting the 256 levels is exact, needs little memory and does not depend on the number of threads.
    counts = torch.bincount(channel, minlength=256).double()
    levels = torch.arange(256, dtype=torch.float64) / 255
    mean = counts @ levels / counts.sum()
    return mean, (counts @ (levels - mean).square() / counts.sum()).sqrt()


def standardise(images: Tensor, mean: Tensor, deviation: Tensor) -> Tensor:
    """A new float32 tensor. images: (n, channels, height, width); mean, deviation: (channels,) -> as images."""
    result = images.to(torch.float32, copy=True, memory_format=torch.contiguous_format)
    if images.dtype == torch.uint8:
        result /= 255
    return result.sub_(mean.float()[:, None, None]).div_(deviation.float()[:, None, None])
