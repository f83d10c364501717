"""A diagnosis in words: what keeps a network from being faster, and a table of what it costs beside its base."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from efflab.figures.layer_times import OVERHEAD, layer_rows
from efflab.figures.text import bytes_text, ms_text, percent_text, ratio_text
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
WORDS = {
    "MAC": "a multiplication and an addition",
    "FLOP": "one of the two, so a MAC is two FLOPs",
    "Node": "one operation of the file, as ONNX Runtime runs it",
    "Ridge": "the FLOPs for each byte from which on arithmetic is the limit, no longer the memory",
}
"""What the words of a diagnosis mean."""
CO2 = "Energy x grams for a kilowatt-hour; a kilowatt-hour is 3,600,000 J."
MEASURED, COMPUTED, ESTIMATED = "measured", "computed", "estimated"
READ = "read from the system"
BADGES: dict[str, tuple[str, ...]] = {
    "zeros are not removed": (COMPUTED,),
    "overhead of the call": (MEASURED,),
    "few channels": (COMPUTED,),
    "channels in no block": (COMPUTED, READ),
    "slower arithmetic": (COMPUTED, MEASURED),
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


def rest_text(diagnosis: "Diagnosis") -> str:
    """What is left of the time without the call, and where most of it goes, in numbers; no reason is guessed.

    All of it is from the timing of the layers, which is another one than that of the costs.
    """
    times, base_ms = diagnosis.now.times, diagnosis.base.times.whole_ms
    macs, base_macs = diagnosis.now.work.macs, diagnosis.base.work.macs
    *layers, call = layer_rows(diagnosis.now.work, times)
    rest_ms = times.whole_ms - call[1]
    parts = [f"While the layers were timed, a run took {ms_text(times.whole_ms)}, the base {ms_text(base_ms)}: "]
    parts[0] += f"{_less(base_ms, times.whole_ms)}, with {ratio_text(base_macs / max(1, macs))} fewer MACs."
    if call[1] and rest_ms > 0:
        without = f"Without the call ({ms_text(call[1])}) it would take {ms_text(rest_ms)}"
        parts.append(f"{without}, {_less(base_ms, rest_ms)} than the base.")
    rows, title = (layers, "The largest rest is") if diagnosis.holding else ([*layers, call], "")
    name, ms, of_macs = max(rows, key=lambda row: row[1], default=call)
    share = f"{ms_text(ms)}, {percent_text(ms / times.whole_ms, 0)} of the time"
    share += "" if name == OVERHEAD else f" and {percent_text(of_macs / max(1, macs), 0)} of the MACs"
    parts.append(f"{title or 'The largest share of the time is'} {name}: {share}.")
    if not diagnosis.holding:
        parts.append(f"None of the {len(diagnosis.reasons)} reasons holds, so this list has no reason for it.")
    return " ".join(parts)


def _less(base_ms: float, now_ms: float) -> str:
    """2.5x less, or 1.2x more."""
    return f"{ratio_text(base_ms / now_ms)} less" if now_ms <= base_ms else f"{ratio_text(now_ms / base_ms)} more"


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
