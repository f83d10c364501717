"""The network as blocks, one below the other, each as wide as it has channels: what a cut takes, and what goes with it.

Blocks with the same letter and colour lose the same channels, because a sum or a reader ties them together.

Reference: Fang et al., DepGraph: towards any structural pruning, 2023, arXiv 2301.12900, figure 2.
"""

from collections.abc import Sequence
from string import ascii_uppercase
from typing import TYPE_CHECKING

import pandas as pd

from efflab.figures.picture import MAX_ROWS, Picture, draw
from efflab.figures.text import percent_text
from efflab.figures.theme import BASE, LAYER_COLOURS, Json

if TYPE_CHECKING:
    from efflab.lab.blocks import Block

N_ROWS = 16
"""Blocks that are drawn; of a deeper network the table has the others."""
PALE = 0.25
HATCHES = ("", "/", "x", ".", "-")
"""With four colours, twenty groups differ in colour or hatch; their letter tells the others apart."""
FROZEN: Json = {"color": BASE, "pattern": {"shape": "\\"}}
TEXT_ROOM = 1.6
"""Where the axis ends, in half widths of the widest block: the counts are written to the right of the blocks."""


def blocks(found: Sequence["Block"], *, highlight: str | None = None) -> Picture:
    """The layers that make channels, in running order: outline the base, filled what is left.

    highlight: the name of a group that stays strong while the others turn pale. In the page, pointing at a block does
    the same: `layout.meta.together` asks for it, and the points' `customdata` are the groups.

    Raises:
        ValueError: there are no blocks.
    """
    if not found:
        raise ValueError("found must hold at least one block")
    letters = group_letters(found)
    shown = found[:N_ROWS]
    traces = [_bars(shown, letters, highlight), _outlines(shown), _counts(shown)]
    return Picture(draw(traces, _layout(shown, letters)), _sentence(found, letters), _table(found, letters))


def group_letters(found: Sequence["Block"]) -> dict[str, str]:
    """A letter for each group that may lose channels, in running order: A, B ... Z, A2 ..."""
    names = dict.fromkeys(block.group for block in found if not block.frozen)
    return {name: ascii_uppercase[i % 26] + (str(i // 26 + 1) if i >= 26 else "") for i, name in enumerate(names)}


def _look(group: str, letters: dict[str, str]) -> tuple[str, str]:
    """Colour and hatch."""
    if group not in letters:
        return FROZEN["color"], FROZEN["pattern"]["shape"]
    index = list(letters).index(group)
    return LAYER_COLOURS[index % len(LAYER_COLOURS)], HATCHES[index // len(LAYER_COLOURS) % len(HATCHES)]


def _bars(shown: Sequence["Block"], letters: dict[str, str], highlight: str | None) -> Json:
    looks = [_look(block.group, letters) for block in shown]
    strong = [1.0 if highlight in (None, block.group) else PALE for block in shown]
    return {
        "type": "bar",
        "orientation": "h",
        "x": [block.n_now for block in shown],
        "y": list(range(len(shown))),
        "base": [-block.n_now / 2 for block in shown],
        "width": 0.7,
        "marker": {
            "color": [colour for colour, _ in looks],
            "pattern": {"shape": [hatch for _, hatch in looks], "fillmode": "overlay"},  # hatched, and still filled
            "opacity": strong,
            "line": {"width": 0},
        },
        "customdata": [block.group for block in shown],
        "hovertext": [_hover(block) for block in shown],
        "hovertemplate": "%{hovertext}<extra></extra>",
        "showlegend": False,
    }


def _outlines(shown: Sequence["Block"]) -> Json:
    """The base, around what is left."""
    return {
        "type": "bar",
        "orientation": "h",
        "x": [block.n_base for block in shown],
        "y": list(range(len(shown))),
        "base": [-block.n_base / 2 for block in shown],
        "width": 0.7,
        "marker": {"color": "rgba(0,0,0,0)", "line": {"color": BASE}},
        "hoverinfo": "skip",
        "showlegend": False,
    }


def _counts(shown: Sequence["Block"]) -> Json:
    half = max(block.n_base for block in shown) / 2
    return {
        "type": "scatter",
        "mode": "text",
        "x": [1.05 * half] * len(shown),
        "y": list(range(len(shown))),
        "text": [f"{block.n_base}" + f" → {block.n_now}" * (block.n_now != block.n_base) for block in shown],
        "textposition": "middle right",
        "cliponaxis": False,
        "hoverinfo": "skip",
        "showlegend": False,
    }


def _hover(block: "Block") -> str:
    others = [layer for layer in block.layers if layer != block.layer]
    why = f"must stay: {block.frozen}" if block.frozen else f"goes together with: {', '.join(others) or 'nothing'}"
    return f"{block.layer}: {block.n_now} of {block.n_base} channels<br>{why}"


def _layout(shown: Sequence["Block"], letters: dict[str, str]) -> Json:
    half = max(block.n_base for block in shown) / 2
    names = [f"{block.layer}  <b>{letters.get(block.group, '–')}</b> " for block in shown]
    return {
        "meta": {"together": True},
        "barmode": "overlay",
        "margin": {"t": 10},
        "xaxis": {
            "range": [-1.02 * half, TEXT_ROOM * half],
            "title": {"text": "channels (outline: base)"},
            "showticklabels": False,
            "showgrid": False,
            "ticks": "",
        },
        "yaxis": {
            "range": [len(shown) - 0.5, -0.5],
            "tickvals": list(range(len(shown))),
            "ticktext": names,
            "ticks": "",
            "showgrid": False,
        },
    }


def _sentence(found: Sequence["Block"], letters: dict[str, str]) -> str:
    macs_base, macs_now = (sum(getattr(block, name) for block in found) for name in ("macs_base", "macs_now"))
    n_base, n_now = (sum(getattr(block, name) for block in found) for name in ("n_base", "n_now"))
    makers = {letter: [b.layer for b in found if b.group == name] for name, letter in letters.items()}
    tied = [f"{letter}: {' and '.join(layers)}" for letter, layers in makers.items() if len(layers) > 1]
    ties = f" These lose the same channels: {'; '.join(tied)}." if tied else ""
    left_out = f" The first {N_ROWS} of {len(found)} layers are drawn." if len(found) > N_ROWS else ""
    share = percent_text(macs_now / macs_base, 0) if macs_base else "none"
    return f"{n_now:,} of {n_base:,} channels are left, and {share} of the multiplications (computed).{ties}{left_out}"


def _table(found: Sequence["Block"], letters: dict[str, str]) -> pd.DataFrame:
    rows = [
        (
            block.layer,
            letters.get(block.group, "–"),
            block.n_base,
            block.n_now,
            block.macs_base,
            block.macs_now,
            block.frozen or ", ".join(layer for layer in block.layers if layer != block.layer),
        )
        for block in found[:MAX_ROWS]
    ]
    columns = ["layer", "group", "channels, base", "now", "MACs, base", "MACs, now", "with it go, or why it stays"]
    return pd.DataFrame(rows, columns=columns)
