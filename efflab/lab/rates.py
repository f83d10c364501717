"""What turns processor time into joules, and joules into grams of CO2: two numbers that nobody can measure here.

The watts of a busy core and the grams that a kilowatt-hour of electricity costs differ from laptop to laptop and from
country to country. So both are assumptions, stand on the screen, and are there to be changed.

Reference: Lannelongue, Grealey and Inouye, Green Algorithms, 2021, arXiv 2007.07610; Ember, Yearly electricity data.
"""

from dataclasses import dataclass

from efflab.measure.carbon import carbon_grams, carbon_intensities
from efflab.measure.energy import WATTS_PER_CORE, check_watts

HOME = "World"
"""Whose electricity is assumed unless somebody says where they are."""


@dataclass(frozen=True)
class Rates:
    """Watts of one busy core, and grams of CO2 for a kilowatt-hour; `country` is None for a number of one's own.

    Raises:
        ValueError: a number that no processor or grid can have.
    """

    watts: float
    grams_per_kwh: float
    country: str | None = None

    def __post_init__(self) -> None:
        check_watts(self.watts)
        carbon_grams(0, self.grams_per_kwh)

    @classmethod
    def of(cls, country: str = HOME, *, watts: float = WATTS_PER_CORE) -> "Rates":
        """The rates with the cited yearly average of a country's electricity.

        Example:
            >>> Rates.of("France").grams_per_kwh < Rates.of("Poland").grams_per_kwh
            True

        Raises:
            ValueError: no such country in `data/papers/carbon_intensity.csv`, or watts that no core can have.

        Reference: Ember, Yearly electricity data.
        """
        known = carbon_intensities()
        if country not in known:
            raise ValueError(f"country must be one of {', '.join(known)}, not {country!r}")
        return cls(watts, known[country].grams_per_kwh, country)
