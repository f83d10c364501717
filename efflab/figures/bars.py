"""Horizontal bars: a name on the left, a bar, perhaps in parts, and words behind it."""

from collections.abc import Sequence

from efflab.figures.text import bytes_text
from efflab.figures.theme import Json

LABEL_ROOM = 0.35
"""Free space behind the longest bar for the text of one number, as a fraction of the bar."""


def bars(name: str, places: Sequence[float], lengths: Sequence[float], texts: Sequence[str], look: Json) -> Json:
    """One trace of bars. places: rows from the top, 0 first; texts: behind the bars; look: the marker."""
    return {
        "type": "bar",
        "orientation": "h",
        "name": name,
        "x": list(lengths),
        "y": list(places),
        "text": [f" {text}" for text in texts],
        "textposition": "outside",
        "textangle": 0,
        "constraintext": "none",
        "cliponaxis": False,
        "marker": look | {"line": {"width": 0}},
        "hoverinfo": "skip",
    }


def byte_unit(longest: float) -> tuple[str, int]:
    """The unit in which bytes are drawn, and how many of them it has.

    Example:
        >>> byte_unit(999), byte_unit(1000)
        (('B', 1), ('kB', 1000))
    """
    return ("kB", 1000) if longest >= 1000 else ("B", 1)


def byte_part(name: str, rows: Sequence[str], n_bytes: Sequence[int], factor: int, *, colour: str, hatch: str) -> Json:
    """One part of stacked bars. rows: their names, from the top; n_bytes: of this part, told when pointed at."""
    return {
        "type": "bar",
        "orientation": "h",
        "name": name,
        "x": [n / factor for n in n_bytes],
        "y": list(range(len(rows))),
        "width": 0.7,
        "marker": {"color": colour, "pattern": {"shape": hatch, "fillmode": "overlay"}, "line": {"width": 0}},
        "hovertext": [f"{row}, {name}: {bytes_text(n)}" for row, n in zip(rows, n_bytes, strict=True)],
        "hovertemplate": "%{hovertext}<extra></extra>",
    }


def words_behind(ends: Sequence[float], texts: Sequence[str]) -> Json:
    """Words to the right of the bars, or of what is drawn around them. ends: where they begin, from the top row."""
    return {
        "type": "scatter",
        "mode": "text",
        "x": list(ends),
        "y": list(range(len(texts))),
        "text": list(texts),
        "textposition": "middle right",
        "cliponaxis": False,
        "hoverinfo": "skip",
        "showlegend": False,
    }


def bar_layout(names: Sequence[str], title: str, longest: float, *, room: float = LABEL_ROOM) -> Json:
    """The axes: a row a name, and room for texts behind the longest bar; the page makes more where that is little."""
    return {
        "meta": {"make_room": True},
        "barmode": "group",
        "bargap": 0.2,
        "xaxis": {"title": {"text": title}, "range": [0, (1 + room) * longest], "tickangle": 0},
        "yaxis": {
            "range": [len(names) - 0.5, -0.5],
            "tickvals": list(range(len(names))),
            "ticktext": list(names),
            "ticks": "",
            "showgrid": False,
        },
        "legend": {"traceorder": "normal"},
    }
