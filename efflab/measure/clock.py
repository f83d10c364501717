"""The one clock beside the stopwatch: for how long a thing has run and how long it will still take.

Nothing here is a speed: speeds come from `efflab.measure.speed`, which times in a process of its own. This
clock serves progress bars. It never jumps back, unlike the time of day.

Reference: PEP 418, Add monotonic time, performance counter, and process time functions.

Where we simplify: the time left assumes that the rest goes as fast as what is done. At work: tqdm smooths over the last
steps.
"""

import math
import time
from collections.abc import Callable
from itertools import pairwise

N_UNKNOWN = 3
"""Steps for which a pace tells no time left."""
UNKNOWN_S = 1.0
"""Seconds for which it tells none either: steps of a millisecond are soon counted, and still say little."""
N_STILL = 20
"""Usual steps in whose time the share must rise, or the time is not that of a step."""


def now() -> float:
    """Seconds from an arbitrary moment; only differences mean something."""
    return time.perf_counter()


def smallest_step(clock: Callable[[], float] = now, n: int = 1000) -> float:
    """The smallest step of a clock in `n` readings, in seconds; infinite for a clock that stands or goes back."""
    readings = [clock() for _ in range(n)]
    steps = [later - earlier for earlier, later in pairwise(readings)]
    return math.inf if min(steps) < 0 else min((step for step in steps if step > 0), default=math.inf)


class Pace:
    """From the share of the work that is done to the seconds that are left; counts from the first step that is told.

    The first step is the slow one: before it, data are read and torch gets ready. So it says nothing of those that
    follow, and for a few more steps and a second nothing is known. Where the share falls, or stands still for the time
    of many steps, other work began, such as asking a teacher, and the pace begins anew.

    slow: the share of the work that goes slower than the rest, and says nothing of it either.

    Example:
        >>> ticks = iter([10.0, 11.0, 12.0, 13.0])
        >>> pace = Pace(clock=lambda: next(ticks))
        >>> [pace.seconds_left(done) for done in (0.125, 0.25, 0.375, 0.5)]
        [None, None, None, 4.0]
    """

    def __init__(self, clock: Callable[[], float] = now, *, slow: float = 0.0) -> None:
        self._clock, self._slow = clock, slow
        self._began, self._before = 0.0, 0.0  # when the first step was told, and the share that was done
        self._done, self._n_steps, self._rose = 0.0, 0, 0.0  # the share, how often it rose, and when it did last

    def seconds_left(self, done: float) -> float | None:
        """Seconds until `done` reaches 1, or None while too little is done and nobody can know.

        Args:
            done: the share of the work that is done, 0 to 1.

        Raises:
            ValueError: `done` is not a share.

        Reference: PEP 418.
        """
        if not 0 <= done <= 1:
            raise ValueError(f"done must be a share from 0 to 1, not {done!r}")
        moment = self._clock()
        if not self._n_steps or done < self._done or done <= self._slow or self._stood_still(moment):
            self._began, self._before, self._n_steps = moment, done, 0
        if done > self._done:
            self._n_steps, self._rose = self._n_steps + 1, moment
        self._done = done
        if self._n_steps <= N_UNKNOWN or moment - self._began < UNKNOWN_S:
            return None
        return (moment - self._began) * (1 - done) / (done - self._before)

    def _stood_still(self, moment: float) -> bool:
        """Whether the share did not rise for the time of many steps, if it is known what a step takes."""
        if self._n_steps <= N_UNKNOWN:
            return False
        return moment - self._rose > N_STILL * (self._rose - self._began) / (self._n_steps - 1)
