"""A recipe step by step: the network after each of its steps, judged, weighed and timed.

A recipe's numbers say what all steps did together. Which of them made the network small, which made it fast and which
cost accuracy is seen from its prefixes: nothing, the first step, the first two, up to all of them.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from torch import nn

from efflab.lab.answers import Preview, Report
from efflab.measure.speed_process import SpeedError
from efflab.recipe import Recipe, check_recipe
from efflab.runtime import ExportError
from efflab.training import Progress


class StepError(ValueError):
    """A technique cannot act on what the steps before it made: the last step of `recipe`, its `number` from 1."""

    def __init__(self, recipe: Recipe, reason: str) -> None:
        self.recipe, self.number = recipe, len(recipe)
        super().__init__(f"step {self.number}, {recipe[-1].technique.name}: {reason}")


@dataclass(frozen=True)
class Prefix:
    """The first steps of a recipe: their network, judged, and its report once it was weighed and timed.

    recipe: those steps; () is the base. report: None before it is measured, and where that cannot be; `reason` is then
    the sentence that says why.
    """

    recipe: Recipe
    preview: Preview
    report: Report | None = None
    reason: str = ""


class Prefixes(ABC):
    """The part of a `Lab` that follows a recipe step by step; the lab builds, judges and measures each prefix."""

    @abstractmethod
    def build(self, recipe: Recipe, *, progress: Progress | None = None) -> nn.Module:
        """The network that a recipe makes."""

    @abstractmethod
    def preview(self, recipe: Recipe, *, seconds: float = math.inf) -> Preview:
        """The judged network of a recipe."""

    @abstractmethod
    def measure(
        self, recipe: Recipe, *, batch: int = 1, threads: int = 1, stale: Callable[[], bool] | None = None
    ) -> Report | None:
        """Weigh and time a recipe's network beside the base."""

    def prefixes(
        self,
        recipe: Recipe,
        *,
        batch: int = 1,
        progress: Progress | None = None,
        stale: Callable[[], bool] | None = None,
    ) -> Iterator[Prefix]:
        """Yield each prefix of a recipe, the base first: all of them judged, and then all of them measured.

        So whoever draws them has every score and computed size before the first file is timed. Each training tells
        the progress of its own, from 0 to 1. When `stale` became true or the progress was stopped nothing follows; a
        training that was stopped is yielded as far as it came: its preview `is_partial`.

        Raises:
            StepError: a technique cannot act on what the steps before it made; the sentence names its step.
        """
        check_recipe(recipe)

        def is_over() -> bool:
            return (stale is not None and stale()) or (progress is not None and progress.is_stopped)

        judged: list[Prefix] = []
        for n in range(len(recipe) + 1):
            if is_over():
                return
            self._take_steps(recipe[:n], progress)
            judged.append(Prefix(recipe[:n], self.preview(recipe[:n])))
            yield judged[-1]
        for one in judged:
            measured = None if is_over() else self._measured(one, batch, stale)
            if measured is None:
                return
            yield measured

    def _take_steps(self, recipe: Recipe, progress: Progress | None) -> None:
        """Build a prefix, of which all steps but the last ran before."""
        try:
            self.build(recipe, progress=progress)
        except ValueError as error:
            raise StepError(recipe, str(error)) from error

    def _measured(self, one: Prefix, batch: int, stale: Callable[[], bool] | None) -> Prefix | None:
        """The prefix with its report or the reason why it has none; None when `stale`."""
        try:
            report = self.measure(one.recipe, batch=batch, stale=stale)
        except (ExportError, SpeedError) as error:
            return replace(one, reason=str(error))
        return None if report is None else replace(one, report=report)
