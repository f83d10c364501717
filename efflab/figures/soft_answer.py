"""One softened answer: the image, and a bar a class as long as its probability, before the answer at temperature 1.

Reference: Hinton et al., 2015, arXiv 1503.02531, section 2.
"""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from efflab.figures.bars import LABEL_ROOM, bars, words_behind
from efflab.figures.images import pixels_of, png_address
from efflab.figures.picture import MAX_ROWS, Picture, draw
from efflab.figures.text import percent_text
from efflab.figures.theme import BASE, NOW, Json

if TYPE_CHECKING:
    from efflab.lab.soft_answers import SoftAnswer

N_ROWS = 16
"""Classes that are drawn; of more, those that the teacher thinks likeliest."""
LOW = 0.0001
"""Percent: where the logarithmic axis begins."""
DECADES_OF_ROOM = 1.9
"""Free space for the text behind a bar of 100 % on the logarithmic axis."""
TICKS = (0.0001, 0.001, 0.01, 0.1, 1, 10, 100)
BARS, IMAGE = [0.0, 0.7], [0.76, 1.0]
"""Which parts of the width the bars and the image take."""
LOGARITHMIC = "logarithmic"


def soft_answer(found: "SoftAnswer", classes: Sequence[str], scale: str = "linear") -> Picture:
    """The probabilities at the temperature as bars, those at temperature 1 as outlines, and the image.

    scale: of the bars, "linear" or "logarithmic"; the second shows what lies far below 1 %.
    """
    shown = _shown(found, len(classes))
    is_log = scale == LOGARITHMIC
    traces = [_outlines(found, shown), _bars(found, shown), _words(found, shown, is_log), _image(found)]
    layout = {
        "barmode": "overlay",
        "xaxis": _log_axis() if is_log else _linear_axis(),
        "yaxis": {
            "range": [len(shown) - 0.5, -0.5],
            "tickvals": list(range(len(shown))),
            "ticktext": [_name(number, found, classes) for number in shown],
            "title": {"text": "class"},
            "ticks": "",
            "showgrid": False,
        },
        "xaxis2": {"visible": False, "domain": IMAGE, "anchor": "y2", "constrain": "domain"},
        "yaxis2": {
            **{"visible": False, "anchor": "x2", "scaleanchor": "x2", "autorange": "reversed"},
            **{"constrain": "domain", "constraintoward": "top"},
        },
        "legend": {"traceorder": "reversed"},
    }
    return Picture(draw(traces, layout), _sentence(found, classes, len(shown)), _table(found, classes))


def _shown(found: "SoftAnswer", n_classes: int) -> list[int]:
    if n_classes <= N_ROWS:
        return list(range(n_classes))
    return list(found.plain.argsort(descending=True, stable=True)[:N_ROWS].tolist())


def _name(number: int, found: "SoftAnswer", classes: Sequence[str]) -> str:
    return f"{classes[number]} (label) " if number == found.label else f"{classes[number]} "


def _linear_axis() -> Json:
    title, end = {"text": "probability (%, measured)"}, 100 * (1 + LABEL_ROOM)
    return {"title": title, "range": [0, end], "domain": BARS, "tickvals": [0, 25, 50, 75, 100], "tickangle": 0}


def _log_axis() -> Json:
    return {
        "title": {"text": "probability (%, measured), logarithmic"},
        "type": "log",
        "range": [math.log10(LOW), 2 + DECADES_OF_ROOM],
        "domain": BARS,
        "tickvals": list(TICKS[::2]),
        "ticktext": [f"{tick:g}" for tick in TICKS[::2]],
        "tickangle": 0,
    }


def _outlines(found: "SoftAnswer", shown: Sequence[int]) -> Json:
    """The answer at temperature 1, behind and wider than the bars."""
    percents = [100 * float(found.plain[number]) for number in shown]
    plain = bars("temperature 1", range(len(shown)), percents, [""] * len(shown), {"color": "rgba(0,0,0,0)"})
    edge = {"color": "rgba(0,0,0,0)", "line": {"color": BASE, "width": 1.5}}
    return plain | {"width": 0.9, "marker": edge, "showlegend": found.temperature != 1}


def _bars(found: "SoftAnswer", shown: Sequence[int]) -> Json:
    percents = [100 * float(found.probabilities[number]) for number in shown]
    name = f"temperature {found.temperature:g}"
    return bars(name, range(len(shown)), percents, [""] * len(shown), {"color": NOW}) | {"width": 0.6}


def _words(found: "SoftAnswer", shown: Sequence[int], is_log: bool) -> Json:
    """The probabilities at the temperature, behind whichever of bar and outline is longer."""
    fractions = [float(found.probabilities[number]) for number in shown]
    ends = [100 * max(one, float(found.plain[number])) for one, number in zip(fractions, shown, strict=True)]
    texts = [fine_percent(one) if is_log else percent_text(one) for one in fractions]
    return words_behind([max(end, LOW) for end in ends] if is_log else ends, [f" {text}" for text in texts])


def _image(found: "SoftAnswer") -> Json:
    pixels = pixels_of(found.image.detach().cpu().float().numpy())
    sheet = np.dstack([pixels, np.full(pixels.shape[:2], 255, np.uint8)])
    return {
        "type": "image",
        "source": png_address(sheet),
        **{"xaxis": "x2", "yaxis": "y2", "zsmooth": False, "hoverinfo": "skip"},
    }


def fine_percent(fraction: float) -> str:
    """A fraction in percent, however small: 0.412 -> "41.2 %", 0.000012 -> "0.0012 %"."""
    percent = 100 * fraction
    if percent >= 0.1:
        return percent_text(fraction)
    return f"{percent:.2g} %" if percent >= LOW else f"below {LOW} %"


def _sentence(found: "SoftAnswer", classes: Sequence[str], n_shown: int) -> str:
    first, second = found.probabilities.topk(2).indices.tolist()
    said = [f"{classes[number]} with {fine_percent(float(found.probabilities[number]))}" for number in (first, second)]
    verdict = "right" if found.answer == found.label else f"wrong, for it is {classes[found.label]}"
    before = f" in place of {found.plain_bits:.2f} at temperature 1" if found.temperature != 1 else ""
    left_out = f" The {n_shown} likeliest of {len(classes)} classes are drawn." if n_shown < len(classes) else ""
    return (
        f"Image {found.place:,} of {found.n_images:,} in the order of doubt. At temperature {found.temperature:g} the "
        f"teacher says {said[0]} ({verdict}), then {said[1]}. Its doubt is {found.bits:.2f} bits{before}; all "
        f"{len(classes)} classes alike would be {math.log2(len(classes)):.2f}.{left_out}"
    )


def _table(found: "SoftAnswer", classes: Sequence[str]) -> pd.DataFrame:
    columns: dict[str, list[str]] = {
        "class": [_name(number, found, classes).strip() for number in range(len(classes))],
        f"at temperature {found.temperature:g}": [fine_percent(one) for one in found.probabilities.tolist()],
        "at temperature 1": [fine_percent(one) for one in found.plain.tolist()],
    }
    return pd.DataFrame(columns).head(MAX_ROWS)
