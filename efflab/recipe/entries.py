"""What a recipe's text names, before anything is known of it: techniques and settings as they were written down.

Such text comes from journals, files and paste boxes, so none of it is trusted: it is read as values and never executed,
and there are limits to how much is read.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from efflab.recipe.steps import Recipe, step
from efflab.recipe.techniques import AnyTechnique

MAX_CHARACTERS = 1_000_000
"""A longer text is not even looked at: no recipe comes near it, and a parser takes seconds and gigabytes for more."""
MAX_STEPS = 50
"""More are no recipe that anyone wrote down."""
N_SHOWN = 80
"""Characters of a wrong text that a sentence repeats."""


@dataclass(frozen=True)
class Entry:
    """A step as it was written down: the name of a technique, known or not, and its settings, of which none is checked.

    A setting is whatever stood there: a number, a text, a mapping, or something else that no knob will take.
    """

    technique: str
    settings: Mapping[str, Any]


def steps_of(entries: Sequence[Entry], techniques: Mapping[str, AnyTechnique]) -> Recipe:
    """The recipe that entries name. techniques: by name, those that they may name.

    Raises:
        ValueError: an unknown technique, or a setting out of range; the sentence begins with the number of the step.
        TypeError: a setting of the wrong type, or one that is no knob of its technique; as above.
    """
    for number, entry in enumerate(entries, 1):
        if entry.technique not in techniques:
            known = ", ".join(techniques)
            raise ValueError(f"step {number}: unknown technique {shown(entry.technique)}; known are: {known}")
        where = f"step {number}, {entry.technique}"
        try:
            techniques[entry.technique].check(entry.settings)
        except ValueError as error:
            raise ValueError(f"{where}: {_cut(str(error))}") from error
        except TypeError as error:
            raise TypeError(f"{where}: {_cut(str(error))}") from error
    return tuple(step(techniques[entry.technique], **entry.settings) for entry in entries)


def check_text(text: object) -> None:
    """Raise TypeError or ValueError unless `text` is a text that is short enough to be read."""
    if not isinstance(text, str):
        raise TypeError(f"a recipe is read from text, not from {type(text).__name__} {shown(text)}")
    if len(text) > MAX_CHARACTERS:
        raise ValueError(
            f"a recipe's text must be at most {MAX_CHARACTERS:,} characters long, not {len(text):,}: it was not read"
        )


def check_n_steps(n: int) -> None:
    """Raise ValueError unless a recipe that is read has few enough steps."""
    if n > MAX_STEPS:
        raise ValueError(f"a recipe that is read must have at most {MAX_STEPS} steps, not {n:,}")


def shown(value: object) -> str:
    """The value as Python writes it, in a sentence: so it stays text, whatever stands in it, and it is not too long.

    Example:
        >>> print(shown("<b>fine</b>"))
        '<b>fine</b>'
    """
    return _cut(repr(value[: N_SHOWN + 1] if isinstance(value, str) else value), N_SHOWN)


def _cut(text: str, n: int = 500) -> str:
    """The text, or its first `n` characters: sentences end in the value, which may fill the whole megabyte."""
    return text if len(text) <= n + 2 else f"{text[:n]}..."
