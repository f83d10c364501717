"""What a learner did, told from the entries of a journal: each prediction beside its measurement, each quiz, each run.

The journal may come from anybody: a value that no question knows is shown as it is, and nothing here raises for it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeGuard

from efflab.journal import Entry, Json
from efflab.measure.optimism import Optimism, Scored, optimism_of
from efflab.questions import Prediction, Questions, QuestionsError, Quiz, load
from efflab.scoreboard.runs import MOST, Run, Unread, runs_of


@dataclass(frozen=True)
class Predicted:
    """A prediction beside what was measured, both as the journal has them; None is skipped, or not measured yet.

    What the learner did first counts: a prediction after a look is none. `is_close` is None unless both are known.
    """

    chapter: str
    id: str
    question: Prediction | None
    predicted: Json
    measured: Json
    is_close: bool | None


@dataclass(frozen=True)
class Answered:
    """A quiz: the keys that the learner chose, in their order, and whether the first and the last were right."""

    chapter: str
    id: str
    question: Quiz
    keys: tuple[str, ...]

    @property
    def is_right_first(self) -> bool:
        """Whether the first try was right; later ones come after a hint."""
        return _is_right(self.question, self.keys[0])

    @property
    def is_right_now(self) -> bool:
        """Whether the last try was right."""
        return _is_right(self.question, self.keys[-1])


@dataclass(frozen=True)
class Written:
    """What a learner wrote in their own words on a prediction; `question` is None where nobody knows it."""

    chapter: str
    id: str
    question: Prediction | None
    words: str


@dataclass(frozen=True)
class Tried:
    """A check of a function, or a budget (then with the recipe of the best try): how often, and how far it came."""

    chapter: str
    id: str
    n_tries: int
    passed: bool
    n_passed: int
    n_cases: int
    recipe: str


@dataclass(frozen=True)
class Opened:
    """A look at the test data: its score and that on validation data, fractions; None where it is not known.

    `optimism` has the interval of their difference; older versions did not write down that of the test.
    """

    at: str
    chapter: str
    network: str
    recipe: str
    test: float
    validation: float | None
    optimism: Optimism | None

    @property
    def better(self) -> float | None:
        """By how much validation was better than the test, a difference of fractions."""
        return None if self.validation is None else self.validation - self.test


@dataclass(frozen=True)
class Story:
    """What a learner did, each in the order of its first entry; `words` are their answers in their own words."""

    predictions: tuple[Predicted, ...]
    answers: tuple[Answered, ...]
    words: tuple[Written, ...]
    tried: tuple[Tried, ...]
    opened: tuple[Opened, ...]
    runs: tuple[Run, ...]
    unread: tuple[Unread, ...]


def questions_of(entries: Iterable[Entry]) -> dict[str, Questions]:
    """The questions of the chapters that these entries name, as far as there are some."""
    found: dict[str, Questions] = {}
    for chapter in dict.fromkeys(entry.chapter for entry in entries):
        try:
            found[chapter] = load(chapter)
        except QuestionsError:
            continue
    return found


def story_of(entries: Sequence[Entry], questions: Mapping[str, Questions]) -> Story:
    """What a learner did. questions: by chapter, as `questions_of` finds them."""
    answers = _by_name(entries, "answer")
    quizzes = {key: quiz for key in answers if (quiz := _quiz(questions.get(key[0]), key[1])) is not None}
    runs, unread = runs_of(entries)
    return Story(
        predictions=_predictions(entries, questions),
        answers=tuple(
            Answered(*key, quiz, tuple(str(one.value) for one in answers[key])) for key, quiz in quizzes.items()
        ),
        words=tuple(
            Written(*key, _prediction(questions, *key), str(one.value))
            for key, those in answers.items()
            if key not in quizzes
            for one in those
        ),
        tried=tuple(_tried(*key, those) for key, those in _by_name(entries, "check").items()),
        opened=_opened(entries),
        runs=runs,
        unread=unread,
    )


def _by_name(entries: Iterable[Entry], *kinds: str) -> dict[tuple[str, str], list[Entry]]:
    found: dict[tuple[str, str], list[Entry]] = {}
    for entry in entries:
        if entry.kind in kinds:
            found.setdefault((entry.chapter, entry.name), []).append(entry)
    return found


def _predictions(entries: Sequence[Entry], questions: Mapping[str, Questions]) -> tuple[Predicted, ...]:
    measured = _by_name(entries, "measured")
    found = []
    for (chapter, id), made in _by_name(entries, "prediction", "skip").items():
        question = _prediction(questions, chapter, id)
        predicted = made[0].value if made[0].kind == "prediction" else None
        truth = measured[chapter, id][0].value if (chapter, id) in measured else None
        found.append(Predicted(chapter, id, question, predicted, truth, _is_close(question, predicted, truth)))
    return tuple(found)


def _prediction(questions: Mapping[str, Questions], chapter: str, id: str) -> Prediction | None:
    there = questions[chapter].predictions if chapter in questions else ()
    return next((one for one in there if one.id == id), None)


def _is_close(question: Prediction | None, predicted: Json, measured: Json) -> bool | None:
    if question is None or predicted is None or measured is None:
        return None
    if question.number is None:
        return predicted == measured
    if not (is_number(predicted) and is_number(measured)):
        return None
    return abs(predicted - measured) <= question.number.tolerance + 1e-9


def _quiz(questions: Questions | None, id: str) -> Quiz | None:
    return next((quiz for quiz in questions.quizzes if quiz.id == id), None) if questions else None


def _is_right(quiz: Quiz, key: str) -> bool:
    return any(option.right and option.key == key for option in quiz.options)


def _tried(chapter: str, id: str, entries: Sequence[Entry]) -> Tried:
    tries = [entry.value if isinstance(entry.value, dict) else {} for entry in entries]
    best = max(tries, key=lambda one: (one.get("passed") is True, _count(one.get("n_passed"))))
    recipe = best.get("recipe")
    return Tried(
        chapter,
        id,
        len(tries),
        best.get("passed") is True,
        _count(best.get("n_passed")),
        _count(best.get("n_cases")),
        recipe if isinstance(recipe, str) else "",
    )


def _opened(entries: Sequence[Entry]) -> tuple[Opened, ...]:
    """The looks at the test data, each beside its validation.

    Older versions did not write that down: then it is that of the newest run before it of the same network, recipe and
    seed.
    """
    found, judged = list[Opened](), dict[tuple[str, str, str, int | None], Scored]()
    for entry in entries:
        runs, _ = runs_of([entry])
        judged |= {(run.network, run.data, run.recipe, run.seed): (run.score, run.low, run.high) for run in runs}
        value = entry.value
        if entry.kind == "test_opened" and isinstance(value, dict) and is_number(score := value.get("score")):
            network, data, recipe = (str(value.get(name, "")) for name in ("network", "data", "recipe"))
            seed = value.get("seed")
            key = (network, data, recipe, seed if isinstance(seed, int) else None)
            before = judged.get(key) if network else None  # older versions did not say whose score it was
            validation = _scored(value, "validation", "validation_low", "validation_high") or before
            test = _scored(value, "score", "low", "high")
            optimism = optimism_of(validation, test) if validation and test else None
            shown = validation[0] if validation else None
            found.append(Opened(entry.at, entry.chapter, network, recipe, float(score), shown, optimism))
    return tuple(found)


def _scored(value: Mapping[str, Json], *names: str) -> Scored | None:
    """A score and the ends of its interval, if all three are there."""
    score, low, high = (value.get(name) for name in names)
    if is_number(score) and is_number(low) and is_number(high):
        return float(score), float(low), float(high)
    return None


def is_number(value: Json | None) -> TypeGuard[float]:
    """Whether a value is a number that can be shown and compared: finite, and no slip of the pen."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and -MOST < value < MOST


def _count(value: Json) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**6 else 0
