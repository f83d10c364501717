"""The search over recipes: what it draws, whom it keeps, and that its record is what such a search would write."""

import json
import random
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from efflab import Lab, from_json, models, shipped, to_json
from efflab.lab import Swept
from efflab.lab.seeds import student_interval
from efflab.lab.swept import Judged
from efflab.recipe import Recipe

NEAR = 0.015
"""How far a training of few epochs may end from the recorded one on another machine, as a fraction of the images."""


@pytest.fixture(scope="module")
def search(tool: Callable[[str], ModuleType]) -> ModuleType:
    return tool("search_recipes")


@pytest.fixture(scope="module")
def record() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((shipped.folder("expected") / "search_scattered.json").read_text("utf-8"))
    return found


def recipes(rung: dict[str, Any]) -> list[Recipe]:
    return [from_json(json.dumps(one["recipe"])) for one in rung["tried"]]


def test_epochs_are_shared_out_among_the_steps_that_train(search):
    chance = random.Random(1)
    seen = set()
    for _ in range(100):
        draft = search.draw(chance)
        for epochs in (3, 9, 27):
            parts = [one.values["epochs"] for one in draft.recipe(epochs) if one.technique.is_slow]
            assert sum(parts) == epochs
            assert max(parts) - min(parts) <= 1
        assert not any(one.technique.is_slow for one in draft.untrained())
        seen.add(len(parts))
    assert seen == {1, 2, 3}


def test_halving_keeps_the_best_of_those_within_the_limit(search):
    drafts = [search.draw(random.Random(seed)) for seed in range(6)]
    score = {draft: place / 10 for place, draft in enumerate(drafts)}
    asked: list[tuple[int, int]] = []

    def judge(recipes):
        for recipe in reversed(list(recipes)):  # in any order
            epochs = sum(one.values.get("epochs", 0) for one in recipe)
            draft = next(one for one in drafts if one.recipe(epochs) == recipe)
            asked.append((drafts.index(draft), epochs))
            n_bytes = search.LIMIT + (draft is drafts[5])
            yield Swept(recipe, 0, Judged(score[draft], 0.0, 1.0, 9, 9, n_bytes, None, ""))

    first, second, third = search.halve(drafts, ((6, 3), (3, 9), (1, 27)), judge)
    assert [drafts.index(one) for one, _ in first] == [4, 3, 2, 1, 0, 5]  # the best is too large
    assert [drafts.index(one) for one, _ in second] == [4, 3, 2]
    assert [drafts.index(one) for one, _ in third] == [4]
    assert asked[6:] == [(2, 9), (3, 9), (4, 9), (4, 27)]


def test_the_record_has_what_the_search_draws_in_its_order(search, record):
    chance = random.Random(0)
    drawn = [to_json(search.draw(chance).recipe(search.RUNGS[0][1])) for _ in range(2000)]
    tried = {to_json(recipe) for recipe in recipes(record["rungs"][0])}
    assert len(tried) == search.RUNGS[0][0]
    assert tried <= set(drawn)


def test_each_rung_of_the_record_has_the_best_of_the_one_before(search, record):
    for (_, epochs), rung in zip(search.RUNGS, record["rungs"], strict=True):
        assert rung["epochs"] == epochs
        key = [(one["packed_bytes"] > search.LIMIT, -one["score"]) for one in rung["tried"]]
        assert key == sorted(key)
    names = [[[one.technique.name for one in recipe] for recipe in recipes(rung)] for rung in record["rungs"]]
    for (n, _), before, now in zip(search.RUNGS[1:], names, names[1:], strict=False):
        assert sorted(now) == sorted(before[:n])


def test_the_best_of_the_record_is_that_of_the_last_rung_with_five_seeds_within_the_limit(search, record):
    best, last = record["best"], record["rungs"][-1]["tried"][0]
    assert (best["recipe"], best["score"], best["packed_bytes"]) == (
        last["recipe"],
        last["score"],
        last["packed_bytes"],
    )
    assert best["scores"][0] == best["score"]
    assert len(best["scores"]) == len(best["seeds"]) == 5
    assert max(best["packed_bytes_of_seeds"]) <= record["limit_bytes"] == search.LIMIT
    assert best["mean"] == pytest.approx(sum(best["scores"]) / 5, abs=1e-5)
    assert (best["low"], best["high"]) == pytest.approx(student_interval(best["scores"]), abs=1e-5)
    assert record["weights_sha256"] == models.card(record["network"]).sha256


@pytest.mark.slow
def test_the_winner_trained_for_the_epochs_of_the_first_rung_is_as_good_here(record):
    lab = Lab.open(record["network"])
    best = [one["technique"] for one in record["best"]["recipe"]["steps"]]
    of_it = [one for one in record["rungs"][0]["tried"] if [s["technique"] for s in one["recipe"]["steps"]] == best]
    preview = lab.preview(from_json(json.dumps(of_it[0]["recipe"])))
    assert preview.evaluation.value == pytest.approx(of_it[0]["score"], abs=NEAR)
    assert preview.size.packed_bytes == pytest.approx(of_it[0]["packed_bytes"], rel=0.05)
