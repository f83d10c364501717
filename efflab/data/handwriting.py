"""`digits`: the 1,797 real handwritten digits that come with scikit-learn.

Tiny and instant; too easy where a curve must show something: a small network is right nearly always.

Reference:
    E. Alpaydin, C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository, 1998.
"""

import torch
from torch import Tensor

from efflab.data.prepare import Pixels, prepare, seeded
from efflab.data.splits import Data

CLASSES = tuple("0123456789")
CUTS = (897, 897 + 360)
"""Where the shuffled images are cut: 897 for training, 360 for validation, the other 540 for the test."""


def digits(seed: int = 0) -> Data:
    """897 / 360 / 540 images of 8x8; the seed shuffles all of them before they are divided.

    Raises:
        DataError: the seed is not a whole number from 0 on.
    """
    images, labels = originals()
    order = torch.randperm(len(images), generator=seeded(seed))
    train, validation, test = (Pixels(images[part][:, None], labels[part]) for part in order.tensor_split(CUTS))
    return prepare("digits", train, validation, test, classes=CLASSES)


def originals() -> tuple[Tensor, Tensor]:
    """All, in scikit-learn's order: images (1797, 8, 8) float32 between 0 and 1, labels (1797,) int64."""
    from sklearn.datasets import load_digits  # here, because it takes as long to import as torch

    bunch = load_digits()
    return torch.from_numpy(bunch.images / 16).float(), torch.from_numpy(bunch.target).long()
