"""Arrays in files: the idx format of MNIST, and numpy's npz. Every fault is one sentence that names the file.

An idx file is as plain as a format can be: two zero bytes, one byte for the type of the values, one for the number of
axes, each axis length as a big-endian uint32, then the values. Nothing read here is ever unpickled.

Reference:
    Y. LeCun, C. Cortes, C. J. C. Burges, The MNIST database of handwritten digits, 1998 (section "file format").
"""

import contextlib
import gzip
import hashlib
import math
import os
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.generic]
IDX_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
"""Type code in an idx header -> numpy type."""
GZIP_MAGIC = b"\x1f\x8b"


class DataError(ValueError):
    """Data that cannot be used: the sentence names the file or the argument, and says what would be right."""


def read_idx(path: Path | str) -> Array:
    """The array of an idx file, plain or gzip-compressed (told from its first bytes, not from its name).

    Raises:
        DataError: absent, cut off, not idx, or more or fewer values than its header says.
    """
    path = Path(path)
    try:
        with open(path, "rb") as file:
            compressed = file.read(2) == GZIP_MAGIC
            file.seek(0)
            return _parse_idx(path, cast(BinaryIO, gzip.GzipFile(fileobj=file)) if compressed else file)
    except FileNotFoundError as error:
        raise DataError(f"{path} does not exist; put the idx file there") from error
    except EOFError as error:
        raise DataError(f"{path} is a gzip file that was cut off; download or copy it again") from error
    except (OSError, zlib.error) as error:
        raise DataError(f"{path} cannot be read ({error}); download or copy it again") from error


def _parse_idx(path: Path, file: BinaryIO) -> Array:
    magic = file.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in IDX_TYPES or magic[3] == 0:
        raise DataError(
            f"{path} begins with the bytes {magic.hex(' ') or '(none)'}, so it is not an idx file; "
            "images begin with 00 00 08 03 and labels with 00 00 08 01"
        )
    n_axes, dtype = magic[3], np.dtype(IDX_TYPES[magic[2]])
    lengths = file.read(4 * n_axes)
    if len(lengths) < 4 * n_axes:
        raise DataError(f"{path} ends within its header; download or copy it again")
    shape = struct.unpack(f">{n_axes}I", lengths)
    n_expected = math.prod(shape) * dtype.itemsize
    values = file.read()
    if len(values) != n_expected:
        raise DataError(
            f"{path}: its header says {' x '.join(map(str, shape))} values, which take {n_expected:,} bytes, "
            f"but {len(values):,} follow; download or copy it again"
        )
    array = np.frombuffer(values, dtype).reshape(shape)
    return array.astype(dtype.newbyteorder("="))


def read_npz(path: Path | str) -> dict[str, Array]:
    """All arrays of an npz file by name. Python objects inside are refused, not unpickled.

    Raises:
        DataError: absent, damaged, not npz, or holding something else than numbers.
    """
    path = Path(path)
    try:
        with open(path, "rb") as file:  # ours: np.load leaves its own open when the file is damaged
            archive = np.load(file, allow_pickle=False)
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise DataError(f"{path} holds a single array; an npz file as numpy.savez writes it is needed")
            with archive:
                arrays = {name: archive[name] for name in archive.files}
    except FileNotFoundError as error:
        raise DataError(f"{path} does not exist; put the npz file there") from error
    except DataError:
        raise
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{path} is damaged, or no npz file of plain numbers; make or copy it again") from error
    for name, array in arrays.items():
        if not isinstance(array, np.ndarray):
            raise DataError(f"{path} is a zip file in which {name} is no array; an npz file is needed")
    return arrays


def write_npz(path: Path, arrays: Mapping[str, Array], *, checksum: bool = False) -> None:
    """Write the arrays under a temporary name, then rename: a reader sees the old file or the whole new one.

    checksum: also write PATH.sha256 (in the form of the sha256sum program) for `verify_checksum`, before the rename.

    Raises:
        OSError: the folder cannot be written.
    """
    with replacing(path) as temporary:
        with temporary.open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)
        if checksum:
            _checksum_path(path).write_text(f"{_sha256(temporary)}  {path.name}\n", encoding="ascii")


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A new, empty file beside `path`, to be written inside the block; at its end it takes the place of `path`.

    So a reader sees the old file or the whole new one. If the block fails, the new file vanishes and the old one
    stays. Folders that are missing are made.

    Raises:
        OSError: the folder cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-", suffix=".part")
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def verify_checksum(path: Path) -> None:
    """Do nothing where no checksum lies beside the file, or where the file agrees with it.

    Raises:
        DataError: the file is not the one that the checksum was taken of.
    """
    beside = _checksum_path(path)
    if beside.exists() and beside.read_text(encoding="ascii", errors="replace").split()[:1] != [_sha256(path)]:
        raise DataError(f"{path} does not agree with its checksum in {beside.name}; delete both and get the file again")


def _checksum_path(path: Path) -> Path:
    return path.with_name(path.name + ".sha256")


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
