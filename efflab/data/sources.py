"""Data by name: the one list of what `load` knows."""

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from efflab.data.download import Say
from efflab.data.download import download as fetch_files
from efflab.data.files import DataError
from efflab.data.handwriting import digits
from efflab.data.published import CIFAR10, FASHION_MNIST, MNIST, Published, data_folder, has_files, read_published
from efflab.data.scattering import scattered
from efflab.data.splits import Data

SOURCES: Mapping[str, Callable[[int], Data] | Published] = MappingProxyType(
    {
        "digits": digits,
        "scattered": scattered,
        "mnist": MNIST,
        "fashion-mnist": FASHION_MNIST,
        "cifar10": CIFAR10,
    }
)
"""Name -> what makes it from a seed, or what is known of its files."""


def load(
    name: str,
    *,
    seed: int = 0,
    folder: Path | str | None = None,
    download: bool = False,
    on_progress: Say | None = None,
) -> Data:
    """The data set of that name: digits, scattered, mnist, fashion-mnist or cifar10.

    seed: decides which images go where, and draws the pictures of `scattered`.
    folder: holds the files of mnist, fashion-mnist or cifar10 (which: see `efflab.data.published`); by default
        $EFFLAB_DATA/NAME, or the user's data folder where that is not set.
    download: fetch those files if the folder has none; on_progress is then told what is going on.

    Example:
        >>> load("digits")
        <Data digits: 897 / 360 / 540 images of (1, 8, 8), 10 classes>

    Raises:
        DataError: an unknown name, or files that are absent, damaged or not what they should be.
    """
    if name not in SOURCES:
        raise DataError(f"there is no data set called {name!r}; known are {', '.join(SOURCES)}")
    source = SOURCES[name]
    if not isinstance(source, Published):
        if folder is not None or download:
            raise DataError(f"{name} comes with efflab: leave out folder and download")
        return source(seed)
    place = data_folder(name) if folder is None else Path(folder)
    if download and not has_files(source, place):
        fetch_files(source, place, on_progress=on_progress)
    return read_published(source, place, seed=seed)


def is_available(name: str) -> bool:
    """Whether `load(name)` finds all it needs on this machine.

    Raises:
        DataError: an unknown name.
    """
    if name not in SOURCES:
        raise DataError(f"there is no data set called {name!r}; known are {', '.join(SOURCES)}")
    source = SOURCES[name]
    return not isinstance(source, Published) or has_files(source, data_folder(name))
