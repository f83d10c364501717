"""What one measured speed costs over the bare timing loop, and whether it gives the same milliseconds.

Like is compared with like. The stopwatch lets three sessions take turns: the base, the base once more for the noise
floor, and the candidate. A session that runs after two others finds less of its weights in the cache than one that
runs alone, and that is a property of interleaving, not of the stopwatch. So the bare loop, too, opens three sessions
and runs them in turns for as long; a loop of one session alone is printed beside it.

Each opening of a file puts its weights elsewhere in memory, which alone moves the milliseconds by a tenth and more. So
every round opens all anew, and the quartiles over the rounds are printed: two medians are no closer than these allow.

Then the A/A test: a network compared with itself, of which few comparisons may end in "faster" or "slower".
"""

import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from _report import compare, interleave, versions

from efflab import models
from efflab.measure.speed import Speed, Stopwatch
from efflab.runtime import Artefact, export, session
from efflab.runtime.session import forward_pass

NETWORK, SHAPE = "lenet5-scattered", (1, 28, 28)
SECONDS = 0.6
ROUNDS = 20
N_SELF = 40
MOST_DIFFERENT = 4
"""Of so many comparisons of a network with itself at most this many may be called different."""


def bare_loop(*artefacts: Artefact) -> float:
    """The median milliseconds of a run, all files running in turns, each in a session of its own."""
    runs = [forward_pass(session(artefact), 1, list(SHAPE)) for artefact in artefacts]
    seconds: list[float] = []
    end = time.perf_counter() + SECONDS
    while time.perf_counter() < end:
        for run in runs:
            start = time.perf_counter()
            run()
            seconds.append(time.perf_counter() - start)
    return statistics.median(seconds) * 1e3


def measured(stopwatch: Stopwatch, base: Artefact, now: Artefact) -> Speed:
    """One comparison by the stopwatch."""
    speed = stopwatch.compare(base, now, shape=SHAPE, seconds=SECONDS)
    assert speed is not None, "nobody stopped the measurement"
    return speed


def spread(name: str, milliseconds: Sequence[float]) -> None:
    """Print the quartiles over the rounds."""
    low, median, high = statistics.quantiles(milliseconds, n=4)
    print(f"  {name:<52} {median:10.3f} ms, half of the rounds from {low:.3f} to {high:.3f}")


def main() -> None:
    """The cost, the agreement, and the A/A test."""
    with tempfile.TemporaryDirectory() as folder, Stopwatch() as stopwatch:
        model = models.load(NETWORK)
        base, now = (export(model, SHAPE, Path(folder), name) for name in ("base", "now"))
        alone, loops = [], []  # milliseconds
        speeds: list[Speed] = []
        bare, ours = interleave(
            lambda: loops.append(bare_loop(base, base, now)),
            lambda: speeds.append(measured(stopwatch, base, now)),
            ROUNDS,
        )
        interleave(lambda: alone.append(bare_loop(base)), lambda: None, ROUNDS)
        compare("One measured speed", ("bare loop", bare * 1e3), ("stopwatch", ours * 1e3), goal=1.25)
        timed = [speed.base.median_ms for speed in speeds]
        in_loop, in_stopwatch = statistics.median(loops), statistics.median(timed)
        compare("Milliseconds of one run", ("bare loop", in_loop), ("stopwatch", in_stopwatch), goal=1.1)
        spread("bare loop, three sessions in turns", loops)
        spread("stopwatch, three sessions in turns", timed)
        spread("bare loop, one session alone", alone)
        waited = statistics.median(speed.contention for speed in speeds)
        print(f"  the stopwatch waited for a processor for {waited:.0%} of the time")
        different = sum(measured(stopwatch, base, now).is_different for _ in range(N_SELF))
    print(f"\nA network beside itself: {different} of {N_SELF} called different (goal: at most {MOST_DIFFERENT})")
    versions()


if __name__ == "__main__":
    main()
