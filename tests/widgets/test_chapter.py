"""A chapter ties questions, journal and benches together, and a cell of it returns at once."""

import pytest

from efflab import Budget, Lab, fine_tune, prune_weights, step
from efflab.journal import Journal
from efflab.prune import keep_largest
from efflab.widgets import Chapter
from efflab.widgets.worker import worker

SECONDS = 120


@pytest.fixture(scope="module")
def lab():
    return Lab.open("mlp-digits")


@pytest.fixture
def chapter(tmp_path):
    return Chapter("03", journal=Journal(tmp_path / "journal.sqlite"))


def unwritten(weight, sparsity):
    raise NotImplementedError("write me")


def test_a_check_is_shown_and_written_down(chapter):
    checked = chapter.check("magnitude_mask", unwritten)
    assert not checked.verdict.passed
    assert "not written yet" in repr(checked).lower()
    assert chapter.journal.latest("check", "magnitude_mask", chapter="03").value["passed"] is False


def test_the_package_passes_its_own_exercise(chapter):
    mask = lambda weight, sparsity: keep_largest(weight.abs(), round(sparsity * weight.numel()))  # noqa: E731
    assert chapter.check("magnitude_mask", mask).verdict.passed


def test_a_budget_is_judged_on_the_worker_and_written_down_with_its_recipe(chapter, lab):
    judging = chapter.judge(lab, (step(prune_weights, sparsity=0.5),), Budget(kept=0.5, lost=0.5))
    worker().wait(SECONDS)
    assert judging.verdict.passed
    assert "Right." in judging._text.value
    assert "prune_weights" in chapter.journal.latest("check", "budget", chapter="03").value["recipe"]


def test_a_judged_training_can_be_stopped_and_what_it_has_is_judged(chapter, lab):
    judging = chapter.judge(lab, (step(prune_weights, sparsity=0.9), step(fine_tune, epochs=30)), Budget(0.1, 1.0))
    judging.stop()
    worker().wait(SECONDS)
    assert judging.verdict is not None
    lab.forget((step(prune_weights, sparsity=0.9), step(fine_tune, epochs=30)))


def test_an_error_in_a_recipe_is_seen(chapter, lab):
    judging = chapter.judge(lab, (step(prune_weights, sparsity={"conv9": 0.5}),), Budget(0.5, 0.5))
    worker().wait(SECONDS)
    assert "sparsity names 'conv9'" in judging.readout.error
    assert "Not yet." in judging._text.value
    assert "Working" not in judging._text.value


def test_the_source_that_is_shown_is_the_one_that_runs(chapter):
    assert "def keep_largest(" in chapter.source(keep_largest).data
    assert "def prune_weights(" in chapter.source(prune_weights).data


def test_the_papers_table_has_ones_own_row_once_a_bench_shows_a_recipe(chapter, lab):
    assert set(chapter.paper("han2015").data["kind"]) == {"cited"}
    bench = chapter.bench(lab, prune_weights, controls=("sparsity",))
    worker().wait(SECONDS)
    assert list(chapter.paper("han2015", bench).data["kind"])[-1] == "measured"


def test_the_papers_table_is_written_for_reading_and_its_numbers_stay_numbers(chapter):
    shown = chapter.paper("han2015")
    heading, first = (line.split("|") for line in shown.to_string(delimiter="|").splitlines()[:2])
    assert heading[2:6] == ["reference error (%)", "pruned error (%)", "parameters", "kept"]
    assert first[2:6] == ["1.64", "1.59", "267,000", "22,000"]
    assert shown.data.iloc[0, 2:6].tolist() == [1.64, 1.59, 267_000, 22_000]
