"""A folder of pictures becomes a `Data`: one folder inside it for each class, named after the class."""

from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from efflab.data.arrays import stack_images
from efflab.data.files import Array, DataError
from efflab.data.own import from_arrays
from efflab.data.splits import Data

PICTURES = (".png", ".jpg", ".jpeg")
"""Endings of files that Pillow opens. A .npy file is read without it: one array, (h, w) or (h, w, channels)."""


def from_folder(
    path: Path | str,
    *,
    size: tuple[int, int] | None = None,
    name: str | None = None,
    seed: int = 0,
    validation: float = 0.15,
    test: float = 0.15,
) -> Data:
    """The .png, .jpg and .npy files in PATH/CLASS/, divided at random into train, validation and test.

    size: (height, width) in pixels to which all are resized; left out, all must have the same already. Grey pictures
    among coloured ones become coloured. name: the folder's if left out. Hidden and other files are passed over.

    Raises:
        DataError: no folder, no picture in a class, a file that cannot be read, pictures of different sizes, or what
            `from_arrays` refuses.
    """
    root = Path(path)
    if not root.is_dir():
        raise DataError(f"{root} is not a folder; give one that holds a folder of pictures for each class")
    classes = sorted(entry.name for entry in root.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    if len(classes) < 2:
        raise DataError(f"{root} must hold a folder of pictures for each of two or more classes, not {len(classes)}")
    files = {label: _find_files(root / label) for label in classes}
    pictures = {str(file): _read(file, size) for found in files.values() for file in found}
    if any(picture.shape[2] == 3 for picture in pictures.values()):
        pictures = {key: np.repeat(p, 3, axis=2) if p.shape[2] == 1 else p for key, p in pictures.items()}
    return from_arrays(
        stack_images(pictures),
        np.repeat(np.arange(len(classes)), [len(files[label]) for label in classes]),
        classes=classes,
        name=name or root.resolve().name,
        seed=seed,
        validation=validation,
        test=test,
        channels="last",
    )


def _find_files(folder: Path) -> list[Path]:
    endings = (*PICTURES, ".npy")
    found = sorted(file for file in folder.iterdir() if file.suffix.lower() in endings and file.name[0] != ".")
    if not found:
        raise DataError(f"{folder} holds no picture; put {', '.join(endings)} files there or remove the folder")
    return found


def _read(file: Path, size: tuple[int, int] | None) -> Array:
    """One picture, (h, w, channels)."""
    picture = _read_npy(file) if file.suffix.lower() == ".npy" else _read_picture(file)
    if picture.ndim == 2:
        picture = picture[:, :, None]
    if picture.ndim != 3 or picture.shape[2] not in (1, 3):
        raise DataError(f"{file} has the shape {picture.shape}; (h, w), (h, w, 1) or (h, w, 3) is needed")
    return picture if size is None else _resize(picture, size)


def _read_npy(file: Path) -> Array:
    try:
        with open(file, "rb") as opened:
            array = np.load(opened, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{file} is damaged, or no .npy file of plain numbers; save it again or remove it") from error
    if not isinstance(array, np.ndarray):
        raise DataError(f"{file} holds several arrays; a .npy file with one is needed")
    return array


def _read_picture(file: Path) -> Array:
    from PIL import Image

    try:
        with Image.open(file) as picture:
            return np.asarray(picture.convert("L" if picture.mode in ("1", "L") else "RGB"))
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataError(f"{file} is not a readable picture ({error}); save it again or remove it") from error


def _resize(picture: Array, size: tuple[int, int]) -> Array:
    """Bilinear, with smoothing where it shrinks, as Pillow does it. (h, w, c) -> (size, c) of the same type."""
    planes = torch.from_numpy(np.moveaxis(picture, 2, 0).astype(np.float32))[None]
    resized = F.interpolate(planes, size, mode="bilinear", antialias=True)[0].permute(1, 2, 0).numpy()
    return np.round(resized).clip(0, 255).astype(np.uint8) if picture.dtype == np.uint8 else resized
