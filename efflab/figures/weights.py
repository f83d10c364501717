"""What pruning does to the weights of one layer: their histogram, and the mask as a picture."""

from textwrap import wrap

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from torch import Tensor

from efflab.figures.picture import Picture, draw
from efflab.figures.text import percent_text
from efflab.figures.theme import BASE, NOW, Json, translucent

N_BINS = 61
"""Bins of the histogram; odd, so that one of them is centred on zero."""
MAX_LISTED = 8
"""Values that are listed where all weights of a layer share so few."""
LINE = 48
"""Characters in a line of such a list: what a projector has room for."""
MAX_SIDE = 128
"""Cells along one side of the mask; a larger one is averaged into blocks."""

Floats = NDArray[np.float32]
Counts = NDArray[np.int64]


def histogram(layer: str, base: Tensor, now: Tensor) -> Picture:
    """How the non-zero weights of a layer are distributed: the base as an outline, now filled.

    base, now: weights of any shape. Zeros are told in words; as a bar they would dwarf everything else. Values that all
    weights share are listed, if they are few.

    Raises:
        ValueError: `base` or `now` is empty.
    """
    before, after = _numbers("base", base), _numbers("now", now)
    reach = float(max(before.max(), -before.min(), after.max(), -after.min())) or 1.0
    edges = np.linspace(-reach, reach, N_BINS + 1)
    counts = [_count(weights, reach) for weights in (before, after)]
    zeros = [weights.size - int(np.count_nonzero(weights)) for weights in (before, after)]
    shared = _shared(after)
    text = f"weight of {layer} ({zeros[1]:,} of {after.size:,} are zero and not drawn)"
    text = "<br>".join([text, *wrap(shared, LINE)])
    figure = draw(_steps(edges, *counts), _histogram_layout(text, reach))
    table = pd.DataFrame(
        {
            "weights from": [f"{edge:.3g}" for edge in edges[:-1]],
            "to": [f"{edge:.3g}" for edge in edges[1:]],
            "base (count)": counts[0],
            "now (count)": counts[1],
        }
    )
    sentence = _histogram_sentence(layer, after, zeros)
    return Picture(figure, f"{sentence} Its {shared}." if shared else sentence, table)


