"""Where the electricity of a calculator comes from: cited grams of CO2 for each kWh, by country, with their credit."""

from efflab.costs import presets
from efflab.widgets.calculator_subject import Chosen, Preset, from_chooser

COUNTRY = "Electricity of"
CREDIT = "(data: Ember, CC BY-SA 4.0)"
"""What the licence of the table asks to be said where it is shown."""


def countries() -> tuple[Preset, ...]:
    """Grams of CO2 for each kWh, by country, the world first."""
    return tuple(
        Preset(
            one.country, {"grams_per_kwh": one.grams_per_kwh}, f"{one.grams_per_kwh} g/kWh in {one.year}; {one.source}"
        )
        for one in presets().countries
    )


def electricity_line(chosen: Chosen) -> str:
    """A line of a tile, as HTML: whose electricity, from where, with the credit."""
    preset = chosen[COUNTRY]
    whose = f"electricity of {preset.name} {CREDIT}" if preset else "the electricity"
    return f"{whose} {from_chooser(chosen, COUNTRY)}"
