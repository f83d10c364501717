"""Sweeps: one knob goes from end to end while the others stand still, and each value is previewed."""

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from efflab.knobs import Choice, Knob, Value
from efflab.lab.answers import Preview

if TYPE_CHECKING:  # pandas takes 0.4 s to import: only who asks for a table pays
    import pandas as pd


def spread(knob: Knob, n: int = 21) -> list[Value]:
    """The options of a choice; of a range, at most `n` values on its grid, both ends included.

    Example:
        >>> from efflab import Range
        >>> spread(Range(0.0, 1.0, 0.1, "share"), n=3)
        [0.0, 0.5, 1.0]
    """
    if isinstance(knob, Choice):
        return list(knob.options)
    n_steps = math.ceil((knob.high - knob.low) / knob.step - 1e-9)  # the last step may be a shorter one
    picked = sorted({round(i * n_steps / (n - 1)) for i in range(n)})
    exact = [round(knob.low + index * knob.step, 10) for index in picked]
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
