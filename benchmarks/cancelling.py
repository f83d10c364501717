"""How long a running measurement takes to end once a newer setting makes it stale. Goal: 100 ms.

Each measurement would run for half a minute. At a random moment within its first second `stale` turns true, and the
clock runs from that moment until `compare` has returned. Everything is in there: the next time that somebody looks, the
word to the subprocess, the run that it is in the middle of, and, where that takes too long, killing it. The first one
is not counted, for it also starts the subprocess; after a kill the next one finds a new one starting, as it would while
somebody moves a slider.
"""

import random
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from _report import versions

from efflab import models
from efflab.measure.kernel_speed import KernelStopwatch
from efflab.measure.speed import Stopwatch, TorchStopwatch
from efflab.measure.speed_process import Standby
from efflab.runtime import export, export_eager

NETWORK, SHAPE, BATCH = "lenet5-scattered", (1, 28, 28), 64
ROWS, COLUMNS, SPARSITY = 4096, 1024, 0.9
N = 40
LATEST_S = 1.0
GOAL_MS = 100
Compare = Callable[[Callable[[], bool]], object]


def cancelled_ms(compare: Compare, after_s: float) -> float:
    """Milliseconds from the moment when `stale` turned true, so many seconds after the start, to the return."""
    is_stale, moments = threading.Event(), list[float]()

    def turn() -> None:
        moments.append(time.perf_counter())
        is_stale.set()

    timer = threading.Timer(after_s, turn)
    timer.start()
    answer = compare(is_stale.is_set)
    returned = time.perf_counter()
    timer.join()
    assert answer is None, "it ended before it was cancelled"
    return (returned - moments[0]) * 1e3


def report(name: str, stopwatch: Standby, compare: Compare) -> None:
    """Cancel so many comparisons, and print the median and the worst, and how often the subprocess was killed."""
    draw = random.Random(0)
    cancelled_ms(compare, LATEST_S)
    times, kills = [], 0
    for _ in range(N):
        times.append(cancelled_ms(compare, draw.uniform(0, LATEST_S)))
        kills += stopwatch.pid is None
    late = sum(one > GOAL_MS for one in times)
    print(
        f"{name:<44} median {statistics.median(times):6.1f} ms, worst {max(times):6.1f} ms; {late} of {N} over "
        f"{GOAL_MS} ms; {kills} killed"
    )


def main() -> None:
    """The two networks' stopwatches, and that of the kernels."""
    with (
        tempfile.TemporaryDirectory() as folder,
        Stopwatch() as session,
        TorchStopwatch() as eager,
        KernelStopwatch() as kernels,
    ):
        model = models.load(NETWORK)
        onnx, graph = (write(model, SHAPE, Path(folder)) for write in (export, export_eager))
        report(
            f"{NETWORK}, batch {BATCH}, ONNX Runtime",
            session,
            lambda stale: session.compare(onnx, onnx, shape=SHAPE, batch=BATCH, seconds=30, stale=stale),
        )
        report(
            f"{NETWORK}, batch {BATCH}, torch",
            eager,
            lambda stale: eager.compare(graph, graph, shape=SHAPE, batch=BATCH, seconds=30, stale=stale),
        )
        for layout in ("csr", "bsr"):
            settings = {"rows": ROWS, "columns": COLUMNS, "sparsity": SPARSITY, "seconds": 30.0}
            report(
                f"{layout} {ROWS}x{COLUMNS}, batch {BATCH}",
                kernels,
                lambda stale, layout=layout, settings=settings: kernels.compare(
                    layout, batch=BATCH, block=4, stale=stale, **settings
                ),
            )
    versions()


if __name__ == "__main__":
    main()
