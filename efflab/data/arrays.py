"""Check arrays that come from outside, and give them the one form that the rest of this room works with."""

from collections.abc import Mapping
from typing import Literal

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from efflab.data.files import Array, DataError
from efflab.data.prepare import Pixels

Channels = Literal["first", "last"]
"""Where the channels of images with four axes are: (n, channels, h, w) or (n, h, w, channels)."""
USUAL_CHANNELS = (1, 3)
"""Grey and colour: an axis of this length is taken for the channels when nothing is said."""


def to_pixels(
    images: Tensor | ArrayLike, labels: Tensor | ArrayLike, *, where: str, channels: Channels | None = None
) -> Pixels:
    """Checked images and labels, with the channels first.

    images: (n, h, w), (n, h, w, c) or (n, c, h, w), uint8 or float; labels: (n,) or (n, 1) whole numbers.
    where: what an error sentence begins with, such as the name of the file.

    Raises:
        DataError: a type, shape or length that does not fit, a value that is not finite, or a label below 0.
    """
    pixels = Pixels(_to_images(_to_tensor(images), where, channels), _to_labels(_to_tensor(labels), where))
    if len(pixels.images) != len(pixels.labels):
        raise DataError(
            f"{where}: {len(pixels.images):,} images but {len(pixels.labels):,} labels; "
            "there must be one label an image"
        )
    if len(pixels.images) == 0:
        raise DataError(f"{where}: there are no images; at least one is needed")
    return pixels


def check_labels(labels: Tensor, n_classes: int, where: str) -> None:
    """Raise DataError unless every label lies between 0 and n_classes - 1."""
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= n_classes:
        raise DataError(f"{where}: labels must lie between 0 and {n_classes - 1}, not between {low} and {high}")


def stack_images(images: Mapping[str, Array]) -> Array:
    """All images in one array. images: what to call each in a sentence -> the image -> (n, ...).

    Raises:
        DataError: none at all, or one that has another shape or type than the first.
    """
    if not images:
        raise DataError("there are no images; at least one is needed")
    first = next(iter(images))
    shape, dtype = images[first].shape, images[first].dtype
    for name, image in images.items():
        if image.shape != shape or image.dtype != dtype:
            raise DataError(
                f"{name} is {image.dtype} of shape {image.shape}, but {first} is {dtype} of shape {shape}; "
                "all images must be alike (a folder of pictures is resized by size=(height, width))"
            )
    return np.stack(list(images.values()))


def _to_tensor(values: Tensor | ArrayLike) -> Tensor | np.ndarray:
    """A tensor where torch knows the type; else the array, whose type the caller's sentence will name."""
    if isinstance(values, Tensor):
        return values.detach().cpu()
    array = np.asarray(values)
    if array.dtype.kind not in "biuf" or array.dtype.itemsize > 8:
        return array
    return torch.tensor(array.astype(array.dtype.newbyteorder("="), copy=False))


def _to_images(images: Tensor | np.ndarray, where: str, channels: Channels | None) -> Tensor:
    if not isinstance(images, Tensor) or not (images.dtype == torch.uint8 or images.is_floating_point()):
        raise DataError(f"{where}: images must be uint8 (0 to 255) or float, not {_type(images)}")
    if images.ndim not in (3, 4):
        raise DataError(
            f"{where}: images must have the shape (n, height, width), (n, height, width, channels) or "
            f"(n, channels, height, width), not {tuple(images.shape)}"
        )
    if not bool(torch.isfinite(images).all()):
        bad = int((~torch.isfinite(images.flatten(1)).all(dim=1)).nonzero()[0])
        raise DataError(f"{where}: image {bad} holds NaN or infinity; every pixel must be a finite number")
    if images.ndim == 3:
        return images[:, None]
    return images if _find_channels(images, where, channels) == "first" else images.permute(0, 3, 1, 2)


def _find_channels(images: Tensor, where: str, channels: Channels | None) -> Channels:
    if channels is not None:
        return channels
    first, last = images.shape[1] in USUAL_CHANNELS, images.shape[3] in USUAL_CHANNELS
    if first == last:
        raise DataError(
            f"{where}: images of shape {tuple(images.shape)} do not show which axis holds the channels; "
            'say channels="first" for (n, channels, height, width) '
            'or channels="last" for (n, height, width, channels)'
        )
    return "first" if first else "last"


def _to_labels(labels: Tensor | np.ndarray, where: str) -> Tensor:
    whole = isinstance(labels, Tensor) and not (labels.is_floating_point() or labels.dtype == torch.bool)
    if not isinstance(labels, Tensor) or not whole:
        raise DataError(f"{where}: labels must be whole numbers from 0 on, not {_type(labels)}")
    if labels.ndim == 2 and labels.shape[1] == 1:  # as some published files have them
        labels = labels[:, 0]
    if labels.ndim != 1:
        raise DataError(f"{where}: labels must have the shape (n,), one an image, not {tuple(labels.shape)}")
    return labels.to(torch.int64)


def _type(values: Tensor | np.ndarray) -> str:
    return str(values.dtype).removeprefix("torch.")
