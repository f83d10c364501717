"""How many bits each layer has, and what its bytes are: integers, what turns them back into numbers, and biases."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from efflab.figures.picture import MAX_ROWS, Picture, draw
from efflab.figures.text import bytes_text, percent_text
from efflab.figures.theme import BASE, CONTROL, NOW, PREDICTED, TUNED, Json
from efflab.lab.grid_bytes import LayerBytes
from efflab.runtime.quantized import bits_text

if TYPE_CHECKING:
    from efflab.lab.grid_errors import GridErrors

PARTS = {
    "integers": ("integers", NOW, ""),
    "scales": ("scales", PREDICTED, "/"),
    "zero_points": ("zero points", CONTROL, "x"),
    "biases": ("biases", TUNED, "."),
    "floats": ("floats", BASE, "\\"),
}
"""The name, colour and hatch of each part, in the order in which they are stacked."""
N_ROWS = 16
"""Layers that are drawn; of a deeper network the table has the others."""
TEXT_ROOM = 2.0
"""Where the axis ends, in lengths of the longest bar: the bits are written behind the bars."""


@dataclass(frozen=True)
class _Row:
    name: str
    bits: int
    bytes: LayerBytes

    @property
    def bits_text(self) -> str:
        return bits_text(self.bits) if self.bits else "float"


def bits_by_layer(found: "GridErrors") -> Picture:
    """A bar a layer, as long as its packed bytes, in its parts; behind it the bits. Batch norms and such are the last.

    Raises:
        ValueError: there are no layers.
    """
    if not found.layers:
        raise ValueError("found must hold at least one layer")
    rows = [_Row(one.layer, one.bits, one.bytes) for one in found.layers]
    shown = rows[:N_ROWS]
    if found.other_bytes:
        others = _Row("other layers", 0, LayerBytes(floats=found.other_bytes))
        rows, shown = [*rows, others], [*shown, others]
    unit, factor = ("kB", 1000) if max(row.bytes.total for row in shown) >= 1000 else ("B", 1)
    there = [part for part in PARTS if any(getattr(row.bytes, part) for row in rows)]
    traces = [*(_bars(shown, part, factor) for part in there), _texts(shown, factor)]
    return Picture(draw(traces, _layout(shown, unit, factor)), _sentence(found, rows), _table(rows))


def _bars(shown: Sequence[_Row], part: str, factor: int) -> Json:
    name, colour, hatch = PARTS[part]
    return {
        "type": "bar",
        "orientation": "h",
        "name": name,
        "x": [getattr(row.bytes, part) / factor for row in shown],
        "y": list(range(len(shown))),
        "width": 0.7,
        "marker": {
            "color": colour,
            "pattern": {"shape": hatch, "fillmode": "overlay"},
            "line": {"width": 0},
        },
        "hovertext": [f"{row.name}, {name}: {bytes_text(getattr(row.bytes, part))}" for row in shown],
        "hovertemplate": "%{hovertext}<extra></extra>",
    }


def _texts(shown: Sequence[_Row], factor: int) -> Json:
    return {
        "type": "scatter",
        "mode": "text",
        "x": [row.bytes.total / factor for row in shown],
        "y": list(range(len(shown))),
        "text": [f" {row.bits_text}, {bytes_text(row.bytes.total)}" for row in shown],
        "textposition": "middle right",
        "cliponaxis": False,
        "hoverinfo": "skip",
        "showlegend": False,
    }


def _layout(shown: Sequence[_Row], unit: str, factor: int) -> Json:
    longest = max(row.bytes.total for row in shown) / factor or 1
    return {
        "barmode": "stack",
        "legend": {"traceorder": "normal"},
        "xaxis": {"title": {"text": f"packed bytes ({unit}, computed)"}, "range": [0, TEXT_ROOM * longest]},
        "yaxis": {
            "range": [len(shown) - 0.5, -0.5],
            "tickvals": list(range(len(shown))),
            "ticktext": [f"{row.name} " for row in shown],
            "ticks": "",
            "showgrid": False,
        },
    }


def _sentence(found: "GridErrors", rows: Sequence[_Row]) -> str:
    total = found.n_bytes
    sums = {part: sum(getattr(row.bytes, part) for row in rows) for part in PARTS}
    parts = [f"{PARTS[part][0]} {percent_text(n / total)}" for part, n in sums.items() if n]
    largest = max(rows, key=lambda row: row.bytes.total)
    left_out = f" The first {N_ROWS} of {len(found.layers)} layers are drawn." if len(found.layers) > N_ROWS else ""
    return (
        f"{bytes_text(total)} packed (computed): {', '.join(parts)}. The most are in {largest.name} "
        f"({largest.bits_text}): {percent_text(largest.bytes.total / total)}.{left_out}"
    )


def _table(rows: Sequence[_Row]) -> pd.DataFrame:
    columns = ["layer", "bits", *(f"{name} (bytes)" for name, *_ in PARTS.values()), "all (bytes)"]
    cells = [
        (row.name, row.bits or "float", *(getattr(row.bytes, part) for part in PARTS), row.bytes.total)
        for row in rows[:MAX_ROWS]
    ]
    return pd.DataFrame(cells, columns=columns)
