"""What a bench of grids says, in the terms of chapter 05's questions: from its own previews and rows only."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import support
import torch

from efflab import Lab, fold_batch_norms, quantize_activations, quantize_weights, questions, step
from efflab.lab.kernels import Kernel, NoKernel
from efflab.quantize.observers import OBSERVERS
from efflab.widgets.answers_in_bits import bits_stored, faster_in_integers, worst_observer

CHAPTER = questions.load("05")
THEN = (step(quantize_weights),)


@pytest.fixture(scope="module")
def lab() -> Lab:
    return Lab(support.tiny_cnn(), support.tiny_data()).after((step(fold_batch_norms),))


def bench(lab, recipes, at, *, then=()) -> SimpleNamespace:
    """What these functions look at in a bench that went through some recipes and shows the last one."""
    trail = [lab.preview(recipe) for recipe in recipes]
    return SimpleNamespace(lab=lab, preview=trail[-1], at=at, then=then, stage=SimpleNamespace(trail=trail))


def keys(id: str) -> set[str]:
    return {option.key for option in CHAPTER.prediction(id).options}


# Bits that are stored


@pytest.mark.parametrize(("granularity", "group_size"), [("per group", 8), ("per channel", 32)])
def test_the_bits_stored_count_integers_scales_and_biases(lab, granularity, group_size):
    one = step(quantize_weights, bits=4, granularity=granularity, group_size=group_size)
    rows = {name: weight for name, weight in lab.build(()).named_parameters() if weight.ndim > 1}
    n_scales = {
        "per channel": sum(len(weight) for weight in rows.values()),
        "per group": sum(len(weight) * -(-weight[0].numel() // group_size) for weight in rows.values()),
    }[granularity]
    n_biases = sum(weight.numel() for weight in lab.build(()).parameters() if weight.ndim == 1)
    n = sum(weight.numel() for weight in rows.values())
    expected = (4 * n + 32 * n_scales + 32 * n_biases) / n
    assert bits_stored(bench(lab, [(one,)], {"bits": 4})) == pytest.approx(expected, rel=0.02)


def test_elsewhere_no_bits_are_told(lab):
    one = step(quantize_weights, bits=3)
    assert bits_stored(bench(lab, [(one,)], {"bits": 4})) is None


# Observers


def observed(lab, names, bits=4):
    recipes = [(step(quantize_activations, bits=bits, observer=name), *THEN) for name in names]
    return bench(lab, recipes, {"bits": 4}, then=THEN)


def test_the_worst_observer_is_the_one_with_the_lowest_score(lab):
    shown = observed(lab, OBSERVERS.options)
    for name, score in zip(OBSERVERS.options, (0.9, 0.8, 0.95, 0.5), strict=True):
        place = OBSERVERS.options.index(name)
        shown.stage.trail[place] = scored(shown.stage.trail[place], score)
    assert worst_observer(shown) == "entropy"
    shown.stage.trail[1] = scored(shown.stage.trail[1], 0.2)
    assert worst_observer(shown) == "percentile"
    assert {"entropy", "percentile", "mse", "min_max", "equal"} == keys("worst_observer")


def scored(preview, score):
    n = preview.evaluation.n
    right = (torch.arange(n) < round(score * n)).float()
    return replace(preview, evaluation=replace(preview.evaluation, scores=right))


def test_observers_within_two_points_are_equal(lab):
    shown = observed(lab, OBSERVERS.options)
    shown.stage.trail = [scored(one, 0.9) for one in shown.stage.trail]
    assert worst_observer(shown) == "equal"


def test_before_all_observers_were_seen_at_these_bits_none_is_the_worst(lab):
    assert worst_observer(observed(lab, OBSERVERS.options[:3])) is None
    assert worst_observer(observed(lab, OBSERVERS.options, bits=5)) is None


# Integers on the clock


def row(factor: float, way: str = "int8 static", **changes) -> Kernel:
    speed = replace(support.product(0.5, factor).speed, **changes)
    return Kernel(way, (), 100, 50, None, None, speed)


def test_the_factor_is_that_of_our_own_grids():
    rows = (row(0.9, "int8 weights"), row(0.4), row(0.2, "int8 by ONNX Runtime"))
    assert faster_in_integers(rows) == pytest.approx(2.5)


def test_no_measurable_difference_is_a_factor_of_one():
    assert faster_in_integers((row(0.99),)) == 1.0


def test_a_noisy_moment_or_a_way_that_is_missing_gives_no_answer():
    assert faster_in_integers((row(0.4, noise_floor=0.5),)) is None
    assert faster_in_integers((row(0.9, "int8 weights"), NoKernel("int8 static", "a reason"))) is None
