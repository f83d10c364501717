"""What an inference costs in energy: counted by the processor where it may be read, else estimated.

The network runs in the stopwatch's subprocess for a second, without a break. If the processor's energy counter can be
read, what it counted meanwhile is divided by the runs: *measured*, but of the whole package, with its idle power and
whatever else was running. If not, the time that all cores spent is multiplied by watts a core: *estimated*, and the
watts are yours to change. An estimate says nothing that the processor's time did not say already, in joules.

Reference: Linux kernel, Documentation/power/powercap/powercap.rst (RAPL); Lannelongue, Grealey and Inouye, Green
Algorithms: quantifying the carbon footprint of computation, 2021, arXiv 2007.07610 (time of the cores times watts).

Where we simplify: no memory, screen or power supply, and one frequency. At work: a meter in the plug; CodeCarbon.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from efflab.measure.energy_counters import joules_between
from efflab.measure.speed import Stopwatch, check_counts, check_seconds
from efflab.runtime.export import Artefact
from efflab.runtime.session import check_runtime

WATTS_PER_CORE = 12.0
"""Watts of one busy core, unless somebody knows better: see `WATTS_SOURCE`."""
WATTS_SOURCE = (
    "12 W a core is what the Green Algorithms calculator takes for any processor (its table TDP_cpu.csv, row Any; "
    "Lannelongue et al., 2021, arXiv 2007.07610). The processors in that table have 4 to 24 W a core; look up yours: "
    "its thermal design power, divided by its cores."
)
STOOD_STILL = "the processor's energy counter did not move"


@dataclass(frozen=True)
class EnergyUse:
    """The energy of one run, which is `batch` images.

    If `is_measured`, `watts` is what the whole package drew on average; else it is the assumption, watts a core, and
    `reason` says why nothing was measured, as a clause. `cpu_s_per_run` is the time of all cores together.
    """

    joules_per_run: float
    watts: float
    cpu_s_per_run: float
    n_runs: int
    batch: int
    is_measured: bool
    reason: str
    machine: str

    @property
    def joules_per_thousand(self) -> float:
        """Joules for 1,000 inferences, that is images."""
        return 1000 * self.joules_per_run / self.batch

    @property
    def badge(self) -> str:
        """Where the joules come from: measured or estimated."""
        return "measured" if self.is_measured else "estimated"

    @property
    def source(self) -> str:
        """How the joules came about, in a sentence or two."""
        if self.is_measured:
            return (
                f"Counted by the processor over {self.n_runs:,} runs, {self.watts:.1f} W on average: the whole "
                "package, with its idle power and everything else that ran."
            )
        spent = f"{1000 * self.cpu_s_per_run:.3g} ms of processor time a run"
        return f"Estimated: {spent} x {self.watts:g} W a core. Not measured, because {self.reason}."


def measure_energy(
    stopwatch: Stopwatch,
    artefact: Artefact,
    *,
    shape: tuple[int, int, int],
    batch: int = 1,
    threads: int = 1,
    seconds: float = 1.0,
    watts: float = WATTS_PER_CORE,
    stale: Callable[[], bool] | None = None,
    root: Path = Path("/"),
) -> EnergyUse | None:
    """The energy of a network, or None when `stale` turned true or the stopwatch was closed meanwhile.

    Args:
        stopwatch: in whose subprocess it runs; it stays up afterwards.
        artefact: the network, in a runtime of the stopwatch.
        shape: channels, height and width of one image.
        batch: images in a run.
        threads: threads that a run may use.
        seconds: how long to run; one run at least. The counter moves about every millisecond.
        watts: watts of a busy core, used where there is no counter; `WATTS_SOURCE` says where the default is from.
        stale: says whether the answer is not wanted any more; asked every 20 ms.
        root: where the system's files lie.

    Raises:
        ValueError: a number is out of its range, or the artefact is for another runtime.
        SpeedError: the subprocess died or hung, the runtime is missing, or it refused the file.

    Reference: RAPL in Linux; Lannelongue et al., 2021, arXiv 2007.07610.
    """
    check_counts(batch=batch, threads=threads)
    check_seconds(seconds)
    check_watts(watts)
    check_runtime(artefact, stopwatch.runtimes)
    path = str(artefact.path)
    request: dict[str, Any] = {"what": "energy", "base": path, "now": path, "shape": shape, "root": str(root)}
    request |= {"batch": batch, "threads": threads, "seconds": seconds}
    answer = stopwatch.ask(request, artefact.path.name, stale)
    return None if answer is None else _energy_use(answer, batch, watts)


def check_watts(watts: float) -> None:
    """Raise ValueError unless a busy core can draw so many watts."""
    if not 0 < watts < math.inf:
        raise ValueError(f"watts must be more than 0 (processors have 4 to 24 a core), not {watts!r}")


def _energy_use(answer: dict[str, Any], batch: int, watts: float) -> EnergyUse:
    n_runs, cpu_s, before, after = (answer[name] for name in ("n_runs", "cpu_s", "before", "after"))
    counted = joules_between(before, after)
    reason = "" if counted is not None else before["reason"] or after["reason"] or STOOD_STILL
    return EnergyUse(
        joules_per_run=(cpu_s * watts if counted is None else counted) / n_runs,
        watts=watts if counted is None else counted / answer["wall_s"],
        cpu_s_per_run=cpu_s / n_runs,
        n_runs=n_runs,
        batch=batch,
        is_measured=counted is not None,
        reason=reason,
        machine=answer["machine"],
    )
