"""What the bytes of Deep Compression's file are: a bar a layer, in its parts, and what it was before Huffman's code."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import pandas as pd

from efflab.figures.bars import bar_layout, byte_part, byte_unit, words_behind
from efflab.figures.picture import MAX_ROWS, Picture, draw
from efflab.figures.text import bytes_text, percent_text
from efflab.figures.theme import BASE, CONTROL, NOW, PREDICTED, TUNED, Json

if TYPE_CHECKING:
    from efflab.lab.encoding import EncodedNetwork

PARTS = {
    "codebook": ("codebook", PREDICTED, "/"),
    "indices": ("indices", NOW, ""),
    "gaps": ("gaps or mask", CONTROL, "x"),
    "tables": ("tables", TUNED, "."),
    "others": ("biases and others", BASE, "\\"),
    "header": ("header", BASE, "-"),
}
"""The name, colour and hatch of each part, in the order in which they are stacked. Gaps of one bit are a mask."""
PLAIN = "without Huffman's code"
N_ROWS = 16
"""Layers that are drawn; of a deeper network the table has the others."""
TEXT_ROOM = 0.5
"""Free space behind the longest bar for its bytes, as a fraction of the bar."""


@dataclass(frozen=True)
class _Parts:
    codebook: int = 0
    indices: int = 0
    gaps: int = 0
    tables: int = 0
    others: int = 0
    header: int = 0

    @property
    def total(self) -> int:
        return sum(getattr(self, part.name) for part in fields(self))


@dataclass(frozen=True)
class _Row:
    """A layer; `plain`: its bytes without Huffman's code."""

    name: str
    parts: _Parts
    plain: int


def encoded(found: "EncodedNetwork") -> Picture:
    """A bar a layer, as long as its bytes in the file; a short line stands where it ended without Huffman's code.

    The file was weighed; what it would be without the code is computed. The last bar is everything else: biases, batch
    norms, layers without a codebook, and the header.

    Raises:
        ValueError: no layer has a codebook.
    """
    if not found.layers:
        raise ValueError("found must hold at least one layer that shares weights")
    rows = [
        _Row(one.name, _Parts(one.codebook_bytes, one.index_bytes, one.gap_bytes, one.table_bytes), one.plain_bytes)
        for one in found.layers
    ]
    others = _Row(
        "all else", _Parts(others=found.other_bytes, header=found.header_bytes), found.other_bytes + found.header_bytes
    )
    rows, shown = [*rows, others], [*rows[:N_ROWS], others]
    longest = max(max(row.parts.total, row.plain) for row in shown)
    unit, factor = byte_unit(longest)
    names, ends = [row.name for row in shown], [max(row.parts.total, row.plain) / factor for row in shown]
    traces = [
        byte_part(label, names, [getattr(row.parts, part) for row in shown], factor, colour=colour, hatch=hatch)
        for part, (label, colour, hatch) in PARTS.items()
        if any(getattr(row.parts, part) for row in rows)
    ]
    traces += [_plain(shown, factor), words_behind(ends, [f"  {_bytes_text(row)}" for row in shown])]
    title = f"bytes in the file ({unit}, measured)"
    layout = bar_layout([f"{name} " for name in names], title, longest / factor, room=TEXT_ROOM)
    return Picture(draw(traces, layout | {"barmode": "stack"}), _sentence(found, rows), _table(rows))


def _plain(shown: Sequence[_Row], factor: int) -> Json:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": f"{PLAIN} (computed)",
        "x": [row.plain / factor for row in shown],
        "y": list(range(len(shown))),
        "marker": {"symbol": "line-ns-open", "size": 34, "color": BASE, "line": {"width": 3}},
        "hovertext": [f"{row.name}, {PLAIN}: {bytes_text(row.plain)}" for row in shown],
        "hovertemplate": "%{hovertext}<extra></extra>",
    }


def _bytes_text(row: _Row) -> str:
    now, before = bytes_text(row.parts.total), bytes_text(row.plain)
    return now if row.parts.total == row.plain else f"{now} in place of {before}"


def _sentence(found: "EncodedNetwork", rows: Sequence[_Row]) -> str:
    sums = {label: sum(getattr(row.parts, part) for row in rows) for part, (label, *_) in PARTS.items()}
    parts = [f"{label} {percent_text(n / found.n_bytes)}" for label, n in sums.items() if n]
    longer = [row.name for row in rows if row.parts.total > row.plain]
    costs = f" In {', '.join(longer[:3])} the code costs more than it saves." if longer else ""
    left_out = f" The first {N_ROWS} of {len(found.layers)} layers are drawn." if len(found.layers) > N_ROWS else ""
    return (
        f"{bytes_text(found.n_bytes)} in the file (measured), {found.times_smaller:.1f} times smaller than the floats: "
        f"{', '.join(parts)}. Without Huffman's code it would be {bytes_text(found.plain_bytes)} "
        f"(computed).{costs}{left_out}"
    )


def _table(rows: Sequence[_Row]) -> pd.DataFrame:
    columns = [
        "layer",
        *(f"{label} (bytes)" for label, *_ in PARTS.values()),
        "all (bytes)",
        f"{PLAIN} (bytes, computed)",
    ]
    cells = [(row.name, *(getattr(row.parts, part) for part in PARTS), row.parts.total, row.plain) for row in rows]
    return pd.DataFrame(cells[:MAX_ROWS], columns=columns)
