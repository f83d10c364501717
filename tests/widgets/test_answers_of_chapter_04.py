"""What a bench of cuts says, in the terms of chapter 04's questions: from its own previews and reports only."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import support

from efflab import Lab, fine_tune, models, questions, recalibrate, step
from efflab.lab import Report
from efflab.measure.work import count_work
from efflab.prune import prune_filters
from efflab.widgets.answers import brought_back, macs_left, tied_to_first, times_faster, with_a_multiple

CHAPTER = questions.load("04")
HALF = step(prune_filters, ratio=0.5)
TRUNK = support.tiny_both()


@pytest.fixture(scope="module")
def lab() -> Lab:
    return Lab(TRUNK, support.tiny_data())


def bench(lab, recipe, at=None, *, reports=(), batch=64, preview=None) -> SimpleNamespace:
    """What these functions look at in a bench that shows `recipe`."""
    shown = preview or lab.preview(recipe)
    report = reports[-1] if reports else None
    stage = SimpleNamespace(reports=list(reports))
    return SimpleNamespace(
        lab=lab, recipe=recipe, preview=shown, report=report, at=at or {"ratio": 0.5}, batch=batch, stage=stage, then=()
    )


def timed(lab, one, factor, batch=64) -> Report:
    """A report of one step whose network takes `factor` times as long as the base."""
    speed = replace(support.state("removed", "ONNX Runtime", factor).speed, batch=batch)
    return Report(lab.preview((one,)), 1000, 500, 100, 50, speed)


# Multiplications


def test_the_multiplications_left_are_counted_in_both_networks(lab):
    now, base = (count_work(lab.build(recipe), lab.data.shape).macs for recipe in ((HALF,), ()))
    assert macs_left(bench(lab, (HALF,))) == 100 * now / base
    assert 0 < now < base


def test_zeroed_filters_leave_all_multiplications(lab):
    assert macs_left(bench(lab, (step(prune_filters, ratio=0.5, form="zeroed"),))) == 100


@pytest.mark.parametrize("answer", [macs_left, times_faster])
def test_elsewhere_there_is_no_answer(lab, answer):
    other = step(prune_filters, ratio=0.25)
    assert answer(bench(lab, (other,), reports=[timed(lab, other, 0.5)])) is None
    assert answer(bench(lab, (HALF, step(recalibrate)), reports=[timed(lab, HALF, 0.5)])) is None


# Speed


@pytest.mark.parametrize(("factor", "times"), [(0.4, 2.5), (2.0, 0.5), (1.001, 1.0)])
def test_the_speed_up_is_the_measured_one_and_one_within_the_noise(lab, factor, times):
    assert times_faster(bench(lab, (HALF,), reports=[timed(lab, HALF, factor)])) == pytest.approx(times)


def test_at_one_image_or_before_it_is_timed_there_is_no_speed_up(lab):
    assert times_faster(bench(lab, (HALF,))) is None
    assert times_faster(bench(lab, (HALF,), reports=[timed(lab, HALF, 0.4, batch=1)])) is None


@pytest.mark.parametrize(
    ("odd", "even", "key"), [(0.8, 0.5, "shorter"), (0.5, 0.8, "longer"), (0.5, 0.501, "same"), (0.5, 0.508, "same")]
)
def test_a_multiple_is_compared_with_what_was_timed_without(lab, odd, even, key):
    eight = step(prune_filters, ratio=0.5, multiple=8)
    reports = [timed(lab, eight, even), timed(lab, HALF, odd)]
    assert with_a_multiple(bench(lab, (HALF,), reports=reports)) == key
    assert key in {option.key for option in CHAPTER.prediction("multiple_of_8").options}


def test_a_noisy_moment_is_no_answer(lab):
    noisy = timed(lab, HALF, 0.4)
    noisy = replace(noisy, speed=replace(noisy.speed, noise_floor=0.3))
    assert times_faster(bench(lab, (HALF,), reports=[noisy])) is None
    eight = timed(lab, step(prune_filters, ratio=0.5, multiple=8), 0.2)
    assert with_a_multiple(bench(lab, (HALF,), reports=[noisy, eight])) is None


def test_a_multiple_has_no_answer_until_both_were_timed_there_at_this_batch(lab):
    eight, far = step(prune_filters, ratio=0.5, multiple=8), step(prune_filters, ratio=0.25, multiple=8)
    one = timed(lab, HALF, 0.5)
    assert with_a_multiple(bench(lab, (HALF,), reports=[one])) is None
    assert with_a_multiple(bench(lab, (HALF,), reports=[one, timed(lab, far, 0.4)])) is None
    assert with_a_multiple(bench(lab, (HALF,), reports=[one, timed(lab, eight, 0.4, batch=1)])) is None


def test_the_last_time_of_a_setting_counts(lab):
    eight = step(prune_filters, ratio=0.5, multiple=8)
    reports = [timed(lab, HALF, 0.5), timed(lab, eight, 0.9), timed(lab, eight, 0.2)]
    assert with_a_multiple(bench(lab, (HALF,), reports=reports)) == "shorter"


# Groups


def test_in_the_residual_network_of_the_chapter_a_sum_ties_the_first_layer():
    lab = Lab(models.build("resnet8", shape=support.SHAPE, n_classes=3), support.tiny_data())
    key = tied_to_first(bench(lab, (HALF,)))
    assert key == "sum"
    assert key in {option.key for option in CHAPTER.prediction("goes_with_conv1").options}


def test_in_a_chain_the_first_layer_is_alone(lab):
    assert tied_to_first(bench(lab, (HALF,))) == "alone"


def test_before_a_picture_nothing_is_said_of_groups(lab):
    assert tied_to_first(SimpleNamespace(preview=None, lab=lab)) is None


# Repair


def scored(lab, value):
    """A preview with this score."""
    shown = lab.preview((HALF,))
    return replace(shown, evaluation=SimpleNamespace(value=value))


@pytest.mark.parametrize(
    ("cut", "now", "key"),
    [(0.2, 0.1, "worse"), (0.2, 0.25, "nothing"), (0.2, 0.6, "part"), (0.2, 0.98, "all"), (0.2, 0.15, "nothing")],
)
def test_what_came_back_is_told_as_a_part_of_what_was_lost(lab, cut, now, key):
    pretended = SimpleNamespace(baseline=SimpleNamespace(value=1.0), preview=lambda recipe: scored(lab, cut))
    shown = bench(lab, (HALF, step(recalibrate)), preview=scored(lab, now))
    shown.lab = pretended
    assert brought_back(shown) == key
    assert key in {option.key for option in CHAPTER.prediction("fresh_statistics").options}


@pytest.mark.parametrize(
    "recipe", [(HALF,), (HALF, step(fine_tune, epochs=1)), (step(prune_filters, ratio=0.25), step(recalibrate))]
)
def test_a_cut_alone_a_training_or_another_cut_is_no_answer(lab, recipe):
    pretended = SimpleNamespace(baseline=SimpleNamespace(value=1.0), preview=lambda recipe: scored(lab, 0.2))
    shown = bench(lab, recipe, preview=scored(lab, 0.6))
    shown.lab = pretended
    assert brought_back(shown) is None


def test_where_nothing_was_lost_there_is_nothing_to_bring_back(lab):
    pretended = SimpleNamespace(baseline=SimpleNamespace(value=1.0), preview=lambda recipe: scored(lab, 1.0))
    shown = bench(lab, (HALF, step(recalibrate)), preview=scored(lab, 0.9))
    shown.lab = pretended
    assert brought_back(shown) is None
