"""What a training emits beside those that were published, and what a million requests cost over their latency."""

import math
from collections.abc import Sequence

import pandas as pd

from efflab.costs import ServingCost, TrainingCost, TrainingRun
from efflab.costs.texts import electricity, power, three
from efflab.figures.costs import decade_axis
from efflab.figures.picture import Picture, draw
from efflab.figures.text import ms_text
from efflab.figures.theme import BASE, NOW, Json

YOURS = "<b>your setting</b>"


def training_beside_runs(
    now: TrainingCost, runs: Sequence[TrainingRun], estimates: Sequence[TrainingCost | None]
) -> Picture:
    """Tonnes of CO2 of a training, and below it of published ones: as cited, and as the formula estimates them.

    estimates: the cost of each run on its own GPU, None where that is not cited; the rest as in `now`. A run of which
    neither is known is in the table only.
    """
    known = [
        (run.model, run.co2_kg, cost.co2_kg if cost else None)
        for run, cost in zip(runs, estimates, strict=True)
        if run.co2_kg is not None or cost is not None
    ]
    cited = [(row, kg) for row, (_, kg, _) in enumerate(known, start=1) if kg is not None]
    estimated = [(row, kg) for row, (_, _, kg) in enumerate(known, start=1) if kg is not None]
    names = [YOURS, *(model for model, _, _ in known)]
    traces = [
        _points("estimated, your assumptions", estimated, NOW, "diamond"),
        _points("cited", cited, BASE, "circle"),
        _points("your setting", [(0, now.co2_kg)], NOW, "star"),
    ]
    values = [kg / 1000 for _, kg in (*estimated, *cited, (0, now.co2_kg))]
    layout = {
        "xaxis": _tonnes(values),
        "yaxis": {
            "range": [len(names) - 0.5, -0.5],
            "tickvals": list(range(len(names))),
            "ticktext": names,
            "ticks": "",
        },
        "showlegend": True,
    }
    return Picture(draw(traces, layout), _training_sentence(now), _training_table(now, runs, estimates))


def _tonnes(values: Sequence[float]) -> Json:
    """The axis; electricity without any carbon has no place on a logarithmic one."""
    return decade_axis("CO2 (tonnes, log)", [value for value in values if value > 0] or [1.0])


def _points(name: str, points: Sequence[tuple[int, float]], colour: str, symbol: str) -> Json:
    """Markers at rows and kilograms."""
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": [kg / 1000 for _, kg in points],
        "y": [row for row, _ in points],
        "marker": {"color": colour, "symbol": symbol},
        "hovertemplate": f"{name}: %{{x:.3~g}} t<extra></extra>",
    }


def _training_sentence(now: TrainingCost) -> str:
    return (
        f"The training takes {power(now.flops)} operations, {three(now.device_hours)} device hours "
        f"({three(now.days)} days), {electricity(now.energy_kwh)} and {three(now.co2_kg)} kg of CO2, "
        "all but the operations estimated."
    )


def _training_table(
    now: TrainingCost, runs: Sequence[TrainingRun], estimates: Sequence[TrainingCost | None]
) -> pd.DataFrame:
    costs = [now, *estimates]
    return pd.DataFrame(
        {
            "training": ["your setting", *(run.model for run in runs)],
            "energy (MWh), cited, or cited hours x watts": _thousands([None, *(run.energy_kwh for run in runs)]),
            "energy (MWh), estimated": _thousands([cost.energy_kwh if cost else None for cost in costs]),
            "CO2 (t), cited": _thousands([None, *(run.co2_kg for run in runs)]),
            "CO2 (t), estimated": _thousands([cost.co2_kg if cost else None for cost in costs]),
        }
    )


def _thousands(values: Sequence[float | None]) -> list[float]:
    """Megawatt hours from kWh, tonnes from kg; what is not known as NaN, which the table shows as a dash."""
    return [math.nan if value is None else round(value / 1000, 2) for value in values]


def serving_price(now: ServingCost, measured: ServingCost | None) -> Picture:
    """The price of a million requests over their latency; `measured` is at the latency that was measured, if one was.

    The price grows with the latency in proportion: a line through the origin, drawn over the decades around both.
    """
    known = [now] if measured is None else [now, measured]
    ends = (min(cost.latency_ms for cost in known) / 5, max(cost.latency_ms for cost in known) * 5)
    prices = [latency_ms * now.price / now.latency_ms for latency_ms in ends]
    line = {
        "type": "scatter",
        "mode": "lines",
        "x": list(ends),
        "y": prices,
        "line": {"color": BASE, "dash": "dash"},
        "name": "at this price of a core hour",
        "hoverinfo": "skip",
    }
    traces = [line] if measured is None else [line, _place("measured", measured, BASE, "circle-open", size=16)]
    traces.append(_place("this setting", now, NOW, "diamond"))
    layout = {
        "xaxis": decade_axis("latency (ms)", ends),
        "yaxis": decade_axis("price of a million requests", prices),
        "showlegend": True,
    }
    return Picture(draw(traces, layout), _serving_sentence(now, measured), _serving_table(now, measured))


def _place(name: str, cost: ServingCost, colour: str, symbol: str, size: int = 9) -> Json:
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [cost.latency_ms],
        "y": [cost.price],
        "marker": {"color": colour, "symbol": symbol, "size": size},
        "name": name,
        "hovertemplate": f"{name}: %{{x:.3~g}} ms, %{{y:.3~g}}<extra></extra>",
    }


def _serving_sentence(now: ServingCost, measured: ServingCost | None) -> str:
    ratio = now.price / measured.price if measured else 1.0
    against = "" if measured in (None, now) else f" That is {three(ratio)} times the price at the measured latency."
    return (
        f"A million requests of {ms_text(now.latency_ms)} take {three(now.core_hours)} core hours and cost "
        f"{three(now.price)}, with {electricity(now.energy_kwh)} and {three(now.co2_g)} g of CO2 (estimated).{against}"
    )


def _serving_table(now: ServingCost, measured: ServingCost | None) -> pd.DataFrame:
    rows = [
        (name, cost.latency_ms, cost.core_hours, cost.price, cost.energy_kwh, cost.co2_g)
        for name, cost in (("measured", measured), ("this setting", now))
        if cost is not None
    ]
    heads = ["latency (ms)", "core hours", "price", "electricity (kWh)", "CO2 (g)"]
    return pd.DataFrame(rows, columns=["", *heads])
