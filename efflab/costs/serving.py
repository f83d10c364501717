"""What a million answers cost, from a latency that you measured: core hours, money, electricity, carbon.

core hours = latency x cores x 1,000,000 / 3,600 s

The latency is yours; price, watts, PUE and grams of CO2 are assumptions, which are arguments. Simplified: the machine
works on nothing but these requests and is never idle, so that real bills are higher. At work: the bill.
"""

from dataclasses import dataclass

from efflab.costs.defaults import GRAMS_PER_KWH, PUE
from efflab.costs.formula import formula
from efflab.costs.quantities import Cores, GramsPerKwh, LatencyMs, PricePerCoreHour, Pue, WattsPerCore
from efflab.costs.texts import three
from efflab.measure.energy import WATTS_PER_CORE

N_REQUESTS = 1_000_000


@dataclass(frozen=True)
class ServingCost:
    """Of a million requests: hours of one core, price in the learner's currency, electricity and carbon."""

    latency_ms: float
    core_hours: float
    price: float
    energy_kwh: float
    co2_g: float
    working: tuple[str, ...]


@formula
def serving_cost(
    *,
    latency_ms: LatencyMs = 1.0,
    cores: Cores = 1,
    price_per_core_hour: PricePerCoreHour = 0.05,
    watts_per_core: WattsPerCore = WATTS_PER_CORE,
    pue: Pue = PUE,
    grams_per_kwh: GramsPerKwh = GRAMS_PER_KWH,
) -> ServingCost:
    r"""What a million requests cost when each takes `latency_ms`, for example `report.speed.now.median_ms`.

    >>> print(*serving_cost(latency_ms=3.6).working, sep="\n")
    core hours = 3.6 ms x 1 core x 1,000,000 requests / 3,600,000 = 1
    price = 1 core hours x 0.05 = 0.05
    electricity = 1 core hours x 12 W x PUE 1.1 / 1,000 = 0.0132 kWh
    carbon = 0.0132 kWh x 473 g = 6.24 g of CO2
    """
    hours = latency_ms * cores * N_REQUESTS / 3_600_000
    price, kwh = hours * price_per_core_hour, hours * watts_per_core * pue / 1000
    grams = kwh * grams_per_kwh
    working = (
        f"core hours = {three(latency_ms)} ms x {cores} core{'s' if cores > 1 else ''} x {N_REQUESTS:,} requests / "
        f"3,600,000 = {three(hours)}",
        f"price = {three(hours)} core hours x {three(price_per_core_hour)} = {three(price)}",
        f"electricity = {three(hours)} core hours x {three(watts_per_core)} W x PUE {pue:.3g} / 1,000 = "
        f"{three(kwh)} kWh",
        f"carbon = {three(kwh)} kWh x {three(grams_per_kwh)} g = {three(grams)} g of CO2",
    )
    return ServingCost(latency_ms, hours, price, kwh, grams, working)
