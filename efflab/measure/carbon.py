"""From joules to grams of CO2: it depends on where the electricity comes from.

The same computation emits many times more on a grid of coal than on one of water or uranium. The intensities are
*cited*, yearly averages by country, and meant to be replaced by your own: what your grid emits now, or your contract.

Reference: Ember, Yearly electricity data, values for 2024, of the whole life cycle in CO2 equivalents (`source` of each
row says where they were read); Lannelongue et al., Green Algorithms, 2021, arXiv 2007.07610.

Where we simplify: electricity in use only, neither making the machine nor cooling a data centre. At work: CodeCarbon;
hourly and marginal intensities.
"""

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from efflab import shipped

JOULES_PER_KWH = 3_600_000


@dataclass(frozen=True)
class CarbonIntensity:
    """Grams of CO2 equivalents for a kilowatt-hour of a country's electricity, a yearly average; cited."""

    country: str
    code: str
    grams_per_kwh: float
    year: int
    source: str


def carbon_intensities() -> Mapping[str, CarbonIntensity]:
    """The cited intensities by name of the country, the world first; from `data/papers/carbon_intensity.csv`."""
    file = shipped.folder("papers") / "carbon_intensity.csv"
    with file.open(encoding="utf-8", newline="") as lines:
        rows = [_intensity(row) for row in csv.DictReader(lines)]
    return MappingProxyType({row.country: row for row in rows})


def carbon_grams(joules: float, grams_per_kwh: float) -> float:
    """Grams of CO2 equivalents for so much electricity.

    Example:
        >>> carbon_grams(3_600_000, 400)
        400.0

    Raises:
        ValueError: a number is negative or not finite.

    Reference: 1 kWh = 3.6 MJ.
    """
    for name, value in (("joules", joules), ("grams_per_kwh", grams_per_kwh)):
        if not 0 <= value < math.inf:
            raise ValueError(f"{name} must be 0 or more, not {value!r}")
    return joules / JOULES_PER_KWH * grams_per_kwh


def _intensity(row: dict[str, str]) -> CarbonIntensity:
    grams, year = float(row["grams_per_kwh"]), int(row["year"])
    return CarbonIntensity(row["country"], row["code"], grams, year, row["source"])
