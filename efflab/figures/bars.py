"""Horizontal bars: a name on the left, a bar, and its number written behind it."""

from collections.abc import Sequence

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


def bar_layout(names: Sequence[str], title: str, longest: float, *, room: float = LABEL_ROOM) -> Json:
    """The axes: a row a name, and room for the texts behind the longest bar."""
    return {
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
