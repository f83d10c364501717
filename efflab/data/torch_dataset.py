"""A torch Dataset becomes a `Data`: its examples are read once, in order, and divided as our own arrays are."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from torch import Tensor

from efflab.data.arrays import Channels, stack_images
from efflab.data.files import Array, DataError
from efflab.data.own import from_arrays
from efflab.data.splits import Data


class Examples(Protocol):
    """What is needed of a dataset: a length, and a pair (image, label) for each index."""

    def __len__(self) -> int: ...
    def __getitem__(self, index: int, /) -> object: ...


def from_torch(
    dataset: Examples,
    *,
    classes: Sequence[str] | None = None,
    name: str = "mine",
    seed: int = 0,
    validation: float = 0.15,
    test: float = 0.15,
    channels: Channels | None = None,
) -> Data:
    """The examples of a dataset, divided at random into train, validation and test; see `from_arrays`.

    Each image is (h, w), (c, h, w) or (h, w, c): a tensor, an array or a picture of Pillow. Random augmentation is
    drawn once and then stays. classes: the dataset's own `classes`, if it has some and none are given.

    Raises:
        TypeError: the dataset has no length, or no index.
        DataError: an example that is not a pair, images of different shapes, or what `from_arrays` refuses.
    """
    if not hasattr(dataset, "__len__") or not hasattr(dataset, "__getitem__"):
        raise TypeError(f"{name}: dataset must have a length and an index, and {type(dataset).__name__} has not")
    pairs = [_read(dataset[i], f"{name}: example {i}") for i in range(len(dataset))]
    images = stack_images({f"{name}: example {i}": image for i, (image, _) in enumerate(pairs)})
    return from_arrays(
        images,
        np.array([label for _, label in pairs]),
        classes=getattr(dataset, "classes", None) if classes is None else classes,
        name=name,
        seed=seed,
        validation=validation,
        test=test,
        channels=channels,
    )


def _read(example: object, where: str) -> tuple[Array, Array]:
    if not isinstance(example, tuple | list) or len(example) != 2:
        raise DataError(f"{where} must be a pair (image, label), not {type(example).__name__}")
    image, label = (part.detach().cpu().numpy() if isinstance(part, Tensor) else np.asarray(part) for part in example)
    if label.ndim != 0:
        raise DataError(f"{where} has the label {label}, but a whole number is needed")
    return image, label
