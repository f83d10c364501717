"""Checks: what the formulas of this room refuse, in words, before a NaN or a broadcast hides the mistake."""

import math

from torch import Tensor


def check_tensor(name: str, x: Tensor, *layouts: str) -> None:
    """Raise ValueError unless x has as many axes as one of the layouts, holds something, and nothing but numbers.

    layouts: such as "(n, classes)".
    """
    if x.ndim not in {len(layout.strip("(,)").split(",")) for layout in layouts}:
        raise ValueError(f"{name} must have the shape {' or '.join(layouts)}, not {tuple(x.shape)}")
    if x.numel() == 0:
        raise ValueError(f"{name} must hold at least one value, not none: its shape is {tuple(x.shape)}")
    finite = x.isfinite()
    if not bool(finite.all()):
        position = tuple((~finite).nonzero()[0].tolist())
        raise ValueError(
            f"{name} holds {x[position].item()} at position {position}: every value must be a finite number; "
            "look for a division by zero, or training that diverged"
        )


def check_temperature(temperature: float) -> None:
    """Raise ValueError unless the temperature is positive and finite."""
    if not 0 < temperature < math.inf:
        raise ValueError(f"temperature must be a number above 0, not {temperature}: logits are divided by it")


def check_labels(labels: Tensor, n: int, n_classes: int) -> None:
    """Raise ValueError unless there are n labels, each a whole number from 0 to n_classes - 1."""
    if tuple(labels.shape) != (n,) or labels.is_floating_point():
        raise ValueError(f"labels must be {n} whole numbers, one an image, not {labels.dtype} {tuple(labels.shape)}")
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= n_classes:
        raise ValueError(f"labels must lie between 0 and {n_classes - 1}, not between {low} and {high}")


def check_same_images(name: str, x: Tensor, other_name: str, other: Tensor) -> None:
    """Raise ValueError unless both have as many rows."""
    if len(x) != len(other):
        raise ValueError(f"{name} and {other_name} must be of the same images, not of {len(x)} and {len(other)}")
