"""Writing a text file so that it appears whole or not at all, whatever happens meanwhile."""

import itertools
import os
import tempfile
from contextlib import suppress
from pathlib import Path


def free_path(target: Path) -> Path:
    """The path, or where something lies there the next one with a number: runs.csv, runs-2.csv, runs-3.csv."""
    others = (target.with_name(f"{target.stem}-{n}{target.suffix}") for n in itertools.count(2))
    return next(path for path in itertools.chain([target], others) if not path.exists())


def write_whole(target: Path, text: str) -> None:
    """Write `text` to `target` in UTF-8, with the line ends that it has. What was there before stays until it is done.

    Half of a surrogate pair, which no file can hold, is written as a question mark.

    Raises:
        OSError: it cannot be written; nothing was changed.
    """
    number, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}-")
    try:
        with open(number, "w", encoding="utf-8", errors="replace", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException:
        with suppress(FileNotFoundError):
            os.remove(temporary)
        raise
