"""A class from a folder: whatever lies there, what can be read is read, and what cannot is named."""

import json
import os
import sqlite3

import pytest

from efflab.journal import Journal
from efflab.journal import store as journal_store
from efflab.journal.copies import CopyError, read_copy, read_lines
from efflab.questions import load
from efflab.scoreboard import folder as folder_module
from efflab.scoreboard.folder import summary
from efflab.scoreboard.report import write_report
from tests.scoreboard.entries import RECIPE, RUN


@pytest.fixture
def journal(tmp_path) -> Journal:
    """Ada's: a prediction that was close and one that was not, a quiz right at the second try, and three runs."""
    journal = Journal(tmp_path / "ada" / "journal.sqlite")
    quiz = load("03").quizzes[0]
    right = next(option.key for option in quiz.options if option.right)
    wrong = next(option.key for option in quiz.options if not option.right)
    for kind, name, value in (
        ("prediction", "accuracy_at_80", 92.0),
        ("measured", "accuracy_at_80", 93.2),
        ("prediction", "faster_at_90", "tenth"),
        ("measured", "faster_at_90", "same"),
        ("skip", "layer_that_suffers", None),
        ("answer", quiz.id, wrong),
        ("answer", quiz.id, right),
        ("check", "magnitude_mask", {"passed": True, "n_passed": 4, "n_cases": 4}),
        ("test_opened", "prune_filters", {"recipe": RECIPE, "score": 0.8}),
        ("run", "prune_filters", RUN | {"score": 0.9, "packed_bytes": 20_000}),
        ("run", "prune_filters", RUN | {"score": 0.8, "packed_bytes": 19_999}),
        ("run", "prune_filters", RUN | {"score": 0.7, "packed_bytes": 100}),
        ("run", "by hand", 3),
    ):
        journal.record(kind, name, value, chapter="03")
    return journal


@pytest.fixture
def handed_in(tmp_path):
    place = tmp_path / "class"
    place.mkdir()
    return place


def facts(found) -> list[tuple[object, ...]]:
    return [
        (
            [(one.id, one.predicted, one.measured, one.is_close) for one in learner.story.predictions],
            [(one.is_right_first, one.is_right_now) for one in learner.story.answers],
            len(learner.story.runs),
            len(learner.story.unread),
            {data: (run.score, run.packed_bytes) for data, run in learner.best.items()},
        )
        for learner in found.learners
    ]


def test_a_report_an_export_and_a_journal_say_the_same(journal, handed_in):
    places = [handed_in / name for name in "abc"]
    for place in places:
        place.mkdir()
    write_report(places[0] / "a.html", journal, name="Ada")
    journal.export(places[1] / "b.jsonl")
    (places[2] / "deep").mkdir()
    (places[2] / "deep" / "c.sqlite").write_bytes(journal.path.read_bytes())
    found = [summary(place) for place in places]
    assert [one.not_read for one in found] == [(), (), ()]
    assert [(one.name, one.file) for each in found for one in each.learners] == [
        ("Ada", "a.html"),
        ("b", "b.jsonl"),
        ("c", "deep/c.sqlite"),
    ]
    predicted = [
        ("accuracy_at_80", 92.0, 93.2, True),
        ("faster_at_90", "tenth", "same", False),
        ("layer_that_suffers", None, None, None),
    ]
    for one in found:
        assert facts(one) == [(predicted, [(False, True)], 3, 1, {"tiny": (0.8, 19_999)})]


def test_the_table_counts_and_says_what_is_what(journal, handed_in):
    write_report(handed_in / "a.html", journal, name="Ada")
    head, row, *_ = summary(handed_in).as_text().splitlines()
    assert " ".join(head.split()) == "learner predicted close quiz checks runs tests gain best run file"
    assert " ".join(row.split()) == "Ada 2/3 1/2 0/1 1/1 3 (+1 not read) 1 – tiny 80.0 % (20 kB) a.html"
    assert "Best run: highest score under 20 kB packed" in summary(handed_in).as_text()


def test_the_json_holds_everything_for_a_program(journal, handed_in):
    write_report(handed_in / "a.html", journal, name="Ada")
    found = json.loads(summary(handed_in, under_bytes=1000).as_json())
    assert (found["under_bytes"], found["gain"], found["not_read"]) == (1000, None, [])
    (learner,) = found["learners"]
    assert (learner["name"], learner["n_runs"], learner["n_runs_not_read"], learner["n_test_openings"]) == (
        "Ada",
        3,
        1,
        1,
    )
    assert learner["best"] == {"tiny": {"recipe": RECIPE, "score": 0.7, "packed_bytes": 100}}
    assert learner["predictions"][0] == {
        "chapter": "03",
        "id": "accuracy_at_80",
        "predicted": 92.0,
        "measured": 93.2,
        "is_close": True,
    }
    assert learner["quiz"][0]["right_first"] is False
    assert learner["checks"] == [{"chapter": "03", "id": "magnitude_mask", "passed": True}]


