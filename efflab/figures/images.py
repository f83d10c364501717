"""Which images changed their answer: the pictures behind a difference in accuracy."""

import base64
import struct
import zlib
from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from efflab.figures.picture import Picture, draw
from efflab.figures.theme import Json

N_SHOWN = 12
"""Images in the picture."""
N_COLUMNS = 6
MAX_PIXELS = 64
"""Pixels along one side of an image; a larger one is drawn with fewer."""
ROOM, ROOM_FOR_NAMES = (1.35, 2.1), (1.7, 2.1)
"""Width and height of an image's place, in images; the rest is for the caption, of short or of long class names."""

N_LETTERS = 6
"""Letters of a class name in a caption."""

RIGHT, WRONG = "✓", "✗"  # the cue: never by colour alone
LOST, GAINED, STILL = "right to wrong", "wrong to right", "wrong to wrong"
NONE_CHANGED = "No image changed its answer."
NAMES = ("base", "now")
"""What the two networks are called in captions, legend and table."""

Bytes = NDArray[np.uint8]
Answer = tuple[int, ...]
"""Three class numbers: what the image is, the answer of the base and the answer now."""


def changed(
    images: Tensor,
    labels: Tensor,
    before: Tensor,
    now: Tensor,
    classes: Sequence[str],
    *,
    n_changed_total: int,
    names: tuple[str, str] = NAMES,
    marks: tuple[str, str] | None = None,
) -> Picture:
    """Up to twelve images whose answer changed, each with what it is, the answer of the base and the answer now.

    images: (k, channels, height, width), only those that changed; labels, before, now: (k,) class numbers, the
    truth and the answers of the base and of the present network, or of two others by their `names`; marks: what stands
    for a name below an image, where there is little room.

    Raises:
        ValueError: the four do not have the same length.
    """
    lengths = {len(images), len(labels), len(before), len(now)}
    if len(lengths) != 1:
        raise ValueError(f"images, labels, before and now must have one length, not {sorted(lengths)}")
    answers = [tuple(row) for row in torch.stack([labels, before, now], dim=1)[:N_SHOWN].tolist()]
    if not answers:
        return Picture(draw([], _blank(NONE_CHANGED)), NONE_CHANGED, _table([], classes, names))
    tiles = [pixels_of(image) for image in images[:N_SHOWN].detach().cpu().float().numpy()]
    room = ROOM_FOR_NAMES if _are_long(answers, classes) else ROOM
    legend = _legend([name if marks is None else f"{marks[i]} {name}" for i, name in enumerate(names)])
    figure = draw(
        [_canvas(tiles, room), _captions(answers, classes, room, marks or names)], _layout(len(tiles), room, legend)
    )
    return Picture(figure, _sentence(answers, n_changed_total), _table(answers, classes, names))


def _blank(text: str) -> Json:
    hidden = {"visible": False}
    note = {"text": text, "xref": "paper", "yref": "paper", "x": 0.5, "y": 0.5}
    return {"xaxis": hidden, "yaxis": hidden, "annotations": [note]}


