"""The journal: an append-only list of what the learner did, which views and notebooks write and read.

An entry that cannot be written stays in memory and is written with the next one: nothing is lost while the
notebook stays open. At work use an experiment tracker such as MLflow; this one is for one learner.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import warnings
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias, TypeVar, get_args

import platformdirs

from efflab.journal import store
from efflab.journal.whole import write_whole

if TYPE_CHECKING:
    import pandas as pd

Kind = Literal["prediction", "skip", "measured", "answer", "check", "run", "test_opened"]
KINDS: tuple[str, ...] = get_args(Kind)
Json: TypeAlias = bool | int | float | str | list["Json"] | dict[str, "Json"] | None
Result = TypeVar("Result")

_AT_ONCE = 100  # more at once are slower: their text leaves the processor's cache
_NOT_READ = ("The journal was not read", "nothing was changed")


class JournalError(OSError):
    """The journal could not be read or written; one sentence says what, where and what to do."""


class JournalWarning(UserWarning):
    """The journal was damaged; one sentence says where the old file is kept."""


class Entry(NamedTuple):
    """One thing that the learner did; `at` is UTC in ISO form, `id` is None until it is in the file."""

    id: int | None
    at: str
    chapter: str
    kind: str
    name: str
    value: Json


class Journal:
    """The journal in one file, by default in the user's data folder; EFFLAB_JOURNAL names another file.

    Nothing is opened or created before the first call. Safe from several threads and several processes.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     journal = Journal(Path(folder) / "journal.sqlite")
    ...     entry = journal.record("prediction", "accuracy_at_80", 71, chapter="03")
    ...     journal.latest("prediction", "accuracy_at_80", chapter="03").value
    71
    """

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        chosen = path or os.environ.get("EFFLAB_JOURNAL")
        self.path = Path(chosen) if chosen else platformdirs.user_data_path("efflab") / "journal.sqlite"
        self._unsaved: tuple[Entry, ...] = ()
        self._notices: tuple[str, ...] = ()
        self._lock = threading.RLock()  # guards the two lines above; the file has SQLite's locks
        self._told: list[weakref.WeakMethod[Callable[[Entry], object]]] = []

    @property
    def unsaved(self) -> tuple[Entry, ...]:
        """Entries that are only in memory, because the file could not be written."""
        return self._unsaved

    @property
    def notices(self) -> tuple[str, ...]:
        """What a view should tell the learner about the file, such as where a damaged one is kept."""
        return self._notices

    def record(self, kind: Kind, name: str, value: object, *, chapter: str) -> Entry:
        """Write one entry, and with it every entry that could not be written before.

        When this returns, the entry is on the disk.

        Raises:
            ValueError: an unknown kind, an empty name or chapter, or a value that is not JSON (NaN is not).
            JournalError: the file could not be written; the entry is kept in `unsaved`.
        """
        entry = _new_entry(kind, name, value, chapter)
        with self._lock:
            self._unsaved += (entry,)
            saved = self.flush()
        for entry in saved:  # with those that could not be written before
            for one in self._told:
                if tell := one():
                    tell(entry)
        return saved[-1]

    def on_record(self, method: Callable[[Entry], object]) -> None:
        """Call an object's `method(entry)` after each entry that is recorded here, on the thread that records it.

        The object is not kept alive for that.
        """
        self._told = [one for one in self._told if one()] + [weakref.WeakMethod(method)]

    def flush(self) -> tuple[Entry, ...]:
        """Write the entries that are only in memory, in one transaction, and return them with their ids.

        Raises:
            JournalError: the file could not be written; the entries stay in `unsaved`.
        """
        with self._lock:
            if not self._unsaved:
                return ()
            ids = self._use(
                lambda: store.insert(self.path, [_row(e) for e in self._unsaved]), _not_saved(self._unsaved)
            )
            saved = tuple(entry._replace(id=key) for entry, key in zip(self._unsaved, ids, strict=True))
            self._unsaved = ()
            return saved

    def entries(
        self, chapter: str | None = None, kind: Kind | None = None, name: str | None = None
    ) -> tuple[Entry, ...]:
        """All entries that match, oldest first; those that are only in memory come last.

        Raises:
            JournalError: the file is there but cannot be read.
        """
        wanted = {"chapter": chapter, "kind": kind, "name": name}
        with self._lock:
            found = self._use(lambda: _entries(store.select(self.path, **wanted)), _NOT_READ)
            waiting = [e for e in self._unsaved if all(v in (None, getattr(e, k)) for k, v in wanted.items())]
        return (*found, *waiting)

    def latest(self, kind: Kind, name: str, *, chapter: str | None = None) -> Entry | None:
        """The newest entry of this kind and name, or None.

        Raises:
            JournalError: the file is there but cannot be read.
        """
        found = self.entries(chapter=chapter, kind=kind, name=name)
        return found[-1] if found else None

    def export(self, path: str | os.PathLike[str]) -> Path:
        """Write every entry to `path`, one JSON object a line; the file appears whole or not at all.

        Raises:
            JournalError: the journal cannot be read or `path` cannot be written.
        """
        target = Path(path)
        lines = "".join(json.dumps(entry._asdict()) + "\n" for entry in self.entries())
        try:
            write_whole(target, lines)
        except OSError as error:
            raise JournalError(
                f"The journal was not exported to {target} ({error.strerror or error}): choose a folder that "
                f"you may write and that has space; the journal itself is safe in {self.path}."
            ) from error
        return target

    def as_frame(self) -> pd.DataFrame:
        """Every entry as a table with the columns id, at (UTC), chapter, kind, name and value."""
        import pandas as pd  # here, because it takes longer to import than the rest of this room

        frame = pd.DataFrame(self.entries(), columns=Entry._fields)
        return frame.assign(id=frame["id"].astype("Int64"), at=pd.to_datetime(frame["at"], utc=True))

    def _use(self, work: Callable[[], Result], told: tuple[str, str]) -> Result:
        try:
            try:
                return work()
            except sqlite3.DatabaseError as error:
                if not store.is_damage(error):
                    raise
                self._begin_again()
                return work()
        except (sqlite3.Error, OSError, store.RefusedError) as error:
            what, so = told
            raise JournalError(f"{what} in {self.path} ({error}): {_advice(error)}; {so}.") from error

    def _begin_again(self) -> None:
        done = store.set_aside(self.path)
        if done is None:
            return
        aside, rows = done
        kept = tuple(_entry(row)._replace(id=None) for row in rows if _is_whole(row))
        try:
            store.insert(self.path, [_row(entry) for entry in kept])
        except (sqlite3.Error, OSError):  # not lost: written with the next entry, which meets the same error
            self._unsaved = (*kept, *self._unsaved)
        self._tell(
            f"The journal {self.path} was damaged: it is kept as {aside.name} in the same folder, and a new "
            f"one was begun with the {len(kept)} entries that could still be read."
        )

    def _tell(self, sentence: str) -> None:
        self._notices += (sentence,)
        warnings.warn(sentence, JournalWarning, stacklevel=6)


def _new_entry(kind: str, name: str, value: object, chapter: str) -> Entry:
    if kind not in KINDS:
        raise ValueError(f"kind is {kind!r}; it must be one of {', '.join(KINDS)}")
    _check_text("name", name)
    _check_text("chapter", chapter)
    try:
        text = json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(
            f"journal entry {name!r} ({kind}) has the value {_short(value)}, which is not JSON ({error}); "
            "use finite numbers, text, True, False, None, and lists and dicts of these"
        ) from error
    return Entry(None, store.now(), chapter, kind, name, json.loads(text))


def _check_text(label: str, text: object) -> None:
    if not (isinstance(text, str) and text and text.isprintable()):
        raise ValueError(f"{label} of a journal entry is {text!r}; it must be a short text such as '03'")


def _row(entry: Entry) -> tuple[str, str, str, str, str]:
    return entry.at, entry.chapter, entry.kind, entry.name, json.dumps(entry.value)


def _entry(row: store.Row) -> Entry:
    try:
        return Entry(*row[:5], json.loads(row[5]))
    except (ValueError, TypeError, RecursionError) as error:  # nothing that we wrote
        raise store.RefusedError(
            f"the value of entry {row[0]} is no JSON", "set EFFLAB_JOURNAL to another file, and keep this one"
        ) from error


def _entries(rows: Sequence[store.Row]) -> list[Entry]:
    """All rows as entries; a hundred values are read as one list, which takes a quarter less time than one by one."""
    return [entry for start in range(0, len(rows), _AT_ONCE) for entry in _some_entries(rows[start : start + _AT_ONCE])]


def _some_entries(rows: Sequence[store.Row]) -> list[Entry]:
    try:
        values = json.loads(f"[{','.join([row[5] for row in rows])}]")
        return [Entry(*row[:5], value) for row, value in zip(rows, values, strict=True)]
    except (ValueError, TypeError, RecursionError):  # one of them is no JSON
        return [_entry(row) for row in rows]


def _is_whole(row: store.Row) -> bool:
    try:
        return {type(text) for text in row[1:]} == {str} and _entry(row).kind in KINDS
    except store.RefusedError:
        return False


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _not_saved(waiting: tuple[Entry, ...]) -> tuple[str, str]:
    newest = waiting[-1]
    others = f" (nor {len(waiting) - 1} before it)" if len(waiting) > 1 else ""
    what = f"The {newest.kind} {newest.name!r} of chapter {newest.chapter} was not saved{others}"
    return what, "it is kept in memory and is written with the next entry, so keep this notebook open"


def _advice(error: Exception) -> str:
    name = store.error_name(error)
    if isinstance(error, store.RefusedError):
        return error.advice
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return "close the other program that holds the journal"
    if name.startswith(("SQLITE_FULL", "SQLITE_IOERR")):
        return "free some space on the disk, or check that it still answers"
    return "make the folder writable, or set EFFLAB_JOURNAL to a file that you may write"
