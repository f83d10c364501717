"""Three maps of one image's loss over two logits of the student: the hard term, the soft term, and their mixture.

Reference: Hinton et al., 2015, arXiv 1503.02531, section 2.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd

from efflab.figures.picture import Picture, draw
from efflab.figures.text import percent_text
from efflab.figures.theme import Json

if TYPE_CHECKING:
    from efflab.lab.loss_landscape import Landscape, Landscapes, Place

DOMAINS = ([0.0, 0.29], [0.355, 0.645], [0.71, 1.0])
"""Which part of the width each map takes."""
NAMES = ("hard", "soft", "mixture")
N_LEVELS = 12
"""Lines of equal loss from 0 to the end of the colours."""
STUDENT, LOWEST, FALLING = "student now", "lowest", "falls on beyond"
LOOKS: dict[str, Json] = {
    STUDENT: {"symbol": "circle", "size": 14},
    LOWEST: {"symbol": "star", "size": 17},
    FALLING: {"symbol": "triangle-se", "size": 15},
}
"""White with a black edge: seen on each colour of the maps, in either theme."""


def loss_landscapes(found: "Landscapes", classes: Sequence[str], soft: float, temperature: float) -> Picture:
    """The three maps with the same axes and colours, dark where the loss is low; the student and the lowest places.

    The colours end where the hard term does, so that a soft term which is written wrong looks as flat as it is.

    soft: the fraction of the soft term in the mixture. temperature: of the soft term.
    """
    end = float(found.hard.loss.max())
    traces = [_map(number, one, end) for number, one in enumerate(found.all)]
    for look in (STUDENT, LOWEST, FALLING):
        traces += _marks(look, found)
    titles = [_title(domain, name) for domain, name in zip(DOMAINS, NAMES, strict=True)]
    layout = {"annotations": titles, "legend": {"y": 1.13}, **_axes(found, classes)}
    return Picture(draw(traces, layout), _sentence(found, classes, soft, temperature), _table(found, classes))


def _map(number: int, one: "Landscape", end: float) -> Json:
    return {
        "type": "contour",
        "z": one.loss.numpy().round(4),
        "x": one.xs.numpy(),
        "y": one.ys.numpy(),
        **_on(number),
        **{"zmin": 0.0, "zmax": end, "showscale": number == 0},
        "colorbar": {"title": {"text": "nats"}, "tickformat": ".1f"},
        "contours": {"coloring": "fill", "start": 0.0, "end": end, "size": end / N_LEVELS},
        "hovertemplate": f"{one.name}: %{{z:.3g}} nats<extra></extra>",
    }


def _on(number: int) -> Json:
    """The axes of a map."""
    return {"xaxis": f"x{number + 1}", "yaxis": f"y{number + 1}"} if number else {"xaxis": "x", "yaxis": "y"}


def _marks(look: str, found: "Landscapes") -> list[Json]:
    """A mark on each map that has it; the legend names it once."""
    places = [(number, place) for number, one in enumerate(found.all) if (place := _place(look, one)) is not None]
    return [
        {
            "type": "scatter",
            "mode": "markers",
            "name": look,
            "showlegend": (number, place) == places[0],
            "legendgroup": look,
            **{"x": [place.x], "y": [place.y]},
            **_on(number),
            "cliponaxis": False,
            "marker": LOOKS[look] | {"color": "#FFFFFF", "line": {"color": "#000000", "width": 1.5}},
            "hovertemplate": f"{look}: {place.loss:.3g} nats<extra></extra>",
        }
        for number, place in places
    ]


def _place(look: str, one: "Landscape") -> "Place | None":
    if look == STUDENT:
        return one.student
    return one.lowest if one.is_open == (look == FALLING) else None


def _title(domain: Sequence[float], name: str) -> Json:
    place: Json = {
        "x": sum(domain) / 2,
        "xref": "paper",
        "xanchor": "center",
        "y": 1.0,
        "yref": "paper",
        "yanchor": "bottom",
    }
    return {"text": name, "showarrow": False, **place}


def _axes(found: "Landscapes", classes: Sequence[str]) -> Json:
    axes: Json = {}
    for number, domain in enumerate(DOMAINS):
        ending = str(number + 1) if number else ""
        axes[f"xaxis{ending}"] = {"domain": domain, "anchor": f"y{ending}", "nticks": 3, "tickangle": 0}
        axes[f"yaxis{ending}"] = {"anchor": f"x{ending}", "nticks": 5, "showticklabels": not number}
        axes[f"xaxis{ending}"]["range"] = [float(found.hard.xs[0]), float(found.hard.xs[-1])]
        axes[f"yaxis{ending}"]["range"] = [float(found.hard.ys[0]), float(found.hard.ys[-1])]
    axes["xaxis"]["title"] = {"text": f"logit of {classes[found.label]} (label)"}
    axes["yaxis"]["title"] = {"text": f"logit of {classes[found.other]}"}
    return axes


def _sentence(found: "Landscapes", classes: Sequence[str], soft: float, temperature: float) -> str:
    names = (f"{NAMES[0]} term", f"{NAMES[1]} term", f"{NAMES[2]} ({percent_text(soft, 0)} soft)")
    said = [f"the {name} {_words(one)}" for name, one in zip(names, found.all, strict=True)]
    label, other = classes[found.label], classes[found.other]
    return (
        f"The loss of training image {found.image}, which is {label} and next likely {other} to the teacher, over "
        f"these two logits of the student, at temperature {temperature:g} (computed): {'; '.join(said)}."
    )


def _words(one: "Landscape") -> str:
    low = one.lowest
    if one.is_open:
        return "falls on and on beyond the edge"
    return f"is lowest at {low.x:.1f} and {low.y:.1f}, {one.student.loss - low.loss:.2g} nats below the student"


def _table(found: "Landscapes", classes: Sequence[str]) -> pd.DataFrame:
    places = [
        (f"{name}, {mark}", place.x, place.y, place.loss)
        for name, one in zip(NAMES, found.all, strict=True)
        for mark in LOOKS
        if (place := _place(mark, one)) is not None
    ]
    logits = [f"logit of {classes[number]}" for number in (found.label, found.other)]
    return pd.DataFrame(places, columns=["place", *logits, "loss (nats)"])
