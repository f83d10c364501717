"""Budgets: weights left and score lost, what a device must serve, what is shipped; each part is said with its limit."""

import pytest
import support

from efflab import Budget, Lab, Preview, models, prune_weights, step, zero_neurons
from efflab.budget import Serving, ServingBudget, ShippedBudget
from efflab.costs import presets
from efflab.lab.states import State

LAPTOP = ServingBudget("MacBook Air M2", billion_parameters=7, context=8192, tokens_per_second=15)


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


@pytest.mark.parametrize(
    ("model", "bits", "context", "why"),
    [
        ("Llama-2-7B", 4, 8192, "6.74 billion weights, needed at least 7"),
        ("Llama-2-13B", 4, 8192, "Llama-2-13B was trained for 4,096 tokens, the context is 8,192"),
        ("Mistral-7B-v0.3", 4, 4096, "context 4,096 tokens, needed at least 8,192"),
        ("Mistral-7B-v0.3", 3, 8192, "bits 3 and kv_bits 16, needed at least 4 each"),
        ("Mistral-7B-v0.3", 16, 8192, "memory 15.6 GB, 97.3 % of the MacBook Air M2, allowed at most 90 %"),
        ("Mistral-7B-v0.3", 8, 8192, "at most 12 tokens a second, needed at least 15"),
    ],
)
def test_each_part_of_the_laptops_budget_refuses_its_naive_choice(model, bits, context, why):
    verdict = LAPTOP.judge(Serving(model, bits, context))
    assert not verdict.passed
    assert f"Not met: {why}." in verdict.message.splitlines()


PHONE = ServingBudget("Galaxy S24 Ultra", billion_parameters=7, context=32768, tokens_per_second=14)
"""The budget of chapter 01."""


@pytest.mark.parametrize(
    ("model", "bits", "refused"),
    [
        ("Llama-3-8B", 4, ["was trained for 8,192 tokens", "tokens a second"]),
        ("Mistral-7B-v0.3", 8, ["memory 11.5 GB", "tokens a second"]),
        ("Qwen2.5-7B", 16, ["memory 17.1 GB", "tokens a second"]),
        ("Qwen2.5-7B", 4, ["tokens a second"]),
    ],
)
def test_memory_bandwidth_and_trained_context_all_bind_on_the_phone(model, bits, refused):
    lines = PHONE.judge(Serving(model, bits, 32768)).message.splitlines()
    missed = [line for line in lines if line.startswith("Not met")]
    assert len(missed) == len(refused)
    assert all(why in line for line, why in zip(missed, refused, strict=True))


def test_the_phone_passes_with_fewer_bits_in_the_cache_and_only_so():
    choices = [
        Serving(model.name, bits, 32768, kv_bits=kv_bits)
        for model in presets().models
        for bits in range(1, 17)
        for kv_bits in (4, 6, 8, 16)
    ]
    passed = {(one.model, one.bits, one.kv_bits) for one in choices if PHONE.judge(one).passed}
    assert passed == {
        *(("Qwen2.5-7B", 4, kv_bits) for kv_bits in (4, 6, 8)),
        *(("Qwen2.5-7B", 5, kv_bits) for kv_bits in (4, 6)),
        *(("Mistral-7B-v0.3", 4, kv_bits) for kv_bits in (4, 6)),
    }


def test_many_but_not_all_choices_meet_the_laptops_budget():
    choices = [Serving(model.name, bits, 8192) for model in presets().models for bits in range(1, 17)]
    passed = {(one.model, one.bits) for one in choices if LAPTOP.judge(one).passed}
    assert len({model for model, _ in passed}) == 3
    assert 5 < len(passed) < len(choices) / 10
    assert ("Mistral-7B-v0.3", 6) in passed


def test_a_met_budget_counts_all_of_its_parts_and_the_cache_has_bits_of_its_own():
    verdict = LAPTOP.judge(Serving("Llama-3-8B", 5, 8192))
    assert (verdict.passed, verdict.n_passed, verdict.n_cases) == (True, 6, 6)
    assert LAPTOP.judge(Serving("Llama-3-8B", 6, 8192, kv_bits=4)).passed
    assert not LAPTOP.judge(Serving("Llama-3-8B", 6, 8192)).passed
    assert not LAPTOP.judge(Serving("Llama-3-8B", 5, 8192, kv_bits=2)).passed


@pytest.mark.parametrize("serving", [Serving("Llama-9", 4, 8192), Serving("Llama-3-8B", 0, 8192)])
def test_a_choice_that_does_not_exist_is_refused(serving):
    with pytest.raises(ValueError, match=r"'Llama-9'; there are|bits .* not 0"):
        LAPTOP.judge(serving)


# What is shipped


@pytest.fixture
def half(lab) -> Preview:
    return lab.preview((step(zero_neurons, ratio=0.0),))


def shipped(factor: float, n_bytes: int = 500) -> State:
    return support.state("removed", "ONNX Runtime", factor, n_bytes=n_bytes)


@pytest.mark.parametrize(
    ("factor", "n_bytes", "passed", "n_passed"),
    [(0.5, 500, True, 3), (0.51, 500, False, 2), (0.5, 501, False, 2), (2.0, 501, False, 1)],
)
def test_what_is_shipped_must_be_small_and_fast_enough(half, factor, n_bytes, passed, n_passed):
    verdict = ShippedBudget(n_bytes=500, times_faster=2, lost=0.0).judge(half, shipped(factor, n_bytes))
    assert (verdict.passed, verdict.n_passed, verdict.n_cases) == (passed, n_passed, 3)


def test_within_the_noise_nothing_counts_as_faster(half):
    verdict = ShippedBudget(n_bytes=500, times_faster=0.9, lost=0.0).judge(half, shipped(1.01))
    assert not verdict.passed
    assert "Not met: 0.99 times as fast at batch 1" in verdict.message
    assert "which is within the noise: run it again" in verdict.message


def test_its_message_has_the_measured_numbers(half):
    message = ShippedBudget(n_bytes=500, times_faster=2, lost=0.0).judge(half, shipped(0.25, 400)).message
    assert "Met: the file has 400 bytes (at most 500)." in message
    assert "Met: 4.00 times as fast at batch 1, 95 % interval 4.00 to 4.00 (at least 2 asked)." in message


@pytest.mark.parametrize("limits", [(0, 2.0, 0.1), (500, 0.0, 0.1), (500, 2.0, 1.5)])
def test_a_limit_of_what_is_shipped_that_makes_no_sense_is_refused(limits):
    with pytest.raises(ValueError, match="n_bytes and times_faster must be more than 0 and lost a fraction"):
        ShippedBudget(*limits)


def test_a_recipe_is_judged_by_the_file_that_it_makes():
    lab = Lab(models.build("mlp", shape=support.SHAPE, n_classes=3, sizes=(400, 200)), support.tiny_data())
    budget = ShippedBudget(n_bytes=60_000, times_faster=1.2, lost=1.0)
    assert budget.judge_recipe(lab, (step(zero_neurons, ratio=0.9),)).passed
    assert "Not met: the file has 4" in budget.judge_recipe(lab, (step(zero_neurons, ratio=0.0),)).message


def test_a_network_whose_neurons_cannot_be_removed_is_told_why():
    lab = Lab(support.tiny_cnn(), support.tiny_data())
    with pytest.raises(ValueError, match="this network cannot be shipped so: Network has no hidden neurons"):
        ShippedBudget(500, 2.0, 0.1).judge_recipe(lab, ())
