"""The three kinds of question, and how an answer becomes feedback.

A prediction is made before the learner sees the measurement: it has no right answer in the file, because the right
answer is measured on this machine. A quiz has exactly one right option. A check runs a function that the learner
wrote. Every wrong answer gets a sentence of its own.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

import torch

Value: TypeAlias = torch.Tensor | bool | int | float | str | tuple["Value", ...] | None


@dataclass(frozen=True)
class Verdict:
    """How an answer was judged: one message for the learner, and how many of the cases passed."""

    passed: bool
    message: str
    n_passed: int
    n_cases: int


@dataclass(frozen=True)
class Option:
    """One answer to choose; `key` is what the journal keeps, so that the text may be improved later."""

    key: str
    text: str
    feedback: str
    right: bool = False


@dataclass(frozen=True)
class Number:
    """The scale of a predicted number, and the sentence for each side; within `tolerance` counts as close."""

    low: float
    high: float
    step: float
    unit: str
    tolerance: float
    too_low: str
    close: str
    too_high: str

    def shown(self, value: float, finer: int = 0) -> str:
        """A value with its unit, as precise as the step or `finer` digits more."""
        digits = max(0, -math.floor(math.log10(self.step) + 1e-9)) + finer
        return f"{value:.{digits}f} {self.unit}".strip()


@dataclass(frozen=True)
class Prediction:
    """A question to answer before looking: either a number (`number`) or a choice (`options`).

    `seen` is the question that follows the measurement: what did you see?
    """

    id: str
    text: str
    seen: str
    number: Number | None = None
    options: tuple[Option, ...] = ()

    def feedback_for(self, predicted: float | str | None, measured: float | str) -> str:
        """What to tell the learner: their prediction, the measurement, and the thought behind the difference.

        Args:
            predicted: the number, or the key of the chosen option; None if the learner skipped.
            measured: what came out here and now, in the same form.

        Raises:
            ValueError: a number that is not finite or is predicted outside its range, or an unknown key.
        """
        if predicted is None:
            return self._skipped_feedback(measured)
        if self.number is None:
            return self._choice_feedback(str(predicted), str(measured))
        return self._number_feedback(self.number, predicted, measured)

    def _skipped_feedback(self, measured: float | str) -> str:
        if self.number is not None:
            truth = self.number.shown(_finite(self.id, "measured", measured), finer=1)
            return f"You made no prediction; found here: {truth}."
        option = find(self.options, str(measured), f"option of {self.id}")
        return f'You made no prediction; found here: "{option.text}". {option.feedback}'

    def _number_feedback(self, number: Number, predicted: object, measured: object) -> str:
        guess, truth = _finite(self.id, "predicted", predicted), _finite(self.id, "measured", measured)
        if not number.low <= guess <= number.high:
            raise ValueError(f"{self.id}: predicted is {guess}; it must be from {number.low} to {number.high}")
        close = abs(guess - truth) <= number.tolerance + 1e-9  # 0.3 - 0.2 must count as 0.1
        sentence = number.close if close else number.too_low if guess < truth else number.too_high
        return sentence.format(predicted=number.shown(guess), measured=number.shown(truth, finer=1))

    def _choice_feedback(self, predicted: str, measured: str) -> str:
        chosen, truth = (find(self.options, key, f"option of {self.id}") for key in (predicted, measured))
        found = "and so it was" if chosen == truth else f'found here: "{truth.text}"'
        return f'You chose "{chosen.text}", {found}. {chosen.feedback}'


@dataclass(frozen=True)
class Quiz:
    """A question with one right option."""

    id: str
    text: str
    options: tuple[Option, ...]

    def answer(self, key: str) -> Verdict:
        """Judge the option with this key.

        Raises:
            ValueError: there is no such option.
        """
        chosen = find(self.options, key, f"option of {self.id}")
        return Verdict(chosen.right, chosen.feedback, int(chosen.right), 1)


@dataclass(frozen=True)
class Misconception:
    """A mistake that people make, and the sentence that helps them out of it."""

    key: str
    sentence: str


@dataclass(frozen=True, eq=False)
class Wrong:
    """What a function returns that was written with this misconception."""

    output: Value
    misconception: Misconception


@dataclass(frozen=True, eq=False)
class Case:
    """One call of the learner's function: inputs by name, in order, and what must come out.

    `compare` is how: "equal"; "close", each number within `tolerance`; or "mask", see `values.agrees`.
    """

    inputs: tuple[tuple[str, Value], ...]
    expected: Value
    compare: str = "equal"
    tolerance: float = 0.0
    wrong: tuple[Wrong, ...] = ()


@dataclass(frozen=True, eq=False)
class Check:
    """An exercise: a function to write, and the cases that it must pass."""

    id: str
    text: str
    cases: tuple[Case, ...]
    misconceptions: tuple[Misconception, ...] = ()


Named = TypeVar("Named", Option, Prediction, Quiz, Check)


def find(things: Sequence[Named], key: str, what: str) -> Named:
    """The one thing with this key or id; ValueError names the ones that exist."""
    by_key = {thing.key if isinstance(thing, Option) else thing.id: thing for thing in things}
    if key not in by_key:
        raise ValueError(f"there is no {what} called {key!r}; there are: {', '.join(by_key) or 'none'}")
    return by_key[key]


def _finite(id: str, name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or not math.isfinite(value):
        raise ValueError(f"{id}: {name} is {value!r}; it must be a finite number")
    return float(value)
