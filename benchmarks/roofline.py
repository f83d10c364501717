"""The roofline's peak against numpy's and torch's own matrix product, run in turns; and its bandwidth against a copy.

The peak comes from ONNX Runtime, because the layers held against it run there. If another library were much faster, a
layer would look better than it is. The candidate is the time that the roofline says a product takes at best.
"""

import numpy as np
import torch
from _report import compare, interleave
from threadpoolctl import threadpool_limits

from efflab.measure.roofline import LimitsStopwatch, Roofline
from efflab.runtime.limits import SIZES, product_flops

ROUNDS = 5
ARRAY = 2**25
"""Numbers in the array that is copied: 128 MiB."""


def measured(stopwatch: LimitsStopwatch) -> Roofline:
    """One more measurement; the machine changes its pace, so it takes turns with what it is compared with."""
    roofline = stopwatch.measure(seconds=0.3)
    assert roofline is not None, "nobody stopped the measurement"
    return roofline


def best_gflops(base: str, size: int) -> float:
    """GFLOP/s of one library's product of two `size` x `size` matrices, the median of many."""
    a, b = np.random.default_rng(0).random((2, size, size), dtype=np.float32)
    out, x, y = np.empty_like(a), torch.from_numpy(a), torch.from_numpy(b)
    z = torch.empty_like(x)
    run = {"numpy": lambda: np.matmul(a, b, out=out), "torch": lambda: torch.mm(x, y, out=z)}[base]
    seconds, _ = interleave(run, lambda: None, 15)
    return product_flops(size) / seconds / 1e9


def copied_gb_per_s() -> float:
    """GB/s of numpy's copy, bytes read plus bytes written."""
    a, b = np.ones(ARRAY, np.float32), np.zeros(ARRAY, np.float32)
    seconds, _ = interleave(lambda: np.copyto(b, a), lambda: None, 9)
    return 2 * a.nbytes / seconds / 1e9


def main() -> None:
    """Medians over rounds in which everything is measured once; one thread."""
    torch.set_num_threads(1)
    rates: dict[str, list[float]] = {"peak": [], "bandwidth": [], "numpy": [], "torch": [], "copy": []}
    with LimitsStopwatch() as stopwatch, threadpool_limits(1):  # numpy's products would take all cores
        for _ in range(ROUNDS):
            roofline = measured(stopwatch)
            rates["peak"].append(roofline.peak_flops / 1e9)
            rates["bandwidth"].append(roofline.bandwidth_bytes_per_s / 1e9)
            for library in ("numpy", "torch"):
                rates[library].append(max(best_gflops(library, size) for size in SIZES))
            rates["copy"].append(copied_gb_per_s())
    median = {name: float(np.median(values)) for name, values in rates.items()}
    for name, rival, unit in (
        ("peak", "numpy", "GFLOP/s"),
        ("peak", "torch", "GFLOP/s"),
        ("bandwidth", "copy", "GB/s"),
    ):
        title, ours = f"{rival} over the roofline's {name}", (f"roofline, {name}", median[name])
        compare(title, ours, (rival, median[rival]), goal=1.25, unit=unit)


if __name__ == "__main__":
    main()
