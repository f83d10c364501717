"""The journal: what was recorded comes back, whatever happens to the process, the disk or the file."""

import calendar
import gc
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
from contextlib import closing
from pathlib import Path

import pandas as pd
import pytest

from efflab.journal import KINDS, Entry, Journal, JournalError, JournalWarning, day_text, store

ROOT = Path(__file__).resolve().parents[1]
# The journal needs no torch; a bare package in its place saves each process the seconds that importing torch takes.
LIGHT = f"""
import sys, types
sys.modules["efflab"] = types.ModuleType("efflab")
sys.modules["efflab"].__path__ = [{str(ROOT / "efflab")!r}]
"""
posix_only = pytest.mark.skipif(os.name != "posix", reason="needs fork and SIGKILL: run the tests on Linux or macOS")


@pytest.fixture
def journal(tmp_path):
    return Journal(tmp_path / "journal.sqlite")


def run(script, *arguments, prefix=()):
    """Run a script in a fresh Python and return what it printed, read as JSON."""
    command = [*prefix, sys.executable, "-c", LIGHT + script, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def integrity(path):
    connection = sqlite3.connect(path)
    verdict = connection.execute("PRAGMA integrity_check").fetchone()[0]
    connection.close()
    return verdict


# What goes in comes out


def test_a_record_comes_back_as_it_was_given(journal):
    given = {"sparsity": 0.8, "scope": "global", "layers": [1, None, True, "ü"]}
    saved = journal.record("run", "first", given, chapter="03")
    assert (saved.id, saved.chapter, saved.kind, saved.name, saved.value) == (1, "03", "run", "first", given)
    assert Journal(journal.path).entries() == (saved,)


def test_the_time_is_now_in_utc(journal):
    before = pd.Timestamp.now("UTC").floor("ms")
    at = pd.Timestamp(journal.record("skip", "a", None, chapter="00").at)
    assert before <= at <= pd.Timestamp.now("UTC")
    assert str(at.tz) == "UTC"


def test_entries_are_filtered_by_chapter_kind_and_name(journal):
    rows = [("03", "skip", "a"), ("03", "answer", "a"), ("00", "answer", "a"), ("03", "answer", "b")]
    for number, (chapter, kind, name) in enumerate(rows):
        journal.record(kind, name, number, chapter=chapter)
    assert [e.value for e in journal.entries()] == [0, 1, 2, 3]
    assert [e.value for e in journal.entries(chapter="03", kind="answer")] == [1, 3]
    assert [e.value for e in journal.entries(name="a", kind="answer")] == [1, 2]
    assert journal.entries(chapter="17") == ()


def test_latest_is_the_newest_entry_or_none(journal):
    assert journal.latest("answer", "nnz") is None
    journal.record("answer", "nnz", "a", chapter="03")
    journal.record("answer", "nnz", "b", chapter="03")
    journal.record("answer", "nnz", "c", chapter="00")
    assert journal.latest("answer", "nnz", chapter="03").value == "b"
    assert journal.latest("answer", "nnz").value == "c"


def test_making_a_journal_and_reading_an_absent_one_creates_nothing(tmp_path):
    assert Journal(tmp_path / "deep" / "journal.sqlite").entries() == ()
    assert list(tmp_path.iterdir()) == []


def test_the_environment_names_the_file(tmp_path, monkeypatch):
    monkeypatch.setenv("EFFLAB_JOURNAL", str(tmp_path / "class" / "mine.sqlite"))
    Journal().record("skip", "a", None, chapter="00")
    assert (tmp_path / "class" / "mine.sqlite").is_file()


def test_without_the_environment_the_file_is_in_the_user_data_folder(tmp_path, monkeypatch):
    monkeypatch.delenv("EFFLAB_JOURNAL", raising=False)
    monkeypatch.setattr("platformdirs.user_data_path", lambda name: tmp_path / name)
    assert Journal().path == tmp_path / "efflab" / "journal.sqlite"


def test_a_folder_name_with_odd_characters_works(tmp_path):
    journal = Journal(tmp_path / "Zoë's #1 50% ?" / "a b.sqlite")
    journal.record("skip", "a", 1, chapter="00")
    assert [e.value for e in Journal(journal.path).entries()] == [1]


@pytest.mark.parametrize("value", [float("nan"), [1, float("inf")], {1, 2}, object(), {"a": {"b": 1j}}])
def test_a_value_that_is_not_json_is_refused_by_name_and_leaves_nothing_behind(journal, value):
    with pytest.raises(ValueError, match=r"'accuracy_at_80' \(prediction\) .* not JSON"):
        journal.record("prediction", "accuracy_at_80", value, chapter="03")
    assert journal.unsaved == journal.entries() == ()


@pytest.mark.parametrize(
    ("kind", "name", "chapter", "said"),
    [("guess", "a", "03", "prediction, skip"), ("skip", "", "03", "name"), ("skip", "a", 3, "chapter")],
)
def test_a_wrong_kind_name_or_chapter_is_refused(journal, kind, name, chapter, said):
    with pytest.raises(ValueError, match=said):
        journal.record(kind, name, 1, chapter=chapter)


@pytest.mark.parametrize("statement", ["UPDATE entry SET value = '2'", "DELETE FROM entry"])
def test_no_program_can_change_or_delete_an_entry(journal, statement):
    journal.record("answer", "a", 1, chapter="03")
    connection = sqlite3.connect(journal.path)
    with pytest.raises(sqlite3.IntegrityError, match="only grows"):
        connection.execute(statement)
    connection.close()
    assert [e.value for e in journal.entries()] == [1]


@pytest.mark.parametrize(
    ("at", "day"),
    [
        ("2026-11-29T23:59:59.999Z", "29 November 2026"),  # in UTC, wherever the learner is
        ("2026-03-01T00:00:00.000Z", "1 March 2026"),
        ("yesterday", "yesterday"),
        ("2026-13-01T00:00:00.000Z", "2026-13-01T00:00:00.000Z"),
        ("", ""),
    ],
)
def test_a_day_is_told_in_words_and_what_is_none_stays_as_it_is(at, day):
    assert day_text(at) == day


def test_the_months_are_those_of_the_calendar():
    assert [day_text(f"2026-{month:02}-05").split()[1] for month in range(1, 13)] == list(calendar.month_name)[1:]


def test_the_doctest_of_the_journal_holds():
    import doctest

    import efflab.journal.journal as module

    result = doctest.testmod(module)
    assert (result.failed, result.attempted) == (0, 2)


@pytest.mark.parametrize("values", [("1, 2", "3"), ("1", "{"), ("[1", "2]"), ("1, 2", "")])
def test_values_that_are_no_json_are_not_taken_for_those_of_their_neighbours(journal, values):
    store.insert(journal.path, [("2025-03-01T18:20:05.123Z", "03", "skip", "a", value) for value in values])
    with pytest.raises(JournalError, match=r"the value of entry [12] is no JSON"):
        journal.entries()


# Out again


@pytest.mark.parametrize("value", ["{", b"\xff\xfe", "[" * 100_000], ids=["half", "bytes", "deep"])
def test_a_value_that_we_cannot_have_written_is_a_sentence_that_names_its_entry(journal, value):
    journal.record("answer", "quiz", "a", chapter="03")
    with closing(sqlite3.connect(journal.path)) as connection, connection:
        row = ("2025-03-01T18:20:05.123Z", "03", "run", "recipe", value)
        connection.execute("INSERT INTO entry (at, chapter, kind, name, value) VALUES (?, ?, ?, ?, ?)", row)
    with pytest.raises(JournalError, match=r"\(the value of entry 2 is no JSON\): set EFFLAB_JOURNAL to another file"):
        journal.entries()
    journal.record("answer", "quiz", "b", chapter="03")  # it can still be written


def test_export_writes_one_json_object_a_line(journal, tmp_path):
    entries = [journal.record("run", f"r{i}", {"i": i}, chapter="03") for i in range(3)]
    lines = journal.export(tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()
    assert [Entry(**json.loads(line)) for line in lines] == entries


def test_a_failed_export_keeps_the_old_file_and_leaves_no_other(journal, tmp_path, monkeypatch):
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "out.jsonl").write_text("old")
    journal.record("skip", "a", 1, chapter="03")

    def full(number):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(JournalError, match=r"not exported to .*out\.jsonl \(No space left on device\)"):
        journal.export(folder / "out.jsonl")
    assert [(p.name, p.read_text()) for p in folder.iterdir()] == [("out.jsonl", "old")]


def test_the_table_has_a_row_for_each_entry_and_a_time_in_utc(journal):
    journal.record("run", "a", {"i": 1}, chapter="03")
    frame = journal.as_frame()
    assert list(frame.columns) == ["id", "at", "chapter", "kind", "name", "value"]
    assert frame.loc[0, ["id", "chapter", "kind", "name", "value"]].tolist() == [
        1,
        "03",
        "run",
        "a",
        {"i": 1},
    ]
    assert str(frame["at"].dt.tz) == "UTC"


def test_the_table_of_an_empty_journal_has_the_same_columns(journal):
    frame = journal.as_frame()
    assert list(frame.columns) == ["id", "at", "chapter", "kind", "name", "value"]
    assert (len(frame), str(frame["at"].dt.tz)) == (0, "UTC")


# Several at once


def test_the_file_uses_write_ahead_logging_and_is_one_file_at_rest(journal):
    journal.record("skip", "a", 1, chapter="03")
    connection = sqlite3.connect(journal.path)
    assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    connection.close()
    assert [p.name for p in journal.path.parent.iterdir()] == ["journal.sqlite"]


@posix_only
def test_where_write_ahead_logging_is_impossible_the_older_mode_is_used(journal, monkeypatch):
    # This file system layer of SQLite has no shared memory, as some network folders.
    def without_shared_memory(name, uri=False):
        return sqlite3.connect(f"file:{name}?vfs=unix-dotfile", isolation_level=None, uri=True)

    monkeypatch.setattr(store, "_connect", without_shared_memory)
    journal.record("skip", "a", 1, chapter="03")
    monkeypatch.undo()
    connection = sqlite3.connect(journal.path)
    assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "delete"
    connection.close()
    assert [e.value for e in journal.entries()] == [1]


def test_threads_that_share_a_journal_lose_nothing(journal):
    def write(thread):
        for i in range(10):
            journal.record("run", f"{thread}", i, chapter="03")

    threads = [threading.Thread(target=write, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [[e.value for e in journal.entries(name=f"{n}")] for n in range(4)] == [list(range(10))] * 4


WRITER = """
import sys
from efflab.journal import Journal
path, name = sys.argv[1:]
journal = Journal(path)
print("ready", flush=True)
sys.stdin.readline()
for i in range(40):
    journal.record("run", name, i, chapter="03")
"""


def test_two_notebooks_that_begin_and_write_one_journal_at_once_lose_nothing(journal):
    command = [sys.executable, "-c", LIGHT + WRITER, str(journal.path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([*command, "a"], **pipes) as a, subprocess.Popen([*command, "b"], **pipes) as b:
        for process in (a, b):
            assert process.stdout.readline() == "ready\n"
        for process in (a, b):
            process.stdin.write("go\n")
            process.stdin.flush()
        assert (a.wait(60), b.wait(60)) == (0, 0)
    assert [[e.value for e in journal.entries(name=name)] for name in "ab"] == [list(range(40))] * 2
    assert [e.id for e in journal.entries()] == list(range(1, 81))


def test_two_threads_that_begin_a_file_at_the_same_moment_both_succeed(tmp_path):
    gate, failed = threading.Barrier(2), []

    def write(path):
        gate.wait()
        try:
            Journal(path).record("skip", "a", 1, chapter="00")  # a journal, and so a lock, of its own
        except JournalError as error:
            failed.append(str(error))

    for number in range(20):
        threads = [threading.Thread(target=write, args=(tmp_path / f"{number}.sqlite",)) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert failed == []
    assert [len(Journal(tmp_path / f"{number}.sqlite").entries()) for number in range(20)] == [2] * 20


def test_several_entries_are_written_together_or_not_at_all(journal):
    row = ("2025-01-01T00:00:00.000Z", "03", "skip", "a", "1")
    with pytest.raises(sqlite3.IntegrityError):
        store.insert(journal.path, [row, (*row[:4], None)])
    assert journal.entries() == ()


def test_a_journal_that_another_program_holds_gives_a_sentence_and_keeps_the_entry(journal, monkeypatch):
    monkeypatch.setattr(store, "_BUSY_S", 0.01)
    journal.record("skip", "a", 1, chapter="03")
    holder = sqlite3.connect(journal.path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(JournalError, match="close the other program"):
        journal.record("skip", "a", 2, chapter="03")
    assert [e.value for e in journal.entries()] == [1, 2]  # reading goes on, and shows what is only in memory
    holder.close()
    assert [e.id for e in journal.flush()] == [2]


# Killed

BETWEEN_STATEMENTS = """
import json, os, signal, sqlite3, sys
from efflab.journal import Journal
folder, real, results = sys.argv[1], sqlite3.connect, []

def child(path, deadly, told):
    steps = 0
    def step():
        nonlocal steps
        steps += 1
        if steps == deadly:
            os.kill(os.getpid(), signal.SIGKILL)
    class Deadly(sqlite3.Connection):
        def execute(self, *args):
            step(); result = super().execute(*args); step(); return result
        def close(self):
            step(); super().close(); step()
    sqlite3.connect = lambda *args, **more: real(*args, factory=Deadly, **more)
    journal = Journal(path)
    for i in range(2):
        journal.record("run", "r", i, chapter="03")
        os.write(told, b".")
    os._exit(0)

for deadly in range(1, 1000):
    path = os.path.join(folder, f"{deadly}.sqlite")
    hear, tell = os.pipe()
    process = os.fork()
    if process == 0:
        child(path, deadly, tell)
    os.close(tell)
    killed = os.WIFSIGNALED(os.waitpid(process, 0)[1])
    told = len(os.read(hear, 100))
    os.close(hear)
    found = [entry.value for entry in Journal(path).entries()]
    after = Journal(path).record("run", "after", 9, chapter="03")
    connection = real(path)
    sound = connection.execute("PRAGMA integrity_check").fetchone()[0]
    connection.close()
    results.append([killed, told, found, after.id, sound])
    if not killed:
        break
print(json.dumps(results))
"""


@posix_only
def test_a_kill_between_any_two_statements_loses_no_confirmed_record(tmp_path):
    results = run(BETWEEN_STATEMENTS, tmp_path)
    assert len(results) > 60  # so many places were tried
    assert [killed for killed, *_ in results] == [True] * (len(results) - 1) + [False]
    for _, told, found, next_id, sound in results:
        assert sound == "ok"
        assert found in (list(range(told)), list(range(told + 1)))  # all confirmed ones, and at most the next
        assert next_id == len(found) + 1
    assert {told for _, told, *_ in results} == {0, 1, 2}


ANY_MOMENT = """
import json, os, random, signal, sys
from efflab.journal import Journal
path, told = sys.argv[1], []
pick = random.Random(3)
for round in range(25):
    hear, tell = os.pipe()
    process = os.fork()
    if process == 0:
        journal = Journal(path)
        for i in range(1000):
            journal.record("run", str(round), i, chapter="03")
            os.write(tell, b".")
        os._exit(0)
    os.close(tell)
    count = 0
    for _ in range(pick.randrange(4)):
        count += len(os.read(hear, 1))
    for _ in range(pick.randrange(20000)):  # so that the kill falls anywhere in a record
        pass
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)
    count += len(os.read(hear, 100))
    os.close(hear)
    told.append(count)
found = [len(Journal(path).entries(name=str(round))) for round in range(25)]
print(json.dumps([told, found]))
"""


@posix_only
def test_a_kill_at_any_moment_loses_no_confirmed_record(journal):
    told, found = run(ANY_MOMENT, journal.path)
    assert sum(told) > 10
    assert all(0 <= f - t <= 1 for t, f in zip(told, found, strict=True))
    assert integrity(journal.path) == "ok"


TWO_HUNDRED = """
import json, os, random, signal, sys
from efflab.journal import Journal
folder, pick, found = sys.argv[1], random.Random(5), []
told = {}
for round in range(200):
    path = os.path.join(folder, f"{round // 20}.sqlite")  # some kills fall into the making of the file
    hear, tell = os.pipe()
    process = os.fork()
    if process == 0:
        journal = Journal(path)
        while True:
            os.write(tell, b"%d\\n" % journal.record("run", str(round), round, chapter="03").id)
    os.close(tell)
    heard = b""
    for _ in range(pick.randrange(12)):
        heard += os.read(hear, 1)
    for _ in range(pick.randrange(60000)):  # so that the kill falls anywhere in a record
        pass
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)
    while more := os.read(hear, 100000):
        heard += more
    os.close(hear)
    shown = told.setdefault(path, [])
    shown += [[int(line), round] for line in heard.decode().splitlines(keepends=True) if line.endswith("\\n")]
    there = [[entry.id, entry.value] for entry in Journal(path).entries()]
    found.append([len(shown), [one for one in shown if one not in there], len(there), [key for key, _ in there]])
print(json.dumps(found))
"""


@posix_only
@pytest.mark.slow
def test_of_two_hundred_kills_at_random_moments_none_loses_a_record_that_was_shown_as_saved(tmp_path):
    found = run(TWO_HUNDRED, tmp_path)
    assert len(found) == 200
    assert [lost for _, lost, _, _ in found if lost] == []
    assert sum(n_shown for n_shown, *_ in found[19::20]) > 200
    for number, (n_shown, _, n_there, ids) in enumerate(found):
        assert n_there - n_shown <= number % 20 + 1  # of each kill, at most the record that it fell into
        assert ids == list(range(1, n_there + 1))
    files = sorted(tmp_path.glob("*.sqlite*"))
    assert len(files) == 10
    assert [integrity(path) for path in files] == ["ok"] * 10


# No room, no permission

LIMITED = """
import json, resource, sys
from efflab.journal import Journal, JournalError
journal, saved, said = Journal(sys.argv[1]), 0, ""
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), hard))
try:
    for i in range(200):
        journal.record("run", "r", [i, "x" * 500], chapter="03")
        saved += 1
except JournalError as error:
    said = str(error)
try:
    journal.record("answer", "last", "kept", chapter="03")
except JournalError:
    pass
waiting, seen = [e.name for e in journal.unsaved], len(journal.entries())
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
after = journal.record("skip", "after", 1, chapter="03")
print(json.dumps([saved, said, waiting, seen, after.id, len(journal.unsaved)]))
"""


@posix_only
@pytest.mark.parametrize("limit_bytes", [0, 1000, 20_000, 60_000])
def test_a_file_that_may_not_grow_gives_a_sentence_and_loses_nothing(journal, limit_bytes):
    saved, said, waiting, seen, after_id, left = run(LIMITED, journal.path, limit_bytes)
    assert "The run 'r' of chapter 03 was not saved" in said
    assert str(journal.path) in said
    assert "kept in memory" in said
    assert (waiting, seen) == (["r", "last"], saved + 2)
    assert (after_id, left) == (saved + 3, 0)
    values = [e.value for e in journal.entries()]
    assert [v[0] for v in values[:-2]] == list(range(saved + 1))
    assert values[-2:] == ["kept", 1]
    assert integrity(journal.path) == "ok"


FULL = """
import json, os, sys
from efflab.journal import Journal, JournalError
folder, said = sys.argv[1], []
journal = Journal(os.path.join(folder, "journal.sqlite"))
journal.record("run", "r", 0, chapter="03")
with open(os.path.join(folder, "filler"), "wb", buffering=0) as filler:
    try:
        while True:
            filler.write(bytes(4096))
    except OSError:
        pass
for i in (1, 2):
    try:
        journal.record("run", "r", i, chapter="03")
    except JournalError as error:
        said.append(str(error))
seen = [entry.value for entry in journal.entries()]
os.remove(os.path.join(folder, "filler"))
journal.record("run", "r", 3, chapter="03")
entries = [[entry.id, entry.value] for entry in Journal(journal.path).entries()]
import sqlite3
connection = sqlite3.connect(journal.path)
sound = connection.execute("PRAGMA integrity_check").fetchone()[0]
connection.close()
print(json.dumps([said, seen, entries, sound]))
"""


def test_a_full_disk_gives_a_sentence_and_loses_nothing(tmp_path):
    script = 'mount -t tmpfs -o size=256k none "$1" && shift && exec "$@"'
    prefix = ("unshare", "-rm", "sh", "-c", script, "sh", str(tmp_path))
    if not shutil.which("unshare") or subprocess.run([*prefix, "true"], capture_output=True).returncode:
        pytest.skip("needs a small disk of its own: run on Linux as root or with user namespaces allowed")
    said, seen, entries, sound = run(FULL, tmp_path, prefix=prefix)
    assert len(said) == 2
    assert "was not saved" in said[0]
    assert "free some space on the disk" in said[0]
    assert "(nor 1 before it)" in said[1]
    assert seen == [0, 1, 2]
    assert entries == [[1, 0], [2, 1], [3, 2], [4, 3]]
    assert sound == "ok"


READ_ONLY = """
import json, os, sys
from efflab.journal import Journal, JournalError
journal = Journal(sys.argv[1])
journal.record("run", "r", 0, chapter="03")
os.chmod(journal.path, 0o444)
os.chmod(journal.path.parent, 0o555)
if os.getuid() == 0:
    os.setuid(65534)  # permissions do not bind the superuser
said = ""
try:
    journal.record("run", "r", 1, chapter="03")
except JournalError as error:
    said = str(error)
print(json.dumps([said, [entry.value for entry in journal.entries()]]))
"""


@posix_only
def test_a_read_only_folder_gives_a_sentence_and_can_still_be_read():
    folder = Path(tempfile.mkdtemp(prefix="efflab-test-"))  # tmp_path is closed to other users
    try:
        said, seen = run(READ_ONLY, folder / "journal.sqlite")
    finally:
        folder.chmod(0o755)
        shutil.rmtree(folder)
    assert "was not saved" in said
    assert "make the folder writable, or set EFFLAB_JOURNAL" in said
    assert seen == [0, 1]


def test_a_path_that_cannot_be_a_file_gives_a_sentence_and_keeps_the_entry(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    journal = Journal(tmp_path / "file" / "journal.sqlite")
    with pytest.raises(JournalError, match=r"'a' of chapter 03 was not saved in .*: make the folder writable"):
        journal.record("skip", "a", 1, chapter="03")
    assert [e.value for e in journal.unsaved] == [1]


# Damaged or not ours


def damaged(path, where, junk):
    with open(path, "r+b") as file:
        file.seek(where)
        file.write(junk)


@pytest.mark.parametrize(("act", "page"), [("read", 8), ("record", -1)])
def test_a_damaged_file_is_kept_aside_and_its_readable_entries_are_carried_over(journal, act, page):
    rows = [("2025-01-01T00:00:00.000Z", "03", "run", f"r{i}", json.dumps("x" * 100)) for i in range(200)]
    store.insert(journal.path, rows)
    damaged(journal.path, page * 4096 % journal.path.stat().st_size, b"\xff" * 4096)
    broken = journal.path.read_bytes()
    with pytest.warns(JournalWarning, match=r"is kept as journal\.sqlite\.damaged-1 in the same folder"):
        journal.record("skip", "a", 1, chapter="03") if act == "record" else journal.entries()
    assert journal.path.with_name("journal.sqlite.damaged-1").read_bytes() == broken
    kept = [e.name for e in Journal(journal.path).entries(kind="run")]
    lost = [i for i in range(200) if f"r{i}" not in kept]
    assert 0 < len(lost) < 40  # one page holds about 25
    assert lost == list(range(lost[0], lost[-1] + 1))
    assert [e.value for e in Journal(journal.path).entries(kind="skip")] == [1] * (act == "record")
    assert f"the {len(kept)} entries" in journal.notices[0]


def test_a_file_that_is_no_database_is_kept_aside_and_nothing_is_overwritten_twice(journal):
    for number in (1, 2):
        journal.path.write_bytes(b"\0" * 5000)
        with pytest.warns(JournalWarning, match=f"damaged-{number} "):
            assert journal.record("skip", "a", number, chapter="03").id == 1
    assert sorted(p.name for p in journal.path.parent.iterdir() if "damaged" in p.name) == [
        "journal.sqlite.damaged-1",
        "journal.sqlite.damaged-2",
    ]


def test_a_sound_file_is_never_set_aside(journal):
    journal.record("skip", "a", 1, chapter="03")
    assert store.set_aside(journal.path) is None
    assert journal.path.exists()


class Listener:
    def __init__(self):
        self.heard = []

    def hear(self, entry):
        self.heard.append((entry.id, entry.value))


def test_whoever_listens_is_told_of_each_entry_that_was_saved_and_is_not_kept_alive(journal):
    listener, gone = Listener(), Listener()
    journal.on_record(gone.hear)
    journal.on_record(listener.hear)
    heard = gone.heard
    del gone
    gc.collect()
    first = journal.record("skip", "a", 1, chapter="03")
    journal.record("skip", "a", 2, chapter="03")
    assert listener.heard == [(first.id, 1), (first.id + 1, 2)]
    assert heard == []


def test_an_entry_that_could_not_be_written_at_first_is_told_once_it_is(journal, monkeypatch):
    listener = Listener()
    journal.on_record(listener.hear)
    with monkeypatch.context() as patch:
        patch.setattr(store, "insert", lambda *_: (_ for _ in ()).throw(OSError("no disk")))
        with pytest.raises(JournalError):
            journal.record("skip", "a", 1, chapter="03")
    assert listener.heard == []
    journal.record("skip", "a", 2, chapter="03")
    assert [value for _, value in listener.heard] == [1, 2]


def test_a_database_of_another_program_is_refused_and_not_touched(journal):
    connection = sqlite3.connect(journal.path)
    connection.execute("CREATE TABLE bookmarks (url TEXT)")
    connection.close()
    before = journal.path.read_bytes()
    with pytest.raises(JournalError, match="belongs to another program and was not touched"):
        journal.record("skip", "a", 1, chapter="03")
    with pytest.raises(JournalError, match="The journal was not read"):
        journal.entries()
    assert journal.path.read_bytes() == before
    assert [e.value for e in journal.unsaved] == [1]


def test_a_journal_of_a_newer_version_is_refused(journal):
    journal.record("skip", "a", 1, chapter="03")
    connection = sqlite3.connect(journal.path)
    connection.execute("PRAGMA user_version = 7")
    connection.close()
    with pytest.raises(JournalError, match=r"format 7 where this one knows 1.*: update efflab"):
        journal.record("skip", "a", 2, chapter="03")
    assert [e.value for e in journal.unsaved] == [2]


def test_every_kind_of_the_course_can_be_recorded(journal):
    assert KINDS == ("prediction", "skip", "measured", "answer", "check", "run", "test_opened")
    for kind in KINDS:
        journal.record(kind, "a", 1, chapter="03")
    assert [e.kind for e in journal.entries()] == list(KINDS)
