"""How optimistic validation was: by how much the score that a network was chosen by beats its score on the test data.

Whoever tries many networks and keeps the best by validation keeps some luck with it; on images that chose nothing the
luck is gone. The two scores are of separate images, so that their errors do not cancel as they do where two networks
answer the same ones (`compare`): this interval is wide, and often holds 0.

Reference: Newcombe, Interval estimation for the difference between independent proportions: comparison of eleven
methods, Statistics in Medicine 17, 1998: the tenth, from the intervals of both scores.
"""

import math
from dataclasses import dataclass

from efflab.measure.accuracy import Evaluation

Scored = tuple[float, float, float]
"""A score and the ends of its 95 % interval, fractions."""


@dataclass(frozen=True)
class Optimism:
    """The score on validation data minus that on test data, with its 95 % interval; fractions."""

    value: float
    low: float
    high: float

    @property
    def is_clear(self) -> bool:
        """Whether the interval excludes zero."""
        return self.low > 0 or self.high < 0

    @property
    def verdict(self) -> str:
        """In words: no measurable difference, or whether validation was too optimistic or too pessimistic."""
        if not self.is_clear:
            return "no measurable difference"
        return f"validation was too {'optimistic' if self.value > 0 else 'pessimistic'}"


def scored(evaluation: Evaluation) -> Scored:
    """The score of an evaluation with its interval."""
    return evaluation.value, *evaluation.interval


def optimism_of(validation: Scored, test: Scored) -> Optimism:
    """How much better one network was on validation than on test data; the images must be separate.

    Example:
        >>> found = optimism_of((0.95, 0.93, 0.965), (0.93, 0.905, 0.95))
        >>> round(found.value, 3), round(found.low, 3), round(found.high, 3), found.verdict
        (0.02, -0.008, 0.049, 'no measurable difference')
    """
    (v, v_low, v_high), (t, t_low, t_high) = validation, test
    return Optimism(v - t, v - t - math.hypot(v - v_low, t_high - t), v - t + math.hypot(v_high - v, t - t_low))
