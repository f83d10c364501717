"""How fast a network is, beside its baseline, and whether the difference is one at all.

Two timings of the same file differ by a few per cent: other programs, the processor's clock, where the
weights landed in memory. So every comparison measures three: the baseline (A), the same file again (A'), and
the candidate (B), in turns. How far A' is from A is the noise floor of this machine at this moment, and B is
called faster or slower only beyond it.

Reference: Mytkowicz et al., Producing wrong data without doing anything obviously wrong!, ASPLOS 2009;
Kalibera and Jones, Rigorous benchmarking in reasonable time, ISMM 2013.

Where we simplify: rounds count as independent of each other. At work: onnxruntime_perf_test, on a machine of
its own, over days.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from efflab.measure.contention import Contended, contention
from efflab.measure.speed_process import EAGER, SESSION, SpeedError, Standby
from efflab.runtime import eager
from efflab.runtime.export import Artefact
from efflab.runtime.session import RUNTIME, check_runtime

MIN_FLOOR = 0.02
"""The noise floor is never taken as less: sessions of one file differ by up to 1 % by where their weights lie."""

__all__ = ["Speed", "SpeedError", "Stopwatch", "Timing", "TorchStopwatch", "median_interval", "summarise"]


@dataclass(frozen=True)
class Timing:
    """Milliseconds for one batch: the median and the quartiles of `n` blocks of runs."""

    median_ms: float
    q1_ms: float
    q3_ms: float
    n: int


@dataclass(frozen=True)
class Speed(Contended):
    """A network beside its baseline, timed in turns on this machine.

    `ratio` is now / base in time (0.5: twice as fast), the median over rounds, with its 95 % interval.
    `noise_floor` is a fraction: how far a ratio may be from 1 with no difference behind it. `contention` is the
    fraction of the time (0-1) that the stopwatch waited for a processor; with several threads, a lower bound.
    """

    base: Timing
    now: Timing
    ratio: float
    ratio_low: float
    ratio_high: float
    noise_floor: float
    batch: int
    threads: int
    contention: float
    machine: str

    @property
    def is_different(self) -> bool:
        """Whether the whole interval of the ratio lies beyond the noise floor, on one side of 1."""
        return self.ratio_high < 1 / (1 + self.noise_floor) or self.ratio_low > 1 + self.noise_floor

    @property
    def verdict(self) -> str:
        """In words: 1.8x faster, 1.2x slower, or no measurable difference."""
        if not self.is_different:
            return "no measurable difference"
        factor = max(self.ratio, 1 / self.ratio)
        digits = 2 if factor < 1.1 else 1 if factor < 10 else 0
        return f"{factor:.{digits}f}x {'faster' if self.ratio < 1 else 'slower'}"

    @property
    def throughput(self) -> float:
        """Images a second of the candidate."""
        return self.batch / self.now.median_ms * 1000


class Stopwatch(Standby):
    """Times networks in a subprocess that starts at the first use and stays up until `close`, or the end of Python.

    Any thread may use it; one comparison runs at a time. `patience_s` is how long a subprocess may give no
    answer before it is taken to hang.

    Example:
        with Stopwatch() as stopwatch:
            speed = stopwatch.compare(base, now, shape=(1, 28, 28))
    """

    runtime = SESSION
    runtimes: ClassVar[tuple[str, ...]] = (RUNTIME,)
    """The runtimes of the artefacts that it takes."""

    def compare(
        self,
        base: Artefact,
        now: Artefact,
        *,
        shape: tuple[int, int, int],
        batch: int = 1,
        threads: int = 1,
        seconds: float = 0.6,
        stale: Callable[[], bool] | None = None,
    ) -> Speed | None:
        """Time `now` against `base`, or None when `stale` turned true or `close` was called meanwhile.

        `stale` is asked every 20 ms. A stale comparison stops between two blocks; the subprocess is killed if
        that takes more than 30 ms.

        Args:
            base: the baseline.
            now: the candidate.
            shape: channels, height and width of one image.
            batch: images in a run.
            threads: threads that a run may use.
            seconds: how long to time; networks of which six rounds take longer take longer.
            stale: says whether the answer is not wanted any more.

        Raises:
            ValueError: a number is out of its range, or an artefact is for another runtime.
            SpeedError: the subprocess died or hung, the runtime is missing, or it refused a file.

        Reference: Kalibera and Jones, Rigorous benchmarking in reasonable time, ISMM 2013.
        """
        check_counts(batch=batch, threads=threads)
        check_seconds(seconds)
        for artefact in (base, now):
            check_runtime(artefact, self.runtimes)
        request: dict[str, Any] = {"base": str(base.path), "now": str(now.path), "shape": shape}
        request |= {"batch": batch, "threads": threads, "seconds": seconds}
        answer = self.ask(request, f"{base.path.name} and {now.path.name}", stale)
        return None if answer is None else summarise(answer, batch=batch, threads=threads, machine=answer["machine"])


class TorchStopwatch(Stopwatch):
    """Times networks in torch itself, besides those in ONNX Runtime; also one against the other.

    Its subprocess loads torch, which takes seconds, once; so it is a stopwatch of its own.
    """

    runtime = EAGER
    runtimes = (RUNTIME, eager.RUNTIME)


def summarise(answer: dict[str, Any], *, batch: int, threads: int, machine: str) -> Speed:
    """What the rounds say. answer["rounds"]: (n, 3), seconds a run of base, base again, now (`stopwatch.compare`)."""
    rounds = np.array(answer["rounds"])  # (n, 3)
    base, again, candidate = rounds.T
    _, floor_low, floor_high = median_interval(again / base)
    ratio, low, high = median_interval(candidate / base)
    return Speed(
        base=_timing(base),
        now=_timing(candidate),
        ratio=ratio,
        ratio_low=low,
        ratio_high=high,
        noise_floor=max(MIN_FLOOR, floor_high - 1, 1 / floor_low - 1),
        batch=batch,
        threads=threads,
        contention=contention(answer),
        machine=machine,
    )


def median_interval(values: "Sequence[float] | np.ndarray[Any, Any]") -> tuple[float, float, float]:
    """The median, and two of the values between which the true median lies in at least 95 of 100 cases.

    Each value is below the true median with chance 1/2, as with coins, whatever the distribution: so the k-th
    smallest and the k-th largest are the ends, with the largest k for which fewer than k heads have a chance
    of at most 2.5 %. With fewer than six values that chance is more, and the ends are the smallest and the
    largest.

    Reference: Conover, Practical nonparametric statistics, 1999, section 3.2.
    """
    ordered = np.sort(np.asarray(values, dtype=float))
    n = len(ordered)
    k, ways, below = 0, 1, 1  # ways: n choose k; below: ways to get at most k heads
    while below * 40 <= 2**n:
        k += 1
        ways = ways * (n - k + 1) // k
        below += ways
    k = max(k, 1)
    return float(np.median(ordered)), float(ordered[k - 1]), float(ordered[n - k])


def _timing(seconds: np.ndarray[Any, Any]) -> Timing:
    q1, median, q3 = np.percentile(seconds * 1000, [25, 50, 75])
    return Timing(float(median), float(q1), float(q3), len(seconds))


def check_counts(**counts: int) -> None:
    """Raise ValueError, with its name, for a count that is no whole number from 1 up."""
    for name, value in counts.items():
        if not isinstance(value, int) or value < 1:
            raise ValueError(f"{name} must be a whole number from 1 up, not {value!r}")


def check_seconds(seconds: float) -> None:
    """Raise ValueError unless `seconds` is a time in which something can be measured."""
    if not 0 < seconds < math.inf:
        raise ValueError(f"seconds must be more than 0, not {seconds!r}")
