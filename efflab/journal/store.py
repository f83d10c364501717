"""The journal's file: how a record survives a crash, a full disk, two notebooks and a damaged disk.

- Each use opens a connection of its own, does short transactions and closes it. Widget callbacks come from
  several threads; a connection that nobody shares needs no thread rules and leaves no lock behind, and its
  last close folds the write-ahead log back, so that at rest the journal is one file that can be copied.
- Write-ahead logging lets one notebook read while another writes. Where a folder cannot do it (some network
  folders) SQLite keeps its older rollback journal, and everything here still holds.
- `synchronous=FULL`: SQLite waits for the disk at each commit. An entry is one human action, so some
  milliseconds are cheap, and a power cut right after "lock in" loses nothing.
- A damaged file is never deleted: it is renamed, and a new one is begun with what can still be read.

Reference: SQLite's own pages "Write-Ahead Logging" and "Atomic Commit In SQLite", https://sqlite.org/wal.html.
"""

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TypeVar

Result = TypeVar("Result")
Row = tuple[int, str, str, str, str, str]

_APPLICATION = 0x6566666C  # "effl": marks the file as ours
_VERSION = 1
_BUSY_S = 10.0  # how long to wait for another notebook's transaction, which takes milliseconds
_MOST_STEPS = 50_000_000  # of SQLite's machine; a row takes about ten
_SIDE_FILES = ("-wal", "-shm", "-journal")  # SQLite's own, beside the database
_SCHEMA = (
    "CREATE TABLE entry (id INTEGER PRIMARY KEY AUTOINCREMENT, at TEXT NOT NULL, chapter TEXT NOT NULL,"
    " kind TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL)",
    "CREATE TRIGGER entry_stays BEFORE UPDATE ON entry BEGIN SELECT RAISE(ABORT, 'the journal only grows'); END",
    "CREATE TRIGGER entry_remains BEFORE DELETE ON entry BEGIN SELECT RAISE(ABORT, 'the journal only grows'); END",
    f"PRAGMA application_id = {_APPLICATION}",
    f"PRAGMA user_version = {_VERSION}",
)
_INSERT = "INSERT INTO entry (at, chapter, kind, name, value) VALUES (?, ?, ?, ?, ?)"
_SELECT = "SELECT id, at, chapter, kind, name, value FROM entry"
_SELECT_ONE = "SELECT id, at, chapter, kind, name, value FROM entry WHERE id = ?"
_NEWEST = "SELECT coalesce(max(CAST(seq AS INTEGER)), 0) FROM sqlite_sequence WHERE name = 'entry'"


class RefusedError(Exception):
    """The file is sound but not ours to write; `advice` says what to do."""

    def __init__(self, reason: str, advice: str) -> None:
        super().__init__(reason)
        self.advice = advice


def now() -> str:
    """The time in UTC as SQLite writes it, such as 2025-03-01T18:20:05.123Z."""
    with closing(sqlite3.connect(":memory:")) as connection:
        return str(connection.execute("SELECT strftime('%Y-%m-%dT%H:%M:%fZ', 'now')").fetchone()[0])


def insert(path: Path, rows: list[tuple[str, str, str, str, str]]) -> list[int]:
    """Append rows (at, chapter, kind, name, value) in one transaction and return their ids.

    Raises:
        RefusedError: the file belongs to another program or to a newer efflab.
        sqlite3.Error, OSError: nothing was written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(_connect(str(path))) as connection:
        _begin_file(connection, path)
        with _transaction(connection, "IMMEDIATE"):
            return [connection.execute(_INSERT, row).lastrowid or 0 for row in rows]


def select(path: Path, *, chapter: str | None = None, kind: str | None = None, name: str | None = None) -> list[Row]:
    """The rows that match, oldest first; an absent file has none.

    Raises:
        RefusedError: the file belongs to another program or to a newer efflab.
        sqlite3.Error, OSError: the file cannot be read.
    """
    wanted = {"chapter = ?": chapter, "kind = ?": kind, "name = ?": name}
    tests = [test for test, value in wanted.items() if value is not None]
    asked = f"{_SELECT}{' WHERE ' * bool(tests)}{' AND '.join(tests)} ORDER BY id"
    values = [value for value in wanted.values() if value is not None]
    return _read(path, lambda connection: connection.execute(asked, values).fetchall()) or []


def select_untrusted(path: Path, most: int) -> list[tuple[object, ...]]:
    """The first rows of somebody else's file, which is opened so that SQLite writes nothing, also not beside it.

    A journal is read in a moment; a file that is made to keep SQLite busy is given up.

    Raises:
        RefusedError: it is no journal.
        sqlite3.Error: it is damaged, or gives no rows in time.
    """
    with closing(_connect(f"{path.resolve().as_uri()}?mode=ro&immutable=1", uri=True)) as connection:
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.set_progress_handler(lambda: 1, _MOST_STEPS)
        if _is_new(connection, path):
            return []
        kind = connection.execute("SELECT type FROM sqlite_master WHERE name = 'entry'").fetchone()
        if kind != ("table",):
            raise RefusedError(f"{path.name} has no table of entries", "ask for another copy")
        return connection.execute(f"{_SELECT} ORDER BY id LIMIT ?", (most,)).fetchall()


def is_damage(error: Exception) -> bool:
    """Whether SQLite says that the file itself is broken, and not that it could not get at it."""
    return error_name(error).startswith(("SQLITE_NOTADB", "SQLITE_CORRUPT"))


def error_name(error: Exception) -> str:
    """SQLite's own name for the error, such as SQLITE_FULL; empty where it has none."""
    return str(getattr(error, "sqlite_errorname", ""))


