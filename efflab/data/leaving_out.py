"""Data with a class left out of training: what does a network know of something that it was never shown?"""

import dataclasses
from collections.abc import Sequence

from efflab.data.splits import Data, Split


def without_class(data: Data, label: int) -> Data:
    """The same data, of which training and calibration lack the images of one class.

    Validation and test stay whole, and so do the classes: a network still has an answer for the class that it is never
    shown, and is judged on it. So the best epoch of a training is chosen with images of that class, too.

    Example:
        >>> from efflab.data import digits
        >>> others = without_class(digits(), 3)
        >>> others.name, 3 in others.train.labels, 3 in others.validation.labels
        ('digits without 3', False, True)

    Raises:
        ValueError: there is no such class, or training or calibration have no image of another.
    """
    if isinstance(label, bool) or not isinstance(label, int) or not 0 <= label < data.n_classes:
        known = f"0 to {data.n_classes - 1} ({_listed(data.classes)})"
        raise ValueError(f"label must be a class of {data.name}, a whole number from {known}, not {label!r}")
    return dataclasses.replace(
        data,
        name=f"{data.name} without {data.classes[label]}",
        train=_without(data.train, label, "train"),
        calibration=_without(data.calibration, label, "calibration"),
    )


def _without(split: Split, label: int, name: str) -> Split:
    others = split.labels != label
    if not bool(others.any()):
        raise ValueError(f"label must leave images of another class: all {len(split)} of {name} have the label {label}")
    return Split(split.images[others], split.labels[others])


def _listed(classes: Sequence[str]) -> str:
    """The first and the last few names."""
    return ", ".join(classes if len(classes) <= 12 else [*classes[:10], "...", classes[-1]])
