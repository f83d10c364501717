"""How hypothesis draws the cases of a test: from a fixed start, at any speed of the machine, with no file left here.

A case that fails is made as small as it can be before it is shown: the lists below begin with what is simplest.
"""

from hypothesis import Phase, settings
from hypothesis import strategies as st

from efflab.knobs import Knob, Range, Value
from efflab.lab.sweeps import grid


def examples(number: int) -> settings:
    """A decorator: draw so many cases, from a fixed start; without a search for what else would fail, which is long."""
    phases = (Phase.explicit, Phase.generate, Phase.shrink)
    return settings(max_examples=number, derandomize=True, database=None, deadline=None, phases=phases)


def values(knob: Knob, n_low: int | None = None) -> st.SearchStrategy[Value]:
    """Values that a knob takes: options; or numbers on the steps of a slider, and where it has fractions, between them.

    n_low: draw from so many of the lowest steps only.
    """
    if not isinstance(knob, Range):
        return st.sampled_from(knob.options)
    steps = st.sampled_from(grid(knob)[:n_low])
    return steps if knob.is_integer or n_low is not None else steps | st.floats(knob.low, knob.high)
