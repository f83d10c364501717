"""Was the machine free while something was timed? The share of the time in which the stopwatch waited for a processor.

A program that computes without a break uses as much processor time as time passes on the clock. If it used less, it
stood in a queue behind other programs, and its timings are longer and rougher than those of a free machine.

Reference: PEP 418, Add monotonic time, performance counter, and process time functions.

Where we simplify: several threads use more processor time than passes, which hides some of the waiting; with them the
share is a lower bound. At work: the steal and pressure counters of the system (`vmstat`, `/proc/pressure/cpu`).
"""

from collections.abc import Mapping
from typing import Any

BUSY = 0.1
"""The machine counts as busy when the stopwatch waited for a processor for more than this share of the time."""


class Contended:
    """What every measurement of time says about the machine: `contention`, a fraction of the time (0-1)."""

    contention: float

    @property
    def busy(self) -> bool:
        """Whether other programs took so much of the machine that the numbers are rough."""
        return self.contention > BUSY


def contention(*answers: Mapping[str, Any]) -> float:
    """The fraction of the time (0-1) that the stopwatch waited for a processor; of several answers the largest.

    Example:
        >>> contention({"wall_s": 2.0, "cpu_s": 2.0}, {"wall_s": 4.0, "cpu_s": 3.0})
        0.25
    """
    return float(max(0, *(1 - answer["cpu_s"] / answer["wall_s"] for answer in answers)))
