"""Published trainings beside the formulas as a table to read: every column says where its numbers come from."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from efflab.costs import presets
from efflab.costs.texts import power, three

if TYPE_CHECKING:
    import pandas as pd
    from pandas.io.formats.style import Styler

HEADINGS = {
    "training": "training",
    "gpu": "GPU (cited)",
    "operations": "6ND (computed)",
    "hours_cited": "GPU hours (cited)",
    "hours_estimated": "GPU hours, yours (estimated)",
    "utilisation": "utilisation in the cited hours (computed)",
    "mwh": "MWh (cited, or cited hours x watts)",
    "tonnes_cited": "t of CO2 (cited)",
    "tonnes_estimated": "t of CO2, yours (estimated)",
    "grams_per_kwh": "g for a kWh in the cited t (computed)",
}


def styled_trainings(table: "pd.DataFrame", assumed: Mapping[str, Any]) -> "Styler":
    """The table of `published_trainings`, written for reading; the numbers themselves are in its attribute `data`.

    The sources are not shown: they are the column `source` of `data`.

    assumed: the `utilisation`, `pue` and `grams_per_kwh` of the estimates, said above the table.
    """
    writers = {name: _text for name in HEADINGS if name not in ("training", "gpu")}
    writers |= {"operations": _power, "utilisation": _percent}
    style = table.style.format(writers).format_index(_heading, axis="columns").hide(axis="index")  # type: ignore[arg-type]  # its stubs want one function
    style = style.set_properties(subset=["training", "operations"], **{"white-space": "nowrap"})
    style = style.hide(["source"], axis="columns")  # a long text: with it the page is too narrow for the numbers
    style = style.set_table_styles([{"selector": "th, td", "props": "padding: 3px 5px; font-size: 12px"}])
    return style.set_caption(f"Yours, estimated: {_assumed(**assumed)}")


def _heading(name: str) -> str:
    return HEADINGS.get(name, name)


def _assumed(utilisation: float, pue: float, grams_per_kwh: float) -> str:
    """The assumptions in words, with the country of the electricity where it is that of one."""
    countries = (one.country for one in presets().countries if one.grams_per_kwh == grams_per_kwh)
    electricity = f"electricity of {three(grams_per_kwh)} g/kWh ({next(countries, 'your own number')})"
    return f"utilisation {_percent(utilisation)}, PUE {three(pue)}, {electricity}"


def _text(value: float) -> str:
    return "not known" if math.isnan(value) else three(value)


def _power(value: float) -> str:
    return power(value)


def _percent(value: float) -> str:
    return "not known" if math.isnan(value) else f"{100 * value:.0f} %"
