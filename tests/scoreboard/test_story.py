"""What a learner did, told from the entries: first answers count, and what nobody can know is not made up."""

import pytest

from efflab.data import wilson
from efflab.questions import load
from efflab.scoreboard.story import Story, questions_of, story_of
from tests.scoreboard.entries import RECIPE, entry, run


def story(*entries) -> Story:
    return story_of(entries, questions_of(entries))


def predicted(*entries):
    (one,) = story(*entries).predictions
    return one.predicted, one.measured, one.is_close


def test_a_prediction_stands_beside_the_first_measurement():
    made = entry("prediction", "accuracy_at_80", 71.0)
    assert predicted(made) == (71.0, None, None)
    first, second = (entry("measured", "accuracy_at_80", value) for value in (93.2, 71.0))
    assert predicted(made, first, second) == (71.0, 93.2, False)


@pytest.mark.parametrize(("guess", "is_close"), [(90.2, True), (96.2, True), (90.1, False), (96.3, False)])
def test_close_is_within_the_tolerance_of_the_question(guess, is_close):
    assert load("03").prediction("accuracy_at_80").number.tolerance == 3
    assert predicted(entry("prediction", "accuracy_at_80", guess), entry("measured", "accuracy_at_80", 93.2)) == (
        guess,
        93.2,
        is_close,
    )


@pytest.mark.parametrize(("key", "is_close"), [("same", True), ("tenth", False)])
def test_a_choice_is_close_if_it_is_the_one(key, is_close):
    assert predicted(entry("prediction", "faster_at_90", key), entry("measured", "faster_at_90", "same"))[2] is is_close


def test_a_prediction_after_a_look_is_none():
    looked = [entry("skip", "accuracy_at_80", None), entry("measured", "accuracy_at_80", 93.2)]
    assert predicted(*looked, entry("prediction", "accuracy_at_80", 93.0)) == (None, 93.2, None)


def test_the_first_prediction_counts():
    two = [entry("prediction", "accuracy_at_80", value) for value in (10.0, 93.0)]
    assert predicted(*two, entry("measured", "accuracy_at_80", 93.2)) == (10.0, 93.2, False)


def test_quiz_answers_are_judged_at_the_first_and_the_last_try():
    quiz = load("03").quizzes[0]
    right = next(option.key for option in quiz.options if option.right)
    wrong = next(option.key for option in quiz.options if not option.right)
    (late,) = story(entry("answer", quiz.id, wrong), entry("answer", quiz.id, right)).answers
    assert (late.keys, late.is_right_first, late.is_right_now) == ((wrong, right), False, True)
    (early,) = story(entry("answer", quiz.id, right), entry("answer", quiz.id, wrong)).answers
    assert (early.is_right_first, early.is_right_now) == (True, False)


def test_an_answer_to_a_prediction_is_in_the_learners_own_words():
    found = story(entry("answer", "accuracy_at_80", "flat, then a cliff"))
    assert [one.words for one in found.words] == ["flat, then a cliff"]
    assert found.answers == ()


def test_of_a_check_the_best_try_counts():
    tries = [{"passed": False, "n_passed": 1, "n_cases": 4}, {"passed": True, "n_passed": 4, "n_cases": 4}]
    (one,) = story(*(entry("check", "magnitude_mask", value) for value in (*tries, tries[0]))).tried
    assert (one.n_tries, one.passed, one.n_passed, one.n_cases, one.recipe) == (3, True, 4, 4, "")


def test_a_budget_is_told_with_its_recipe():
    value = {"passed": True, "n_passed": 2, "n_cases": 2, "recipe": RECIPE}
    assert story(entry("check", "budget", value)).tried[0].recipe == RECIPE


def opening(**more):
    value = {"network": "net", "data": "tiny", "recipe": RECIPE, "seed": 0, "score": 0.85}
    return entry("test_opened", "prune_filters", {**value, **more})


def test_a_test_stands_beside_the_newest_validation_of_the_same_network_before_it():
    one, two = story(run(score=0.7), run(score=0.9), opening(), run(score=0.99), opening()).opened
    assert (one.test, one.validation, one.better) == (0.85, 0.9, pytest.approx(0.05))
    assert two.validation == 0.99
    assert one.optimism is None  # older versions did not write down the interval of the test


def test_the_optimism_of_validation_has_the_interval_of_two_separate_samples():
    tested = {"score": 0.6, "low": wilson(48, 80)[0], "high": wilson(48, 80)[1]}
    low, high = wilson(56, 70)
    own = {"validation": 0.8, "validation_low": low, "validation_high": high}
    before, after = run(score=0.8, low=low, high=high), run(score=0.1)
    one, two = story(before, opening(**tested), after, opening(**tested, **own)).opened
    assert one.optimism == two.optimism
    assert one.optimism.value == pytest.approx(0.2)
    assert (one.optimism.low, one.optimism.high) == pytest.approx((0.0524, 0.3339), abs=5e-5)  # Newcombe, 1998
    assert one.optimism.verdict == "validation was too optimistic"


@pytest.mark.parametrize("more", [{"network": "other"}, {"seed": 1}, {"data": "digits"}, {"recipe": "[]"}])
def test_the_validation_of_another_network_is_not_taken_for_it(more):
    (one,) = story(run(), opening(**more)).opened
    assert (one.validation, one.better, one.optimism) == (None, None, None)


def test_older_openings_which_do_not_say_whose_they_are_have_no_validation():
    (one,) = story(run("network", "data", "seed"), entry("test_opened", "a", {"recipe": RECIPE, "score": 0.85})).opened
    assert (one.network, one.test, one.validation) == ("", 0.85, None)


def test_chapters_without_questions_and_odd_values_raise_nothing():
    odd = [None, True, 10**400, float("nan"), "", [], {"passed": "yes", "n_passed": -1}, {"score": 10**400}]
    kinds = ("prediction", "measured", "answer", "check", "run", "test_opened")
    names = ("accuracy_at_80", "faster_at_90", load("03").quizzes[0].id)
    entries = [
        entry(kind, name, value, chapter=chapter)
        for kind in kinds
        for name in names
        for value in odd
        for chapter in ("03", "../03", "mine")
    ]
    found = story(*entries)
    assert len(found.unread) == len(odd) * len(names) * 3
    assert len(found.predictions) == len(names) * 3
    assert {one.is_close for one in found.predictions} == {None}
    assert not any(one.passed for one in found.tried)
    assert found.opened == ()
