"""A diagnosis in words: what keeps a network from being faster, and a table of what it costs beside its base."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from efflab.figures.text import bytes_text, ms_text
from efflab.measure.energy import WATTS_SOURCE
from efflab.measure.memory import MeasuredMemory

if TYPE_CHECKING:
    from efflab.lab.diagnosis import Diagnosis

MEMORY_COMPUTED = (
    "The bytes of all weights, and the most bytes of activations that are alive at one moment, images included."
)
MEMORY_MEASURED = (
    "By how much a process of its own grew when it loaded the file and ran it: its weights as ONNX Runtime packs them, "
    "its activations, and what it keeps for later."
)
CO2 = "Energy x grams for a kilowatt-hour; a kilowatt-hour is 3,600,000 J."
MEASURED, COMPUTED, ESTIMATED = "measured", "computed", "estimated"
READ = "read from the system"
BADGES: dict[str, tuple[str, ...]] = {
    "zeros are not removed": (COMPUTED,),
    "overhead of the call": (MEASURED,),
    "few channels": (COMPUTED,),
    "no int8 instructions": (MEASURED,),
    "bound by memory": (COMPUTED, MEASURED, READ),
    "more threads than cores": (READ,),
    "extra nodes": (MEASURED,),
    "the machine was busy": (MEASURED,),
}
"""Where the numbers in the sentence of each reason come from."""


@dataclass(frozen=True)
class CostRow:
    """One line: what is costed, the base and the network as texts, the badge, and how the number came about."""

    what: str
    base: str
    now: str
    badge: str
    source: str


def cost_rows(diagnosis: "Diagnosis") -> tuple[CostRow, ...]:
    """Time, throughput, memory, energy and CO2 of the base and of the network."""
    speed, now, base, rates = diagnosis.speed, diagnosis.now, diagnosis.base, diagnosis.rates
    how = f"ONNX Runtime, the median of {speed.now.n} blocks of runs, in turns with the base: {speed.verdict}."
    grid = f"{rates.grams_per_kwh:g} g for a kilowatt-hour ({rates.country or 'your own number'})"
    energy, of_base = now.energy, base.energy
    watts = "" if energy.is_measured else f" {WATTS_SOURCE}"
    peaks = [_peak(memory) for memory in (base.measured, now.measured)]
    return (
        _row("Time of a run", [ms_text(one.median_ms) for one in (speed.base, speed.now)], MEASURED, how),
        _row("Images a second", [count_text(n) for n in (diagnosis.base_throughput, speed.throughput)], MEASURED, how),
        _row(
            "Peak memory, computed",
            [bytes_text(one.computed.peak_bytes) for one in (base, now)],
            COMPUTED,
            MEMORY_COMPUTED,
        ),
        _row("Peak memory, measured", peaks, MEASURED if now.measured else "", MEMORY_MEASURED),
        _row(
            "Energy of 1,000 images",
            [joules_text(one.joules_per_thousand) for one in (of_base, energy)],
            energy.badge,
            f"{energy.source}{watts}",
        ),
        _row(
            "CO2 of 1,000 images",
            [grams_text(one.grams_per_thousand(rates)) for one in (base, now)],
            ESTIMATED,
            f"{CO2} Assumed: {grid}.",
        ),
    )


def diagnosis_sentence(diagnosis: "Diagnosis") -> str:
    """What a diagnosis says, in one sentence."""
    speed, holding = diagnosis.speed, [reason.name for reason in diagnosis.holding]
    change = f"{ms_text(speed.base.median_ms)} before, {ms_text(speed.now.median_ms)} now, {speed.verdict}"
    n = len(diagnosis.reasons)
    found = f"{len(holding)} of {n} reasons hold: {', '.join(holding)}" if holding else f"none of {n} reasons holds"
    return f"At batch {speed.batch} a run takes {change}; {found}."


def caption(diagnosis: "Diagnosis") -> str:
    """How it was measured, and where."""
    speed = diagnosis.speed
    threads = f"{speed.threads} thread{'s' if speed.threads > 1 else ''}"
    busy = "; other programs were running, so times are rough" if speed.busy else ""
    return f"Batch {speed.batch}, {threads}, on {diagnosis.machine.sentence}{busy}"


def count_text(n: float) -> str:
    """A large number with three significant digits: 6247.3 -> "6,250"."""
    return f"{float(f'{n:.3g}'):,.0f}" if n >= 100 else f"{n:.3g}"


def joules_text(joules: float) -> str:
    """An energy with three significant digits: 0.00184 -> "1.84 mJ"."""
    return _scaled(joules, "J")


def grams_text(grams: float) -> str:
    """A mass with three significant digits: 0.000242 -> "0.242 mg"."""
    return _scaled(grams, "g")


def _scaled(value: float, unit: str) -> str:
    """With the prefix that leaves the fewest zeros; small things in thousandths, millionths and so on."""
    if 0 < value < 1e-4:
        return f"{value * 1e6:.3g} µ{unit}"
    if 0 < value < 0.1:
        return f"{value * 1e3:.3g} m{unit}"
    return f"{count_text(value)} {unit}"


def _peak(memory: MeasuredMemory | None) -> str:
    return bytes_text(memory.peak_bytes) if memory else "not measured"


def _row(what: str, texts: Sequence[str], badge: str, source: str) -> CostRow:
    before, now = texts
    return CostRow(what, before, now, badge, source)
