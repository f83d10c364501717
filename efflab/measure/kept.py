"""What was measured on this machine, kept from one day to the next in a file of its own.

A number that was measured elsewhere, or with another library, says nothing here: the file names its machine, and only
what is of this one is read. A file that is damaged, or not ours, is never an error, only a reason to measure again.

Reference: `platformdirs`, where an operating system keeps files that may be lost.

Where we simplify: a machine is one line of text; a change of power plan or of memory goes unnoticed. At work: oneDNN
and FFTW keep such measurements too, as "wisdom" or tuning caches.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Generic, TypeVar

from efflab.data.files import replacing
from efflab.measure.speed_process import SpeedError

T = TypeVar("T")
Values = dict[str, Any]


@dataclass(frozen=True)
class Kept(Generic[T]):
    """What was kept and when (UTC, ISO 8601); or None, and in `reason` why."""

    content: T | None = None
    date: str = ""
    reason: str = ""


def read_kept(path: Path, machine: str, parse: Callable[[Values], T]) -> Kept[T]:
    """What `write_kept` kept in the file on this `machine`, or the reason why there is nothing to use.

    Args:
        path: the file.
        machine: this machine, as it was given to `write_kept`.
        parse: makes the result from the values of the file; what is not ours makes it raise ValueError, KeyError or
            TypeError.

    Reference: `platformdirs`.
    """
    try:
        kept = _checked(path.read_text(encoding="utf-8"))
        content = parse(kept)
        written_on, date = kept["machine"], kept["date"]
    except FileNotFoundError:
        return Kept(reason="nothing was measured on this machine yet")
    except (OSError, ValueError, KeyError, TypeError):
        return Kept(reason=f"{path} is damaged or was not written by this efflab, so it is not used; measure again")
    if written_on != machine:
        return Kept(reason=f"{path} was measured on {written_on}, and this is {machine}; measure again")
    return Kept(content, date)


def write_kept(path: Path, what: str, machine: str, values: Values) -> Path:
    """Keep `values` (what JSON can hold) in place of those before; returns the file.

    A reader sees the old file or the whole new one.

    Args:
        path: the file.
        what: how a sentence calls the values: "the roofline".
        machine: this machine, in one line.
        values: what is kept.

    Raises:
        SpeedError: the folder cannot be written.

    Reference: `platformdirs`.
    """
    kept = {"machine": machine, "date": datetime.now(UTC).isoformat(timespec="seconds"), **values}
    try:
        with replacing(path) as temporary:
            temporary.write_text(json.dumps({"sha256": checksum(kept), "kept": kept}, indent=1), encoding="utf-8")
    except OSError as error:
        raise SpeedError(
            f"{what} cannot be kept in {path.parent} ({error.strerror or error}); set EFFLAB_CACHE to a folder that "
            "can be written"
        ) from error
    return path


def checksum(kept: object) -> str:
    """By which a file that was cut off or changed is told from a whole one."""
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()


def _checked(text: str) -> Values:
    content = json.loads(text)
    kept: Values = content["kept"]
    if content["sha256"] != checksum(kept):
        raise ValueError("the checksum does not agree")
    return kept
