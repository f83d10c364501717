"""The break-even of this machine, kept from one day to the next, so that a picture need not wait for it.

A time that was measured elsewhere, or with another torch, says nothing here: the file names its machine, and only
points of this one are read. A file that is damaged, or not ours, is never an error, only a reason to measure again.

Reference: `platformdirs`, where an operating system keeps files that may be lost.

Where we simplify: the machine is its processor's name, its number of cores and torch's version; a change of power
plan or of memory goes unnoticed. At work: oneDNN and FFTW keep such measurements too, as "wisdom" or tuning caches.
"""

import contextlib
import dataclasses
import hashlib
import json
import os
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from efflab.data.cache import cache_folder
from efflab.measure.kernel_speed import KernelSpeed
from efflab.measure.speed import Speed, SpeedError, Timing
from efflab.measure.stopwatch import describe
from efflab.runtime.kernels import version


@dataclass(frozen=True)
class KeptPoints:
    """What was measured on this machine before, and when (UTC, ISO 8601); or none, and in `reason` why."""

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
    path = path or points_file()
    try:
        kept, points = _parse(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return KeptPoints(reason="nothing was measured on this machine yet")
    except (OSError, ValueError, KeyError, TypeError):
        return KeptPoints(
            reason=f"{path} is damaged or was not written by this efflab, so it is not used; measure again"
        )
    if kept["machine"] != this_machine():
        return KeptPoints(
            reason=f"{path} was measured on {kept['machine']}, and this is {this_machine()}; measure again"
        )
    return KeptPoints(points, kept["date"])


def write_points(points: Iterable[KernelSpeed], path: Path | None = None) -> Path:
    """Keep the points, in place of those before; returns the file. A reader sees the old file or the whole new one.

    Raises:
        SpeedError: the folder cannot be written.

    Reference: `platformdirs`.
    """
    path = path or points_file()
    kept = {
        "machine": this_machine(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "points": [dataclasses.asdict(point) for point in points],
    }
    try:
        _replace(path, json.dumps({"sha256": _checksum(kept), "kept": kept}, indent=1))
    except OSError as error:
        raise SpeedError(
            f"the break-even cannot be kept in {path.parent} ({error.strerror or error}); set EFFLAB_CACHE to a folder "
            "that can be written"
        ) from error
    return path


def _parse(text: str) -> tuple[dict[str, Any], tuple[KernelSpeed, ...]]:
    content = json.loads(text)
    kept = content["kept"]
    if content["sha256"] != _checksum(kept):
        raise ValueError("the checksum does not agree")
    return kept, tuple(_point(**values) for values in kept["points"])


def _point(*, speed: dict[str, Any], **values: Any) -> KernelSpeed:
    timings = {"base": Timing(**speed["base"]), "now": Timing(**speed["now"])}
    return KernelSpeed(**values, speed=Speed(**(speed | timings)))


def _checksum(kept: object) -> str:
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()


def _replace(path: Path, text: str) -> None:
    """Write under a name of its own, then rename."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
