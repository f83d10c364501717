"""Where does the time go, and why is mine not faster? All that can be found out about one network beside its base.

Each piece of `efflab.measure` answers one question; here they are asked together, of the same two files, at the same
batch: how fast, how much work, which layer takes how long, how near to the roof of this machine, how much memory and
energy. From the answers follow the reasons (`efflab.measure.reasons`).

Reference: Williams, Waterman and Patterson, Roofline: an insightful visual performance model, 2009.

Where we simplify: one network, one machine, one moment. At work: a profiler of the processor's maker, over days.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from torch import nn

from efflab.lab.course import Course, NotWantedError
from efflab.lab.rates import Rates
from efflab.lab.shipping import passing_folder, ship, stopwatch
from efflab.measure.carbon import carbon_grams
from efflab.measure.energy import EnergyUse, measure_energy
from efflab.measure.layer_speed import LayerPoint, LayerTimes, measure_layers, points
from efflab.measure.machine import Machine, describe_machine
from efflab.measure.memory import ComputedMemory, MeasuredMemory, MemoryUnknownError, compute_memory, measure_memory
from efflab.measure.reason import Reason
from efflab.measure.reasons import why_not_faster
from efflab.measure.roofline import LimitsStopwatch, Roofline, read_roofline, write_roofline
from efflab.measure.speed import Speed, SpeedError
from efflab.measure.work import Work, count_work
from efflab.runtime import Artefact
from efflab.training import Progress

LAYERS_S, ENERGY_S = 0.3, 0.3
"""Seconds for which the layers, and twice the energy, of one network are measured."""


@dataclass(frozen=True)
class Costs:
    """What one network takes at one batch, counted and measured; `measured` is None where memory is not told."""

    work: Work
    times: LayerTimes
    computed: ComputedMemory
    measured: MeasuredMemory | None
    energy: EnergyUse

    def grams_per_thousand(self, rates: Rates) -> float:
        """Grams of CO2 for 1,000 inferences, estimated."""
        return carbon_grams(self.energy.joules_per_thousand, rates.grams_per_kwh)

    def at(self, watts: float) -> "Costs":
        """The same with other watts a core; joules that were measured stay."""
        if self.energy.is_measured:
            return self
        joules = self.energy.cpu_s_per_run * watts
        return replace(self, energy=replace(self.energy, joules_per_run=joules, watts=watts))


@dataclass(frozen=True, repr=False)
class Diagnosis:
    """A network beside its base: `reasons` say what keeps it from being faster, those that hold first.

    `roofline` is None where it could not be measured. `notes` say, a sentence each, what could not be had.
    """

    now: Costs
    base: Costs
    speed: Speed
    roofline: Roofline | None
    reasons: tuple[Reason, ...]
    rates: Rates
    machine: Machine
    notes: tuple[str, ...] = ()

    @property
    def holding(self) -> tuple[Reason, ...]:
        """The reasons that hold."""
        return tuple(reason for reason in self.reasons if reason.holds)

    @property
    def busy(self) -> bool:
        """Whether other programs took the machine while the network or its layers were timed: its times are rough."""
        return self.speed.busy or self.now.times.busy

    @property
    def points(self) -> tuple[LayerPoint, ...]:
        """The layers of the network as points under the roofline."""
        return points(self.now.work, self.now.times)

    @property
    def base_throughput(self) -> float:
        """Images a second of the base; `speed.throughput` is that of the network."""
        return self.speed.batch / self.speed.base.median_ms * 1000

    def at(self, rates: Rates) -> "Diagnosis":
        """The same measurements with other assumptions; nothing is measured again."""
        return replace(self, now=self.now.at(rates.watts), base=self.base.at(rates.watts), rates=rates)

    def __repr__(self) -> str:
        speed = self.speed
        lines = [
            f"batch {speed.batch}: {speed.base.median_ms:.3f} -> {speed.now.median_ms:.3f} ms, {speed.verdict}; "
            f"{self.machine.sentence}"
        ]
        lines += [f"{'holds' if r.holds else 'does not hold'}: {r.name}. {r.sentence}" for r in self.reasons]
        lines.append(
            f"1,000 images: {self.now.energy.joules_per_thousand:.3g} J ({self.now.energy.badge}), "
            f"{self.now.grams_per_thousand(self.rates):.2g} g CO2 (estimated)"
        )
        return "\n".join((*lines, *self.notes))


def diagnose(
    model: nn.Module,
    base: nn.Module,
    shape: tuple[int, int, int],
    *,
    batch: int = 1,
    threads: int = 1,
    rates: Rates | None = None,
    progress: Progress | None = None,
    stale: Callable[[], bool] | None = None,
    base_file: Artefact | None = None,
) -> Diagnosis | None:
    """Measure `model` beside `base` and say why it is not faster; None if stopped before the end. Takes about 10 s.

    No file is left behind but the roofline, which is kept on this machine. Stopped at any point, it ends within 0.1 s.

    Args:
        model: the network as it is now.
        base: the network that it was made from.
        shape: channels, height and width of one image.
        batch: images in a run, for everything that is measured.
        threads: threads that a run may use.
        rates: watts a core and grams a kilowatt-hour; the world's average if not given.
        progress: is told the fraction done, and may stop it.
        stale: says whether the answer is not wanted any more.
        base_file: the base in ONNX, if it was written before.

    Raises:
        ExportError: a network cannot be exported, or no temporary file be written.
        SpeedError: they could not be timed.
        ValueError: a batch or number of threads that is no count.

    Reference: Williams, Waterman and Patterson, Roofline, 2009.
    """
    kept = read_roofline(threads).content
    roofline = None if kept is None or kept.busy else kept  # one from a busy moment is too low
    course = Course(progress or Progress(), stale, has_roofline=roofline is not None)
    sizes: dict[str, Any] = {"shape": shape, "batch": batch, "threads": threads}
    try:
        course.begin()
        with passing_folder() as folder:
            files = (base_file or ship(base, shape, folder, "base"), ship(model, shape, folder, "now"))
            course.passed("write")
            return _measured(model, base, files, sizes, rates or Rates.of(), roofline, course)
    except NotWantedError:
        return None


def _measured(
    model: nn.Module,
    base: nn.Module,
    files: tuple[Artefact, Artefact],
    sizes: dict[str, Any],
    rates: Rates,
    roofline: Roofline | None,
    course: Course,
) -> Diagnosis:
    speed = course.wanted(stopwatch().compare(*files, **sizes, stale=course.is_stale))
    course.passed("time")
    base_costs, costs, notes = _costs((base, model), files, sizes, rates, course)
    if roofline is None:
        roofline, more = _roofline(sizes["threads"], course)
        notes += more
    machine = describe_machine()
    reasons = why_not_faster(
        model,
        base,
        speed=speed,
        work=costs.work,
        base_work=base_costs.work,
        times=costs.times,
        base_times=base_costs.times,
        roofline=roofline,
        n_cores=machine.n_cores,
        instruction_sets=machine.instruction_sets,
        cache_bytes=machine.cache_bytes,
    )
    return Diagnosis(costs, base_costs, speed, roofline, reasons, rates, machine, tuple(notes))


def _costs(
    models: tuple[nn.Module, nn.Module],
    files: tuple[Artefact, Artefact],
    sizes: dict[str, Any],
    rates: Rates,
    course: Course,
) -> tuple[Costs, Costs, list[str]]:
    """The costs of the base and of the network, and notes on what could not be had."""
    watch, shape, batch, stale = stopwatch(), sizes["shape"], sizes["batch"], course.is_stale
    course.together([lambda: count_work(nn.Identity(), (1,))], "count")  # torch loads what it counts with, once
    works = [count_work(model, shape, batch=batch) for model in models]
    computed = [compute_memory(model, shape, batch=batch) for model in models]
    course.passed("count")
    times = [course.wanted(measure_layers(watch, one, **sizes, seconds=LAYERS_S, stale=stale)) for one in files]
    course.passed("layers")
    asked = {**sizes, "seconds": ENERGY_S, "watts": rates.watts, "stale": stale}
    twice = [[course.wanted(measure_energy(watch, one, **asked)) for one in files] for _ in range(2)]
    energy = [min(pair, key=lambda use: use.joules_per_run) for pair in zip(*twice, strict=True)]  # others only add
    course.passed("energy")
    measured, notes = _memory(files, shape, batch, course)
    course.passed("memory")
    before, after = map(Costs, works, times, computed, measured, energy)
    return before, after, notes


def _memory(
    files: Sequence[Artefact], shape: tuple[int, int, int], batch: int, course: Course
) -> tuple[list[MeasuredMemory | None], list[str]]:
    """The memory of each file, or a note instead. Each has a process of its own, and both may run at once."""

    def measure(file: Artefact) -> MeasuredMemory | None:
        return measure_memory(file, shape=shape, batch=batch, stale=course.is_stale)

    try:
        return [course.wanted(one) for one in course.together([partial(measure, file) for file in files], "memory")], []
    except MemoryUnknownError as error:
        return [None] * len(files), [str(error)]


def _roofline(threads: int, course: Course) -> tuple[Roofline | None, list[str]]:
    """The roofline, measured now and kept, and notes on what could not be had."""
    try:
        with LimitsStopwatch() as watch:
            roofline = course.wanted(watch.measure(threads=threads, stale=course.is_stale))
    except SpeedError as error:
        return None, [str(error)]
    try:
        write_roofline(roofline)
    except SpeedError as error:
        return roofline, [str(error)]
    return roofline, []
