"""The budget of packed bytes: computed with all that is stored, beside a loss that is not too large."""

from dataclasses import replace

import pytest
import support

from efflab import Lab, quantize_weights, step
from efflab.budget import PackedBudget


@pytest.fixture(scope="module")
def preview():
    return Lab(support.tiny_cnn(), support.tiny_data()).preview((step(quantize_weights, bits=4),))


@pytest.mark.parametrize(("more", "passed"), [(0, True), (-1, False)])
def test_the_bytes_may_be_at_the_limit_and_not_beyond(preview, more, passed):
    n = preview.size.packed_bytes
    verdict = PackedBudget(n + more, lost=1.0).judge(preview)
    assert (verdict.passed, verdict.n_passed, verdict.n_cases) == (passed, 1 + passed, 2)
    assert f"{n:,} bytes packed, computed (at most {n + more:,} allowed)" in verdict.message


def test_a_loss_beyond_the_limit_is_not_met(preview):
    worse = replace(preview, difference=replace(preview.difference, value=-0.02))
    verdict = PackedBudget(10**6, lost=0.01).judge(worse)
    assert (verdict.passed, verdict.n_passed) == (False, 1)
    assert "Not met: 2.0 points of accuracy lost" in verdict.message


@pytest.mark.parametrize(
    ("lost", "text"),
    [
        (0.0055, "Not met: 0.55 points of accuracy lost"),
        (0.005, "Met: 0.5 points of accuracy lost"),
        (-0.0001, "Met: 0.0 points of accuracy lost"),
    ],
)
def test_rounded_numbers_never_contradict_the_verdict(preview, lost, text):
    changed = replace(preview, difference=replace(preview.difference, value=-lost))
    assert text in PackedBudget(10**6, lost=0.005).judge(changed).message


def test_a_recipe_is_run_and_judged(preview):
    lab = Lab(support.tiny_cnn(), support.tiny_data())
    assert PackedBudget(10**6, lost=1.0).judge_recipe(lab, preview.recipe).passed


@pytest.mark.parametrize("bad", [{"n_bytes": 0, "lost": 0.1}, {"n_bytes": 10, "lost": 1.5}])
def test_a_limit_that_nothing_could_meet_is_refused(bad):
    with pytest.raises(ValueError, match="n_bytes must be 1 or more and lost a fraction"):
        PackedBudget(**bad)
