"""How many bits each layer has, and what its bytes are: integers, what turns them back into numbers, and biases."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from efflab.figures.bars import bar_layout, byte_part, byte_unit, words_behind
from efflab.figures.picture import MAX_ROWS, Picture, draw
from efflab.figures.text import bytes_text, percent_text
from efflab.figures.theme import BASE, CONTROL, NOW, PREDICTED, TUNED
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
TEXT_ROOM = 1.0
"""Free space behind the longest bar for bits and bytes, as a fraction of the bar."""


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
    names, totals = [row.name for row in shown], [row.bytes.total for row in shown]
    unit, factor = byte_unit(max(totals))
    texts = [f" {row.bits_text}, {bytes_text(row.bytes.total)}" for row in shown]
    traces = [
        byte_part(name, names, [getattr(row.bytes, part) for row in shown], factor, colour=colour, hatch=hatch)
        for part, (name, colour, hatch) in PARTS.items()
        if any(getattr(row.bytes, part) for row in rows)
    ]
    traces.append(words_behind([total / factor for total in totals], texts))
    title = f"packed bytes ({unit}, computed)"
    layout = bar_layout([f"{name} " for name in names], title, max(totals) / factor or 1, room=TEXT_ROOM)
    return Picture(draw(traces, layout | {"barmode": "stack"}), _sentence(found, rows), _table(rows))


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
