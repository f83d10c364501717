"""Published trainings beside the formulas as a table to read: every column says where its numbers come from."""

import math
from typing import TYPE_CHECKING

from efflab.costs.texts import power, three

if TYPE_CHECKING:
    import pandas as pd
    from pandas.io.formats.style import Styler

HEADINGS = {
    "training": "training",
    "operations": "operations 6ND (computed)",
    "hours_cited": "GPU hours (cited)",
    "hours_estimated": "GPU hours, yours (estimated)",
    "utilisation": "utilisation behind the cited hours (computed)",
    "mwh": "MWh (cited, or cited hours x watts)",
    "tonnes_cited": "t of CO2 (cited)",
    "tonnes_estimated": "t of CO2, yours (estimated)",
    "grams_per_kwh": "g of CO2 for a kWh behind the cited tonnes (computed)",
    "source": "source",
}


def styled_trainings(table: "pd.DataFrame", assumed: str) -> "Styler":
    """The table of `published_trainings`, written for reading; the numbers themselves are in its attribute `data`.

    assumed: what the estimates rest on, said above the table.
    """
    writers = {name: _text for name in HEADINGS if name not in ("training", "source")}
    writers |= {"operations": _power, "utilisation": _percent}
    style = table.style.format(writers).format_index(HEADINGS.__getitem__, axis="columns").hide(axis="index")  # type: ignore[arg-type]  # its stubs want one function
    style = style.set_properties(subset=["training", "operations"], **{"white-space": "nowrap"})
    style = style.set_properties(subset=["source"], **{"min-width": "22em", "text-align": "left"})
    return style.set_caption(f"Yours, estimated: {assumed}")


def _text(value: float) -> str:
    return "not known" if math.isnan(value) else three(value)


def _power(value: float) -> str:
    return power(value)


def _percent(value: float) -> str:
    return "not known" if math.isnan(value) else f"{100 * value:.0f} %"
