"""The quiz before and after the course: eight concepts asked twice, and a first time that gives nothing away."""

import re
from pathlib import Path
from typing import Any

import pytest

from efflab.journal import Journal
from efflab.questions import Questions, load
from efflab.widgets import Chapter
from efflab.widgets.worker import worker

ROOT = Path(__file__).parent.parent
SHOWN = ROOT / "docs" / "teaching" / "quiz.md"
CHAPTERS = {path.stem[:2] for path in (ROOT / "notebooks" / "src").glob("*.py")}


@pytest.fixture(params=["pre", "post"])
def quiz(request) -> Questions:
    return load(request.param)


def test_both_quizzes_ask_eight_concepts_under_the_same_names_in_the_same_order_with_other_cases():
    pre, post = load("pre").quizzes, load("post").quizzes
    assert [one.id for one in pre] == [one.id for one in post]
    assert len(pre) == 8
    assert {one.text for one in pre} & {one.text for one in post} == set()


def test_a_quiz_has_nothing_but_questions_of_four_options_each_with_its_own_sentence(quiz):
    assert (quiz.predictions, quiz.checks) == ((), ())
    told = [option.feedback for question in quiz.quizzes for option in question.options]
    assert len(told) == len(set(told)) == 32


def test_neither_its_place_nor_its_length_gives_a_right_answer_away(quiz):
    places = [[option.right for option in one.options].index(True) for one in quiz.quizzes]
    assert max(places.count(place) for place in range(4)) <= 3
    ranks = [sorted(one.options, key=lambda option: len(option.text)) for one in quiz.quizzes]
    assert sum(ranked[0].right for ranked in ranks) <= 3
    assert sum(ranked[-1].right for ranked in ranks) <= 3


def test_the_first_quiz_explains_nothing_and_says_where_the_question_comes_back():
    for one in load("pre").quizzes:
        for option in one.options:
            named = set(re.findall(r"\b\d\d\b", " ".join(re.findall(r"[Cc]hapters? [\d and]+", option.feedback))))
            assert named, option.feedback
            assert named <= CHAPTERS, option.feedback
            assert "because" not in option.feedback


def runs(text: str, n: int = 4) -> set[tuple[str, ...]]:
    words = re.findall(r"\w+", text.lower())
    return {tuple(words[i : i + n]) for i in range(len(words) - n + 1)}


def test_no_sentence_of_the_first_quiz_has_words_of_a_right_answer_of_the_second():
    pre, post = load("pre"), load("post")
    told = set().union(*(runs(option.feedback) for one in pre.quizzes for option in one.options))
    right = [option for one in post.quizzes for option in one.options if option.right]
    assert len(right) == 8
    assert told & set().union(*(runs(f"{option.text} {option.feedback}") for option in right)) == set()


def test_the_cells_that_the_kit_shows_ask_the_quiz_keep_the_answers_and_count_the_first_of_each(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("EFFLAB_JOURNAL", str(tmp_path / "journal.sqlite"))
    monkeypatch.chdir(tmp_path)
    opened, shown, handed_in, counted = re.findall(
        r"```python\n(.*?)```", SHOWN.read_text(encoding="utf-8"), flags=re.DOTALL
    )
    names: dict[str, Any] = {}
    exec(opened, names)
    exec(shown, names)
    worker().wait(60)
    assert isinstance(names["quiz"], Chapter)
    right = {one.id: next(option.key for option in one.options if option.right) for one in load("pre").quizzes}
    wrong = {one.id: next(option.key for option in one.options if not option.right) for one in load("pre").quizzes}
    for view in names["questions"].children[:5]:
        view.choose(wrong[view.quiz.id])
        view.choose(right[view.quiz.id])
    last = names["questions"].children[5]
    last.choose(right[last.quiz.id])
    last.choose(wrong[last.quiz.id])
    assert {entry.chapter for entry in Journal().entries(kind="answer")} == {"pre"}
    exec(handed_in, names)
    (exported,) = tmp_path.glob("*.jsonl")
    (tmp_path / "class").mkdir()
    exported.rename(tmp_path / "class" / exported.name)
    exec(counted, names)
    told = capsys.readouterr().out.splitlines()
    ids = [one.id for one in load("pre").quizzes]
    assert told == [f"{id}: {int(id == ids[5])} right before, 0 after" for id in ids]
