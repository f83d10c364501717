"""From which sparsity on is a sparse product faster than a dense one, on this machine?

A zero that is left out costs nothing, but each number that stays costs more than a dense one: its place must be
looked up, and fewer numbers fit into one instruction. So there is a sparsity below which sparse loses. It is not a
constant of nature: it moves with the matrix, the batch, the block and the processor, so it is measured here.

Reference: Han et al., Deep Compression, 2015, arXiv 1510.00149, section 6.3.

Where we simplify: a break-even is known only as well as the sparsities that were tried are close. At work: measure
your own layers, with your own masks.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from efflab.measure.kernel_speed import KernelSpeed, KernelStopwatch

__all__ = ["BreakEven", "KernelSpeed", "KernelStopwatch", "break_even", "frontier", "latest"]

Line = tuple[str, int, int, int, int, int]
"""What has one break-even: layout, block, rows, columns, batch and threads."""


@dataclass(frozen=True)
class BreakEven:
    """Where sparse begins to be faster than dense, for one layout, matrix size and batch.

    `sparsity` is the smallest measured one from which on each is measurably faster, or None where there is none;
    `not_yet` is the largest that is not, or None where all are. The true break-even lies between the two. `too_noisy`
    are those measured in so busy a moment that they say nothing, rising.
    """

    layout: str
    block: int
    rows: int
    columns: int
    batch: int
    threads: int
    sparsity: float | None
    not_yet: float | None
    too_noisy: tuple[float, ...] = ()


def break_even(
    stopwatch: KernelStopwatch,
    layout: str = "csr",
    *,
    sizes: Sequence[tuple[int, int]] = ((1024, 1024), (4096, 1024)),
    batches: Sequence[int] = (1, 64),
    sparsities: Sequence[float] = (0.5, 0.8, 0.9, 0.95, 0.99),
    block: int = 4,
    threads: int = 1,
    seconds: float = 0.3,
    seed: int = 0,
    stale: Callable[[], bool] | None = None,
) -> Iterator[KernelSpeed]:
    """Measure each size at each batch at each sparsity, one point at a time; ends early when `stale` turns true.

    Args:
        stopwatch: what times; it stays up afterwards.
        layout: "csr" or "bsr".
        sizes: (rows, columns) of each matrix: outputs and inputs of a layer.
        batches: inputs in a run.
        sparsities: fractions of zeros, 0-1; with "bsr", of blocks.
        block: the side of a block; for "bsr" only.
        threads: threads that a run may use.
        seconds: how long to time each point.
        seed: of the numbers and the places of the zeros.
        stale: says whether the rest is not wanted any more.

    Raises:
        ValueError: a value is out of its range; said when its point is reached.
        SpeedError: the subprocess died or hung, or this torch has no such product.

    Reference: Han et al., 2015, arXiv 1510.00149, section 6.3.
    """
    for (rows, columns), batch, sparsity in itertools.product(sizes, batches, sparsities):
        point = stopwatch.compare(
            layout,
            rows=rows,
            columns=columns,
            sparsity=sparsity,
            batch=batch,
            block=block,
            threads=threads,
            seconds=seconds,
            seed=seed,
            stale=stale,
        )
        if point is None:
            return
        yield point


def frontier(points: Iterable[KernelSpeed]) -> tuple[BreakEven, ...]:
    """The break-even of each layout, matrix size and batch among the points, in the order of their appearance.

    One lucky point below does not count: from the break-even on, each measured sparsity is faster. A point that shows
    no difference because the machine was busy says nothing, so it is left out; of two with the same settings the
    later one counts.

    Reference: Han et al., 2015, arXiv 1510.00149, section 6.3.
    """
    groups: dict[Line, dict[float, bool]] = {}
    noisy: dict[Line, list[float]] = {}
    for point in latest(points):
        group = groups.setdefault(line_of(point), {})
        if point.is_telling:
            group[point.sparsity] = point.is_faster
        else:
            noisy.setdefault(line_of(point), []).append(point.sparsity)
    return tuple(
        BreakEven(*line, *_ends(faster), tuple(sorted(noisy.get(line, ())))) for line, faster in groups.items()
    )


def latest(points: Iterable[KernelSpeed]) -> tuple[KernelSpeed, ...]:
    """Each setting once, as it was measured last, in the order of the first appearances.

    A point that says nothing, because the machine was busy, does not take the place of one that does.

    Reference: Han et al., 2015, arXiv 1510.00149, section 6.3.
    """
    found: dict[tuple[Line, float], KernelSpeed] = {}
    for point in points:
        setting = (line_of(point), point.sparsity)
        if setting not in found or point.is_telling or not found[setting].is_telling:
            found[setting] = point
    return tuple(found.values())


def line_of(point: KernelSpeed) -> Line:
    """All of its settings but the sparsity."""
    return (point.layout, point.block, point.rows, point.columns, point.speed.batch, point.speed.threads)


def _ends(faster: dict[float, bool]) -> tuple[float | None, float | None]:
    """The smallest sparsity from which on all are faster, and the largest that is not."""
    not_yet = max((sparsity for sparsity, is_faster in faster.items() if not is_faster), default=None)
    beyond = [sparsity for sparsity in faster if not_yet is None or sparsity > not_yet]
    return min(beyond, default=None), not_yet
