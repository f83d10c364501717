"""Two trainings side by side: the same start, in turns, stopped together, and what the difference says."""

import math

import pytest
import support
from scipy import stats

from efflab import Lab, distill_predictions, fine_tune, prune_weights, start_student, step, technique
from efflab.lab.side_by_side import HELPS, HURTS, SAME, Arm, Pair, Verdict, side_by_side, verdict
from efflab.measure import Evaluation, compare
from efflab.training import Epochs, LearningRate, Progress, train

START = step(start_student, kind="mlp", width=6)
ALONE = (START, step(fine_tune, epochs=3))
TAUGHT = (START, step(distill_predictions, epochs=3))


@pytest.fixture(scope="module")
def lab() -> Lab:
    teacher, data = support.tiny_cnn(), support.tiny_data()
    for _ in train(teacher, data, epochs=5):
        pass
    return Lab(teacher, data)


def evaluation(lab: Lab, n_right: int) -> Evaluation:
    whole = lab.baseline
    scores = whole.scores.clone().fill_(0.0)
    scores[:n_right] = 1.0
    return Evaluation(whole.answers, scores, whole.n_total, whole.task)


def pair_of(lab: Lab, n_alone: int, n_taught: int) -> Pair:
    arms = (Arm("a", (), (), evaluation(lab, n)) for n in (n_alone, n_taught))
    return Pair(0, *arms, 1.0)


def test_both_arms_are_what_the_recipes_make_by_themselves(lab):
    *_, pair = side_by_side(lab, ALONE, TAUGHT)
    for arm, recipe in ((pair.alone, ALONE), (pair.taught, TAUGHT)):
        by_itself = Lab(lab.build(()), lab.data).build(recipe)
        assert support.bits(lab.build(recipe)) == support.bits(by_itself)
        assert arm.evaluation.value == lab.preview(recipe).evaluation.value
        assert not arm.is_partial
    assert pair.done == 1.0
    assert pair.difference == compare(pair.alone.evaluation, pair.taught.evaluation)


def test_the_first_point_of_both_is_the_untrained_student(lab):
    first = next(iter(side_by_side(lab, ALONE, TAUGHT)))
    scores = {arm.records[0].score for arm in (first.alone, first.taught)}
    assert scores == {lab.preview((START,)).evaluation.value}
    assert [(arm.records[0].number, math.isnan(arm.records[0].train_loss)) for arm in (first.alone, first.taught)] == [
        (0, True)
    ] * 2


def test_the_arms_take_turns(lab):
    for pair in side_by_side(lab, ALONE, TAUGHT):
        assert abs(len(pair.alone.records) - len(pair.taught.records)) <= 1
    assert [one.number for one in pair.alone.records] == [0, 1, 2, 3] == [one.number for one in pair.taught.records]


@technique
def ask_for_long(model, *, data, teacher, epochs: Epochs = 3, learning_rate: LearningRate = 0.01, seed=0, progress):
    """Plain training after many turns in which nothing is learned."""
    for _ in range(60):
        progress.on_batch(0.0)
    return fine_tune(model, data=data, epochs=epochs, learning_rate=learning_rate, seed=seed, progress=progress)


def test_while_a_teacher_is_asked_the_student_alone_does_not_run_ahead(lab):
    alone, taught = (START, step(fine_tune, epochs=3, learning_rate=0.01)), (START, step(ask_for_long))
    shares = []
    for pair in side_by_side(lab, alone, taught):
        assert abs(len(pair.alone.records) - len(pair.taught.records)) <= 1
        shares.append(pair.done)
    assert shares == sorted(shares)
    assert len(shares) > 60
    assert pair.difference.value == 0.0  # both learned the same


def test_another_seed_starts_both_from_other_weights(lab):
    *_, pair = side_by_side(lab, ALONE, TAUGHT, seed=7)
    other = lab.with_seed(7)
    assert pair.seed == 7
    assert pair.taught.evaluation.value == other.preview(TAUGHT).evaluation.value
    assert support.bits(other.build((START,))) != support.bits(lab.build((START,)))


def test_stop_ends_both_after_their_batch(lab):
    progress, pairs = Progress(), []
    for pair in side_by_side(lab, ALONE, TAUGHT, progress=progress):
        pairs.append(pair)
        if len(pairs) == 3:
            progress.stop()
    assert len(pairs) <= 6
    assert pairs[-1].is_partial
    assert pairs[-1].difference is not None
    lab.forget(ALONE)
    lab.forget(TAUGHT)


def test_closed_early_it_leaves_no_training_behind(lab):
    pairs = side_by_side(lab, ALONE, TAUGHT)
    next(pairs)
    next(pairs)
    pairs.close()
    *_, pair = side_by_side(lab, ALONE, TAUGHT)
    assert not pair.is_partial


def test_a_recipe_that_does_not_end_in_training_is_refused(lab):
    with pytest.raises(ValueError, match=r"^both recipes must end in a step that trains, such as fine_tune, not \("):
        next(side_by_side(lab, (START,), TAUGHT))
    with pytest.raises(ValueError, match=r"^both recipes must end"):
        next(side_by_side(lab, ALONE, (START, step(prune_weights))))


# The verdict


def test_one_seed_has_the_interval_of_its_images(lab):
    pair = pair_of(lab, 20, 40)
    assert verdict([pair]) == Verdict(0.4, pair.difference.low, pair.difference.high, 1)
    assert verdict([pair]).word == HELPS


def test_several_seeds_have_the_interval_of_student(lab):
    pairs = [pair_of(lab, 20, n) for n in (24, 25, 27, 30)]
    found = verdict(pairs)
    values = [pair.difference.value for pair in pairs]
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    assert (found.value, found.n_seeds) == (pytest.approx(sum(values) / 4), 4)


def test_the_word_follows_the_interval(lab):
    assert verdict([pair_of(lab, 20, 40), pair_of(lab, 20, 41)]).word == HELPS
    assert verdict([pair_of(lab, 40, 20), pair_of(lab, 41, 20)]).word == HURTS
    assert verdict([pair_of(lab, 40, 45), pair_of(lab, 40, 36)]).word == SAME


def test_pairs_that_are_not_over_do_not_count(lab):
    half = Pair(3, Arm("a", (), (), evaluation(lab, 1)), Arm("b", ()), 0.5)
    assert verdict([pair_of(lab, 20, 40), half]).n_seeds == 1
    with pytest.raises(ValueError, match=r"^pairs must hold one whose trainings are over"):
        verdict([half])
