"""The points from which the break-even of one machine is drawn, and how long they take.

A break-even moves with the matrix and the batch, so one product says little: the grid goes from a matrix that fits
into the fastest cache to one that does not, at batch 1, where weights are fetched for one input, and at batch 64,
where each serves many.

Reference: Han et al., Deep Compression, 2015, arXiv 1510.00149, section 6.3, which times batch 1 and 64.

Where we simplify: one block size, one thread, zeros at random places. At work: your own layers and masks.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from efflab.measure.break_even import BreakEven, KernelSpeed, KernelStopwatch, break_even
from efflab.measure.speed import SpeedError

POINT_S = 0.15
"""What a point takes besides its timing, about: matrices are made and warmed up, and large ones take six rounds."""
CLOSE = 0.1
"""A break-even is known when a point that is not faster and one that is are no further apart than this."""


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
        return self.n_points * (self.seconds + POINT_S)

    def knows(self, one: BreakEven) -> bool:
        """Whether the points lie close enough to say where the break-even is, or that it is below the whole grid."""
        if one.sparsity is None:
            return False
        if one.not_yet is None:
            return one.sparsity <= min(self.sparsities)
        return one.sparsity - one.not_yet < CLOSE + 1e-9


def measure_grid(
    stopwatch: KernelStopwatch, grid: Grid | None = None, *, stale: Callable[[], bool] | None = None
) -> Iterator[KernelSpeed]:
    """Measure the whole grid, one point at a time; ends early when `stale` turns true.

    A layout that fails does not take the next one with it.

    Args:
        stopwatch: what times; it stays up afterwards.
        grid: what to measure; the usual one if not given.
        stale: says whether the rest is not wanted any more.

    Raises:
        ValueError: a value of the grid is out of its range; said when its point is reached.
        SpeedError: a layout could not be measured to its end; said after the others were.

    Reference: Han et al., 2015, arXiv 1510.00149, section 6.3.
    """
    grid, errors = grid or Grid(), []
    for layout in grid.layouts:
        if stale and stale():
            return
        try:
            yield from break_even(
                stopwatch,
                layout,
                sizes=grid.sizes,
                batches=grid.batches,
                sparsities=grid.sparsities,
                block=grid.block,
                threads=grid.threads,
                seconds=grid.seconds,
                stale=stale,
            )
        except SpeedError as error:
            errors.append(error)
    if errors:
        raise errors[0]
