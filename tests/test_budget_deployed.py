"""The budget of a device: bytes of the file and milliseconds, both measured, and the score of the file itself."""

from dataclasses import replace

import pytest
import support

from efflab import Lab, prune_weights, quantize_activations, quantize_weights, step
from efflab.budget import DeployedBudget


@pytest.fixture
def lab(stopwatch) -> Lab:
    return Lab(support.tiny_cnn(), support.tiny_data())


@pytest.fixture
def report(lab):
    return lab.measure((step(prune_weights, sparsity=0.2),))


@pytest.mark.parametrize(("more", "passed"), [(0, True), (-1, False)])
def test_the_file_may_be_at_the_limit_and_not_beyond(lab, report, more, passed):
    verdict = DeployedBudget(report.file_bytes + more, ms=1e9, lost=1.0).judge(report, lab.baseline)
    assert (verdict.passed, verdict.n_passed, verdict.n_cases) == (passed, 2 + passed, 3)
    assert f"the file has {report.file_bytes:,} bytes, measured" in verdict.message


@pytest.mark.parametrize(("times", "passed"), [(1.0, True), (0.999, False)])
def test_the_time_is_the_median_of_the_network_and_the_base_stands_beside_it(lab, report, times, passed):
    now = report.speed.now.median_ms
    verdict = DeployedBudget(10**9, ms=times * now, lost=1.0).judge(report, lab.baseline)
    assert verdict.passed == passed
    assert f"1 image takes {now:.3g} ms, measured" in verdict.message
    assert f"the base takes {report.speed.base.median_ms:.3g}" in verdict.message


def test_a_file_of_integers_is_judged_by_its_own_answers(lab):
    report = lab.measure((step(quantize_weights, bits=8), step(quantize_activations, bits=8)))
    assert report.from_file is not None
    wrong = replace(report.from_file, scores=report.from_file.scores * 0)
    budget = DeployedBudget(10**9, ms=1e9, lost=0.3)
    assert budget.judge(report, lab.baseline).passed
    failed = budget.judge(replace(report, from_file=wrong), lab.baseline)
    assert not failed.passed
    assert f"Not met: {100 * lab.baseline.value:.1f} points of accuracy lost" in failed.message


def test_a_report_at_another_batch_is_refused(lab, report):
    with pytest.raises(ValueError, match="timed at batch 1; this budget is for 8"):
        DeployedBudget(10**6, ms=1.0, lost=0.1, batch=8).judge(report, lab.baseline)


def test_a_recipe_is_run_and_timed_at_the_batch(lab):
    verdict = DeployedBudget(10**9, ms=1e9, lost=1.0, batch=8).judge_recipe(lab, (step(prune_weights, sparsity=0.2),))
    assert verdict.passed
    assert "8 images take" in verdict.message


@pytest.mark.parametrize("bad", [{"n_bytes": 0}, {"ms": 0.0}, {"lost": 1.5}, {"batch": 0}])
def test_a_limit_that_nothing_could_meet_is_refused(bad):
    with pytest.raises(ValueError, match="n_bytes, ms and batch must be more than 0 and lost a fraction"):
        DeployedBudget(**({"n_bytes": 10, "ms": 1.0, "lost": 0.1} | bad))
