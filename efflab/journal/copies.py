"""Journals that come from somebody else: an SQLite file, or the lines of an export. They are read and never written.

Nothing in them is trusted: a file may be damaged, made by hand, or made to keep a computer busy. What cannot be read is
one clause that says why.
"""

import json
import sqlite3
from collections.abc import Iterable
from pathlib import Path

from efflab.journal import store
from efflab.journal.journal import KINDS, Entry

MOST_ENTRIES = 200_000
"""A learner's course has some thousands."""
_FIELDS = Entry._fields


class CopyError(ValueError):
    """A file that is no journal; the clause says why."""


def read_copy(path: Path, most: int = MOST_ENTRIES) -> tuple[Entry, ...]:
    """The entries of a journal's SQLite file, oldest first. Neither the file nor anything beside it is written.

    Raises:
        CopyError: it is no journal, is damaged, has more than `most` entries, or was copied while it was written.
    """
    if Path(f"{path}-wal").exists() and Path(f"{path}-wal").stat().st_size:
        raise CopyError(f"its newest entries are still in {path.name}-wal, because a notebook had it open")
    try:
        rows = store.select_untrusted(path, most + 1)
    except (sqlite3.Error, store.RefusedError) as error:
        raise CopyError(f"it is no sound journal ({error})") from error
    return _entries((dict(zip(_FIELDS, row, strict=True)) for row in rows), most, decode=True)


def read_lines(text: str, most: int = MOST_ENTRIES) -> tuple[Entry, ...]:
    """The entries of what `Journal.export` wrote, one JSON object a line.

    Raises:
        CopyError: a line is none of an export, or there are more than `most`.
    """
    return _entries((parsed(line) for line in text.splitlines() if line.strip()), most)


def entries_from(found: object, most: int = MOST_ENTRIES) -> tuple[Entry, ...]:
    """The entries of a list that was read from JSON.

    Raises:
        CopyError: it is no such list, or has more than `most`.
    """
    if not isinstance(found, list):
        raise CopyError("it has no list of entries")
    return _entries(found, most)


def parsed(text: str) -> object:
    """What a text in JSON says.

    Raises:
        CopyError: it is not JSON, as which NaN does not count.
    """
    try:
        return json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise CopyError(f"it is not JSON ({str(error)[:80]})") from None


def _entries(found: Iterable[object], most: int, *, decode: bool = False) -> tuple[Entry, ...]:
    entries: list[Entry] = []
    for number, one in enumerate(found, start=1):
        if number > most:
            raise CopyError(f"it has more than {most:,} entries")
        try:
            entries.append(_entry(one, decode))
        except CopyError as error:
            raise CopyError(f"entry {number}: {error}") from None
    return tuple(entries)


def _entry(found: object, decode: bool) -> Entry:
    if not isinstance(found, dict) or set(found) != set(_FIELDS):
        raise CopyError(f"it must have the fields {', '.join(_FIELDS)}")
    if not all(isinstance(found[name], str) for name in ("at", "chapter", "kind", "name")):
        raise CopyError("its at, chapter, kind and name must be texts")
    if found["kind"] not in KINDS:
        raise CopyError(f"its kind is {found['kind'][:40]!r}; it must be one of {', '.join(KINDS)}")
    if not isinstance(found["id"], int | None) or isinstance(found["id"], bool):
        raise CopyError("its id must be a whole number")
    if decode and not isinstance(found["value"], str):
        raise CopyError("its value must be a text")
    value = parsed(found["value"]) if decode else found["value"]
    return Entry(**{**found, "value": value})


def _refuse(constant: str) -> object:
    raise ValueError(f"{constant} is no number")
