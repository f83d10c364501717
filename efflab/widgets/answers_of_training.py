"""What a learner predicted of training on grids, as it was measured: the answers to the questions of chapter 06."""

from typing import TYPE_CHECKING

from efflab.measure import compare
from efflab.quantize.aware.techniques import METHODS
from efflab.widgets.answers import is_only, with_another

if TYPE_CHECKING:  # a bench asks these functions
    from efflab.widgets.bench import Bench

FIXED, LEARNED = METHODS.options
"""Whether the steps of the grids stay or are trained."""


def with_learned_steps(bench: "Bench") -> str | None:
    """For "do steps that learn help?": "better", "worse" or "same" than steps that stay, on the same images.

    None until both were trained to the end where the prediction is about; "same" where the interval includes zero.
    """
    there = [one for one in bench.stage.trail if is_only(bench, one.recipe) and not one.is_partial]
    trained = {str(one.recipe[0].values["method"]): one.evaluation for one in there}
    if not {FIXED, LEARNED} <= trained.keys():
        return None
    change = compare(trained[FIXED], trained[LEARNED])
    if not change.is_clear:
        return "same"
    return "better" if change.value > 0 else "worse"


def with_two_bits(bench: "Bench") -> str | None:
    """For "2 bits in place of 8: how long now?": "shorter", "same" or "longer"; None until both were timed."""
    return with_another(bench, "bits", 8, 2)
