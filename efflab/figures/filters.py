"""The filters of one layer as small pictures, the most important first; those that went are pale and crossed out."""

import math
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from torch import Tensor

from efflab.costs.texts import three
from efflab.figures.picture import MAX_ROWS, Picture, draw
from efflab.figures.theme import BASE, Json

if TYPE_CHECKING:
    from efflab.lab.filters import Filters

N_SHOWN = 64
"""Filters that are drawn: of more, the most and the least important ones."""
WIDE = 2.4
"""The sheet is about so many times as wide as it is high."""
MAX_SIDE = 28
"""Weights along one side of a picture; of more, every so many-th is drawn."""
GAP, CAPTION_GAP = 0.2, 0.5
"""Between two pictures, as a fraction of one; without and with a score that is written there."""
N_CAPTIONS = 24
"""Of more filters than so many the scores do not fit below them: the table and the pointer tell them."""
GREY = [[0.0, "#000000"], [1.0, "#FFFFFF"]]
PALE = 0.15
"""How much is left of the contrast of a filter that went, around the middle grey."""
CROSS = "#000000"
"""On the middle grey its contrast is 5:1, in either theme."""

Place = tuple[float, float, float]
"""Left, top and side of a picture; the distance from one to the next is 1."""


def filters(found: "Filters") -> Picture:
    """Each filter's weights, the mean over its input channels, black the smallest and white the largest of that filter.

    The rows of a linear layer, and kernels of one by one, are drawn as squares, in the order of their inputs.

    Raises:
        ValueError: there are no filters.
    """
    if not len(found.kept):
        raise ValueError("found must hold at least one filter")
    order = found.scores.argsort(descending=True, stable=True).tolist()
    shown = order if len(order) <= N_SHOWN else [*order[: N_SHOWN // 2], *order[-N_SHOWN // 2 :]]
    tiles = [_tile(found.weights[i]) for i in shown]
    kept = [bool(found.kept[i]) for i in shown]
    is_captioned = len(shown) <= N_CAPTIONS
    pitch = _pitch(len(tiles[0]), CAPTION_GAP if is_captioned else GAP)
    places = _places(len(shown), len(tiles[0]) / pitch)
    traces = [_sheet(tiles, kept, pitch), _frames(places), _marks(found, shown, places)]
    if is_captioned:
        traces.append(_captions(found, shown, places))
    title = f"{found.layer}, by importance ({found.importance})"
    return Picture(draw(traces, _layout(len(shown), title)), _sentence(found, order, shown), _table(found, order))


def _is_averaged(weights: Tensor) -> bool:
    """Whether a picture is a mean: (n, c, h, w) with a kernel of more than one by one."""
    return weights.ndim == 4 and weights[0, 0].numel() > 1


def _tile(weights: Tensor) -> NDArray[np.float64]:
    """One filter between 0 and 1, as a square: of (c, h, w) the mean over c, of (inputs,) all of them."""
    numbers = weights.double().numpy()
    is_kernel = numbers.ndim == 3 and numbers[0].size > 1
    image = _padded(numbers.mean(axis=0)) if is_kernel else _folded(numbers.reshape(-1))
    step = -(-len(image) // MAX_SIDE)
    image = image[::step, ::step]
    low, high = float(np.nanmin(image)), float(np.nanmax(image))
    return (image - low) / ((high - low) or 1.0)


def _padded(image: NDArray[np.float64]) -> NDArray[np.float64]:
    """A square; where the image has nothing, NaN, which is not drawn."""
    height, width = image.shape
    side = max(height, width)
    return np.pad(image, ((0, side - height), (0, side - width)), constant_values=np.nan)


def _folded(row: NDArray[np.float64]) -> NDArray[np.float64]:
    """The row in lines, one below the other."""
    side = math.ceil(math.sqrt(len(row)))
    return np.pad(row, (0, side * side - len(row)), constant_values=np.nan).reshape(side, side)


def _sheet(tiles: list[NDArray[np.float64]], kept: list[bool], pitch: int) -> Json:
    """All filters on one sheet, which is one trace; what went is a nearly even grey."""
    side, columns = len(tiles[0]), _n_columns(len(tiles))
    sheet = np.full((-(-len(tiles) // columns) * pitch, columns * pitch), np.nan)
    for i, (tile, stays) in enumerate(zip(tiles, kept, strict=True)):
        top, left = i // columns * pitch, i % columns * pitch
        sheet[top : top + side, left : left + side] = tile if stays else 0.5 + PALE * (tile - 0.5)
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


def _pitch(side: int, gap: float) -> int:
    """Cells from one filter to the next."""
    return side + max(1, round(gap * side))


def _places(n: int, side: float) -> list[Place]:
    """Where each picture is, row by row."""
    columns = _n_columns(n)
    return [(i % columns, i // columns, side) for i in range(n)]


def _frames(places: list[Place]) -> Json:
    """A square around each, or white would end in a white page, and black in a black one."""
    xs: list[float | None] = []
    ys: list[float | None] = []
    for left, top, side in places:
        xs += [left, left + side, left + side, left, left, None]
        ys += [top, top, top + side, top + side, top, None]
    line = {"color": BASE}
    return {
        "type": "scatter",
        "mode": "lines",
        "x": xs,
        "y": ys,
        "line": line,
        "hoverinfo": "skip",
        "showlegend": False,
    }


def _marks(found: "Filters", shown: list[int], places: list[Place]) -> Json:
    """A cross on what goes; the pointer is told about each."""
    kept = [bool(found.kept[i]) for i in shown]
    told = [f"channel {i}: importance {three(float(found.scores[i]))}, {_fate(found, i)}" for i in shown]
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [left + side / 2 for left, _, side in places],
        "y": [top + side / 2 for _, top, side in places],
        "marker": {
            "symbol": "x-thin",
            "size": 16,
            "line": {"width": 3, "color": CROSS},
            "opacity": [0 if stays else 1 for stays in kept],
        },
        "hovertext": told,
        "hovertemplate": "%{hovertext}<extra></extra>",
        "showlegend": False,
    }


def _captions(found: "Filters", shown: list[int], places: list[Place]) -> Json:
    """The importance of each, below it."""
    return {
        "type": "scatter",
        "mode": "text",
        "x": [left + side / 2 for left, _, side in places],
        "y": [top + (side + 1) / 2 for _, top, side in places],
        "text": [three(float(found.scores[i])) for i in shown],
        "hoverinfo": "skip",
        "showlegend": False,
    }


def _fate(found: "Filters", i: int) -> str:
    return "stays" if found.kept[i] else "goes"


def _layout(n: int, title: str) -> Json:
    bare = {"visible": False, "constrain": "domain"}
    columns = _n_columns(n)
    return {
        "title": {"text": title},
        "xaxis": bare | {"range": [-0.02, columns]},
        "yaxis": bare | {"range": [-(-n // columns), -0.02], "scaleanchor": "x", "constraintoward": "top"},
        "margin": {"l": 10, "r": 10, "b": 10},
    }


def _sentence(found: "Filters", order: list[int], shown: list[int]) -> str:
    n, n_kept = len(found.kept), int(found.kept.count_nonzero())
    what = "filters" if found.weights.ndim == 4 else "neurons"
    half = len(shown) // 2
    averaged, plain = "the mean over its input channels", "its weights in the order of the inputs"
    drawn = averaged if _is_averaged(found.weights) else plain
    part = f" The {half} most and the {half} least important are drawn." if len(shown) < n else ""
    first, last = (three(float(found.scores[i])) for i in (order[0], order[-1]))
    return (
        f"{n_kept} of {n} {what} of {found.layer} stay: the most important ones, which come first. The importance "
        f"({found.importance}, computed) goes from {first} down to {last}. A cross is on what goes. "
        f"Each picture is {drawn}.{part}"
    )


def _table(found: "Filters", order: list[int]) -> pd.DataFrame:
    rows = [
        (rank, i, three(float(found.scores[i])), _fate(found, i)) for rank, i in enumerate(order[:MAX_ROWS], start=1)
    ]
    return pd.DataFrame(rows, columns=["rank", "channel", f"importance ({found.importance})", "what becomes of it"])
