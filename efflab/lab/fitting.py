"""A budget in place of a knob: at most so many multiplications, bytes or milliseconds; the lab looks for the setting.

The mildest setting on the knob's own grid that meets the limit is found by bisection, so it takes about seven tries.
What comes out is a step like any other, which can be run again.

Where we simplify: the quantity is taken to fall along the knob. A measured one does so only nearly: a try counts as met
if the whole 95 % interval of its time does. At work: a latency table for each layer (Yang et al., NetAdapt, 2018, arXiv
1804.03230).
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from numbers import Real
from typing import Literal, get_args

from torch import nn

from efflab.knobs import Range, Setting, Value
from efflab.lab.answers import Report
from efflab.lab.shipping import passing_folder
from efflab.lab.sweeps import grid
from efflab.measure.work import count_work
from efflab.recipe import AnyTechnique, Step, step
from efflab.runtime import export
from efflab.training import Progress

Quantity = Literal["MACs", "bytes", "ms"]


@dataclass(frozen=True)
class Limit:
    """At most `value` of a quantity: "MACs" of one image, "bytes" of the file that is shipped, or measured "ms".

    Raises:
        ValueError: another quantity, or a value that is not above 0.
    """

    quantity: Quantity
    value: float

    def __post_init__(self) -> None:
        if self.quantity not in get_args(Quantity):
            raise ValueError(f"quantity must be one of {', '.join(get_args(Quantity))}, not {self.quantity!r}")
        if not isinstance(self.value, Real) or not 0 < self.value < math.inf:
            raise ValueError(f"value must be a number above 0, not {self.value!r}")


@dataclass(frozen=True)
class Try:
    """One value of the knob, what it reached, and whether that is within the limit."""

    value: Value
    reached: float
    is_met: bool


@dataclass(frozen=True)
class Fit:
    """The mildest step that meets the limit; if none does, the strongest, and `is_met` is False."""

    step: Step
    limit: Limit
    reached: float
    is_met: bool
    tried: tuple[Try, ...]


@dataclass(frozen=True)
class Search:
    """How a setting is judged: what builds its network, what times it, and for which inputs."""

    build: Callable[..., nn.Module]
    measure: Callable[..., Report | None]
    shape: tuple[int, int, int]
    batch: int = 1
    threads: int = 1
    progress: Progress = field(default_factory=Progress)
    stale: Callable[[], bool] = bool

    def reached(self, one: Step, limit: Limit, progress: Progress) -> tuple[float, bool] | None:
        """What a step reaches, and whether that is within the limit; None when it is stale or was stopped."""
        model = self.build((one,), progress=progress)
        if self.stale() or progress.is_stopped:
            return None
        if limit.quantity == "ms":
            return self._timed(one, limit)
        amount = count_work(model, self.shape).macs if limit.quantity == "MACs" else _file_bytes(model, self.shape)
        return amount, amount <= limit.value

    def _timed(self, one: Step, limit: Limit) -> tuple[float, bool] | None:
        report = self.measure((one,), batch=self.batch, threads=self.threads, stale=self.stale)
        if report is None:
            return None
        slowest = report.speed.base.median_ms * report.speed.ratio_high
        return report.speed.now.median_ms, slowest <= limit.value


def find_fit(
    search: Search, technique: AnyTechnique, knob: str, limit: Limit, settings: Mapping[str, Setting]
) -> Fit | None:
    """Search the knob for the mildest setting within the limit; None when the search became stale or was stopped.

    Raises:
        ValueError: the technique has no such knob, or it is no range of numbers.
        TypeError: a setting is no knob of the technique.
    """
    values = _values(technique, knob)
    tried: dict[Value, Try] = {}
    mild, strong = 0, len(values) - 1
    middle = strong  # first, whether the limit can be met at all: if not, no milder setting does
    n_tries = 1 + math.ceil(math.log2(len(values)))
    while mild < strong or not tried:
        value = values[middle]
        part = search.progress.part(len(tried), n_tries)
        found = search.reached(step(technique, **{**settings, knob: value}), limit, part)
        if found is None:
            return None
        tried[value] = Try(value, *found)
        if part.on_batch:
            part.on_batch(1.0)
        mild, strong = (mild, middle) if tried[value].is_met else (middle + 1, strong)
        middle = (mild + strong) // 2
    best = tried[values[strong]]
    made = step(technique, **{**settings, knob: best.value})
    return Fit(made, limit, best.reached, best.is_met, tuple(tried.values()))


def _values(technique: AnyTechnique, knob: str) -> list[Value]:
    """The grid of a knob."""
    shape = technique.knobs.get(knob)
    if not isinstance(shape, Range):
        ranges = [name for name, one in technique.knobs.items() if isinstance(one, Range)]
        raise ValueError(f"knob must be a number of {technique.name}: {', '.join(ranges)}; not {knob!r}")
    return grid(shape)


def _file_bytes(model: nn.Module, shape: tuple[int, int, int]) -> int:
    with passing_folder() as folder:
        return export(model, shape, folder, "candidate").n_bytes
