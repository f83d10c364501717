"""Gain from the first to the second quiz, as Hake defines it."""

import pytest

from efflab.questions import Questions
from efflab.questions.kinds import Option, Quiz
from efflab.scoreboard.gain import class_gain, normalised_gain, share_right
from efflab.scoreboard.story import story_of
from tests.scoreboard.entries import entry

OPTIONS = (Option("a", "this", "yes", right=True), Option("b", "that", "no"))
QUIZ = Questions("pre", quizzes=tuple(Quiz(f"q{i}", "which?", OPTIONS) for i in range(4)))


def share(*answers: tuple[str, str]) -> float | None:
    questions = {"pre": QUIZ}
    return share_right(story_of([entry("answer", *one, chapter="pre") for one in answers], questions), questions, "pre")


def test_the_share_is_of_first_answers():
    assert share(("q0", "a"), ("q1", "b"), ("q1", "a"), ("q2", "a"), ("q2", "b"), ("q3", "b")) == 0.5


def test_without_an_answer_to_each_question_there_is_no_share():
    assert share(("q0", "a"), ("q1", "a"), ("q2", "a")) is None


def test_without_such_a_quiz_there_is_no_share():
    assert share_right(story_of([], {}), {}, "post") is None


@pytest.mark.parametrize(
    ("pre", "post", "gain"), [(0.44, 0.72, 0.5), (0.5, 0.5, 0.0), (0.5, 0.25, -0.5), (0.0, 1.0, 1.0)]
)
def test_the_gain_is_the_share_of_what_could_be_gained(pre, post, gain):
    assert normalised_gain(pre, post) == pytest.approx(gain)


@pytest.mark.parametrize(("pre", "post"), [(1.0, 1.0), (None, 0.5), (0.5, None)])
def test_where_nothing_could_be_gained_or_known_there_is_no_gain(pre, post):
    assert normalised_gain(pre, post) is None


def test_the_gain_of_a_class_is_that_of_its_means_not_the_mean_of_its_gains():
    assert class_gain([(0.2, 0.6), (0.6, 0.8), (None, 0.9), (0.1, None)]) == pytest.approx((0.7 - 0.4) / 0.6)
    assert class_gain([(0.0, 0.0), (0.8, 1.0)]) == pytest.approx(0.1 / 0.6)  # the mean of the gains would be 0.5
    assert class_gain([(None, 0.9)]) is None
