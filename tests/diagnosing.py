"""Instruments for a diagnosis that answer at once, so that tests need no seconds of measuring."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from efflab.figures.diagnosis import BADGES
from efflab.lab import diagnosis
from efflab.measure.energy import EnergyUse
from efflab.measure.kept import Kept
from efflab.measure.layer_speed import LayerTimes, NodeTime
from efflab.measure.memory import MeasuredMemory
from efflab.measure.roofline import Roofline
from efflab.measure.speed import summarise

PIECES = ("time", "layers", "layers", "energy", "energy", "energy", "energy", "memory", "memory", "roofline")
"""What is asked when no roofline was kept, in order; the two memories may change places."""
N_REASONS = len(BADGES)
"""Each reason has a badge."""
ROOF = Roofline(peak_flops=80e9, bandwidth_bytes_per_s=20e9, threads=1, contention=0.0, machine="a machine")
ENERGY = EnergyUse(0.012, 12.0, 0.001, 100, 1, is_measured=False, reason="there is no counter", machine="a machine")


class Instruments:
    """Stands in for all that takes time. `before` is called with the name of each piece that is asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.before: Callable[[str], object] = lambda piece: None
        self.kept: Kept[Roofline] = Kept(ROOF, "2026-01-02T03:04:05+00:00")
        self.written: list[Roofline] = []
        self.energy, self.overhead_ms = ENERGY, 0.4
        self.contention = self.layer_contention = 0.0
        self.joules_per_run: Iterator[float] = itertools.repeat(ENERGY.joules_per_run)

    @property
    def pieces(self) -> list[str]:
        return [piece for piece, _ in self.asked]

    def compare(self, base: Any, now: Any, **asked: Any) -> Any:
        answer = {"rounds": [[0.001, 0.001, 0.001]] * 8, "wall_s": 1.0, "cpu_s": 1.0 - self.contention}
        speed = summarise(answer, batch=asked["batch"], threads=asked["threads"], machine="a machine")
        files = {"base": base.path, "now": now.path, "bytes": (base.path.read_bytes(), now.path.read_bytes())}
        return self._answer("time", asked | files, speed)

    def layers(self, _: Any, artefact: Any, **asked: Any) -> Any:
        nodes = tuple(NodeTime(name, "Gemm", name, (), 0.2, 100) for name in ("hidden1", "hidden2", "output"))
        sizes = asked["batch"], asked["threads"]
        times = LayerTimes(nodes, 0.6 + self.overhead_ms, 0.001, *sizes, self.layer_contention, "a machine")
        return self._answer("layers", asked, times)

    def joules(self, _: Any, artefact: Any, **asked: Any) -> Any:
        return self._answer(
            "energy", asked, replace(self.energy, batch=asked["batch"], joules_per_run=next(self.joules_per_run))
        )

    def memory(self, artefact: Any, **asked: Any) -> Any:
        return self._answer("memory", asked, MeasuredMemory(10_000, 2_000, asked["batch"], None, "onnxruntime"))

    def measure(self, **asked: Any) -> Any:
        return self._answer("roofline", asked, replace(ROOF, threads=asked["threads"]))

    def write(self, roofline: Roofline) -> Path:
        self.before("write")
        self.written.append(roofline)
        return Path("roofline.json")

    def __enter__(self) -> "Instruments":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def _answer(self, piece: str, asked: dict[str, Any], answer: object) -> object:
        self.asked.append((piece, asked))
        self.before(piece)
        return None if asked["stale"]() else answer


def install(monkeypatch: pytest.MonkeyPatch) -> Instruments:
    """Put the instruments in the place of the real ones."""
    made = Instruments()
    names = {
        "stopwatch": lambda: made,
        "measure_layers": made.layers,
        "measure_energy": made.joules,
        "measure_memory": made.memory,
        "LimitsStopwatch": lambda: made,
        "read_roofline": lambda threads: made.kept,
        "write_roofline": made.write,
    }
    for name, stand_in in names.items():
        monkeypatch.setattr(diagnosis, name, stand_in)
    return made
