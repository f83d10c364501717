"""The budget that a search has set: the bytes of every seed, and the mean of their scores."""

import json

import pytest
import support

from efflab import Lab, prune_weights, shipped, start_student, step, to_json
from efflab.budget import Record, RecordBudget, StoppedError
from efflab.lab.seeds import over_seeds
from efflab.training import Progress

RECIPE = (step(start_student, kind="mlp", width=4), step(prune_weights, sparsity=0.5))


@pytest.fixture(scope="module")
def lab() -> Lab:
    return Lab(support.tiny_cnn(), support.tiny_data())


@pytest.fixture(scope="module")
def runs(lab):
    return list(over_seeds(lab, RECIPE, (0, 1, 2)))


@pytest.mark.parametrize(("more", "passed"), [(0, True), (-1, False)])
def test_every_seed_must_keep_the_bytes(runs, more, passed):
    most = max(run.preview.size.packed_bytes for run in runs)
    verdict = RecordBudget(most + more, score=0.0).judge(runs)
    assert (verdict.passed, verdict.n_passed, verdict.n_cases) == (passed, 1 + passed, 2)
    assert f"{most:,} bytes packed, the most of 3 seeds, computed (at most {most + more:,} allowed)" in verdict.message


@pytest.mark.parametrize(("more", "passed"), [(0.0, True), (1e-6, False)])
def test_the_mean_of_the_seeds_counts(runs, more, passed):
    scores = [run.preview.evaluation.value for run in runs]
    assert len(set(scores)) > 1
    mean = sum(scores) / 3
    verdict = RecordBudget(10**6, score=mean + more).judge(runs)
    assert verdict.passed == passed
    assert f"{100 * mean:.2f} % accuracy on average over 3 seeds" in verdict.message
    assert ", ".join(f"{100 * score:.2f}" for score in scores) in verdict.message


def test_fewer_runs_than_seeds_are_refused(runs):
    with pytest.raises(ValueError, match="runs must be those of 3 seeds, trained to the end, not 2"):
        RecordBudget(10**6, score=0.0).judge(runs[:2])


def test_a_recipe_is_run_with_the_seeds_from_that_of_the_lab_on(lab):
    own = lab.with_seed(5)
    verdict = RecordBudget(10**6, score=0.0, n_seeds=2).judge_recipe(own, RECIPE)
    scores = [lab.with_seed(seed).preview(RECIPE).evaluation.value for seed in (5, 6)]
    assert f"({', '.join(f'{100 * score:.2f}' for score in scores)})" in verdict.message


def test_a_training_that_was_stopped_is_not_judged(lab):
    progress = Progress()
    progress.stop()
    with pytest.raises(StoppedError, match="stopped after 0 of 3 seeds"):
        RecordBudget(10**6, score=0.0).judge_recipe(lab, RECIPE, progress)


@pytest.mark.parametrize("bad", [{"n_bytes": 0}, {"score": 1.5}, {"n_seeds": 0}])
def test_a_limit_that_nothing_could_meet_is_refused(bad):
    with pytest.raises(ValueError, match="n_bytes and n_seeds must be 1 or more and score a fraction"):
        RecordBudget(**({"n_bytes": 10, "score": 0.5} | bad))


def test_a_record_is_read_from_its_file_and_sets_a_budget(tmp_path, monkeypatch):
    best = {"recipe": json.loads(to_json(RECIPE)), "scores": [0.5, 0.6], "mean": 0.55, "low": 0.41, "high": 0.69}
    found = {"network": "tiny-cnn", "limit_bytes": 900, "rungs": [{"epochs": 1, "tried": [{}, {}, {}]}], "best": best}
    (tmp_path / "search_tiny.json").write_text(json.dumps(found))
    monkeypatch.setattr(shipped, "folder", lambda name: tmp_path)
    record = Record.load("tiny")
    assert (record.network, record.recipe, record.scores, record.n_tried) == ("tiny-cnn", RECIPE, (0.5, 0.6), 3)
    assert RecordBudget.of(record) == RecordBudget(900, 0.41, 3)


def test_data_that_nobody_has_searched_is_named():
    with pytest.raises(ValueError, match="there is no record of a search on 'digits'"):
        Record.load("digits")
