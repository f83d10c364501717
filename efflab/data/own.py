"""Bring your own: arrays become a `Data` like any other; a folder or a torch Dataset comes here too in the end.

The images are divided by scikit-learn, stratified: each split has each class in the same share. If yours come in groups
that resemble each other (frames of one film, cuts of one photograph), divide them by group yourself and build a `Data`.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from efflab.data.arrays import Channels, check_labels, to_pixels
from efflab.data.files import DataError
from efflab.data.prepare import Pixels, prepare, seeded
from efflab.data.splits import Data


def from_arrays(
    images: Tensor | ArrayLike,
    labels: Tensor | ArrayLike,
    *,
    classes: Sequence[str] | None = None,
    name: str = "mine",
    seed: int = 0,
    validation: float = 0.15,
    test: float = 0.15,
    channels: Channels | None = None,
) -> Data:
    """Your images and labels, divided at random into train, validation and test, each class in its share.

    images: (n, h, w), (n, h, w, c) or (n, c, h, w), uint8 or float. labels: (n,) whole numbers from 0 on.
    classes: their names; numbers if left out. validation, test: fractions of all images.
    channels: "first" or "last", needed only if an axis of 1 or 3 does not show it.

    Raises:
        DataError: a type, shape, length or value that does not fit, or too few images of a class.
    """
    pixels = to_pixels(images, labels, where=name, channels=channels)
    names = _name_classes(pixels.labels, name) if classes is None else tuple(classes)
    check_labels(pixels.labels, len(names), name)
    parts = divide(pixels.labels, names, where=name, seed=seed, validation=validation, test=test)
    return prepare(name, *(Pixels(pixels.images[part], pixels.labels[part]) for part in parts), classes=names)


def _name_classes(labels: Tensor, where: str) -> tuple[str, ...]:
    highest = int(labels.max())
    if highest >= len(labels):
        raise DataError(
            f"{where}: a label is {highest} though there are {len(labels):,} images; number the classes from 0"
        )
    return tuple(str(number) for number in range(max(highest, 0) + 1))  # below 0: `check_labels` says so


def divide(
    labels: Tensor, classes: tuple[str, ...], *, where: str, seed: int, validation: float, test: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Indices of the training, validation and test images, stratified. labels: (n,) -> three (m,) int64.

    Raises:
        DataError: fractions that leave a split empty, or a class with too few images to be in each split.
    """
    if not (validation > 0 and test > 0 and validation + test < 1):
        raise DataError(
            f"{where}: validation and test must be fractions above 0 that leave something to train on, "
            f"not {validation} and {test}"
        )
    from sklearn.model_selection import train_test_split  # here, because it takes as long to import as torch

    seeded(seed)  # for its sentence
    n_validation, n_test = (max(1, round(len(labels) * fraction)) for fraction in (validation, test))
    numbers = labels.numpy()
    try:
        rest, tested = train_test_split(np.arange(len(numbers)), test_size=n_test, random_state=seed, stratify=numbers)
        trained, validated = train_test_split(rest, test_size=n_validation, random_state=seed, stratify=numbers[rest])
    except ValueError as error:  # scikit-learn's words for the same
        raise DataError(_too_few(where, classes, labels)) from error
    parts = torch.from_numpy(trained), torch.from_numpy(validated), torch.from_numpy(tested)
    if any(len(set(labels[part].tolist())) < len(classes) for part in parts):
        raise DataError(_too_few(where, classes, labels))
    return parts


def _too_few(where: str, classes: tuple[str, ...], labels: Tensor) -> str:
    counts = torch.bincount(labels, minlength=len(classes))
    rarest = int(counts.argmin())
    return (
        f"{where}: every split needs images of every class, and class {classes[rarest]!r} has {int(counts[rarest])} of "
        f"{len(labels):,}; give more images of it, leave the class out, or ask for larger fractions"
    )
