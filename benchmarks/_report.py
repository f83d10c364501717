"""What every benchmark shares: interleaved timing of base and candidate, and a table with the versions it ran with.

A benchmark prints a ratio from one run; absolute times on shared machines mean little. `interleave` runs A, B, A, B ...
so that both meet the same noise, and the medians are compared.
"""

import platform
import statistics
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import TypeVar

Result = TypeVar("Result")
LIBRARIES = ("torch", "onnxruntime", "plotly", "ipywidgets", "jupyterlab")


def interleave(base: Callable[[], object], candidate: Callable[[], object], n: int) -> tuple[float, float]:
    """The median seconds of both, run in turns `n` times after one warm-up each."""
    times: dict[str, list[float]] = {"base": [], "candidate": []}
    base(), candidate()
    for _ in range(n):
        for name, run in (("base", base), ("candidate", candidate)):
            times[name].append(timed(run)[1])
    return statistics.median(times["base"]), statistics.median(times["candidate"])


def timed(run: Callable[[], Result]) -> tuple[Result, float]:
    """What a function returns, and the seconds that it took."""
    start = time.perf_counter()
    result = run()
    return result, time.perf_counter() - start


def compare(
    title: str, base: tuple[str, float], candidate: tuple[str, float], goal: float, *, unit: str = "ms"
) -> None:
    """Print both numbers and their ratio, candidate / base, beside the goal (at most)."""
    (base_name, a), (candidate_name, b) = base, candidate
    print(f"\n{title}")
    print(f"  {base_name:<52} {a:10.3f} {unit}")
    print(f"  {candidate_name:<52} {b:10.3f} {unit}")
    print(f"  {'ratio':<52} {b / a:10.3f} (goal: at most {goal:g}) {'reached' if b / a <= goal else 'NOT reached'}")
    versions()


def versions() -> None:
    """Print what this ran with."""
    parts = [f"{name} {version(name)}" for name in LIBRARIES]
    print(f"  Python {platform.python_version()}, {', '.join(parts)}; {_processor()}")


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.processor())
