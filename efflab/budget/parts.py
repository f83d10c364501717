"""What budgets say: each part with its numbers, and whether it is met."""

from collections.abc import Mapping
from typing import Protocol

from efflab.costs.texts import three
from efflab.lab import Lab, Preview, Report
from efflab.lab.encoding import EncodedNetwork
from efflab.measure.speed import Speed
from efflab.questions import Verdict
from efflab.recipe import Recipe
from efflab.training import Progress


class StoppedError(ValueError):
    """A training was stopped, and what is there is not enough to judge."""


class RecipeBudget(Protocol):
    """A budget that a recipe on a lab can meet."""

    def judge_recipe(self, lab: Lab, recipe: Recipe, progress: Progress | None = None) -> Verdict:
        """Run the recipe, and judge what it makes. progress: of its trainings.

        Raises:
            StoppedError: it was stopped before there was enough to judge.
        """


def verdict(results: Mapping[str, bool]) -> Verdict:
    """Passed if every part is met; the message says of each, in a line of its own, whether it is."""
    n_passed = sum(results.values())
    parts = [f"{'Met' if is_met else 'Not met'}: {text}." for text, is_met in results.items()]
    return Verdict(n_passed == len(results), "\n".join(parts), n_passed, len(results))


def measured(lab: Lab, recipe: Recipe, batch: int, progress: Progress | None = None) -> Report:
    """Run a recipe, and weigh and time what it makes beside the base. progress: of its trainings.

    Raises:
        ValueError: as `Lab.measure`.
        ExportError: the network cannot be exported.
        SpeedError: it could not be timed.
    """
    lab.build(recipe, progress=progress)
    report = lab.measure(recipe, batch=batch)
    assert report is not None, "nobody called it stale"
    return report


def check_batch(report: Report, batch: int) -> None:
    """Raise ValueError if the report was timed at another batch."""
    if report.speed.batch != batch:
        raise ValueError(f"the report was timed at batch {report.speed.batch}; this budget is for {batch}")


def is_lost_at_most(limit: float, preview: Preview | EncodedNetwork) -> dict[str, bool]:
    """Whether the score of what was evaluated fell by at most `limit`, a fraction, said with the interval of the loss.

    The score is the measured one, not the end of its interval. A score that rose is told as a gain.
    """
    task, difference = preview.evaluation.task, preview.difference
    sign = -1 if task.higher_is_better else 1
    lost = sign * difference.value
    unit = "points" if task.unit == "%" else task.unit
    is_plain = (round(lost * task.per_unit, 1) <= round(limit * task.per_unit, 1)) == (lost <= limit)
    digits = 1 if is_plain else 2  # rounded numbers must not contradict the verdict
    is_gain = round(lost * task.per_unit, digits) < 0
    sign, word, end = (-sign, "gained", "may be lost") if is_gain else (sign, "lost", "allowed")
    ends = sorted((sign * difference.low, sign * difference.high))
    shown, least, most, allowed = (
        f"{round(number * task.per_unit, digits) + 0.0:.{digits}f}"  # + 0.0: there is no -0.0 to read
        for number in (sign * difference.value, *ends, limit)
    )
    text = (
        f"{shown} {unit} of {task.score_name} {word}, between {least} and {most}; the {shown} counts "
        f"(at most {allowed} {end})"
    )
    return {text: lost <= limit}


def is_faster(times: float, speed: Speed) -> dict[str, bool]:
    """Whether it is faster by this factor, as measured and beyond the noise, said with the interval of the factor."""
    ends = f"95 % interval {1 / speed.ratio_high:.2f} to {1 / speed.ratio_low:.2f}"
    noise = "" if speed.is_different else ", which is within the noise: run it again in a calm moment"
    text = f"{1 / speed.ratio:.2f} times as fast at batch {speed.batch}, {ends}{noise} (at least {three(times)} asked)"
    return {text: speed.is_different and 1 / speed.ratio >= times}
