"""The cost of a million requests, by hand."""

import pytest

from efflab.costs import serving_cost
from efflab.knobs import defaults_of
from efflab.measure.energy import WATTS_PER_CORE


def test_a_million_requests_of_3_6_milliseconds_take_one_core_hour():
    cost = serving_cost(latency_ms=3.6, price_per_core_hour=0.07, watts_per_core=20.0, pue=1.5, grams_per_kwh=100.0)
    assert cost.core_hours == pytest.approx(1)
    assert cost.price == pytest.approx(0.07)
    assert cost.energy_kwh == pytest.approx(0.03)
    assert cost.co2_g == pytest.approx(3)


@pytest.mark.parametrize("name", ["latency_ms", "cores"])
def test_price_electricity_and_carbon_grow_with_time_and_cores(name):
    one, two = (serving_cost(**{"latency_ms": 1.0, name: value}) for value in (1, 2))
    assert (two.core_hours, two.price) == (2 * one.core_hours, 2 * one.price)
    assert two.co2_g == pytest.approx(2 * one.co2_g)


def test_the_watts_of_a_core_are_those_of_the_energy_estimate():
    assert defaults_of(serving_cost)["watts_per_core"] == WATTS_PER_CORE
