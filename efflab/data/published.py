"""The papers' data sets, read from files that somebody put there: MNIST, Fashion-MNIST and CIFAR-10.

A folder holds one of these, and the first that is found is read:

    NAME.npz                     with the arrays x_train, y_train, x_test, y_test (and NAME.npz.sha256, then verified)
    train.npz and test.npz       each with the arrays images and labels
    train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte
                                 plain, or compressed with .gz after the name

The seed shuffles the training images; the last of them (10,000; 5,000 for CIFAR-10) become validation. The test images
are the published ones in the published order, so that a result can stand beside a paper's.

Reference:
    Y. LeCun et al., Gradient-based learning applied to document recognition, Proc. IEEE 86, 1998 (MNIST).
    H. Xiao, K. Rasul, R. Vollgraf, Fashion-MNIST, 2017, arXiv 1708.07747.
    A. Krizhevsky, Learning multiple layers of features from tiny images, 2009 (CIFAR-10).
"""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import platformdirs
import torch

from efflab.data.arrays import check_labels, to_pixels
from efflab.data.files import Array, DataError, read_idx, read_npz, verify_checksum
from efflab.data.prepare import Pixels, prepare, seeded
from efflab.data.splits import Data

IDX_NAMES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)


@dataclass(frozen=True)
class Published:
    """What is known of a published data set before its files are opened."""

    name: str
    shape: tuple[int, int, int]
    """Channels, height and width of an image."""
    n_validation: int
    """Training images kept back for validation."""
    classes: tuple[str, ...]
    openml: str
    """Name on openml.org (version 1)."""
    test_counts: tuple[int, ...]
    """Test images of each class: tells whether a download has the published order."""


MNIST = Published(
    name="mnist",
    shape=(1, 28, 28),
    n_validation=10_000,
    classes=tuple("0123456789"),
    openml="mnist_784",
    test_counts=(980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009),
)
FASHION_MNIST = Published(
    name="fashion-mnist",
    shape=(1, 28, 28),
    n_validation=10_000,
    classes=(
        *("T-shirt/top", "trouser", "pullover", "dress", "coat"),
        *("sandal", "shirt", "sneaker", "bag", "ankle boot"),
    ),
    openml="Fashion-MNIST",
    test_counts=(1000,) * 10,
)
CIFAR10 = Published(
    name="cifar10",
    shape=(3, 32, 32),
    n_validation=5_000,
    classes=("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
    openml="CIFAR_10",
    test_counts=(1000,) * 10,
)


def data_folder(name: str) -> Path:
    """Where the files of a published data set are looked for: $EFFLAB_DATA/NAME, or else the user's data folder."""
    return Path(os.environ.get("EFFLAB_DATA") or platformdirs.user_data_path("efflab")) / name


def read_published(known: Published, folder: Path, *, seed: int = 0) -> Data:
    """The data set that lies in the folder, see above.

    Raises:
        DataError: files absent, damaged, of other images than expected, or too few.
    """
    train, test = _read(known, folder)
    if len(train.labels) <= known.n_validation:
        raise DataError(
            f"{folder} holds {len(train.labels):,} training images; {known.name} needs more than "
            f"{known.n_validation:,}, because that many are kept back for validation"
        )
    order = torch.randperm(len(train.labels), generator=seeded(seed))
    parts = order.tensor_split([-known.n_validation])
    kept, held = (Pixels(train.images[part], train.labels[part]) for part in parts)
    return prepare(known.name, kept, held, test, classes=known.classes)


def missing_sentence(known: Published, folder: Path) -> str:
    """What to put where, for a data set that is not in the folder."""
    return (
        f"{known.name} is not in {folder}: put {known.name}.npz there, or {', '.join(IDX_NAMES)} "
        f"(each may end in .gz), or set EFFLAB_DATA to the folder that holds {known.name}/, "
        f'or, with a network, call load("{known.name}", download=True)'
    )


def has_files(known: Published, folder: Path) -> bool:
    """Whether the folder holds any file of the data set."""
    return any(path.exists() for path in (_single(known, folder), *_pair(folder), *_idx_paths(folder)))


def _read(known: Published, folder: Path) -> tuple[Pixels, Pixels]:
    single, pair, idx = _single(known, folder), _pair(folder), _idx_paths(folder)
    if single.exists():
        verify_checksum(single)
        arrays = read_npz(single)
        train, test = (_pick(single, arrays, f"x_{half}", f"y_{half}") for half in ("train", "test"))
        return _check(known, *train, single), _check(known, *test, single)
    if any(path.exists() for path in pair):
        train, test = (_pick(path, read_npz(path), "images", "labels") for path in pair)
        return _check(known, *train, pair[0]), _check(known, *test, pair[1])
    if any(path.exists() for path in idx):
        images, labels, test_images, test_labels = (read_idx(path) for path in idx)
        return _check(known, images, labels, idx[0]), _check(known, test_images, test_labels, idx[2])
    raise DataError(missing_sentence(known, folder))


def _single(known: Published, folder: Path) -> Path:
    return folder / f"{known.name}.npz"


def _pair(folder: Path) -> tuple[Path, Path]:
    return folder / "train.npz", folder / "test.npz"


def _idx_paths(folder: Path) -> list[Path]:
    """Training images and labels, test images and labels; compressed where only that exists."""
    plain = [folder / name for name in IDX_NAMES]
    zipped = [path.with_name(f"{path.name}.gz") for path in plain]
    return [z if z.exists() and not p.exists() else p for p, z in zip(plain, zipped, strict=True)]


def _pick(path: Path, arrays: dict[str, Array], images: str, labels: str) -> tuple[Array, Array]:
    for name in (images, labels):
        if name not in arrays:
            found = ", ".join(arrays) or "nothing"
            raise DataError(f"{path} has no array {name!r}, which is needed; it holds {found}")
    return arrays[images], arrays[labels]


def _check(known: Published, images: Array, labels: Array, path: Path) -> Pixels:
    if images.dtype != np.uint8:
        raise DataError(f"{path}: images of {known.name} must be uint8 (0 to 255), not {images.dtype}")
    pixels = to_pixels(images, labels, where=str(path))
    shape = tuple(pixels.images.shape[1:])
    if shape != known.shape:
        raise DataError(
            f"{path} holds images of {shape} (channels, height, width); those of {known.name} have {known.shape}"
        )
    check_labels(pixels.labels, len(known.classes), str(path))
    return pixels
