"""What is asked for and what is got: the share of the soft term in the pull at a student, now and over temperatures.

Reference: Hinton et al., 2015, arXiv 1503.02531, section 2.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import pandas as pd

from efflab.figures.axes import FIXED
from efflab.figures.bars import bar_layout, words_behind
from efflab.figures.picture import Picture, draw
from efflab.figures.text import percent_text, ratio_text
from efflab.figures.theme import BASE, NOW, Json, layer_look

if TYPE_CHECKING:
    from efflab.lab.loss_terms import Term, Variant, Weighed

ROWS = ("asked", "got, logits", "got, weights")
"""What was asked for, and what autograd measures at the logits and at the weights."""
LOOKS: dict[str, Json] = {"soft": {"color": NOW}, "hard": {"color": BASE, "pattern": {"shape": "/"}}}
TEXT_ROOM = 0.6
"""Free space behind a bar of 100 %, as a fraction of it."""
NOTHING = 0.005
"""Factors closer to 1 than this change nothing that can be seen."""


def loss_weights(found: "Weighed", n_classes: int) -> Picture:
    """Three bars of 100 %: how soft and hard share what was asked for, and the pull that is measured.

    The sentence says what came of what was asked for, and why.
    """
    shares = [found.soft, found.at_logits, found.at_weights]
    traces = [
        _part("soft", [100 * share for share in shares]),
        _part("hard", [100 * (1 - share) for share in shares]),
        words_behind([100] * len(ROWS), [f" {percent_text(share, 0)} soft" for share in shares]),
    ]
    title = "share of the pull (%)"
    layout = bar_layout([f"{row} " for row in ROWS], title, 100, room=TEXT_ROOM) | {"barmode": "stack"}
    layout["xaxis"] |= {"tickvals": [0, 50, 100]}
    return Picture(draw(traces, layout), _sentence(found, n_classes), _table(found))


def loss_sweep(swept: Mapping["Variant", Sequence["Weighed"]], now: "Weighed") -> Picture:
    """The share that is got at the weights over the temperature, a line for each way to write the soft term.

    swept: each variant at some temperatures, in order. now: where the controls stand, a large ring.

    Raises:
        ValueError: nothing was measured.
    """
    if not swept or not all(swept.values()):
        raise ValueError("swept must hold at least one variant, each at one temperature or more")
    ends = [row[i].temperature for row in swept.values() for i in (0, -1)]
    low, high = min([*ends, now.temperature]), max([*ends, now.temperature])
    traces = [_asked(now.soft, low, high), *(_line(i, *item) for i, item in enumerate(swept.items())), _ring(now)]
    layout = {
        "xaxis": {"title": {"text": "temperature"}, "range": [low - 0.7, high + 0.7], **FIXED},
        "yaxis": {"title": {"text": "soft share got (%)"}, "range": [-4, 108], "tickvals": [0, 25, 50, 75, 100]},
    }
    return Picture(draw(traces, layout), _sweep_sentence(swept, now), _sweep_table(swept))


def why(found: "Weighed", n_classes: int) -> str:
    """Why what is got is not what was asked for, in a sentence."""
    variant, squared = found.variant, found.temperature**2
    times = 1 / variant.factor(found.temperature, n_classes)
    slips = [f'reduction="mean" also divides by the {n_classes} classes'] if variant.reduction == "mean" else []
    if not variant.is_squared:
        slips.append(f"T² = {squared:g} is missing")
    if not slips and round(found.soft, 2) == round(found.at_weights, 2) == round(found.at_logits, 2):
        return "The loss is written right, and pulls as asked."
    if not slips:
        return (
            "The loss is written right. What is left of the difference is that the two gradients are not equally long."
        )
    said = " and ".join(slips)
    if abs(times - 1) < NOTHING:
        return f"Here, {said}, which changes nothing at this temperature."
    effect = f"{ratio_text(times)} less" if times > 1 else f"{ratio_text(1 / times)} more"
    return f"Here, {said}: the soft term pulls {effect} than it should."


def _part(name: str, percents: Sequence[float]) -> Json:
    return {
        "type": "bar",
        "orientation": "h",
        "name": name,
        "x": list(percents),
        "y": list(range(len(ROWS))),
        "width": 0.6,
        "marker": LOOKS[name] | {"line": {"width": 0}},
        "hovertext": [f"{row}: {name} {percent:.1f} %" for row, percent in zip(ROWS, percents, strict=True)],
        "hovertemplate": "%{hovertext}<extra></extra>",
    }


def _asked(soft: float, low: float, high: float) -> Json:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": f"asked for: {percent_text(soft, 0)}",
        **{"x": [low, high], "y": [100 * soft] * 2},
        "line": {"color": BASE, "dash": "dash"},
        "hoverinfo": "skip",
    }


def _line(index: int, variant: "Variant", row: Sequence["Weighed"]) -> Json:
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": variant.name,
        "x": [one.temperature for one in row],
        "y": [round(100 * one.at_weights, 3) for one in row],
        "hovertemplate": f"{variant.name}, temperature %{{x}}: %{{y:.1f}} %<extra></extra>",
        **layer_look(index),
    }


def _ring(now: "Weighed") -> Json:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": "now",
        **{"x": [now.temperature], "y": [100 * now.at_weights]},
        "marker": {"symbol": "circle-open", "size": 20, "color": NOW, "line": {"width": 4}},
        "hoverinfo": "skip",
    }


def _sentence(found: "Weighed", n_classes: int) -> str:
    got = f"{percent_text(found.at_weights, 0)} at the weights and {percent_text(found.at_logits, 0)} at the logits"
    asked = f"At temperature {found.temperature:g}, asked for {percent_text(found.soft, 0)} soft"
    return f"{asked}, got {got} (measured). {why(found, n_classes)}"


def _table(found: "Weighed") -> pd.DataFrame:
    hard = 1 - found.soft, 1 - found.at_logits, 1 - found.at_weights
    rows = [
        _cells("soft", found.soft_term, found.soft, found.at_logits, found.at_weights),
        _cells("hard", found.hard_term, *hard),
    ]
    columns = [
        "term",
        "loss (nats)",
        "asked for",
        "pull at the logits",
        "got at the logits",
        "pull at the weights",
        "got at the weights",
    ]
    return pd.DataFrame(rows, columns=columns)


def _cells(name: str, term: "Term", asked: float, at_logits: float, at_weights: float) -> tuple[str | float, ...]:
    """The pulls are those of the terms before they are weighed."""
    pulls = term.at_logits, percent_text(at_logits), term.at_weights, percent_text(at_weights)
    return (name, term.value, percent_text(asked, 0), *pulls)


def _sweep_sentence(swept: Mapping["Variant", Sequence["Weighed"]], now: "Weighed") -> str:
    first, last = (next(iter(swept.values()))[i].temperature for i in (0, -1))
    said = [
        f"{variant.name} from {percent_text(row[0].at_weights, 0)} to {percent_text(row[-1].at_weights, 0)}"
        for variant, row in swept.items()
    ]
    return (
        f"The share of the soft term at the weights (measured), from temperature {first:g} to {last:g}, with "
        f"{percent_text(now.soft, 0)} asked for: {'; '.join(said)}."
    )


def _sweep_table(swept: Mapping["Variant", Sequence["Weighed"]]) -> pd.DataFrame:
    temperatures = [one.temperature for one in next(iter(swept.values()))]
    columns = {f"{variant.name} (%)": [100 * one.at_weights for one in row] for variant, row in swept.items()}
    return pd.DataFrame({"temperature": temperatures, **columns})
