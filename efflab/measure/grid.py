"""The points from which the break-even of one machine is drawn, and how long they take.

A break-even moves with the matrix and the batch, so one product says little: the grid goes from a matrix that fits
into the fastest cache to one that does not, at batch 1, where weights are fetched for one input, and at batch 64,
where each serves many.

Reference: Han et al., Deep Compression, 2015, arXiv 1510.00149, section 6.3, which times batch 1 and 64.

Where we simplify: one block size, one thread, zeros at random places. At work: your own layers and masks.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from efflab.measure.break_even import BreakEven, KernelSpeed, KernelStopwatch, break_even, line_of
from efflab.measure.speed import SpeedError

POINT_S, WEIGHT_S = 0.02, 0.12e-6
"""What a point takes besides its timing, about, and for each weight of its matrix: it is made and warmed up, and a
large one takes longer for its six rounds."""
CLOSE = 0.1
"""A break-even is known when a point that is not faster and one that is are no further apart than this."""
LAST = 0.99
"""Above this fraction of zeros hardly a weight is left, so nobody is asked for a point there."""


@dataclass(frozen=True)
class Grid:
    """Which products are timed: each layout, size, batch and sparsity. `seconds` is how long each of them is timed.

    sizes are (rows, columns), outputs and inputs of a layer; sparsities are fractions of zeros, with "bsr" of blocks.
    """

    layouts: tuple[str, ...] = ("csr", "bsr")
    sizes: tuple[tuple[int, int], ...] = ((256, 256), (512, 512), (1024, 1024), (4096, 1024))
    batches: tuple[int, ...] = (1, 64)
    sparsities: tuple[float, ...] = (0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.99)
    block: int = 4
    threads: int = 1
    seconds: float = 0.3

    @property
    def n_points(self) -> int:
        """How many products are timed."""
        return len(self.layouts) * len(self.sizes) * len(self.batches) * len(self.sparsities)

    @property
    def about_s(self) -> float:
        """How many seconds that takes, about."""
        weights = sum(rows * columns for rows, columns in self.sizes) * self.n_points / max(1, len(self.sizes))
        return self.n_points * (self.seconds + POINT_S) + weights * WEIGHT_S

    def knows(self, one: BreakEven) -> bool:
        """Whether the points lie close enough to say where the break-even is, or that it is below the whole grid."""
        if one.sparsity is None:
            return False
        if one.not_yet is None:
            return one.sparsity <= min(self.sparsities)
        return one.sparsity - one.not_yet < CLOSE + 1e-9


def bracket(one: BreakEven) -> tuple[float, float] | None:
    """Between which two sparsities the break-even lies; None until they are no further apart than `CLOSE`."""
    low = one.not_yet or 0.0
    return None if one.sparsity is None or one.sparsity - low >= CLOSE + 1e-9 else (low, one.sparsity)


def still_needed(one: BreakEven) -> tuple[float, float] | None:
    """Between which sparsities a point is missing for a `bracket`; None if there is one, or no room for a point.

    Where one point can be enough, the ends are those between which it is, whichever way it turns out.
    """
    if bracket(one) is not None or (one.sparsity is None and one.not_yet is None):
        return None
    low, high = one.not_yet or 0.0, 1.0 if one.sparsity is None else one.sparsity
    if one.sparsity is None:
        return (low, high) if low < LAST - 1e-9 else None
    is_one_enough = one.not_yet is not None and high - low <= 2 * CLOSE + 1e-9
    return (round(high - CLOSE, 4), round(low + CLOSE, 4)) if is_one_enough else (low, high)


def measure_grid(
    stopwatch: KernelStopwatch,
    grid: Grid | None = None,
    *,
    known: Iterable[KernelSpeed] = (),
    stale: Callable[[], bool] | None = None,
) -> Iterator[KernelSpeed]:
    """Measure the whole grid, one point at a time; ends early when `stale` turns true.

    A layout that fails does not take the next one with it.

    Args:
        stopwatch: what times; it stays up afterwards.
        grid: what to measure; the usual one if not given.
        known: points that were measured before; they are measured again, but last.
        stale: says whether the rest is not wanted any more.

    Raises:
        ValueError: a value of the grid is out of its range; said when its point is reached.
        SpeedError: a layout could not be measured to its end; said after the others were.

    Reference: Han et al., 2015, arXiv 1510.00149, section 6.3.
    """
    grid, errors = grid or Grid(), dict[str, SpeedError]()
    for layout, size, batch, sparsity in _settings(grid, known):
        if stale and stale():
            return
        if layout in errors:
            continue
        try:
            yield from break_even(
                stopwatch,
                layout,
                sizes=(size,),
                batches=(batch,),
                sparsities=(sparsity,),
                block=grid.block,
                threads=grid.threads,
                seconds=grid.seconds,
                stale=stale,
            )
        except SpeedError as error:
            errors[layout] = error
    if errors:
        raise next(iter(errors.values()))


def _settings(grid: Grid, known: Iterable[KernelSpeed]) -> list[tuple[str, tuple[int, int], int, float]]:
    """Layout, size, batch and sparsity of each point, in order; those that are known last."""
    there = {(line_of(point), point.sparsity) for point in known}

    def is_known(setting: tuple[str, tuple[int, int], int, float]) -> bool:
        layout, size, batch, sparsity = setting
        return ((layout, grid.block if layout == "bsr" else 1, *size, batch, grid.threads), sparsity) in there

    return sorted(itertools.product(grid.layouts, grid.sizes, grid.batches, grid.sparsities), key=is_known)
