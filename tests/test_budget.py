"""A budget counts the weights that are left and the score that was lost, and says both with their limits."""

import pytest

from efflab import Budget, Lab, prune_weights, step


@pytest.fixture(scope="module")
def lab():
    return Lab.open("mlp-digits")


def test_a_recipe_at_both_limits_meets_the_budget(lab):
    preview = lab.preview((step(prune_weights, sparsity=0.5),))
    lost = -preview.difference.value
    verdict = Budget(kept=0.5, lost=max(0.0, lost)).judge(preview)
    assert (verdict.passed, verdict.n_passed, verdict.n_cases) == (True, 2, 2)
    assert "Met: 50.0 % of the weights are left (at most 50.0 % allowed)" in verdict.message


def test_too_many_weights_and_too_much_loss_are_told_apart(lab):
    half, nearly_all = (lab.preview((step(prune_weights, sparsity=s),)) for s in (0.5, 0.99))
    large = Budget(kept=0.1, lost=0.5).judge(half)
    wrong = Budget(kept=0.1, lost=0.01).judge(nearly_all)
    assert (large.passed, large.n_passed) == (False, 1)
    assert large.message.startswith("Not met: 50.0 % of the weights")
    assert (wrong.passed, wrong.n_passed) == (False, 1)
    assert "Met: 1.0 % of the weights" in wrong.message
    assert "Not met: " in wrong.message


def test_biases_do_not_count_as_weights(lab):
    preview = lab.preview((step(prune_weights, sparsity=0.9),))
    assert preview.size.n_nonzero / preview.base_size.n_nonzero > 0.1
    assert Budget(kept=0.1, lost=1.0).judge(preview).passed


@pytest.mark.parametrize("bad", [{"kept": 10, "lost": 0.01}, {"kept": 0.1, "lost": -1}])
def test_a_limit_that_is_no_fraction_is_refused(bad):
    with pytest.raises(ValueError, match="must be fractions from 0 to 1"):
        Budget(**bad)