def other_program(path):
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE bookmarks (url TEXT)")
    connection.close()


def view_instead_of_table(path):
    Journal(path).record("skip", "a", None, chapter="03")
    connection = sqlite3.connect(path)
    connection.execute("ALTER TABLE entry RENAME TO real")
    connection.execute("CREATE VIEW entry AS SELECT * FROM real")
    connection.commit()
    connection.close()


def half(path):
    Journal(path).record("run", "a", "x" * 50_000, chapter="03")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def bad_value(path):
    row = ("2025-03-01T18:20:05.123Z", "03", "run", "a", "{")
    journal_store.insert(path, [row])


def left_open(path):
    Journal(path).record("skip", "a", None, chapter="03")
    path.with_name(f"{path.name}-wal").write_bytes(b"something")


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (other_program, "belongs to another program"),
        (view_instead_of_table, "has no table of entries"),
        (half, "it is no sound journal (database disk image is malformed)"),
        (bad_value, "entry 1: it is not JSON"),
        (left_open, "its newest entries are still in x-wal, because a notebook had it open"),
        (lambda path: path.write_bytes(b"SQLite format 3\0" + b"\xff" * 5000), "it is no sound journal"),
        (lambda path: path.write_bytes(b"\x80\x04\x95cos\nsystem\n"), "neither a report nor an export nor a journal"),
        (lambda path: path.write_text(""), "it is empty"),
        (lambda path: path.write_text("<html>"), "no whole report of efflab"),
        (lambda path: path.write_text('{"id": 1'), "it is not JSON"),
        (lambda path: path.write_text("[" * 100_000), "it is not JSON"),
        (lambda path: path.write_text("{}"), "entry 1: it must have the fields id, at, chapter, kind, name, value"),
    ],
    ids=lambda one: getattr(one, "__name__", None),
)
def test_a_file_that_cannot_be_read_is_named_with_the_reason_and_stops_nothing(make, said, journal, handed_in):
    make(handed_in / "x")
    journal.export(handed_in / "ada.jsonl")
    found = summary(handed_in)
    assert [one.name for one in found.learners] == ["ada"]
    (missed,) = found.not_read
    assert missed.file == "x"
    assert said in missed.reason
    assert f"Not read: x: {missed.reason}." in found.as_text()


def test_a_database_that_keeps_sqlite_busy_is_given_up(journal, handed_in, monkeypatch):
    (handed_in / "x.sqlite").write_bytes(journal.path.read_bytes())
    monkeypatch.setattr(journal_store, "_MOST_STEPS", 50)
    (missed,) = summary(handed_in).not_read
    assert missed.reason == "it is no sound journal (interrupted)"


@pytest.mark.skipif(os.name != "posix", reason="needs links and a pipe with a name: run the tests on Linux or macOS")
def test_links_are_not_followed_and_a_pipe_that_nobody_writes_into_does_not_make_one_wait(journal, handed_in):
    os.mkfifo(handed_in / "x")
    (handed_in / "y").symlink_to(journal.path)
    (handed_in / "z").symlink_to(journal.path.parent, target_is_directory=True)
    assert [one.reason for one in summary(handed_in).not_read] == ["it is a link or no ordinary file"] * 3


def test_a_folder_that_the_system_does_not_open_is_named(journal, handed_in, monkeypatch):
    for name in ("a", "closed", "z"):
        (handed_in / name).mkdir()
        write_report(handed_in / name / "report.html", journal, name=name)
    scandir = os.scandir

    def scan(path):  # as for somebody who may not read it; who runs the tests as root may read all
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", scan)
    found = summary(handed_in)
    assert [one.name for one in found.learners] == ["a", "z"]
    assert [(one.file, one.reason) for one in found.not_read] == [
        ("closed", "the system does not give it (Permission denied)")
    ]


@pytest.mark.parametrize(
    "line",
    [
        {"kind": "guess"},
        {"at": 3},
        {"id": "1"},
        {"id": True},
        {"more": 1},
    ],
)
def test_an_entry_that_cannot_be_is_named(line, handed_in):
    good = {"id": 1, "at": "2025", "chapter": "03", "kind": "skip", "name": "a", "value": None}
    (handed_in / "x.jsonl").write_text(f"{json.dumps(good)}\n{json.dumps(good | line)}\n")
    (missed,) = summary(handed_in).not_read
    assert missed.reason.startswith("entry 2: ")


