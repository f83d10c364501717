"""Which layer loses how much on its grid: a row a layer, its weights and what it gives, in decibels.

Reference: Bennett, Spectra of quantized signals, 1948 (each bit more brings 6.02 dB).
"""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd

from efflab.costs.texts import plural
from efflab.figures.picture import MAX_ROWS, Picture, draw
from efflab.figures.theme import BASE, NOW, TUNED, Json
from efflab.runtime.quantized import bits_text

if TYPE_CHECKING:
    from efflab.lab.grid_errors import GridErrors, LayerError

DB_A_BIT = 20 * math.log10(2)
N_ROWS = 16
"""Layers that are drawn; of a deeper network the table has the others."""


def grid_errors(found: "GridErrors") -> Picture:
    """One row a layer: an open square for its weights, a circle for what it gives; further right is better.

    The short upright line is where 6.02 dB a bit lead, which numbers spread evenly over the grid would have. What has
    no error is not drawn.

    Raises:
        ValueError: there are no layers.
    """
    if not found.layers:
        raise ValueError("found must hold at least one layer")
    shown = found.layers[:N_ROWS]
    traces = [_links(shown), _promise(shown), _weights(shown), _outputs(shown)]
    return Picture(draw(traces, _layout(shown)), _sentence(found), _table(found))


def label(one: "LayerError") -> str:
    """A layer with its bits: "conv1, 4 bits"."""
    return f"{one.layer}, {bits_text(one.bits) if one.bits else 'float'} "


def _shown(value: float | None) -> float | None:
    """What can be drawn: no infinity."""
    return None if value is None or math.isinf(value) else value


def _links(shown: Sequence["LayerError"]) -> Json:
    xs: list[float | None] = []
    ys: list[float | None] = []
    for place, one in enumerate(shown):
        xs += [_shown(one.weights_db), _shown(one.outputs_db), None]
        ys += [place, place, None]
    return {
        "type": "scatter",
        "mode": "lines",
        "x": xs,
        "y": ys,
        "line": {"color": BASE, "dash": "dot"},
        "hoverinfo": "skip",
        "showlegend": False,
    }


def _promise(shown: Sequence["LayerError"]) -> Json:
    return _marks(
        "6.02 dB a bit",
        [DB_A_BIT * one.bits if one.bits else None for one in shown],
        shown,
        {"symbol": "line-ns-open", "size": 22, "color": TUNED, "line": {"width": 3}},
    )


def _weights(shown: Sequence["LayerError"]) -> Json:
    marker = {"symbol": "square-open", "size": 12, "color": BASE, "line": {"width": 3}}
    return _marks("weights", [_shown(one.weights_db) for one in shown], shown, marker)


def _outputs(shown: Sequence["LayerError"]) -> Json:
    marker = {"symbol": "circle", "size": 12, "color": NOW}
    return _marks("what the layer gives", [_shown(one.outputs_db) for one in shown], shown, marker)


def _marks(name: str, xs: list[float | None], shown: Sequence["LayerError"], marker: Json) -> Json:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": xs,
        "y": list(range(len(shown))),
        "marker": marker,
        "hovertext": [one.layer for one in shown],
        "hovertemplate": "%{hovertext}, " + name + ": %{x:.1f} dB<extra></extra>",
    }


def _layout(shown: Sequence["LayerError"]) -> Json:
    numbers = [DB_A_BIT * one.bits for one in shown]
    numbers += [value for one in shown for value in (_shown(one.weights_db), _shown(one.outputs_db)) if value]
    low, high = min([0.0, *numbers]), max([10.0, *numbers])
    room = 0.04 * (high - low)
    return {
        "xaxis": {"title": {"text": "signal above error (dB)"}, "range": [low - room, high + room]},
        "yaxis": {
            "range": [len(shown) - 0.5, -0.5],
            "tickvals": list(range(len(shown))),
            "ticktext": [label(one) for one in shown],
            "ticks": "",
            "showgrid": False,
        },
    }


def _sentence(found: "GridErrors") -> str:
    images = plural(found.n_images, "calibration image")
    start = f"What each layer gives was compared with the float network on {images} (measured)."
    wrong = [one for one in found.layers if not math.isinf(one.outputs_db)]
    left_out = f" The first {N_ROWS} of {len(found.layers)} layers are drawn." if len(found.layers) > N_ROWS else ""
    if not wrong:
        return f"{start} No layer gives anything else than before.{left_out}"
    worst, best = (pick(wrong, key=lambda one: one.outputs_db) for pick in (min, max))
    most = f"{worst.layer} has the most error: its signal is {worst.outputs_db:.1f} dB above it"
    least = f", {best.layer} the least: {best.outputs_db:.1f} dB" if best is not worst else ""
    return f"{start} {most}{least}. Each bit more brings about 6.02 dB.{left_out}"


def _table(found: "GridErrors") -> pd.DataFrame:
    rows = [
        (
            one.layer,
            one.kind,
            one.bits or "float",
            one.reads_bits or "float",
            _db_text(one.weights_db),
            _db_text(one.outputs_db),
        )
        for one in found.layers[:MAX_ROWS]
    ]
    columns = ["layer", "kind", "bits of weights", "bits of what it reads", "weights (dB)", "what it gives (dB)"]
    return pd.DataFrame(rows, columns=columns)


def _db_text(value: float | None) -> str:
    if value is None:
        return "float"
    return "no error" if value == math.inf else f"{value:.1f}"
