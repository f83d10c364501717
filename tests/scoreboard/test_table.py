"""The runs for a spreadsheet: every field comes back, and no cell is a formula."""

import csv
import os

import pytest

from efflab.scoreboard import runs_of
from efflab.scoreboard.table import COLUMNS, safe_cell, write_csv
from tests.scoreboard.entries import RECIPE, run


def rows(path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def test_a_run_has_a_row_with_all_its_fields(tmp_path):
    (one,) = rows(write_csv(tmp_path / "runs.csv", runs_of([run(id=7)])[0]))
    assert tuple(one) == COLUMNS
    assert (one["id"], one["network"], one["score"], one["packed_bytes"]) == ("7", "net", "0.9", "80000")
    assert (one["recipe"], one["recipe_in_words"]) == (RECIPE, "prune_filters(ratio=0.5)")


def test_what_is_not_known_is_an_empty_cell(tmp_path):
    (one,) = rows(write_csv(tmp_path / "runs.csv", runs_of([run("ms", "macs", "network")])[0]))
    assert (one["ms"], one["macs"], one["network"]) == ("", "", "")


@pytest.mark.parametrize(
    "text",
    ["=1+1", "+1+1", "-1+1", "@SUM(1)", "\t=1", "\r=1", "\n=1", "  =1+1", "＝1+1", '=HYPERLINK("x")', "-", "+1_0"],
)
def test_a_text_that_a_spreadsheet_would_run_is_told_to_be_a_text(text, tmp_path):
    assert safe_cell(text) == f"'{text}"
    (one,) = rows(write_csv(tmp_path / "runs.csv", runs_of([run(network=text, verdict=text)])[0]))
    assert (one["network"], one["verdict"]) == (f"'{text}", f"'{text}")


@pytest.mark.parametrize("value", ["-0.5", "+3", "-1e-3", "net", "a=b", "2 - 1", "", -0.5, 7])
def test_numbers_and_harmless_texts_stay(value):
    assert safe_cell(value) == value


def test_texts_are_quoted_so_that_another_separator_splits_none(tmp_path):
    text = write_csv(tmp_path / "runs.csv", runs_of([run(network='a;=1+1,"x')])[0]).read_text(encoding="utf-8-sig")
    assert '"a;=1+1,""x"' in text


def test_a_table_that_cannot_be_written_leaves_the_old_one(tmp_path, monkeypatch):
    def full(number):
        raise OSError(28, "No space left on device")

    (tmp_path / "runs.csv").write_text("old")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_csv(tmp_path / "runs.csv", [])
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("runs.csv", "old")]