def set_aside(path: Path) -> tuple[Path, list[Row]] | None:
    """Rename a damaged file and return its new name and the rows that can still be read.

    Returns None when another notebook has done so in the meantime.
    """
    with _one_at_a_time(path):
        if _is_sound(path):
            return None
        aside = _free_name(path)
        # Side files first: a log that stays behind would be taken for the log of the file that is begun next.
        for suffix in (*_SIDE_FILES, ""):
            with suppress(FileNotFoundError):
                os.rename(f"{path}{suffix}", f"{aside}{suffix}")
        return aside, _readable_rows(aside)


def _connect(name: str, uri: bool = False) -> sqlite3.Connection:
    return sqlite3.connect(name, timeout=_BUSY_S, isolation_level=None, uri=uri)


@contextmanager
def _transaction(connection: sqlite3.Connection, mode: str) -> Iterator[None]:
    connection.execute(f"BEGIN {mode}")
    yield  # an error leaves without COMMIT, and closing the connection rolls back
    connection.execute("COMMIT")


def _begin_file(connection: sqlite3.Connection, path: Path) -> None:
    connection.execute("PRAGMA synchronous = FULL")
    with _transaction(connection, "IMMEDIATE"):
        if _is_new(connection, path):
            for statement in _SCHEMA:
                connection.execute(statement)
    with suppress(sqlite3.OperationalError):  # some folders cannot; the rollback journal is as safe
        connection.execute("PRAGMA journal_mode = WAL")


def _is_new(connection: sqlite3.Connection, path: Path) -> bool:
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if (application, version, tables) == (0, 0, 0):
        return True
    if application != _APPLICATION:
        raise RefusedError(
            f"{path.name} belongs to another program and was not touched",
            "set EFFLAB_JOURNAL to another file",
        )
    if version > _VERSION:
        raise RefusedError(
            f"a newer efflab wrote {path.name}, in format {version} where this one knows {_VERSION}",
            "update efflab or set EFFLAB_JOURNAL to another file",
        )
    return False


def _read(path: Path, work: Callable[[sqlite3.Connection], Result]) -> Result | None:
    if not path.exists():
        return None
    try:
        with closing(_connect(str(path))) as connection:
            return _read_ours(connection, path, work)
    except sqlite3.OperationalError as error:
        if error_name(error).startswith(("SQLITE_BUSY", "SQLITE_LOCKED")) or _has_log(path):
            raise
    # A full disk or a read-only folder has no room for the log's index. Without a log the file is complete.
    with closing(_connect(f"{path.resolve().as_uri()}?immutable=1", uri=True)) as connection:
        return _read_ours(connection, path, work)


def _read_ours(
    connection: sqlite3.Connection, path: Path, work: Callable[[sqlite3.Connection], Result]
) -> Result | None:
    with _transaction(connection, "DEFERRED"):
        return None if _is_new(connection, path) else work(connection)


def _has_log(path: Path) -> bool:
    logs = (Path(f"{path}{suffix}") for suffix in ("-wal", "-journal"))
    return any(log.exists() and log.stat().st_size > 0 for log in logs)


@contextmanager
def _one_at_a_time(path: Path) -> Iterator[None]:
    # SQLite's own lock, on a file beside the journal, works on every system and ends with its process.
    with closing(_connect(f"{path}.lock")) as connection, _transaction(connection, "EXCLUSIVE"):
        yield


def _is_sound(path: Path) -> bool:
    try:
        verdict = _read(path, lambda connection: connection.execute("PRAGMA quick_check").fetchone()[0])
    except sqlite3.DatabaseError as error:
        if is_damage(error):
            return False
        raise
    return verdict in (None, "ok")


def _free_name(path: Path) -> Path:
    number = 1
    while any(Path(f"{path}.damaged-{number}{suffix}").exists() for suffix in (*_SIDE_FILES, "")):
        number += 1
    return Path(f"{path}.damaged-{number}")


def _readable_rows(path: Path) -> list[Row]:
    rows: list[Row] = []
    with suppress(sqlite3.DatabaseError), closing(_connect(str(path))) as connection:
        newest = min(connection.execute(_NEWEST).fetchone()[0], path.stat().st_size)  # a row needs a byte
        for key in range(1, newest + 1):  # one by one: a damaged page hides only the entries that lie on it
            with suppress(sqlite3.DatabaseError):
                rows += connection.execute(_SELECT_ONE, (key,)).fetchall()
    return rows
