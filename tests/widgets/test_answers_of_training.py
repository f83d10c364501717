"""What a bench of training on grids says, in the terms of chapter 06's questions: from its own previews and reports."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import support
import torch

from efflab import Lab, quantize_activations, quantize_weights, questions, step, train_quantized
from efflab.lab import Report
from efflab.measure import Evaluation
from efflab.widgets.answers import score_when_there
from efflab.widgets.answers_of_training import with_learned_steps, with_two_bits

CHAPTER = questions.load("06")
AT = {"bits": 2, "epochs": 1}
FIXED, LEARNED = (step(train_quantized, method=method, **AT) for method in ("straight-through", "LSQ"))
ACTIVATIONS = (step(quantize_activations),)


@pytest.fixture(scope="module")
def lab() -> Lab:
    return Lab(support.tiny_mlp(), support.tiny_data())


def bench(recipe, preview, at=None, *, trail=(), reports=(), then=(), batch=1) -> SimpleNamespace:
    """What these functions look at in a bench that shows `preview`."""
    stage = SimpleNamespace(trail=list(trail), reports=list(reports))
    asked = {"recipe": recipe, "preview": preview, "at": AT if at is None else at}
    return SimpleNamespace(**asked, stage=stage, then=then, batch=batch)


# The score


def test_a_training_that_ran_to_its_end_is_answered_with_its_score(lab):
    shown = lab.preview((FIXED,))
    assert score_when_there(bench((FIXED,), shown)) == 100 * shown.evaluation.value > 0


def test_a_training_that_was_stopped_is_no_answer(lab):
    assert score_when_there(bench((FIXED,), replace(lab.preview((FIXED,)), is_partial=True))) is None


def test_before_a_training_and_elsewhere_there_is_no_answer(lab):
    assert score_when_there(bench((FIXED,), None)) is None
    assert score_when_there(bench((FIXED,), lab.preview((FIXED,)), at={"bits": 2, "epochs": 3})) is None


# Steps that learn


def trained(lab, one, n_right, n=200):
    """A preview of one step, right about the first `n_right` of `n` images."""
    scores = (torch.arange(n) < n_right).float()
    return replace(lab.preview((FIXED,)), recipe=(one,), evaluation=Evaluation(scores.long(), scores, n, lab.data.task))


@pytest.mark.parametrize(("fixed", "learned", "key"), [(100, 150, "better"), (150, 100, "worse"), (150, 151, "same")])
def test_learned_steps_are_compared_on_the_same_images(lab, fixed, learned, key):
    trail = [trained(lab, FIXED, fixed), trained(lab, LEARNED, learned)]
    assert with_learned_steps(bench((LEARNED,), trail[1], trail=trail)) == key
    assert key in {option.key for option in CHAPTER.prediction("with_learned_steps").options}


def test_until_both_methods_ran_to_their_end_where_it_is_asked_nothing_is_said(lab):
    fixed, learned = trained(lab, FIXED, 100), trained(lab, LEARNED, 150)
    elsewhere = trained(lab, step(train_quantized, method="LSQ", bits=3, epochs=1), 150)
    for other in ([], [elsewhere], [replace(learned, is_partial=True)]):
        assert with_learned_steps(bench((FIXED,), fixed, trail=[fixed, *other])) is None


# Time


def timed(lab, bits, factor, *, batch=1, noise=None) -> Report:
    """A report of weights with so many bits that takes `factor` times as long as the base."""
    speed = replace(support.state("removed", "ONNX Runtime", factor).speed, batch=batch)
    if noise is not None:
        speed = replace(speed, noise_floor=noise)
    return Report(lab.preview((step(quantize_weights, bits=bits), *ACTIVATIONS)), 1000, 500, 100, 50, speed)


def answered(*reports: Report) -> str | None:
    shown = reports[-1].preview
    at = {"observer": "min-max"}
    return with_two_bits(bench(shown.recipe, shown, at, reports=reports, then=ACTIVATIONS))


@pytest.mark.parametrize(("eight", "two", "key"), [(0.8, 0.5, "shorter"), (0.5, 0.8, "longer"), (0.5, 0.501, "same")])
def test_two_bits_are_compared_with_what_was_timed_at_eight(lab, eight, two, key):
    assert answered(timed(lab, 2, two), timed(lab, 8, eight)) == key
    assert key in {option.key for option in CHAPTER.prediction("time_of_two_bits").options}


def test_one_time_a_noisy_one_or_another_batch_is_no_answer(lab):
    eight = timed(lab, 8, 0.5)
    for other in (timed(lab, 4, 0.1), timed(lab, 2, 0.1, batch=64), timed(lab, 2, 0.1, noise=0.3)):
        assert answered(eight, other) is None


def test_bits_for_each_layer_are_neither_eight_nor_two(lab):
    layers = dict.fromkeys(lab.quantizable(), 2)
    assert answered(timed(lab, 8, 0.5), timed(lab, layers, 0.1)) is None
