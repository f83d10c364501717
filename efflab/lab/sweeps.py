"""Sweeps: one knob goes from end to end while the others stand still, and each value is previewed."""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from efflab.knobs import Choice, Knob, Range, Setting, Value
from efflab.lab.answers import Preview
from efflab.recipe import AnyTechnique, Recipe, Step, step

if TYPE_CHECKING:  # pandas takes 0.4 s to import: only who asks for a table pays
    import pandas as pd


class Sweeps(ABC):
    """The part of a `Lab` that moves one knob from end to end; the lab judges each setting."""

    @abstractmethod
    def preview(self, recipe: Recipe, *, seconds: float = math.inf) -> Preview:
        """The judged network of a recipe."""

    def sweep(
        self, technique: AnyTechnique, knob: str, values: Sequence[Value] | None = None, **settings: Setting
    ) -> "pd.DataFrame":
        """Previews over the values of one knob, by default 21 from end to end of its range, or all of its options.

        Columns: the knob, `score`, `low`, `high` (fractions), `n_nonzero`, `packed_bytes`.

        Raises:
            ValueError, TypeError: no such knob, or a value out of range.
        """
        return table_of(self.sweep_previews(step(technique, **settings), knob, values), knob)

    def sweep_previews(
        self, one: Step, knob: str, values: Sequence[Value] | None = None, *, then: Recipe = ()
    ) -> Iterator[Preview]:
        """The previews of `sweep`, one after the other.

        one: the step whose knob moves, its other settings stand still. then: steps that follow at each value.

        Raises:
            ValueError, TypeError: as `sweep`.
        """
        if knob not in one.technique.knobs:
            known = ", ".join(one.technique.knobs)
            raise ValueError(f"{one.technique.name} has no knob {knob!r}; its knobs are: {known}")
        for value in values if values is not None else spread(one.technique.knobs[knob]):
            yield self.preview((step(one.technique, **(one.values | {knob: value})), *then))


def spread(knob: Knob, n: int = 21) -> list[Value]:
    """The options of a choice; of a range, at most `n` values on its grid, both ends included.

    Example:
        >>> spread(Range(0.0, 1.0, 0.1, "share"), n=3)
        [0.0, 0.5, 1.0]
    """
    if isinstance(knob, Choice):
        return list(knob.options)
    values = grid(knob)
    return [values[place] for place in sorted({round(i * (len(values) - 1) / (n - 1)) for i in range(n)})]


def grid(knob: Range) -> list[Value]:
    """All values of a range, step by step, both ends included; the last step may be a shorter one.

    Example:
        >>> grid(Range(0.0, 1.0, 0.4, "share"))
        [0.0, 0.4, 0.8, 1.0]
    """
    n_steps = math.ceil((knob.high - knob.low) / knob.step - 1e-9)
    exact = [round(knob.low + index * knob.step, 10) for index in range(n_steps + 1)]
    return [min(max(value, knob.low), knob.high) for value in exact]


def table_of(previews: Iterable[Preview], knob: str) -> "pd.DataFrame":
    """A row for each preview: the knob's value, `score`, `low`, `high` (fractions), `n_nonzero`, `packed_bytes`."""
    import pandas as pd

    rows = [
        (
            one.recipe[0].values[knob],
            one.evaluation.value,
            *one.evaluation.interval,
            one.size.n_nonzero,
            one.size.packed_bytes,
        )
        for one in previews
    ]
    return pd.DataFrame(rows, columns=[knob, "score", "low", "high", "n_nonzero", "packed_bytes"])
