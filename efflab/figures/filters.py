"""The filters of one layer as small pictures, the most important first; those that went are pale and crossed out."""

import math
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from torch import Tensor

from efflab.figures.picture import MAX_ROWS, Picture, draw
from efflab.figures.theme import BASE, PREDICTED, Json

if TYPE_CHECKING:
    from efflab.lab.filters import Filters

N_SHOWN = 64
"""Filters that are drawn: of more, the most and the least important ones."""
WIDE = 2.4
"""The sheet is about so many times as wide as it is high."""
MAX_SIDE = 28
"""Weights along one side of a picture; of more, every so many-th is drawn."""
GAP = 0.35
"""Between two pictures, as a fraction of one; the score is written there."""
GREY = [[0.0, "#000000"], [1.0, "#FFFFFF"]]


def filters(found: "Filters") -> Picture:
    """Each filter's weights, the mean over its input channels, black the smallest and white the largest of that filter.

    The rows of a linear layer are drawn as squares, in the order of their inputs.
    """
    order = found.scores.argsort(descending=True, stable=True).tolist()
    shown = order if len(order) <= N_SHOWN else [*order[: N_SHOWN // 2], *order[-N_SHOWN // 2 :]]
    tiles = [_tile(found.weights[i]) for i in shown]
    kept = [bool(found.kept[i]) for i in shown]
    traces = [_sheet(tiles, kept), _crosses(kept), _captions([float(found.scores[i]) for i in shown])]
    return Picture(draw(traces, _layout(len(shown))), _sentence(found, len(shown)), _table(found, order))


def _tile(weights: Tensor) -> NDArray[np.float64]:
    """One filter between 0 and 1: (c, h, w) -> (h, w), or (inputs,) -> a square."""
    numbers = weights.float().numpy()
    if numbers.ndim == 3:
        image = numbers.mean(axis=0)
    else:
        flat = numbers.reshape(-1)
        side = math.ceil(math.sqrt(len(flat)))
        image = np.full(side * side, flat.min())
        image[: len(flat)] = flat
        image = image.reshape(side, side)
    step = -(-max(image.shape) // MAX_SIDE)
    image = image[::step, ::step].astype(np.float64)
    low, high = float(image.min()), float(image.max())
    return (image - low) / (high - low) if high > low else np.zeros_like(image)


def _sheet(tiles: list[NDArray[np.float64]], kept: list[bool]) -> Json:
    """All filters on one sheet, which is one trace; what went is nearly white on white, nearly black on black."""
    side = tiles[0].shape[0]
    pitch = _pitch(side)
    columns = _n_columns(len(tiles))
    sheet = np.full((-(-len(tiles) // columns) * pitch, columns * pitch), np.nan)
    for i, (tile, stays) in enumerate(zip(tiles, kept, strict=True)):
        top, left = i // columns * pitch, i % columns * pitch
        sheet[top : top + side, left : left + tile.shape[1]] = tile if stays else 0.5 + 0.15 * (tile - 0.5)
    return {
        "type": "heatmap",
        "z": sheet.round(2),
        "x0": 0.5 / pitch,
        "y0": 0.5 / pitch,
        "dx": 1 / pitch,
        "dy": 1 / pitch,
        "zmin": 0,
        "zmax": 1,
        "colorscale": GREY,
        "showscale": False,
        "hoverinfo": "skip",
    }


def _n_columns(n: int) -> int:
    return math.ceil(math.sqrt(WIDE * n))


def _pitch(side: int) -> int:
    """Cells from one filter to the next."""
    return side + max(1, round(GAP * side))


def _crosses(kept: list[bool]) -> Json:
    gone, columns = [i for i, stays in enumerate(kept) if not stays], _n_columns(len(kept))
    middle = 0.5 / (1 + GAP)
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [i % columns + middle for i in gone],
        "y": [i // columns + middle for i in gone],
        "marker": {"symbol": "x-thin", "size": 16, "color": PREDICTED, "line": {"width": 3, "color": PREDICTED}},
        "hoverinfo": "skip",
        "showlegend": False,
    }


def _captions(scores: list[float]) -> Json:
    """The importance of each, below it."""
    columns = _n_columns(len(scores))
    return {
        "type": "scatter",
        "mode": "text",
        "x": [i % columns + 0.5 / (1 + GAP) for i in range(len(scores))],
        "y": [i // columns + 0.88 for i in range(len(scores))],
        "text": [f"{score:.2g}" for score in scores],
        "textfont": {"size": 12, "color": BASE},
        "hoverinfo": "skip",
        "showlegend": False,
    }


def _layout(n: int) -> Json:
    bare = {"visible": False, "constrain": "domain"}
    columns = _n_columns(n)
    return {
        "xaxis": bare | {"range": [0, columns]},
        "yaxis": bare | {"range": [-(-n // columns), 0], "scaleanchor": "x", "constraintoward": "top"},
        "margin": {"l": 10, "r": 10, "t": 10, "b": 10},
    }


def _sentence(found: "Filters", n_shown: int) -> str:
    n, n_kept = len(found.kept), int(found.kept.count_nonzero())
    what = "filters" if found.weights.ndim == 4 else "neurons"
    mean = " Each picture is the mean over the input channels." if found.weights.ndim == 4 else ""
    part = f" The {n_shown // 2} most and the {n_shown // 2} least important are drawn." if n_shown < n else ""
    return (
        f"{n_kept} of {n} {what} of {found.layer} stay, by {found.importance}; the most important first, with its "
        f"score below it (computed), and a cross on what goes.{mean}{part}"
    )


def _table(found: "Filters", order: list[int]) -> pd.DataFrame:
    rows = [
        (rank, i, round(float(found.scores[i]), 4), "stays" if found.kept[i] else "goes")
        for rank, i in enumerate(order[:MAX_ROWS], start=1)
    ]
    return pd.DataFrame(rows, columns=["rank", "channel", f"importance ({found.importance})", "what becomes of it"])
