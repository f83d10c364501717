"""What the learner is asked: predictions, quizzes and exercise checks, one YAML file per chapter.

    questions = load("03")
    verdict = questions.check("magnitude_mask", my_function)   # Verdict(passed, message, n_passed, n_cases)

`kinds.py` says what a question is and how an answer is graded, `checking.py` runs a learner's function on cases,
`values.py` compares its results, `form.py` and `reading.py` read the file and name the line of every mistake in it.
"""

from efflab.questions.chapter import Questions
from efflab.questions.form import QuestionsError
from efflab.questions.kinds import (
    Case,
    Check,
    Misconception,
    Number,
    Option,
    Prediction,
    Quiz,
    Verdict,
    Wrong,
)
from efflab.questions.reading import load

__all__ = [
    "Case",
    "Check",
    "Misconception",
    "Number",
    "Option",
    "Prediction",
    "Questions",
    "QuestionsError",
    "Quiz",
    "Verdict",
    "Wrong",
    "load",
]
