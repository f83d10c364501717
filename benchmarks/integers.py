"""Integers on the clock: int8 over float32 in ONNX Runtime, and how long it takes to know.

Each network is run in all the ways of `lab.kernels`, file against file, batch 1 on one thread, and judged from the
files. The goal for the wide network holds where the processor has VNNI; without it, products of 8 bits are hardly
faster than those of floats, and may saturate. Few channels gain little, and weights alone lose.

The second table is what a slider waits for: writing the integers, opening a session and timing it.
"""

import statistics
import tempfile
import time
from pathlib import Path

import torch
from _report import versions

from efflab import Lab, fold_batch_norms, quantize_activations, quantize_weights, step
from efflab.lab.kernels import Kernel
from efflab.measure.machine import describe_machine
from efflab.measure.speed import Stopwatch
from efflab.quantize import may_saturate
from efflab.runtime import export, export_integers

NETWORKS = ("cnn64-scattered", "resnet8-scattered", "mlp-scattered")
FASTER = {"cnn64-scattered": 2.5}
"""Times faster than float32, for int8 static on a processor with VNNI."""
SOON = 1.0
"""Seconds from a quantized network to a measured speed."""
N_RUNS = 7


def ways(name: str) -> None:
    """One line for each way to run a network."""
    for row in Lab.open(name).kernels():
        if not isinstance(row, Kernel):
            print(f"  {name:<18} {row.way:<21} not possible: {row.reason}")
            continue
        faster, low, high = (1 / r for r in (row.speed.ratio, row.speed.ratio_high, row.speed.ratio_low))
        line = f"  {name:<18} {row.way:<21} {row.n_integer:2d} of {len(row.layers):2d} {row.n_bytes:9,d}"
        line += f" {100 * row.evaluation.value:5.1f} % {row.speed.now.median_ms:6.3f} ms"
        line += f" {faster:5.2f}x ({low:.2f} to {high:.2f})"
        print(line + goal(name, row.way, faster) + (", busy" if row.speed.busy else ""))


def goal(name: str, way: str, faster: float) -> str:
    """The verdict on a line that has a goal on this machine."""
    if way != "int8 static" or name not in FASTER:
        return ""
    if not describe_machine().has("VNNI"):
        return f"  goal {FASTER[name]}x is for VNNI, which this processor has not"
    return f"  goal {FASTER[name]}x: {'reached' if faster >= FASTER[name] else 'NOT reached'}"


def how_soon(name: str) -> None:
    """The median seconds from a quantized network to its measured speed, and what of it is writing."""
    lab = Lab.open(name)
    steps = (step(fold_batch_norms), step(quantize_weights), step(quantize_activations))
    quantized = lab.build(steps if "mlp" not in name else steps[1:])
    writing, whole = [], []
    with tempfile.TemporaryDirectory() as folder, Stopwatch() as stopwatch:
        base = export(lab.build(()), lab.data.shape, Path(folder), "base")
        for run in range(N_RUNS + 1):
            start = time.perf_counter()
            made = export_integers(quantized, lab.data.shape, Path(folder))
            written = time.perf_counter()
            stopwatch.compare(base, made, shape=lab.data.shape)
            if run:  # the first one starts the subprocess
                writing.append(written - start)
                whole.append(time.perf_counter() - start)
    median = statistics.median(whole)
    reached = "reached" if median <= SOON else "NOT reached"
    print(f"  {name:<18} {statistics.median(writing):8.3f} s {median:8.3f} s (goal: at most {SOON:g} s) {reached}")


def main() -> None:
    """Both tables."""
    torch.set_num_threads(1)
    print("\nways to run a network in ONNX Runtime, batch 1, one thread; accuracy on validation data, from the files")
    heads = f"{'integers':>8} {'bytes':>9} {'right':>7} {'one run':>9} {'faster':>6} (95 % interval)"
    print(f"  {'network':<18} {'way':<21} {heads}")
    for name in NETWORKS:
        ways(name)
    print(f"  products of 8 bits {'may saturate' if may_saturate(describe_machine()) else 'do not saturate'} here")
    versions()
    print("\nfrom a quantized network to a measured speed: export_integers, session and timing")
    print(f"  {'network':<18} {'writing':>10} {'all':>10}")
    for name in NETWORKS:
        how_soon(name)
    versions()


if __name__ == "__main__":
    main()
