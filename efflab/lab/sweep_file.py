"""The file of a sweep: each point is in it before it is shown, and once, whatever is killed meanwhile.

One SQLite file keeps the points of one base and its data; a sweep that is run again finds them there. Only the process
that called the sweep writes; two of them may share a file. Each use opens a connection of its own and waits for the
disk (`synchronous=FULL`), so that a kill or a power cut loses nothing that was shown. A file that is damaged or not
ours stays as it is.

Reference: SQLite's own pages "Write-Ahead Logging" and "Atomic Commit In SQLite", https://sqlite.org/wal.html.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import astuple
from pathlib import Path

from efflab.lab.sweep_workers import Answer
from efflab.lab.swept import Judged, Key, SweepError

_APPLICATION = 0x65666673  # "effs": marks the file as a sweep of ours
_VERSION = 1
_BUSY_S = 30.0  # how long to wait for another sweep's transaction, which takes milliseconds
_SCHEMA = (
    "CREATE TABLE about (fingerprint TEXT NOT NULL, name TEXT NOT NULL)",
    "CREATE TABLE point (recipe TEXT NOT NULL, sources TEXT NOT NULL, seed INTEGER NOT NULL, score REAL, low REAL,"
    " high REAL, n INTEGER, n_nonzero INTEGER, packed_bytes INTEGER, macs INTEGER, digest TEXT, reason TEXT NOT NULL,"
    " PRIMARY KEY (recipe, sources, seed))",
    f"PRAGMA application_id = {_APPLICATION}",
    f"PRAGMA user_version = {_VERSION}",
)
_N_NUMBERS = 8  # of a `Judged`
_INSERT = f"INSERT OR IGNORE INTO point VALUES ({', '.join('?' * (3 + _N_NUMBERS + 1))})"


class SweepFile:
    """The points of one base that a file keeps; it is begun where there is none.

    fingerprint: of the base and its data. name: what a sentence calls the base.

    Raises:
        SweepError: the file belongs to another base or program, is damaged, or cannot be written.
    """

    def __init__(self, path: Path, fingerprint: str, name: str) -> None:
        self.path = path
        if path.is_dir():
            raise SweepError(f"keep={str(path)!r} is a folder: name a file, such as {str(path / 'sweep.sqlite')!r}")
        with self._connection() as connection:
            with _transaction(connection):
                if _is_empty(connection):
                    for statement in _SCHEMA:
                        connection.execute(statement)
                    connection.execute("INSERT INTO about VALUES (?, ?)", (fingerprint, name))
                else:
                    self._check(connection, fingerprint, name)
            with suppress(sqlite3.OperationalError):  # some folders cannot; the rollback journal is as safe
                connection.execute("PRAGMA journal_mode = WAL")

    def read(self) -> dict[Key, Answer]:
        """All points that were saved.

        Raises:
            SweepError: the file cannot be read.
        """
        with self._connection() as connection:
            rows = connection.execute("SELECT * FROM point").fetchall()
        return {tuple(row[:3]): _answer(row[3:-1], row[-1]) for row in rows}

    def add(self, key: Key, answer: Answer) -> None:
        """Save a point, for good when this returns; one that another sweep saved meanwhile stays.

        Raises:
            SweepError: it cannot be written; what was saved before stays.
        """
        numbers = astuple(answer.judged) if answer.judged else (None,) * _N_NUMBERS
        with self._connection() as connection, _transaction(connection):
            connection.execute(_INSERT, (*key, *numbers, answer.reason))

    def _check(self, connection: sqlite3.Connection, fingerprint: str, name: str) -> None:
        """Raise SweepError unless the file is a sound sweep of this base."""
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if application != _APPLICATION:
            raise SweepError(f"keep={str(self.path)!r} is no file of a sweep and was left as it is: name another file")
        if version > _VERSION:
            raise SweepError(f"keep={str(self.path)!r} was written by a newer efflab: update efflab to go on with it")
        if (found := connection.execute("PRAGMA quick_check").fetchone()[0]) != "ok":
            raise SweepError(self._damaged(str(found)))
        other, other_name = connection.execute("SELECT fingerprint, name FROM about").fetchone()
        if other != fingerprint:
            raise SweepError(
                f"keep={str(self.path)!r} holds points of {other_name}, whose weights, data or teacher differ from "
                f"those of {name} here: name another file"
            )

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(sqlite3.connect(self.path, timeout=_BUSY_S, isolation_level=None)) as connection:
                connection.execute("PRAGMA synchronous = FULL")
                yield connection
        except sqlite3.Error as error:
            if str(getattr(error, "sqlite_errorname", "")).startswith(("SQLITE_NOTADB", "SQLITE_CORRUPT")):
                raise SweepError(self._damaged(str(error))) from error
            raise SweepError(
                f"keep={str(self.path)!r} cannot be read or written ({error}): see to its folder and the room on the "
                "disk; what was saved in it stays, and the same call goes on from there"
            ) from error

    def _damaged(self, reason: str) -> str:
        return (
            f"keep={str(self.path)!r} is damaged or no file of a sweep ({reason.splitlines()[0]}), and was left as it "
            "is: name another file"
        )


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    yield  # an error leaves without COMMIT, and closing the connection rolls back
    connection.execute("COMMIT")


def _is_empty(connection: sqlite3.Connection) -> bool:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    return (application, tables) == (0, 0)


def _answer(numbers: tuple[object, ...], reason: str) -> Answer:
    if numbers[0] is None:
        return Answer(reason=reason)
    return Answer(Judged(*numbers))  # type: ignore[arg-type]  # as `add` wrote them
