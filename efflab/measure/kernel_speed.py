"""How fast a sparse matrix product is beside the dense one, for one matrix size, batch and sparsity.

The matrices are random, because only their size and the places of their zeros decide the time. They are made and
multiplied in a subprocess, by torch, in the same rounds as networks: dense, dense again for the noise floor, sparse.

Reference: Han et al., Deep Compression, 2015, arXiv 1510.00149, section 6.3.

Where we simplify: zeros at random places, where those of a trained network are rather in rows and columns of their
own. At work: `torch.utils.benchmark`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

from efflab.measure.size import VALUE_BYTES
from efflab.measure.speed import Speed, check_counts, check_seconds, summarise
from efflab.measure.speed_process import KERNELS, Standby
from efflab.runtime.kernels import LAYOUTS

POSITION_BYTES = 4
"""Bytes of a column number or of a row's start, as `kernels.to_layout` stores them."""


@dataclass(frozen=True)
class KernelSpeed:
    """A product of inputs (batch, columns) with a weight (rows, columns), timed beside the dense one on this machine.

    `sparsity` is the fraction of zeros, 0-1, and `block` the side of the square blocks in which they lie (1: each
    for itself). In `speed` the base is dense and now is `layout`; batch, threads and machine are there too. `date`
    says when it was measured (UTC, ISO 8601).
    """

    layout: str
    rows: int
    columns: int
    sparsity: float
    block: int
    speed: Speed
    date: str = ""

    @property
    def is_faster(self) -> bool:
        """Whether it is faster than dense, by more than the noise floor."""
        return self.speed.is_different and self.speed.ratio < 1

    @property
    def is_telling(self) -> bool:
        """Whether it says anything: no difference on a busy machine may be one that was only not seen."""
        return self.speed.is_different or not self.speed.busy

    @property
    def dense_bytes(self) -> int:
        """Bytes of the dense weight in memory, zeros included; computed."""
        return stored_bytes("dense", self.rows, self.columns)

    @property
    def stored_bytes(self) -> int:
        """Bytes of the weight in `layout` in memory: values, their columns, and where each row starts; computed."""
        return stored_bytes(self.layout, self.rows, self.columns, sparsity=self.sparsity, block=self.block)


class KernelStopwatch(Standby):
    """Times matrix products in a subprocess of its own, which loads torch at the first use (seconds) and stays up.

    Any thread may use it; one comparison runs at a time.

    Example:
        with KernelStopwatch() as stopwatch:
            point = stopwatch.compare("csr", rows=1024, columns=1024, sparsity=0.9)
    """

    runtime = KERNELS

    def compare(
        self,
        layout: str,
        *,
        rows: int,
        columns: int,
        sparsity: float,
        batch: int = 1,
        block: int = 4,
        threads: int = 1,
        seconds: float = 0.3,
        seed: int = 0,
        stale: Callable[[], bool] | None = None,
    ) -> KernelSpeed | None:
        """Time `layout` against dense, or None when `stale` turned true or `close` was called meanwhile.

        A stale comparison stops between two blocks; the subprocess is killed if that takes more than 30 ms.

        Args:
            layout: "csr", "bsr", or "dense", which is dense against itself.
            rows: outputs of the layer.
            columns: inputs of the layer.
            sparsity: the fraction of zeros, 0-1; with "bsr", of blocks that are zero.
            batch: inputs in a run.
            block: the side of a block, which divides rows and columns; for "bsr" only.
            threads: threads that a run may use.
            seconds: how long to time; products of which six rounds take longer take longer.
            seed: of the numbers and the places of the zeros.
            stale: says whether the answer is not wanted any more.

        Raises:
            ValueError: a value is out of its range, or the block does not divide the matrix.
            SpeedError: the subprocess died or hung, or this torch has no such product.

        Reference: Han et al., 2015, arXiv 1510.00149, section 6.3.
        """
        block = block if layout == "bsr" else 1
        check_counts(rows=rows, columns=columns, batch=batch, block=block, threads=threads)
        check_seconds(seconds)
        _check_matrix(layout, rows, columns, sparsity, block)
        request: dict[str, Any] = {"layout": layout, "rows": rows, "columns": columns, "sparsity": float(sparsity)}
        request |= {"batch": batch, "block": block, "threads": threads, "seconds": seconds, "seed": seed}
        answer = self.ask(request, f"{layout} {rows}x{columns} at batch {batch}", stale)
        if answer is None:
            return None
        speed = summarise(answer, batch=batch, threads=threads, machine=answer["machine"])
        date = datetime.now(UTC).isoformat(timespec="seconds")
        return KernelSpeed(layout, rows, columns, float(sparsity), block, speed, date)


def stored_bytes(layout: str, rows: int, columns: int, *, sparsity: float = 0.0, block: int = 1) -> int:
    """Bytes of a weight (rows, columns) of 32-bit floats in memory, in the layout of the kernel; computed.

    Where `efflab.measure.size.csr_bytes` counts what a file would need, with columns of 16 bits if those are enough,
    the kernel wants 32 bits for each.

    Reference: torch.sparse.
    """
    if layout == "dense":
        return VALUE_BYTES * rows * columns
    block = block if layout == "bsr" else 1
    n_blocks = rows // block * (columns // block)
    n_kept = n_blocks - round(sparsity * n_blocks)
    return VALUE_BYTES * n_kept * block**2 + POSITION_BYTES * (n_kept + rows // block + 1)


@cache
def kernel_stopwatch() -> KernelStopwatch:
    """The one that all of this process share: a second subprocess would only disturb the first."""
    return KernelStopwatch()


def _check_matrix(layout: str, rows: int, columns: int, sparsity: float, block: int) -> None:
    if layout not in LAYOUTS:
        raise ValueError(f"layout must be one of {', '.join(LAYOUTS)}, not {layout!r}")
    if not 0 <= sparsity <= 1:
        raise ValueError(f"sparsity must be a fraction from 0 to 1, not {sparsity!r}")
    if rows % block or columns % block:
        raise ValueError(f"block must divide both sides of the {rows}x{columns} matrix, which {block} does not")
