"""The budget of time: a factor measured beyond the noise, at its own batch, and a loss that is not too large."""

from dataclasses import replace

import pytest
import support

from efflab import Lab, models, step, zero_neurons
from efflab.budget.faster import FasterBudget
from efflab.lab import Report
from efflab.prune import prune_filters, prune_neurons


@pytest.fixture(scope="module")
def lab() -> Lab:
    return Lab(support.tiny_both(), support.tiny_data())


@pytest.fixture(scope="module")
def preview(lab):
    return lab.preview((step(prune_filters, ratio=0.5),))


def timed(preview, factor: float, batch: int = 64) -> Report:
    """A network that takes `factor` times as long as its base."""
    speed = replace(support.state("removed", "ONNX Runtime", factor).speed, batch=batch)
    return Report(preview, 1000, 500, 100, 50, speed)


@pytest.mark.parametrize(
    ("factor", "times_faster", "passed", "n_passed"),
    [(0.5, 1.8, True, 2), (0.5, 2.0, True, 2), (0.56, 1.8, False, 1), (1.8, 1.8, False, 1)],
)
def test_it_must_be_so_many_times_faster_as_measured(preview, factor, times_faster, passed, n_passed):
    verdict = FasterBudget(times_faster, lost=1.0).judge(timed(preview, factor))
    assert (verdict.passed, verdict.n_passed, verdict.n_cases) == (passed, n_passed, 2)


def test_within_the_noise_it_is_not_faster_at_all(preview):
    report = timed(preview, 0.99)
    verdict = FasterBudget(times_faster=1.0, lost=1.0).judge(report)
    assert 1 / report.speed.ratio > 1.0
    assert not verdict.passed
    assert "Not met: 1.01 times as fast at batch 64" in verdict.message
    assert "which is within the noise: run it again" in verdict.message


def test_its_message_has_the_factor_its_interval_and_the_loss(preview):
    lines = FasterBudget(times_faster=1.8, lost=1.0).judge(timed(preview, 0.25)).message.splitlines()
    assert lines[0] == ("Met: 4.00 times as fast at batch 64, 95 % interval 4.00 to 4.00 (at least 1.8 asked).")
    assert lines[1].endswith("(at most 100.0 allowed).")


def test_a_loss_at_the_limit_is_met_and_one_beyond_it_is_not(preview):
    lost = -preview.difference.value
    assert FasterBudget(1.8, lost=max(0.0, lost)).judge(timed(preview, 0.5)).passed
    worse = replace(preview, difference=replace(preview.difference, value=-0.02))
    missed = FasterBudget(1.8, lost=0.01).judge(timed(worse, 0.5))
    assert (missed.passed, missed.n_passed) == (False, 1)
    assert "Not met: 2.0 points of accuracy lost" in missed.message


def test_a_report_of_another_batch_is_refused(preview):
    with pytest.raises(ValueError, match="the report was timed at batch 1; this budget is for 64"):
        FasterBudget(1.8, lost=0.01).judge(timed(preview, 0.5, batch=1))


@pytest.mark.parametrize(
    "limits", [(0.0, 0.1, 64), (float("nan"), 0.1, 64), (1.8, 1.5, 64), (1.8, -0.1, 64), (1.8, 0.1, 0)]
)
def test_a_limit_that_makes_no_sense_is_refused(limits):
    with pytest.raises(ValueError, match=r"times_faster must be more than 0, lost a fraction .* batch at least 1"):
        FasterBudget(*limits)


def test_removed_neurons_meet_what_zeroed_ones_do_not():
    large = Lab(models.build("mlp", shape=support.SHAPE, n_classes=3, sizes=(400, 400)), support.tiny_data())
    budget = FasterBudget(times_faster=1.3, lost=1.0, batch=16)
    assert budget.judge_recipe(large, (step(prune_neurons, ratio=0.9),)).passed
    zeroed = budget.judge_recipe(large, (step(zero_neurons, ratio=0.9),))
    assert not zeroed.passed
    assert "at batch 16" in zeroed.message