def test_too_many_bytes_files_or_entries_are_said(journal, handed_in, monkeypatch):
    for name in ("a", "b", "c"):
        journal.export(handed_in / f"{name}.jsonl")
    (handed_in / "a.jsonl").write_text("x" * 100_001)
    monkeypatch.setattr(folder_module, "MOST_BYTES", 100_000)
    monkeypatch.setattr(folder_module, "MOST_FILES", 2)
    found = summary(handed_in)
    assert [one.name for one in found.learners] == ["b"]
    assert [(one.file, one.reason) for one in found.not_read] == [
        ("a.jsonl", "it has more than 100 kB"),
        ("c.jsonl", "there are more than 2 files"),
    ]


@pytest.mark.parametrize("kind", ["lines", "sqlite"])
def test_more_entries_than_a_course_has_are_refused(kind, journal):
    lines = journal.export(journal.path.with_name("out.jsonl")).read_text()
    with pytest.raises(CopyError, match="it has more than 5 entries"):
        read_lines(lines, 5) if kind == "lines" else read_copy(journal.path, 5)


def test_nothing_in_the_folder_is_changed_and_hidden_files_are_passed_over(journal, handed_in):
    (handed_in / "a.sqlite").write_bytes(journal.path.read_bytes())
    (handed_in / ".DS_Store").write_bytes(b"\0")
    (handed_in / ".git").mkdir()
    (handed_in / ".git" / "config").write_text("x")
    before = {path: path.read_bytes() for path in handed_in.rglob("*") if path.is_file()}
    found = summary(handed_in)
    assert ([one.name for one in found.learners], found.not_read) == (["a"], ())
    assert {path: path.read_bytes() for path in handed_in.rglob("*") if path.is_file()} == before


def test_a_name_moves_no_cursor(journal, handed_in):
    write_report(handed_in / "a.html", journal, name="\x1b[31mAda\nEve\u202e")
    text = summary(handed_in).as_text()
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "?[31mAda?Eve?" in text


def test_a_missing_folder_and_a_file_are_sentences(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no folder .*nowhere: name the one with"):
        summary(tmp_path / "nowhere")
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError, match="is a file: name the folder"):
        summary(tmp_path / "file")
    with pytest.raises(ValueError, match="under_bytes must be 1 or more, not 0"):
        summary(tmp_path, under_bytes=0)


def test_an_empty_folder_is_an_empty_table(handed_in):
    assert "0 files read" in summary(handed_in).as_text()


def test_an_earlier_copy_of_the_same_work_is_named_and_counts_once(journal, handed_in):
    write_report(handed_in / "monday.html", journal, name="Ada")
    journal.record("skip", "later", None, chapter="03")
    write_report(handed_in / "friday.html", journal, name="Ada")
    journal.export(handed_in / "export.jsonl")  # says no name
    found = summary(handed_in)
    assert [one.file for one in found.learners] == ["friday.html"]  # of twins, the one that says a name
    assert {one.file: one.reason for one in found.not_read} == {
        "monday.html": "all of it is in friday.html, too",
        "export.jsonl": "all of it is in friday.html, too",
    }


def test_the_same_work_under_two_names_is_shown_twice(journal, handed_in):
    write_report(handed_in / "ada.html", journal, name="Ada")
    write_report(handed_in / "bob.html", journal, name="Bob")
    assert [one.name for one in summary(handed_in).learners] == ["Ada", "Bob"]


def test_two_learners_of_one_name_are_two(journal, handed_in, tmp_path):
    write_report(handed_in / "one.html", journal, name="Ada")
    other = Journal(tmp_path / "other.sqlite")
    other.record("skip", "accuracy_at_80", None, chapter="03")
    write_report(handed_in / "two.html", other, name="Ada")
    assert [one.file for one in summary(handed_in).learners] == ["one.html", "two.html"]


def test_two_copies_that_went_on_apart_are_both_read(journal, handed_in, tmp_path):
    other = tmp_path / "other.sqlite"
    other.write_bytes(journal.path.read_bytes())  # to another laptop, say
    journal.record("skip", "here", None, chapter="03")
    there = Journal(other)
    there.record("skip", "there", None, chapter="03")
    write_report(handed_in / "here.html", journal, name="Ada")
    write_report(handed_in / "there.html", there, name="Ada")
    found = summary(handed_in)
    assert [one.file for one in found.learners] == ["here.html", "there.html"]
    assert found.not_read == ()
