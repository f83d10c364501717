"""What one measured speed costs over the bare timing loop, and whether it gives the same milliseconds.

The bare loop opens the two files and runs them in turns for as long as the stopwatch times them. The stopwatch does it
in a process of its own, times the base twice for the noise floor, and warms up. Then the A/A test: a network compared
with itself, of which few comparisons may end in "faster" or "slower".
"""

import statistics
import tempfile
import time
from pathlib import Path

from _report import compare, interleave, versions

from efflab import models
from efflab.measure.speed import Speed, Stopwatch
from efflab.runtime import Artefact, export, session
from efflab.runtime.session import forward_pass

NETWORK, SHAPE = "lenet5-scattered", (1, 28, 28)
SECONDS = 0.6
ROUNDS = 10
N_SELF = 40
MOST_DIFFERENT = 4
"""Of so many comparisons of a network with itself at most this many may be called different."""


def bare_loop(base: Artefact, now: Artefact) -> list[float]:
    """Seconds of each run of both, in turns."""
    runs = [forward_pass(session(artefact), 1, list(SHAPE)) for artefact in (base, now)]
    seconds: list[float] = []
    end = time.perf_counter() + SECONDS
    while time.perf_counter() < end:
        for run in runs:
            start = time.perf_counter()
            run()
            seconds.append(time.perf_counter() - start)
    return seconds


def measured(stopwatch: Stopwatch, base: Artefact, now: Artefact) -> Speed:
    """One comparison by the stopwatch."""
    speed = stopwatch.compare(base, now, shape=SHAPE, seconds=SECONDS)
    assert speed is not None, "nobody stopped the measurement"
    return speed


def main() -> None:
    """The cost, the agreement, and the A/A test."""
    with tempfile.TemporaryDirectory() as folder, Stopwatch() as stopwatch:
        model = models.load(NETWORK)
        base, now = (export(model, SHAPE, Path(folder), name) for name in ("base", "now"))
        loops: list[float] = []
        speeds: list[Speed] = []
        bare, ours = interleave(
            lambda: loops.append(statistics.median(bare_loop(base, now))),
            lambda: speeds.append(measured(stopwatch, base, now)),
            ROUNDS,
        )
        compare("One measured speed", ("bare loop", bare * 1e3), ("stopwatch", ours * 1e3), goal=1.25)
        in_loop = statistics.median(loops) * 1e3
        in_stopwatch = statistics.median(speed.base.median_ms for speed in speeds)
        compare("Milliseconds of one run", ("bare loop", in_loop), ("stopwatch", in_stopwatch), goal=1.1)
        different = sum(measured(stopwatch, base, now).is_different for _ in range(N_SELF))
    print(f"\nA network beside itself: {different} of {N_SELF} called different (goal: at most {MOST_DIFFERENT})")
    versions()


if __name__ == "__main__":
    main()
