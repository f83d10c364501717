"""The break-even of this machine, kept from one day to the next, so that a picture need not wait for it.

A machine is its processor's name, its number of cores and torch's version: points of another are not read.

Reference: `platformdirs`, where an operating system keeps files that may be lost.

Where we simplify, and what to use at work: see `efflab.measure.kept`.
"""

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from efflab.data.cache import cache_folder
from efflab.measure.break_even import KernelSpeed, latest
from efflab.measure.kept import Kept, read_kept, write_kept
from efflab.measure.speed import Speed, Timing
from efflab.measure.stopwatch import describe
from efflab.runtime.kernels import version

Points = tuple[KernelSpeed, ...]


def points_file() -> Path:
    """Where the points are kept unless another place is named: in $EFFLAB_CACHE or the user's cache folder."""
    return cache_folder() / "break_even.json"


def this_machine() -> str:
    """Processor, cores and torch's version, as `Speed.machine` spells them."""
    return describe(version())


def read_points(path: Path | None = None) -> Kept[Points]:
    """The points that were kept on this machine, each with its own date, or the reason why there are none to use.

    Reference: `platformdirs`.
    """
    return read_kept(path or points_file(), this_machine(), _points)


def write_points(points: Iterable[KernelSpeed], path: Path | None = None) -> Path:
    """Keep the points, in place of those before; returns the file. A reader sees the old file or the whole new one.

    Raises:
        SpeedError: the folder cannot be written.

    Reference: `platformdirs`.
    """
    values = {"points": [dataclasses.asdict(point) for point in points]}
    return write_kept(path or points_file(), "the break-even", this_machine(), values)


def add_points(points: Iterable[KernelSpeed], path: Path | None = None) -> Path:
    """Keep the points beside those of this machine that are kept already; of equal settings the later one stays.

    Points of another machine, and a damaged file, are replaced. Returns the file.

    Raises:
        SpeedError: the folder cannot be written.

    Reference: `platformdirs`.
    """
    return write_points(latest((*(read_points(path).content or ()), *points)), path)


def _points(kept: dict[str, Any]) -> Points:
    return tuple(_point(**values) for values in kept["points"])


def _point(*, speed: dict[str, Any], **values: Any) -> KernelSpeed:
    timings = {"base": Timing(**speed["base"]), "now": Timing(**speed["now"])}
    return KernelSpeed(**values, speed=Speed(**(speed | timings)))
