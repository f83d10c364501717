"""What a training costs: operations, hours, electricity, carbon.

operations = 6 x parameters x tokens

Each parameter takes part in one multiplication and one addition forwards, and twice that backwards. Simplified:
attention over the context adds a few per cent, and a model with experts counts the parameters that are used. The other
lines rest on assumptions, which are arguments: the part of the peak that is reached, the watts, the overhead of the
building (PUE) and the grams of CO2 for each kWh. Making the machines is not counted. At work: a power meter.

Reference: Kaplan et al., Scaling Laws for Neural Language Models, 2020, arXiv 2001.08361; Patterson et al.,
Carbon Emissions and Large Neural Network Training, 2021, arXiv 2104.10350.
"""

from dataclasses import dataclass

from efflab.costs.defaults import (
    BILLION_PARAMETERS,
    BILLION_TOKENS,
    GRAMS_PER_KWH,
    PEAK_TFLOPS,
    PUE,
    UTILISATION,
    WATTS,
)
from efflab.costs.formula import formula
from efflab.costs.quantities import (
    BillionParameters,
    BillionTokens,
    Devices,
    GramsPerKwh,
    PeakTflops,
    Pue,
    Utilisation,
    Watts,
)
from efflab.costs.texts import plural, power, three


@dataclass(frozen=True)
class TrainingCost:
    """Operations, hours of all devices together, days with all at work, electricity and carbon of one training."""

    flops: float
    device_hours: float
    days: float
    energy_kwh: float
    co2_kg: float
    devices: int
    working: tuple[str, ...]


@formula
def training_flops(
    *, billion_parameters: BillionParameters = BILLION_PARAMETERS, billion_tokens: BillionTokens = BILLION_TOKENS
) -> float:
    """Floating-point operations of one training: 6 for each parameter and token.

    >>> f"{training_flops(billion_parameters=174.6, billion_tokens=300.0):.3g}"  # GPT-3
    '3.14e+23'
    """
    return 6 * billion_parameters * 1e9 * billion_tokens * 1e9


@formula
def training_cost(
    *,
    billion_parameters: BillionParameters = BILLION_PARAMETERS,
    billion_tokens: BillionTokens = BILLION_TOKENS,
    peak_tflops: PeakTflops = PEAK_TFLOPS,
    utilisation: Utilisation = UTILISATION,
    watts: Watts = WATTS,
    devices: Devices = 1024,
    pue: Pue = PUE,
    grams_per_kwh: GramsPerKwh = GRAMS_PER_KWH,
) -> TrainingCost:
    r"""What a training costs; the defaults are Llama 2 7B on A100s.

    The default utilisation and PUE are assumptions; the carbon is that of the world's electricity in 2024.

    >>> print(*training_cost().working, sep="\n")
    operations = 6 x 6.74 x 10^9 parameters x 2,000 x 10^9 tokens = 8.09 x 10^22
    device hours = 8.09 x 10^22 / (312 x 10^12 a second x 40 %) / 3,600 = 180,000
    days = 180,000 / 1,024 devices / 24 = 7.33
    electricity = 180,000 hours x 400 W x PUE 1.1 / 1,000 = 79,200 kWh
    carbon = 79,200 kWh x 473 g / 1,000 = 37,500 kg of CO2
    """
    flops = training_flops(billion_parameters=billion_parameters, billion_tokens=billion_tokens)
    hours = flops / (peak_tflops * 1e12 * utilisation) / 3600
    days, kwh = hours / devices / 24, hours * watts * pue / 1000
    kg = kwh * grams_per_kwh / 1000
    working = (
        f"operations = 6 x {three(billion_parameters)} x 10^9 parameters x {three(billion_tokens)} x 10^9 tokens = "
        f"{power(flops)}",
        f"device hours = {power(flops)} / ({three(peak_tflops)} x 10^12 a second x {100 * utilisation:.0f} %) / 3,600 "
        f"= {three(hours)}",
        f"days = {three(hours)} / {plural(devices, 'device')} / 24 = {three(days)}",
        f"electricity = {three(hours)} hours x {three(watts)} W x PUE {pue:.3g} / 1,000 = {three(kwh)} kWh",
        f"carbon = {three(kwh)} kWh x {three(grams_per_kwh)} g / 1,000 = {three(kg)} kg of CO2",
    )
    return TrainingCost(flops, hours, days, kwh, kg, devices, working)
