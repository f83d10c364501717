"""The budget of a file: written, weighed and read back, beside a loss that is not too large."""

from dataclasses import replace

import pytest
import support

from efflab import Lab, prune_weights, share_weights, step
from efflab.budget import EncodedBudget

RECIPE = (step(prune_weights, sparsity=0.8), step(share_weights, bits=3))


@pytest.fixture(scope="module")
def lab():
    return Lab(support.tiny_cnn(), support.tiny_data())


@pytest.fixture(scope="module")
def encoded(lab):
    return lab.encode(RECIPE)


@pytest.mark.parametrize(("times", "passed"), [(4.0, True), (4.1, False)])
def test_a_file_may_be_at_the_limit_and_not_beyond(encoded, times, passed):
    file = replace(encoded, n_bytes=1000, base_bytes=4000)
    verdict = EncodedBudget(times, lost=1.0).judge(file)
    assert (verdict.passed, verdict.n_passed, verdict.n_cases) == (passed, 1 + passed, 2)
    part = f"1,000 bytes in the file, measured, 4.0 times smaller than 4,000 (at least {times:g} asked)"
    assert verdict.message.startswith(f"{'Met' if passed else 'Not met'}: {part}")


def test_a_loss_beyond_the_limit_is_not_met(encoded):
    worse = replace(encoded, difference=replace(encoded.difference, value=-0.02))
    verdict = EncodedBudget(1.0, lost=0.01).judge(worse)
    assert (verdict.passed, verdict.n_passed) == (False, 1)
    assert "Not met: 2.0 points of accuracy lost" in verdict.message


@pytest.mark.parametrize(
    ("change", "low", "high", "told"),
    [
        (-0.007, -0.015, 0.002, "0.7 lost, between -0.2 and 1.5; the 0.7 counts (at most 1.0 allowed)"),
        (0.001, -0.005, 0.007, "0.1 gained, between -0.5 and 0.7; the 0.1 counts (at most 1.0 may be lost)"),
        (0.0, -0.003, 0.003, "0.0 lost, between -0.3 and 0.3; the 0.0 counts (at most 1.0 allowed)"),
    ],
)
def test_a_loss_and_a_gain_are_told_with_their_interval_and_which_number_counts(encoded, change, low, high, told):
    other = replace(encoded, difference=replace(encoded.difference, value=change, low=low, high=high))
    verdict = EncodedBudget(1.0, lost=0.01).judge(other)
    assert verdict.passed
    number, rest = told.split(maxsplit=1)
    assert verdict.message.endswith(f"Met: {number} points of accuracy {rest}.")


def test_a_file_without_shared_values_says_why_it_is_not_smaller(lab, encoded):
    reason = "no layer shares values, and only those that do are written in codes"
    assert reason in EncodedBudget(40, lost=0.01).judge(lab.encode((step(prune_weights, sparsity=0.9),))).message
    assert reason not in EncodedBudget(40, lost=0.01).judge(encoded).message


def test_a_recipe_is_run_written_and_judged(lab, encoded):
    verdict = EncodedBudget(1.0, lost=1.0).judge_recipe(lab, RECIPE)
    assert verdict.passed
    assert f"{encoded.n_bytes:,} bytes in the file" in verdict.message


@pytest.mark.parametrize("bad", [{"times_smaller": 0, "lost": 0.1}, {"times_smaller": 2, "lost": 1.5}])
def test_a_limit_that_nothing_could_meet_is_refused(bad):
    with pytest.raises(ValueError, match="times_smaller must be above 0 and lost a fraction"):
        EncodedBudget(**bad)
