"""Where the weights are, and from which layers they went."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from efflab.figures.picture import MAX_ROWS, Picture, draw
from efflab.figures.text import bytes_text, percent_text
from efflab.figures.theme import BASE, NOW, Json
from efflab.measure import Size

N_BARS = 12
"""Layers that get a bar of their own; the smallest beyond that share one."""
N_WITH_BYTES = 5
"""So many bars leave room for a second line of text with the bytes; of more, the table has them."""


@dataclass(frozen=True)
class _Layer:
    """One layer: its number of weights in the base, those not zero now, and the bytes that they pack into."""

    name: str
    n: int
    n_kept: int
    packed_bytes: int
    encoding: str

    @property
    def removed(self) -> float:
        return 1 - self.n_kept / self.n

    @property
    def count_text(self) -> str:
        return f"{percent_text(self.removed, None)} removed, {self.n_kept:,} of {self.n:,} kept"

    @property
    def packed_text(self) -> str:
        encoding = f" ({self.encoding})" if self.encoding else ""
        return f"{bytes_text(self.packed_bytes)} packed{encoding}"


def layers(now: Size, base: Size) -> Picture:
    """Each layer's share of the weights: the outline is the whole layer in the base, the filled part is what is kept.

    Weights only (matrices and kernels), in the order of the network. A small layer's bar is too narrow to be read, so
    each has its counts beside it. Of more than twelve layers the smallest share one bar; the table has them all.

    Raises:
        ValueError: the base has no weights.
    """
    found = _layers(now, base)
    if not found:
        raise ValueError("base has no weight with two or more dimensions, so there is no layer to show")
    bars, total = _largest(found), sum(layer.n for layer in found)
    figure = draw(_bars(bars, total), _bars_layout(bars, total))
    return Picture(figure, _bars_sentence(found), _bars_table(found, total))


def _layers(now: Size, base: Size) -> list[_Layer]:
    """The weights of the base beside what is left of them; a tensor that is gone counts as removed whole."""
    present = {tensor.name: tensor for tensor in now.tensors}
    found = []
    for tensor in (tensor for tensor in base.weights if tensor.n):
        kept = present.get(tensor.name)
        n_kept, n_bytes, encoding = (kept.n_nonzero, kept.packed_bytes, kept.encoding) if kept else (0, 0, "")
        found.append(_Layer(tensor.name.removesuffix(".weight"), tensor.n, n_kept, n_bytes, encoding))
    return found


def _largest(found: Sequence[_Layer]) -> list[_Layer]:
    if len(found) <= N_BARS:
        return list(found)
    ranked = sorted(found, key=lambda layer: layer.n, reverse=True)
    large = {layer.name for layer in ranked[: N_BARS - 1]}
    rest = ranked[N_BARS - 1 :]
    together = _Layer(
        f"{len(rest)} smaller layers",
        sum(layer.n for layer in rest),
        sum(layer.n_kept for layer in rest),
        sum(layer.packed_bytes for layer in rest),
        "",
    )
    return [*(layer for layer in found if layer.name in large), together]


def _bars(bars: Sequence[_Layer], total: int) -> list[Json]:
    """What is kept, the outline of the whole layer over it, and a text after it."""
    rows = list(range(len(bars)))
    shares = [100 * layer.n / total for layer in bars]
    whole = {"color": "rgba(0,0,0,0)", "line": {"color": BASE}}
    kept = {"color": NOW, "line": {"width": 0}}
    common = {"type": "bar", "orientation": "h", "y": rows, "width": 0.7, "hoverinfo": "skip"}
    return [
        common | {"x": [100 * layer.n_kept / total for layer in bars], "marker": kept, "name": "kept"},
        common | {"x": shares, "marker": whole, "name": "base"},
        {
            "type": "scatter",
            "mode": "text",
            "x": shares,
            "y": rows,
            "text": _texts(bars),
            "textposition": "middle right",
            "cliponaxis": False,
            "hoverinfo": "skip",
            "showlegend": False,
        },
    ]


def _texts(bars: Sequence[_Layer]) -> list[str]:
    """What is written after each bar; the space keeps every line off the outline."""
    if len(bars) > N_WITH_BYTES:
        return [f" {layer.count_text}" for layer in bars]
    return [f" {layer.count_text}<br> {layer.packed_text}" for layer in bars]


def _bars_layout(bars: Sequence[_Layer], total: int) -> Json:
    """Bars take two fifths of the width, or less, so that the text after the longest one has room."""
    longest = 100 * max(layer.n for layer in bars) / total
    step = next(step for step in (1, 2, 5, 10, 20) if step >= longest / 5)  # five at most: they have little room
    ticks = list(range(0, int(longest) + 1, step))
    return {
        "meta": {"make_room": True},
        "barmode": "overlay",
        "xaxis": {
            "title": {"text": "share of all weights (%)"},
            "range": [0, 2.7 * longest],
            "tickvals": ticks,
            "tickangle": 0,
        },
        "yaxis": {
            "range": [len(bars) - 0.5, -0.5],
            "tickvals": list(range(len(bars))),
            "ticktext": [layer.name for layer in bars],
            "ticks": "",
            "showgrid": False,
        },
    }


def _bars_sentence(found: Sequence[_Layer]) -> str:
    n, n_kept = sum(layer.n for layer in found), sum(layer.n_kept for layer in found)
    parts = [f"{percent_text(1 - n_kept / n)} of {n:,} weights are removed in all."]
    if len(found) > 1:
        most, least = (pick(found, key=lambda layer: layer.removed) for pick in (max, min))
        parts.append(
            f"The most in {most.name} ({percent_text(most.removed)}), "
            f"the least in {least.name} ({percent_text(least.removed)})."
        )
    return " ".join(parts)


def _bars_table(found: Sequence[_Layer], total: int) -> pd.DataFrame:
    rows = [
        (
            layer.name,
            layer.n,
            round(100 * layer.n / total, 1),
            layer.n_kept,
            round(100 * layer.removed, 1),
            layer.packed_bytes,
            layer.encoding,
        )
        for layer in found[:MAX_ROWS]
    ]
    columns = ["layer", "weights", "share (%)", "kept", "removed (%)", "packed (bytes)", "encoding"]
    return pd.DataFrame(rows, columns=columns)
