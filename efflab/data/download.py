"""Fetch a published data set, only when somebody asks for it.

scikit-learn does the transfer and checks what arrived. It tells nothing while it works, so we say which stage is
running. What is kept is one npz file with a checksum beside it, renamed into place when it is whole: a download
that breaks leaves nothing that could be taken for the data.
"""

import math
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path

import numpy as np

from efflab.data.cache import cache_folder
from efflab.data.files import Array, DataError, write_npz
from efflab.data.published import Published, missing_sentence

Say = Callable[[str], None]
"""Takes a sentence about what is going on."""
Fetch = Callable[[str, Path], tuple[Array, Array]]
"""(name on openml.org, folder for its files) -> images (n, pixels), labels (n,): training images, then test's."""


def fetch_openml(name: str, folder: Path) -> tuple[Array, Array]:
    """The rows of version 1 of a data set on openml.org, by scikit-learn."""
    from sklearn import datasets  # here, because it takes as long to import as torch

    images, labels = datasets.fetch_openml(name, version=1, data_home=folder, as_frame=False, return_X_y=True)
    return images, labels


def download(known: Published, folder: Path, *, on_progress: Say | None = None, fetch: Fetch = fetch_openml) -> Path:
    """Fetch the data set and keep it in the folder as NAME.npz; the path of that file.

    fetch: another way to get the rows, such as a mirror's.

    Raises:
        DataError: no network, something else arrived than the published data set, or the folder cannot be
            written.
    """
    say = on_progress or (lambda sentence: None)
    say(f"Fetching {known.name} from openml.org: this takes minutes and shows nothing until it ends.")
    images, labels = _fetch(known, folder, fetch)
    say(f"Checking {len(images):,} images.")
    arrays = _split(known, images, labels)
    path = folder / f"{known.name}.npz"
    say(f"Writing {path}.")
    try:
        write_npz(path, arrays, checksum=True)
    except OSError as error:
        raise DataError(
            f"{path} cannot be written ({error.strerror or error}); set EFFLAB_DATA to a folder that can be written"
        ) from error
    return path


def _fetch(known: Published, folder: Path, fetch: Fetch) -> tuple[Array, Array]:
    try:
        return fetch(known.openml, cache_folder() / "openml")
    except (OSError, HTTPException, ValueError) as error:  # no network; broken transfer; not what was promised
        reason = f"{known.name} could not be fetched ({error})"
        raise DataError(f"{reason}; {missing_sentence(known, folder)}") from error


def _split(known: Published, images: Array, labels: Array) -> dict[str, Array]:
    """Rows as they arrived -> the arrays of NAME.npz: x_train (n, *shape) uint8, y_train (n,) uint8 ..."""
    n_test = sum(known.test_counts)
    n_pixels = math.prod(known.shape)
    pixels = np.asarray(images).astype(np.uint8)
    numbers = np.asarray(labels).astype(np.int64)
    if pixels.ndim != 2 or pixels.shape[1] != n_pixels or len(pixels) <= n_test or not np.array_equal(pixels, images):
        raise DataError(
            f"openml.org gave {known.name} as rows of shape {np.shape(images)}; more than {n_test:,} rows of "
            f"{n_pixels} whole numbers from 0 to 255 were expected, so nothing was kept"
        )
    if tuple(np.bincount(numbers[-n_test:], minlength=len(known.classes))) != known.test_counts:
        raise DataError(f"openml.org gave {known.name} in another order than the published one, so nothing was kept")
    x, y = pixels.reshape(-1, *known.shape), numbers.astype(np.uint8)
    return {"x_train": x[:-n_test], "y_train": y[:-n_test], "x_test": x[-n_test:], "y_test": y[-n_test:]}
