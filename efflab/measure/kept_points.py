"""The break-even of this machine, kept from one day to the next, so that a picture need not wait for it.

A machine is its processor's name, its number of cores and torch's version: points of another are not read.

Reference: `platformdirs`, where an operating system keeps files that may be lost.

Where we simplify, and what to use at work: see `efflab.measure.kept`.
"""

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from efflab.data.cache import cache_folder
from efflab.measure.break_even import KernelSpeed, latest
from efflab.measure.kept import read_kept, write_kept
from efflab.measure.speed import Speed, SpeedError, Timing
from efflab.measure.stopwatch import describe
from efflab.runtime.kernels import version


@dataclass(frozen=True)
class KeptPoints:
    """What was measured on this machine before, and when it was kept (UTC, ISO 8601); or none, and in `reason` why.

    Each point has its own date of measurement.
    """

    points: tuple[KernelSpeed, ...] = ()
    date: str = ""
    reason: str = ""


def points_file() -> Path:
    """Where the points are kept unless another place is named: in $EFFLAB_CACHE or the user's cache folder."""
    return cache_folder() / "break_even.json"


def this_machine() -> str:
    """Processor, cores and torch's version, as `Speed.machine` spells them."""
    return describe(version())


def read_points(path: Path | None = None) -> KeptPoints:
    """The points that were kept on this machine, or the reason why there are none to use.

    Reference: `platformdirs`.
    """
    kept = read_kept(path or points_file(), this_machine(), _points)
    return KeptPoints(kept.content or (), kept.date, kept.reason)


def write_points(points: Iterable[KernelSpeed], path: Path | None = None) -> Path:
    """Keep the points, in place of those before; returns the file. A reader sees the old file or the whole new one.

    Raises:
        SpeedError: the folder cannot be written.

    Reference: `platformdirs`.
    """
    path = path or points_file()
    try:
        write_kept(path, this_machine(), {"points": [dataclasses.asdict(point) for point in points]})
    except OSError as error:
        raise SpeedError(
            f"the break-even cannot be kept in {path.parent} ({error.strerror or error}); set EFFLAB_CACHE to a folder "
            "that can be written"
        ) from error
    return path


def add_points(points: Iterable[KernelSpeed], path: Path | None = None) -> Path:
    """Keep the points beside those of this machine that are kept already; of equal settings the later one stays.

    Points of another machine, and a damaged file, are replaced. Returns the file.

    Raises:
        SpeedError: the folder cannot be written.

    Reference: `platformdirs`.
    """
    return write_points(latest((*read_points(path).points, *points)), path)


def _points(kept: dict[str, Any]) -> tuple[KernelSpeed, ...]:
    return tuple(_point(**values) for values in kept["points"])


def _point(*, speed: dict[str, Any], **values: Any) -> KernelSpeed:
    timings = {"base": Timing(**speed["base"]), "now": Timing(**speed["now"])}
    return KernelSpeed(**values, speed=Speed(**(speed | timings)))