def mask(layer: str, weight: Tensor) -> Picture:
    """Which weights of a layer are kept. weight: (out, in) or (out, in, ...); kernels become rows of (out, in * ...).

    More than 128 rows or columns are averaged into blocks, which show the fraction kept.

    Raises:
        ValueError: `weight` is empty.
    """
    numbers = _numbers("weight", weight)
    kept = (numbers != 0).reshape(weight.shape[0] if weight.ndim > 1 else 1, -1)
    height, width = (-(-side // MAX_SIDE) for side in kept.shape)
    cells = _block_means(kept, height, width)
    is_exact = height == width == 1
    what = "each cell is one weight" if is_exact else f"each cell is the mean of {height} x {width} weights"
    figure = draw([_heat(cells, is_exact)], _mask_layout(f"{layer}: {what}", cells.shape, (height, width)))
    removed = 1 - float(kept.mean())
    sentence = (
        f"{layer}: {percent_text(removed)} of {kept.size:,} weights are removed; {_empty(kept)}. In the picture {what}."
    )
    return Picture(figure, sentence, _mask_table(kept))


def _numbers(name: str, weight: Tensor) -> Floats:
    if weight.numel() == 0:
        raise ValueError(f"{name} must hold at least one weight, not a tensor of shape {tuple(weight.shape)}")
    numbers: Floats = weight.detach().cpu().float().contiguous().numpy().ravel()
    return numbers


def _shared(weights: Floats) -> str:
    """The values that the weights share, zero aside, smallest first; nothing where they are many, or one."""
    if len(np.unique(weights[: 100 * MAX_LISTED])) > MAX_LISTED + 1:
        return ""  # found without sorting all of them
    values = np.unique(weights[weights != 0])
    is_listed = 1 < len(values) <= MAX_LISTED and len(values) < weights.size
    return f"{len(values)} values: {', '.join(f'{value:.3g}' for value in values)}" if is_listed else ""


def _count(weights: Floats, reach: float) -> Counts:
    """How many non-zero weights fall into each bin from -reach to reach; the upper end belongs to the last bin."""
    places = (weights.astype(np.float64) + reach) * (N_BINS / (2 * reach))
    counts = np.bincount(np.minimum(places.astype(np.int64), N_BINS - 1), minlength=N_BINS)
    counts[N_BINS // 2] -= weights.size - np.count_nonzero(weights)  # zero lies in the middle of the middle bin
    return counts


def _steps(edges: NDArray[np.float64], before: Counts, after: Counts) -> list[Json]:
    """Two stairs: now filled down to zero, the base as a dashed outline."""
    common = {"type": "scatter", "mode": "lines", "x": edges, "hoverinfo": "skip"}
    outline = {"color": BASE, "dash": "dash", "shape": "hv"}
    filled = {"color": NOW, "shape": "hv"}
    return [
        common
        | {"y": np.append(after, after[-1]), "name": "now", "line": filled}
        | {"fill": "tozeroy", "fillcolor": translucent(NOW, 0.5)},
        common | {"y": np.append(before, before[-1]), "name": "base", "line": outline},
    ]


def _histogram_layout(text: str, reach: float) -> Json:
    return {
        "xaxis": {"title": {"text": text}, "range": [-reach, reach]},
        "yaxis": {"title": {"text": "number of weights"}, "rangemode": "tozero"},
    }


def _histogram_sentence(layer: str, after: Floats, zeros: list[int]) -> str:
    left = np.abs(after[after != 0])
    share = percent_text(zeros[1] / after.size)
    start = f"{layer}: {zeros[1]:,} of {after.size:,} weights are zero ({share}; in the base {zeros[0]:,})."
    if not left.size:
        return f"{start} None is left."
    return f"{start} The others lie between {left.min():.2g} and {left.max():.2g} in magnitude."


def _block_means(kept: NDArray[np.bool_], height: int, width: int) -> Floats:
    """The fraction kept in blocks of (height, width), those at the lower and right edge smaller. (rows, columns)."""
    if height == width == 1:
        return kept.astype(np.float32)
    rows, columns = np.arange(0, kept.shape[0], height), np.arange(0, kept.shape[1], width)
    sums = np.add.reduceat(np.add.reduceat(kept, columns, axis=1, dtype=np.int32), rows, axis=0)
    heights = np.diff(np.append(rows, kept.shape[0]))
    widths = np.diff(np.append(columns, kept.shape[1]))
    means: Floats = (sums / np.outer(heights, widths)).astype(np.float32)
    return means


def _heat(cells: Floats, is_exact: bool) -> Json:
    marks = ([0, 1], ["removed", "kept"]) if is_exact else ([0, 0.5, 1], ["0 % kept", "50 %", "100 %"])
    return {
        "type": "heatmap",
        "z": cells,
        "zmin": 0,
        "zmax": 1,
        "colorbar": {"tickvals": marks[0], "ticktext": marks[1]},
        "hovertemplate": "row %{y}, column %{x}: %{z:.0%} kept<extra></extra>",
    }


def _mask_layout(text: str, shape: tuple[int, ...], block: tuple[int, int]) -> Json:
    axis = {"showgrid": False, "mirror": True}
    of = ("", "") if block == (1, 1) else (f" (blocks of {block[0]})", f" (blocks of {block[1]})")
    return {
        "title": {"text": text},
        "xaxis": axis | {"title": {"text": f"input{of[1]}"}, "range": [-0.5, shape[1] - 0.5]},
        "yaxis": axis | {"title": {"text": f"output{of[0]}"}, "range": [shape[0] - 0.5, -0.5]},
    }


def _empty(kept: NDArray[np.bool_]) -> str:
    """How many outputs have lost all their weights, and so could be removed whole."""
    n = int((~kept.any(axis=1)).sum())
    return f"{n:,} of {len(kept):,} outputs have lost all of theirs" if n else "every output keeps some"


def _mask_table(kept: NDArray[np.bool_]) -> pd.DataFrame:
    """Per output, at most 200 of them: how many of its weights are kept."""
    per_output = kept.sum(axis=1)[:200]
    percent = [round(100 * float(n) / kept.shape[1], 1) for n in per_output]
    return pd.DataFrame({"output": range(len(per_output)), "kept (count)": per_output, "kept (%)": percent})
