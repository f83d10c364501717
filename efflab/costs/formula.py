"""A formula is a plain function whose keyword-only arguments say what values make sense.

From the annotations come the checks of a call here, and on the screen the sliders, their ends and their labels.
"""

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from efflab.knobs import knobs_of

P = ParamSpec("P")
R = TypeVar("R")


def formula(function: Callable[P, R]) -> Callable[P, R]:
    """The function, with its knobs checked at each call; nothing else happens.

    Raises:
        TypeError: it declares no knob, so that there is nothing to check.
    """
    knobs = knobs_of(function)
    if not knobs:
        raise TypeError(f"{function.__name__} declares no knob: annotate its keyword-only arguments")

    @functools.wraps(function)
    def checked(*args: P.args, **kwargs: P.kwargs) -> R:
        for name, value in kwargs.items():
            if name in knobs:
                knobs[name].check(name, value)
        return function(*args, **kwargs)

    return checked
