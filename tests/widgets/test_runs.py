"""Runs in the journal: which can stand in one picture, and how they are written out."""

import json

import pytest

from efflab import prune_filters, prune_weights, step
from efflab.figures.pareto import Run
from efflab.recipe import to_json
from efflab.widgets.runs import COLUMNS, comparable, recipe_text, run_texts

RECIPE = to_json((step(prune_filters, ratio=0.5),))


def entry(network: str = "net", batch: int = 1, ms: float = 0.2, **more: object) -> dict[str, object]:
    """A run as the bench writes it down."""
    score = {"score": 0.9, "low": 0.88, "high": 0.91}
    sizes = {"packed_bytes": 80_000, "file_bytes": 82_300}
    times = {"batch": batch, "ms": ms, "base_ms": 0.4, "verdict": "2.0x faster"}
    return {"network": network, "recipe": RECIPE, **score, **sizes, **times, **more}


def test_a_run_becomes_a_point_with_its_recipe_in_words():
    assert comparable([entry()], "net", 1) == [Run("prune_filters(ratio=0.5)", 0.9, 0.88, 0.91, 0.2)]


def test_only_runs_of_one_network_at_one_batch_can_be_compared():
    runs = [entry(ms=1), entry("other", ms=2), entry(batch=64, ms=3), entry(ms=4)]
    assert [run.ms for run in comparable(runs, "net", 1)] == [1, 4]
    assert [run.ms for run in comparable(runs, "net", 64)] == [3]
    assert comparable(runs, "nobody's", 1) == []


def test_a_run_without_a_batch_was_one_image():
    old = {name: value for name, value in entry().items() if name != "batch"}
    assert len(comparable([old], "net", 1)) == 1
    assert comparable([old], "net", 64) == []


def test_a_run_without_a_network_is_nobodys_and_still_has_its_row():
    old = {name: value for name, value in entry().items() if name != "network"}
    assert comparable([old], "net", 1) == []
    assert dict(zip(COLUMNS, run_texts(old), strict=True))["network"] == ""


@pytest.mark.parametrize(
    ("recipe", "text"),
    [
        ((step(prune_filters, ratio=0.5),), "prune_filters(ratio=0.5)"),
        ((step(prune_filters, ratio=0.3, form="zeroed"),), "prune_filters(ratio=0.3, form=zeroed)"),
        (
            (step(prune_filters, ratio=0.5), step(prune_weights, sparsity=0.8)),
            "prune_filters(ratio=0.5), then prune_weights(sparsity=0.8)",
        ),
        ((), ""),
    ],
)
def test_a_recipe_is_told_by_its_first_setting_and_what_is_unusual(recipe, text):
    assert recipe_text(to_json(recipe)) == text


def test_of_a_technique_of_ones_own_every_setting_is_told():
    recipe = json.dumps([{"technique": "mine", "settings": {"a": 1, "b": "x"}}])
    assert recipe_text(recipe) == "mine(a=1, b=x)"


def test_a_row_has_a_unit_at_every_number():
    assert dict(zip(COLUMNS, run_texts(entry(batch=64)), strict=True)) == {
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
    untimed = {name: value for name, value in entry(seed=3).items() if name not in ("ms", "base_ms", "file_bytes")}
    assert comparable([untimed, entry(seed=0)], "net", 1) == [
        Run("prune_filters(ratio=0.5), seed 0", 0.9, 0.88, 0.91, 0.2)
    ]
    row = dict(zip(COLUMNS, run_texts(untimed), strict=True))
    assert row["recipe"] == "prune_filters(ratio=0.5), seed 3"
    assert (row["packed"], row["it takes"], row["file"]) == ("80.0 kB", "–", "–")