def pixels_of(image: NDArray[np.float32]) -> Bytes:
    """An image as colours, its darkest value black and its brightest white. (c, h, w) -> (h, w, 3)."""
    step = -(-max(image.shape[1:]) // MAX_PIXELS)
    small = image[:, ::step, ::step]
    if len(small) != 3:
        small = np.repeat(small.mean(axis=0, keepdims=True), 3, axis=0)
    low, high = float(small.min()), float(small.max())
    scaled = (small - low) * (255 / (high - low) if high > low else 0)
    return scaled.round().astype(np.uint8).transpose(1, 2, 0)


def _canvas(tiles: Sequence[Bytes], room: tuple[float, float]) -> Json:
    """All images on one transparent sheet, which is one trace: much lighter than a trace for each."""
    height, width, _ = tiles[0].shape
    n_columns, n_rows = _grid(len(tiles))
    row_height, column_width = round(height * room[1]), round(width * room[0])
    sheet = np.zeros((n_rows * row_height, n_columns * column_width, 4), dtype=np.uint8)
    for i, tile in enumerate(tiles):
        top, left = i // n_columns * row_height, i % n_columns * column_width
        sheet[top : top + height, left : left + width] = np.dstack([tile, np.full((height, width), 255)])
    return {
        "type": "image",
        "source": png_address(sheet),
        "x0": 0.5 / column_width,
        "y0": 0.5 / row_height,
        "dx": 1 / column_width,
        "dy": 1 / row_height,
        "zsmooth": False,
        "hoverinfo": "skip",
    }


def _captions(
    answers: Sequence[Answer], classes: Sequence[str], room: tuple[float, float], marks: tuple[str, str]
) -> Json:
    """One text below each image, in the units of the grid: one column and one row an image."""
    n_columns, _ = _grid(len(answers))
    return {
        "type": "scatter",
        "mode": "text",
        "x": [i % n_columns for i in range(len(answers))],
        "y": [i // n_columns + 1.03 / room[1] for i in range(len(answers))],
        "text": [_caption(answer, classes, marks) for answer in answers],
        "textposition": "bottom right",
        "cliponaxis": False,
        "hoverinfo": "skip",
    }


def _caption(answer: Answer, classes: Sequence[str], marks: tuple[str, str]) -> str:
    """Three lines: the truth, and each answer with a mark that says whether it is right."""
    label, *given = answer
    lines = [f"is {_cut(_name(label, classes))}"]
    for mark, number in zip(marks, given, strict=True):
        lines.append(f"{mark} {_cut(_name(number, classes))} {RIGHT if number == label else WRONG}")
    return "<br>".join(lines)


def _name(number: int, classes: Sequence[str]) -> str:
    """A network may have more outputs than there are classes; such an answer has only its number."""
    return classes[number] if number < len(classes) else f"output {number}"


def _cut(name: str) -> str:
    """A name that fits below an image; the table has it whole."""
    return name if len(name) <= N_LETTERS else f"{name[: N_LETTERS - 1].rstrip()}."


def _are_long(answers: Sequence[Answer], classes: Sequence[str]) -> bool:
    """Whether some names are wider than an image."""
    return any(len(_name(number, classes)) > 3 for answer in answers for number in answer)


def _change(answer: Answer) -> str:
    label, before, now = answer
    return LOST if before == label else GAINED if now == label else STILL


def _grid(n: int) -> tuple[int, int]:
    """Columns and rows."""
    return N_COLUMNS, -(-n // N_COLUMNS)


def _legend(names: Sequence[str]) -> str:
    return f"is: the truth; {', '.join(names)}: the network's answers ({RIGHT} right, {WRONG} wrong)"


def _layout(n: int, room: tuple[float, float], legend: str) -> Json:
    n_columns, n_rows = _grid(n)
    bare = {"visible": False, "constrain": "domain"}
    return {
        "title": {"text": legend},
        "showlegend": False,
        "xaxis": bare | {"range": [0, n_columns]},
        "yaxis": bare
        | {"range": [n_rows, 0], "scaleanchor": "x", "scaleratio": room[1] / room[0], "constraintoward": "top"},
        "margin": {"l": 10, "r": 10, "b": 10},
    }


def png_address(pixels: Bytes) -> str:
    """Pixels as the address of a PNG image that contains its data. pixels: (h, w, 4), red, green, blue, opacity.

    Reference: W3C, Portable Network Graphics specification.
    """
    height, width, _ = pixels.shape
    lines = np.concatenate([np.zeros((height, 1), np.uint8), pixels.reshape(height, -1)], axis=1)  # filter: none
    header = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(lines.tobytes(), 1)), (b"IEND", b""))
    body = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
    return "data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n" + body).decode()


def _sentence(answers: Sequence[Answer], n_total: int) -> str:
    changes = [_change(answer) for answer in answers]
    shown = "" if len(answers) == n_total else f" Of the {len(answers)} shown,"
    counts = f"{changes.count(LOST)} went from right to wrong, {changes.count(GAINED)} from wrong to right"
    still = f", {changes.count(STILL)} from one wrong answer to another" if STILL in changes else ""
    start = "1 image changed its answer" if n_total == 1 else f"{n_total:,} images changed their answer"
    return f"{start}.{shown} {counts}{still}."


def _table(answers: Sequence[Answer], classes: Sequence[str], names: tuple[str, str]) -> pd.DataFrame:
    rows = [(*(_name(number, classes) for number in answer), _change(answer)) for answer in answers]
    return pd.DataFrame(rows, columns=["is", *(f"{name} answered" for name in names), "change"])
