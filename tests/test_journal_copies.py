"""A journal that comes from somebody else is read as it is, and nothing is written beside it."""

import sqlite3

import pytest

from efflab.journal import Journal
from efflab.journal.copies import CopyError, entries_from, parsed, read_copy, read_lines


@pytest.fixture
def journal(tmp_path) -> Journal:
    journal = Journal(tmp_path / "journal.sqlite")
    for value in (None, 1.5, "ü", {"a": [True, {"b": None}]}):
        journal.record("run", "a", value, chapter="03")
    return journal


def test_a_copy_and_an_export_hold_what_the_journal_holds(journal):
    export = journal.export(journal.path.with_name("out.jsonl"))
    assert read_copy(journal.path) == journal.entries()
    assert read_lines(export.read_text(encoding="utf-8")) == journal.entries()


def test_reading_a_copy_writes_nothing_beside_it(journal):
    before = journal.path.read_bytes()
    read_copy(journal.path)
    assert [path.name for path in journal.path.parent.iterdir()] == ["journal.sqlite"]
    assert journal.path.read_bytes() == before


def test_an_empty_database_is_an_empty_journal(tmp_path):
    sqlite3.connect(tmp_path / "empty.sqlite").close()
    assert read_copy(tmp_path / "empty.sqlite") == ()


def test_blank_lines_are_passed_over(journal):
    text = journal.export(journal.path.with_name("out.jsonl")).read_text(encoding="utf-8")
    assert read_lines("\n" + text.replace("\n", "\n\n")) == journal.entries()


@pytest.mark.parametrize("text", ["NaN", "[Infinity]", "{", "", "[" * 100_000, "9" * 5000])
def test_what_is_not_json_is_said(text):
    with pytest.raises(CopyError, match="it is not JSON"):
        parsed(text)


def test_a_list_of_entries_is_a_list(journal):
    with pytest.raises(CopyError, match="it has no list of entries"):
        entries_from({"id": 1})


def test_a_separator_of_lines_inside_a_text_does_not_break_an_export(tmp_path):
    journal = Journal(tmp_path / "journal.sqlite")
    journal.record("answer", "a", "one\u2028two\x85three\nfour", chapter="03")
    text = journal.export(tmp_path / "out.jsonl").read_text(encoding="utf-8")
    assert read_lines(text) == journal.entries()
