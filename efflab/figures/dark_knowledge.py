"""What a teacher thinks alike: the mean softened answer to the images of each class, without the right answers.

Reference: Hinton et al., 2015, arXiv 1503.02531, section 1.
"""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from torch import Tensor

from efflab.figures.picture import MAX_ROWS, Picture, draw, thinned
from efflab.figures.soft_answer import fine_percent
from efflab.figures.text import percent_text
from efflab.figures.theme import Json

LOW, HIGH = 0.01, 50.0
"""Percent: the ends of the colours, the same at each temperature, so that one sees the map light up."""
N_NAMED = 3
"""Confusions that the sentence names."""
N_TICKS = 20
"""Classes that are named at an axis; of more, some."""


def dark_knowledge(alike: Tensor, classes: Sequence[str], temperature: float) -> Picture:
    """A row for what an image is, a column for what the teacher says of it; logarithmic colours.

    The diagonal, the right answers, is left out: it is so much larger that nothing else would be seen.

    alike: (classes, classes), each row adds up to 1; NaN where there are no images of a class.

    Raises:
        ValueError: there is not a row and a column for each class.
    """
    if alike.shape != (len(classes), len(classes)):
        raise ValueError(
            f"alike must have a row and a column for each of {len(classes)} classes, not {tuple(alike.shape)}"
        )
    shares = alike.double().numpy()
    figure = draw([_map(shares, classes), _crosses(len(classes))], _layout(classes))
    return Picture(figure, _sentence(shares, classes, temperature), _table(shares, classes))


def _beside(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """The shares without the diagonal, which is NaN."""
    return np.where(np.eye(len(shares), dtype=bool), np.nan, shares)


def _map(shares: NDArray[np.float64], classes: Sequence[str]) -> Json:
    ticks = [LOW, 0.1, 1.0, 10.0]
    return {
        "type": "heatmap",
        "z": np.log10(np.clip(100 * _beside(shares), LOW, HIGH)),
        "zmin": math.log10(LOW),
        "zmax": math.log10(HIGH),
        "hoverongaps": False,
        "hovertext": [[_looks(shares, classes, i, j) for j in range(len(classes))] for i in range(len(classes))],
        "hovertemplate": "%{hovertext}<extra></extra>",
        "colorbar": {
            "title": {"text": "mean %"},
            "tickvals": [math.log10(tick) for tick in ticks],
            "ticktext": [f"≤{LOW:g}", *(f"{tick:g}" for tick in ticks[1:])],
        },
    }


def _crosses(n: int) -> Json:
    """What is left out is not the darkest colour."""
    return {
        "type": "scatter",
        "mode": "text",
        **{"x": list(range(n)), "y": list(range(n)), "text": ["×"] * n},
        "hoverinfo": "skip",
    }


def _looks(shares: NDArray[np.float64], classes: Sequence[str], label: int, other: int) -> str:
    return f"images of {classes[label]} look {fine_percent(shares[label, other])} like {classes[other]}"


def _layout(classes: Sequence[str]) -> Json:
    places = thinned(range(len(classes)), N_TICKS)
    named = {"tickvals": places, "ticktext": [classes[i] for i in places], "showgrid": False, "ticks": ""}
    return {
        "margin": {"t": 10},
        "xaxis": named | {"title": {"text": "what the teacher says"}, "tickangle": 0},
        "yaxis": named | {"title": {"text": "images of"}, "autorange": "reversed"},
    }


def _sentence(shares: NDArray[np.float64], classes: Sequence[str], temperature: float) -> str:
    beside = np.nan_to_num(_beside(shares), nan=-1.0)
    largest = [divmod(int(i), len(classes)) for i in np.argsort(-beside, axis=None, kind="stable")[:N_NAMED]]
    said = [_looks(shares, classes, i, j) for i, j in largest if beside[i, j] >= 0]
    right = percent_text(float(np.nanmean(np.diagonal(shares))))
    return (
        f"Mean answers to the images of each class at temperature {temperature:g}: {', '.join(said)}. The right class "
        f"gets {right} on average, and is left out of the picture."
    )


def _table(shares: NDArray[np.float64], classes: Sequence[str]) -> pd.DataFrame:
    rows = pd.DataFrame(100 * shares, columns=[f"{name} (%)" for name in classes])
    rows.insert(0, "images of", list(classes))
    return rows.head(MAX_ROWS)
