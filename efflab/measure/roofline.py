"""The roofline of this machine: how fast a layer could run at best, from how much it computes for each byte it moves.

A processor does two things at once: it computes, at most `peak_flops`, and it waits for numbers from memory, at most
`bandwidth_bytes_per_s`. A layer that does `intensity` FLOPs for each byte can have at most

    min(peak_flops, intensity * bandwidth_bytes_per_s)

FLOP/s: a slanted roof where memory is the limit, a flat one where arithmetic is. They meet at the *ridge*. Both roofs
are measured here, not taken from a data sheet: a sheet names what a processor could do, with all its cores, cold.

Reference: Williams, Waterman and Patterson, Roofline: an insightful visual performance model, 2009; McCalpin, Memory
bandwidth and machine balance in current high performance computers, 1995 (STREAM).

Where we simplify: one memory roof. Weights that stay in the cache between two runs come faster than that, so a small
layer can stand above it. At work: a roof for each cache level, as Intel Advisor and ERT measure them.
"""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from efflab.data.cache import cache_folder
from efflab.measure.contention import Contended, contention
from efflab.measure.kept import Kept, read_kept, write_kept
from efflab.measure.speed import check_counts, check_seconds
from efflab.measure.speed_process import SESSION, Message, Standby
from efflab.measure.stopwatch import describe
from efflab.runtime.limits import ARRAYS_MOVED, SIZES, array_bytes, product_flops, version

LIMITS = SESSION.with_name("limits.py")
"""What the stopwatch's program times when it is given this file: large products and long arrays."""


@dataclass(frozen=True)
class Roofline(Contended):
    """What `threads` threads of this machine reach at best, in float32. All numbers are measured.

    `peak_flops` is FLOP/s, a MAC being two; `bandwidth_bytes_per_s` counts bytes read plus bytes written.
    `contention` is as in `Speed`, the larger one of both measurements; when `busy`, the roofs are too low.
    """

    peak_flops: float
    bandwidth_bytes_per_s: float
    threads: int
    contention: float
    machine: str

    @property
    def ridge(self) -> float:
        """FLOPs for each byte from which on arithmetic is the limit."""
        return self.peak_flops / self.bandwidth_bytes_per_s

    def attainable(self, intensity: float) -> float:
        """FLOP/s that a layer with `intensity` FLOPs for each byte can have at most, its numbers coming from memory.

        Example:
            >>> roof = Roofline(peak_flops=80e9, bandwidth_bytes_per_s=10e9, threads=1, contention=0, machine="")
            >>> roof.ridge, roof.attainable(0.5) / 1e9, roof.attainable(100) / 1e9
            (8.0, 5.0, 80.0)

        Raises:
            ValueError: `intensity` is negative or no number.

        Reference: Williams, Waterman and Patterson, 2009.
        """
        if not intensity >= 0:
            raise ValueError(f"intensity must be FLOPs for each byte, 0 or more, not {intensity!r}")
        return min(self.peak_flops, intensity * self.bandwidth_bytes_per_s)

    def limit(self, intensity: float) -> Literal["memory", "compute"]:
        """What limits a layer with `intensity` FLOPs for each byte: "memory" below the ridge, else "compute"."""
        return "memory" if self.attainable(intensity) < self.peak_flops else "compute"


class LimitsStopwatch(Standby):
    """Measures the roofline in a subprocess of its own, which stays up until `close`; it takes some 400 MB at most.

    Example:
        with LimitsStopwatch() as stopwatch:
            roofline = stopwatch.measure()
    """

    runtime = LIMITS

    def measure(
        self, *, threads: int = 1, seconds: float = 0.5, stale: Callable[[], bool] | None = None
    ) -> Roofline | None:
        """The roofline, or None when `stale` turned true or `close` was called meanwhile.

        The peak is the largest of three matrix sizes, the bandwidth the largest of copy, scale and add; each is the
        median of rounds, and the three take turns.

        Args:
            threads: threads that may be used.
            seconds: how long to time each of the two; six rounds at least, so it may take longer.
            stale: says whether the answer is not wanted any more.

        Raises:
            ValueError: a number is out of its range.
            SpeedError: the subprocess died or hung, or ONNX Runtime is missing.

        Reference: Williams, Waterman and Patterson, 2009.
        """
        check_counts(threads=threads)
        check_seconds(seconds)
        request: Message = {"threads": threads, "seconds": seconds, "bytes": array_bytes()}
        arithmetic = self.ask(request | {"limit": "compute"}, "the product of two matrices", stale)
        memory = arithmetic and self.ask(request | {"limit": "memory"}, "copying long arrays", stale)
        if not arithmetic or not memory:
            return None
        peak = best_rate(arithmetic["rounds"], [product_flops(size) for size in SIZES])
        bandwidth = best_rate(memory["rounds"], [n * request["bytes"] for n in ARRAYS_MOVED])
        return Roofline(peak, bandwidth, threads, contention(arithmetic, memory), arithmetic["machine"])


def best_rate(rounds: Sequence[Sequence[float]], amounts: Sequence[float]) -> float:
    """The largest amount a second. rounds: (n, k), seconds a run; amounts: (k,), what one run does.

    Example:
        >>> best_rate([[0.1, 0.2], [0.1, 0.2], [9.0, 0.2]], [1.0, 4.0])
        20.0
    """
    return float(np.max(np.asarray(amounts) / np.median(rounds, axis=0)))


def roofline_file(threads: int) -> Path:
    """Where the roofline is kept unless another place is named: in $EFFLAB_CACHE or the user's cache folder."""
    return cache_folder() / f"roofline_{threads}.json"


def this_machine() -> str:
    """Processor, cores and ONNX Runtime's version, as `Roofline.machine` spells them."""
    return describe(version())


def read_roofline(threads: int = 1, path: Path | None = None) -> Kept[Roofline]:
    """The roofline that was kept on this machine for so many threads, or the reason why there is none to use.

    Reference: `platformdirs`.
    """

    def parse(values: dict[str, Any]) -> Roofline:
        return Roofline(**values["roofline"])

    return read_kept(path or roofline_file(threads), this_machine(), parse)


def write_roofline(roofline: Roofline, path: Path | None = None) -> Path:
    """Keep the roofline in place of the one before; returns the file.

    Raises:
        SpeedError: the folder cannot be written.

    Reference: `platformdirs`.
    """
    values = {"roofline": dataclasses.asdict(roofline)}
    return write_kept(path or roofline_file(roofline.threads), "the roofline", roofline.machine, values)
