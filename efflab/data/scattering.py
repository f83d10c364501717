"""`scattered`: real handwriting made harder, so that a compressed network has something to lose.

The 1,797 digits of scikit-learn are divided into three groups of originals first. Then each group is drawn many times
on a larger canvas: turned, resized, moved, among pieces of other strokes, under noise. No picture of a split, and no
piece of clutter in it, comes from an original of another split; otherwise the test would ask what was learnt by heart.

Read a score with care: the pictures of one original resemble each other, so 2,000 pictures of 300 originals say a
little less than 2,000 unrelated ones. At work, use a benchmark that others publish results for.

Reference:
    E. Alpaydin, C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository, 1998.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from efflab.data.cache import load_or_make
from efflab.data.handwriting import CLASSES, originals
from efflab.data.prepare import Pixels, prepare, seeded
from efflab.data.splits import Data

VERSION = 1
"""Part of the name of the cached file: raise it whenever a constant or a line below changes the pictures."""
SPLITS = {"train": 12_000, "validation": 2_000, "test": 2_000}
"""Pictures drawn for each split."""
CUTS = (1_197, 1_197 + 300)
"""Where the shuffled originals are cut: 1,197 for training, 300 for validation, the other 300 for the test."""
CANVAS = 28
"""Height and width of a picture in pixels."""
DIGIT_SIZE = (16.0, 23.0)
"""Smallest and largest height of a drawn 8x8 original, in pixels of the canvas."""
ROTATION = 20.0
"""A digit is turned by up to this many degrees either way."""
SHIFT = 3.0
"""A digit is moved by up to this many pixels off the centre, along each axis."""
PIECES = 2
"""Pieces of clutter in a picture."""
PIECE_CELLS = 3
"""Height and width of the window cut out of another original, in cells of its 8x8 grid."""
PIECE_BRIGHTNESS = 0.7
"""Brightness of clutter; a digit's own is 1."""
NOISE = 0.15
"""Standard deviation of the Gaussian noise; black is 0 and white 1."""
CHUNK = 500
"""Pictures drawn at a time: few enough for the processor's cache, which halves the time."""


class Place(NamedTuple):
    """Where n originals are drawn: size (n,) in pixels, turn (n,) in radians, shift (n, 2) in pixels, x first."""

    size: Tensor
    turn: Tensor
    shift: Tensor


def scattered(seed: int = 0) -> Data:
    """12,000 / 2,000 / 2,000 pictures of 28x28, made from the seed in about 2 s and kept in the cache folder.

    Raises:
        DataError: the seed is not a whole number from 0 on.
    """
    seeded(seed)  # for its sentence
    arrays = load_or_make(f"scattered-v{VERSION}-seed{seed}", lambda: make(*originals(), seed))
    train, validation, test = (Pixels(arrays[f"{split}_images"], arrays[f"{split}_labels"].long()) for split in SPLITS)
    return prepare("scattered", train, validation, test, classes=CLASSES)


def make(images: Tensor, labels: Tensor, seed: int) -> dict[str, Tensor]:
    """Draw all three splits. images: (1797, 8, 8) between 0 and 1; labels: (1797,) -> tensors by name.

    For each split: "train_images" (n, 1, 28, 28) uint8, "train_labels" (n,) uint8 and "train_origins" (n,) int16, the
    index of the original that a picture shows.
    """
    generator = seeded(seed)
    groups = torch.randperm(len(images), generator=generator).tensor_split(CUTS)
    made = {}
    for (name, n), group in zip(SPLITS.items(), groups, strict=True):
        origins = group[torch.randperm(n, generator=generator) % len(group)]  # each original equally often
        made[f"{name}_images"] = scatter(images, origins, group, generator)
        made[f"{name}_labels"] = labels[origins].to(torch.uint8)
        made[f"{name}_origins"] = origins.to(torch.int16)
    return made


def scatter(images: Tensor, origins: Tensor, group: Tensor, generator: torch.Generator) -> Tensor:
    """Draw a picture of each origin, cluttered from the group. origins: (n,), group: (g,) -> (n, 1, 28, 28) uint8."""
    n = len(origins)
    canvas = draw(images[origins], random_places(n, ROTATION, SHIFT, generator))
    for _ in range(PIECES):
        others = group[torch.randint(len(group), (n,), generator=generator)]
        pieces = cut_piece(images[others], generator) * PIECE_BRIGHTNESS
        clutter = draw(pieces, random_places(n, 180.0, CANVAS / 2, generator))
        torch.maximum(canvas, clutter, out=canvas)
    canvas += torch.randn(canvas.shape, generator=generator).mul_(NOISE)
    return canvas.clamp_(0, 1).mul_(255).round_().to(torch.uint8)


def random_places(n: int, degrees: float, pixels: float, generator: torch.Generator) -> Place:
    """Uniform sizes, turns of up to so many degrees and shifts of up to so many pixels."""
    size, turn, down, right = torch.rand(4, n, generator=generator)
    low, high = DIGIT_SIZE
    shift = torch.stack([right, down], dim=1) * 2 - 1  # (n, 2), x before y as grid_sample wants it
    return Place(low + (high - low) * size, math.radians(degrees) * (turn * 2 - 1), pixels * shift)


def draw(images: Tensor, place: Place) -> Tensor:
    """Draw 8x8 images on black canvases. images: (n, 8, 8) -> (n, 1, 28, 28)."""
    zoom = CANVAS / place.size
    cos, sin = torch.cos(place.turn) * zoom, torch.sin(place.turn) * zoom
    turn = torch.stack([torch.stack([cos, sin], 1), torch.stack([-sin, cos], 1)], 1)  # (n, 2, 2): canvas -> original
    centre = place.shift[:, :, None] * (2 / CANVAS)  # the canvas spans -1 to 1
    to_original = torch.cat([turn, -turn @ centre], dim=2)  # (n, 2, 3)
    parts = zip(torch.split(images[:, None], CHUNK), torch.split(to_original, CHUNK), strict=True)
    return torch.cat([_sample(part, to_original) for part, to_original in parts])


def _sample(images: Tensor, to_original: Tensor) -> Tensor:
    """Look up each pixel of a canvas in its original. images: (n, 1, 8, 8) -> (n, 1, 28, 28)."""
    grid = F.affine_grid(to_original, [len(images), 1, CANVAS, CANVAS], align_corners=False)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def cut_piece(images: Tensor, generator: torch.Generator) -> Tensor:
    """Keep a random square window of each image and move it to the middle. images: (n, 8, 8) -> (n, 8, 8)."""
    n, side = images.shape[:2]
    first = torch.randint(side - PIECE_CELLS + 1, (2, n, 1), generator=generator)
    cells = torch.arange(PIECE_CELLS)
    rows, columns = first + cells  # (n, PIECE_CELLS) each
    pieces = images[torch.arange(n)[:, None, None], rows[:, :, None], columns[:, None, :]]
    before = (side - PIECE_CELLS) // 2
    after = side - PIECE_CELLS - before
    return F.pad(pieces, (before, after, before, after))
