"""Keep what takes seconds to make: tensors by name in one checked file. Losing the file loses time only."""

import hashlib
import os
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import platformdirs
import torch
from torch import Tensor

from efflab.data.files import DataError, read_npz, write_npz

CHECKSUM = "sha256"
"""Name under which the checksum of all other arrays lies in the file."""


def cache_folder() -> Path:
    """$EFFLAB_CACHE, or the place that this operating system has for such files."""
    return Path(os.environ.get("EFFLAB_CACHE") or platformdirs.user_cache_path("efflab"))


def load_or_make(name: str, make: Callable[[], dict[str, Tensor]]) -> dict[str, Tensor]:
    """The tensors kept under the name, or else made now and kept.

    A damaged file is made again. Where the folder cannot be written, a warning says so, and the tensors are
    made each time.
    """
    path = cache_folder() / f"{name}.npz"
    kept = _read(path)
    if kept is not None:
        return kept
    made = make()
    arrays = {key: tensor.numpy() for key, tensor in made.items()}
    try:
        write_npz(path, {**arrays, CHECKSUM: _checksum(arrays)})
    except OSError as error:
        warnings.warn(
            f"{name} cannot be kept in {path.parent} ({error.strerror or error}), so it is made each time; "
            "set EFFLAB_CACHE to a folder that can be written",
            stacklevel=3,
        )
    return made


def _read(path: Path) -> dict[str, Tensor] | None:
    try:
        arrays = read_npz(path)
    except DataError:
        return None
    checksum = arrays.pop(CHECKSUM, None)
    if checksum is None or not np.array_equal(checksum, _checksum(arrays)):
        return None
    return {key: torch.from_numpy(array) for key, array in arrays.items()}


def _checksum(arrays: dict[str, np.ndarray]) -> np.ndarray:
    """sha256 over name, type, shape and bytes of each array -> (32,) uint8."""
    digest = hashlib.sha256()
    for key in sorted(arrays):
        digest.update(f"{key} {arrays[key].dtype} {arrays[key].shape}".encode())
        digest.update(np.ascontiguousarray(arrays[key]).data)
    return np.frombuffer(digest.digest(), np.uint8)
