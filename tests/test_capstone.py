"""A run is handed in: its recipe runs again from the start, and neither a typed number nor a kept network counts."""

import pytest
import support

from efflab import Lab, fine_tune, prune_weights, step, to_json
from efflab.budget import DeployedBudget, FasterBudget, PackedBudget, RecordBudget, StoppedError, TaughtBudget
from efflab.capstone import candidates, hand_in, told_before
from efflab.journal import Entry
from efflab.questions import Verdict
from efflab.scoreboard import Run, judged_entry, runs_of
from efflab.training import Progress

CUT, TUNE = step(prune_weights, sparsity=0.5), step(fine_tune, epochs=1)


class Watching:
    """A budget that passes all, and remembers the labs it was asked about."""

    def __init__(self) -> None:
        self.labs: list[Lab] = []

    def judge_recipe(self, lab, recipe, progress=None):
        lab.build(recipe, progress=progress)
        self.labs.append(lab)
        return Verdict(True, "fine", 1, 1)


@pytest.fixture(scope="module")
def lab() -> Lab:
    return Lab(support.tiny_cnn(), support.tiny_data(), name="tiny-cnn")


def run_of(lab: Lab, recipe=(CUT, TUNE), id: int = 1, **changes) -> Run:
    value = judged_entry(lab.preview(recipe), lab) | changes
    ((run,), _) = runs_of([Entry(id, "2026-01-01T10:00:00.000Z", "18", "run", "recipe", value)])
    return run


def test_the_recipe_runs_again_with_its_seed_and_gives_what_the_journal_says(lab):
    run = run_of(lab.with_seed(3))
    found = hand_in(run, lab, PackedBudget(10**6, lost=1.0))
    assert found.verdict.passed
    assert found.score == Lab(support.tiny_cnn(), support.tiny_data(), seed=3).preview((CUT, TUNE)).evaluation.value
    assert found.is_same
    assert found.comparison(lab).endswith("accuracy (measured), as the journal says.")


def test_nothing_that_was_trained_before_is_used(lab):
    budget = Watching()
    hand_in(run_of(lab), lab, budget)
    (fresh,) = budget.labs
    assert fresh is not lab
    assert fresh.build((CUT, TUNE)) is not lab.build((CUT, TUNE))


def test_a_number_that_was_changed_is_told_and_does_not_count(lab):
    honest = run_of(lab)
    typed = honest._replace(score=0.9999, packed_bytes=7)
    found = hand_in(typed, lab, PackedBudget(100, lost=1.0))
    assert not found.verdict.passed  # by the bytes of the network, not by those of the journal
    assert f"{honest.packed_bytes:,} bytes packed" in found.verdict.message
    assert not found.is_same
    assert f"The journal says 99.99 % accuracy; run again from the start, it has {100 * honest.score:.2f} %" in (
        found.comparison(lab)
    )


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"network": "another-net"}, "this run is of another-net on tiny; handed in are runs of tiny-cnn on tiny"),
        ({"data": "digits"}, "this run is of tiny-cnn on digits; handed in"),
        ({"network": "", "data": ""}, "this run is of an unknown network on unknown data; handed in"),
        ({"teacher": "Network 0123abcd"}, "this run was taught by Network 0123abcd, which is not the teacher of this"),
    ],
)
def test_a_run_of_something_else_is_refused(lab, changes, told):
    with pytest.raises(ValueError, match=f"^{told}"):
        hand_in(run_of(lab, **changes), lab, Watching())


def test_what_was_stopped_is_not_judged(lab):
    progress = Progress()
    progress.stop()
    with pytest.raises(StoppedError, match="stopped early"):
        hand_in(run_of(lab), lab, Watching(), progress)


def test_a_recipe_that_cannot_run_says_why_in_the_words_of_its_technique(lab):
    bad = run_of(lab)._replace(recipe=to_json((step(prune_weights, sparsity={"conv9": 0.5}),)))
    with pytest.raises(ValueError, match="conv9"):
        hand_in(bad, lab, PackedBudget(10**6, lost=1.0))


def test_candidates_are_the_newest_of_each_recipe_and_seed_and_the_best_comes_first(lab):
    old, new, better = run_of(lab, id=1), run_of(lab, id=2), run_of(lab, (CUT,), id=3, score=0.99)
    seeded, stranger = run_of(lab, id=4, seed=7, score=0.1), run_of(lab, id=5, network="another-net")
    taught = run_of(lab, id=6, teacher="Network 0123abcd", score=0.98)
    assert candidates([old, new, better, seeded, stranger, taught], lab, Watching()) == (better, new, seeded)


def test_candidates_whose_bytes_keep_to_the_budget_come_first(lab):
    best = run_of(lab, (CUT,), id=1, score=0.99, packed_bytes=61_748, file_bytes=20_000)
    fair = run_of(lab, (TUNE,), id=2, score=0.8, packed_bytes=20_000, file_bytes=20_001)
    good = run_of(lab, (CUT, TUNE), id=3, score=0.9, packed_bytes=19_999)  # nobody weighed its file
    runs = [good, fair, best]
    for packed in (PackedBudget(20_000, lost=0.01), RecordBudget(20_000, 0.9), TaughtBudget(20_000, gained=0.01)):
        assert candidates(runs, lab, packed) == (good, fair, best)
    assert candidates(runs, lab, DeployedBudget(20_000, ms=0.2, lost=0.04)) == (best, good, fair)
    assert candidates(runs, lab, FasterBudget(1.8, lost=0.1)) == (best, good, fair)  # has no limit of bytes


def test_a_record_asks_for_a_mean_over_seeds(lab):
    seeds = [lab.with_seed(seed).preview((CUT, TUNE)).evaluation.value for seed in (0, 1)]
    mean = sum(seeds) / 2
    met = hand_in(run_of(lab), lab, RecordBudget(10**6, mean, n_seeds=2)).verdict
    assert met.passed
    assert f"{100 * mean:.2f} % accuracy on average over 2 seeds" in met.message
    assert not hand_in(run_of(lab), lab, RecordBudget(10**6, mean + 1e-6, n_seeds=2)).verdict.passed


def check(day: int, value: object) -> Entry:
    return Entry(day, f"2026-11-{day:02}T10:00:00.000Z", "18", "check", "under_20_kb", value)


def test_the_newest_check_that_passed_is_told_or_else_the_newest_try():
    recipe = to_json((CUT, TUNE))
    missed = [check(day, {"passed": False, "recipe": recipe}) for day in (1, 4)]
    met = [check(2, {"passed": True, "recipe": "old"}), check(3, {"passed": True, "recipe": recipe})]
    assert told_before([]) == ""
    assert told_before(missed) == "Tried before, on 4 November 2026: not met yet."
    told = "Met before, on 3 November 2026, with: prune_weights(sparsity=0.5), then fine_tune(epochs=1)."
    assert told_before([missed[0], *met, missed[1]]) == told


@pytest.mark.parametrize("value", ["passed", None, 1, [True]])
def test_a_check_that_somebody_changed_is_not_told(value):
    assert told_before([check(1, value)]) == ""


def test_a_check_without_a_recipe_is_told_without_one():
    assert told_before([check(1, {"passed": True})]) == "Met before, on 1 November 2026."
    assert told_before([check(1, {"passed": "yes", "recipe": 3})]) == "Tried before, on 1 November 2026: not met yet."
