"""Runs of the journal: which can stand in one picture, and how they are written out."""

from efflab.figures.pareto import Run as Point
from efflab.scoreboard import Run, runs_of
from efflab.widgets.runs import COLUMNS, comparable, run_texts
from tests.scoreboard.entries import run


def read(*entries) -> tuple[Run, ...]:
    runs, unread = runs_of(entries)
    assert unread == ()
    return runs


def row(entry) -> dict[str, str]:
    return dict(zip(COLUMNS, run_texts(*read(entry)), strict=True))


def test_a_run_becomes_a_point_with_its_recipe_in_words():
    points = [Point("prune_filters(ratio=0.5), seed 0", 0.9, 0.88, 0.91, 0.2)]
    assert comparable(read(run()), "net", 1) == points


def test_only_runs_of_one_network_at_one_batch_can_be_compared():
    runs = read(run(ms=1), run(network="other", ms=2), run(batch=64, ms=3), run(ms=4))
    assert [point.ms for point in comparable(runs, "net", 1)] == [1, 4]
    assert [point.ms for point in comparable(runs, "net", 64)] == [3]
    assert comparable(runs, "nobody's", 1) == []


def test_a_run_without_a_batch_was_one_image():
    old = read(run("batch"))
    assert len(comparable(old, "net", 1)) == 1
    assert comparable(old, "net", 64) == []


def test_a_run_without_a_network_is_nobodys_and_still_has_its_row():
    assert comparable(read(run("network")), "net", 1) == []
    assert row(run("network"))["network"] == ""


def test_a_row_has_a_unit_at_every_number():
    assert row(run("seed", batch=64)) == {
        "recipe": "prune_filters(ratio=0.5)",
        "score": "90.0 % (88.0 to 91.0)",
        "batch": "64",
        "base takes": "0.400 ms",
        "it takes": "0.200 ms",
        "speed": "2.0x faster",
        "packed": "80.0 kB",
        "file": "82.3 kB",
        "network": "net",
    }


def test_a_run_of_another_seed_that_was_not_timed_has_a_row_and_no_point():
    untimed = run("ms", "base_ms", "batch", "verdict", "file_bytes", seed=3)
    assert len(comparable(read(untimed, run()), "net", 1)) == 1
    assert row(untimed) == row(run(seed=3)) | dict.fromkeys(("batch", "base takes", "it takes", "speed", "file"), "–")
    assert row(untimed)["recipe"] == "prune_filters(ratio=0.5), seed 3"
