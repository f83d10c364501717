"""Sweeps: one knob goes from end to end while the others stand still, and each value is previewed."""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import product
from os import PathLike
from typing import TYPE_CHECKING

import numpy as np

from efflab.knobs import Choice, Knob, Range, Setting, Value
from efflab.lab.answers import Preview
from efflab.lab.swept import knobs_table
from efflab.recipe import AnyTechnique, Recipe, Step, check_recipe, step
from efflab.recipe.steps import check_technique
from efflab.training import Progress

if TYPE_CHECKING:  # pandas takes 0.4 s to import: only who asks for a table pays
    import pandas as pd

    from efflab.lab.swept import Swept


class Sweeps(ABC):
    """The part of a `Lab` that moves one knob from end to end; the lab judges each setting."""

    @abstractmethod
    def preview(self, recipe: Recipe, *, seconds: float = math.inf) -> Preview:
        """The judged network of a recipe."""

    def sweep(
        self,
        technique: AnyTechnique,
        knob: str | Mapping[str, Sequence[Value] | None],
        values: Sequence[Value] | None = None,
        *,
        seeds: Sequence[int] | None = None,
        then: Recipe = (),
        n_jobs: int | None = None,
        keep: str | PathLike[str] | None = None,
        progress: Progress | None = None,
        **settings: Setting,
    ) -> "pd.DataFrame":
        """Judge a technique over the values of one knob, or all combinations of several, each with each seed.

        Columns: the knobs, `seed` where there are several, `score`, `low`, `high` (fractions), `n_nonzero`,
        `packed_bytes`, and `reason` where a technique refused some.

        Example:
            >>> from efflab import Lab, prune_weights
            >>> table = Lab.open("mlp-digits").sweep(prune_weights, {"sparsity": (0.5, 0.9), "scope": None})
            >>> len(table), list(table.columns)[:3]
            (4, ['sparsity', 'scope', 'score'])

        Args:
            technique: what the knobs belong to.
            knob: the name of one, or names and values of several; None for the usual ones: 21 from end to end of a
                range, all options of a choice.
            values: those of the one knob.
            seeds: as for `sweep_recipes`.
            then: steps that follow at each value.
            n_jobs: as for `sweep_recipes`.
            keep: as for `sweep_recipes`.
            progress: as for `sweep_recipes`.
            **settings: of the technique's other knobs, which stand still.

        Raises:
            ValueError, TypeError: no such knob, one that both moves and stands still, a value out of range, `then` is
                no recipe, or as `sweep_recipes`.
            SweepError: as `sweep_recipes`.
        """
        if not isinstance(knob, (str, Mapping)):
            raise TypeError(f"knob must be the name of a knob, or several as {{name: values}}, not {knob!r}")
        grid = {knob: values} if isinstance(knob, str) else dict(knob)
        if values is not None and not isinstance(knob, str):
            raise TypeError("values are those of one knob; of several they stand in the mapping")
        check_recipe(then)
        combinations = combinations_of(technique, grid)
        for name in grid.keys() & settings.keys():
            raise TypeError(f"{name} moves in this sweep, so it cannot stand still at {settings[name]!r} as well")
        recipes = {(step(technique, **(settings | one)), *then): one for one in combinations}
        found = list(self.sweep_recipes(recipes, seeds=seeds, n_jobs=n_jobs, keep=keep, progress=progress))
        order = {recipe: place for place, recipe in enumerate(recipes)}
        found.sort(key=lambda point: (order[point.recipe], point.seed))
        return knobs_table([(recipes[point.recipe], point) for point in found], grid)

    def sweep_recipes(
        self,
        recipes: Iterable[Recipe],
        *,
        seeds: Sequence[int] | None = None,
        n_jobs: int | None = None,
        keep: str | PathLike[str] | None = None,
        progress: Progress | None = None,
    ) -> "Iterator[Swept]":
        """Yield each recipe with each seed, judged on all validation data, as they come; `points_table` makes a table.

        A recipe that a technique refuses is yielded with its sentence, and the others go on.

        Args:
            recipes: what is judged; one that stands there twice is judged once.
            seeds: that of the lab if not given.
            n_jobs: worker processes, -1 for one a core; None for none, or as `joblib.parallel_config` says.
            keep: a file in which each point is saved before it is yielded. The same call goes on from there, after a
                kill as well. Without it nothing is saved.
            progress: tells the fraction that is done. Stopped, no further point begins, and a training that was cut
                short is not yielded.

        Raises:
            ValueError, TypeError: no recipe, a wrong seed or number of workers.
            SweepError: `keep` is a file of something else, or cannot be written; or a worker was ended from outside.
        """
        from efflab.lab.sweeping import sweep_recipes

        return sweep_recipes(self, recipes, seeds=seeds, n_jobs=n_jobs, keep=keep, progress=progress)  # type: ignore[arg-type]  # a Sweeps is a part of a Lab

    def sweep_previews(
        self, one: Step, knob: str, values: Sequence[Value] | None = None, *, then: Recipe = ()
    ) -> Iterator[Preview]:
        """The previews of `sweep`, one after the other.

        one: the step whose knob moves, its other settings stand still. then: steps that follow at each value.

        Raises:
            ValueError, TypeError: as `sweep`.
        """
        for value in values_of(one.technique, knob, values):
            yield self.preview((step(one.technique, **(one.values | {knob: value})), *then))


def values_of(technique: AnyTechnique, knob: str, values: Iterable[Value] | None) -> Sequence[Value]:
    """The values of a knob that are asked for, also as an array of NumPy, or the usual ones.

    Raises:
        TypeError: `technique` is none, or `values` no list.
        ValueError: the technique has no such knob, or no value is left.
    """
    check_technique(technique)
    if knob not in technique.knobs:
        known = ", ".join(technique.knobs)
        raise ValueError(f"{technique.name} has no knob {knob!r}; its knobs are: {known}")
    if values is None:
        return spread(technique.knobs[knob])
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise TypeError(f"the values of {knob} must be a list, such as [{values!r}], not {values!r}")
    found = [one.item() if isinstance(one, np.generic) else one for one in values]
    if not found:
        raise ValueError(f"the values of {knob} must be at least one")
    return found


def combinations_of(technique: AnyTechnique, grid: Mapping[str, Sequence[Value] | None]) -> list[dict[str, Value]]:
    """All combinations of the values of several knobs, the last knob moving fastest.

    Raises:
        ValueError, TypeError: as `values_of`; or there is no knob.
    """
    if not grid:
        raise ValueError(f"name at least one knob of {technique.name}: {', '.join(technique.knobs)}")
    columns = [values_of(technique, knob, values) for knob, values in grid.items()]
    return [dict(zip(grid, one, strict=True)) for one in product(*columns)]


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
