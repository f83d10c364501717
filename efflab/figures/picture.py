"""A picture never comes alone: a figure, one sentence that says what it shows, and a table with its numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray

from efflab.figures.theme import standalone

MAX_ROWS = 200
"""Rows of a table twin, which is read and not searched."""
MAX_POINTS = 500
"""Points of one trace: more are not seen, and are sent at every move of a slider."""


@dataclass(frozen=True, eq=False)
class Picture:
    """A figure, the sentence that replaces it for whoever does not see it, and its numbers, rounded for reading."""

    figure: go.Figure
    sentence: str
    table: pd.DataFrame

    def __post_init__(self) -> None:
        if not self.sentence.strip():
            raise ValueError(f"sentence must say what the picture shows, not {self.sentence!r}")
        if len(self.table) > MAX_ROWS:
            raise ValueError(f"table must have at most {MAX_ROWS} rows, not {len(self.table)}")


def draw(traces: Sequence[Mapping[str, Any]], layout: Mapping[str, Any]) -> go.Figure:
    """A figure with our look.

    plotly checks every value, which takes 10 ms at each move of a slider, and 1 ms without. So the check is left to
    the tests, which let plotly go through every picture.
    """
    return go.Figure(
        data=[dict(trace) for trace in traces], layout={"template": standalone(), **layout}, _validate=False
    )


def nothing_yet(sentence: str, table: pd.DataFrame) -> Picture:
    """A picture without axes that says why there is nothing to see. table: with its heads, and no row."""
    hidden = {"visible": False}
    note = {"text": sentence, "xref": "paper", "yref": "paper", "x": 0.5, "y": 0.5}
    return Picture(draw([], {"xaxis": hidden, "yaxis": hidden, "annotations": [note]}), sentence, table)


def array(values: Sequence[float | str]) -> Sequence[float | str] | NDArray[np.float64]:
    """Numbers as an array, which plotly copies and packs faster than a list; texts stay a list."""
    return values if values and isinstance(values[0], str) else np.asarray(values, dtype=np.float64)


def thinned(items: Sequence[Any], n: int = MAX_POINTS) -> list[Any]:
    """At most `n` of the items, evenly spread, both ends included."""
    if len(items) <= n:
        return list(items)
    return [items[round(i * (len(items) - 1) / (n - 1))] for i in range(n)]
