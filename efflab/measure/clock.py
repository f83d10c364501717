"""The one clock beside the stopwatch: for how long a thing has run and how long it will still take.

Nothing here is a speed: speeds come from `efflab.measure.speed`, which times in a process of its own. This
clock serves progress bars. It never jumps back, unlike the time of day.

Reference: PEP 418, Add monotonic time, performance counter, and process time functions.

Where we simplify: the time left assumes that the rest goes as fast as what is done. At work: tqdm smooths
over the last steps.
"""

import math
import time
from collections.abc import Callable
from itertools import pairwise


def now() -> float:
    """Seconds from an arbitrary moment; only differences mean something."""
    return time.perf_counter()


def smallest_step(clock: Callable[[], float] = now, n: int = 1000) -> float:
    """The smallest step of a clock in `n` readings, in seconds; infinite for a clock that stands or goes back."""
    readings = [clock() for _ in range(n)]
    steps = [later - earlier for earlier, later in pairwise(readings)]
    return math.inf if min(steps) < 0 else min((step for step in steps if step > 0), default=math.inf)


class Pace:
    """From the share of the work that is done to the seconds that are left; counts from its making.

    Example:
        >>> ticks = iter([0.0, 3.0])
        >>> Pace(clock=lambda: next(ticks)).seconds_left(0.25)
        9.0
    """

    def __init__(self, clock: Callable[[], float] = now) -> None:
        self._clock = clock
        self._started = clock()

    @property
    def elapsed(self) -> float:
        """Seconds since the pace was made."""
        return self._clock() - self._started

    def seconds_left(self, done: float) -> float | None:
        """Seconds until `done` reaches 1, or None while nothing is done and nobody can know.

        Args:
            done: the share of the work that is done, 0 to 1.

        Raises:
            ValueError: `done` is not a share.

        Reference: PEP 418.
        """
        if not 0 <= done <= 1:
            raise ValueError(f"done must be a share from 0 to 1, not {done!r}")
        return self.elapsed * (1 - done) / done if done else None
