"""A sweep of recipes: each with each seed, on as many cores as joblib is told, and kept so that a kill loses nothing.

    lab.sweep_recipes(recipes, seeds=(0, 1), n_jobs=2, keep="sweep.sqlite")     two cores of this laptop
    with joblib.parallel_config(backend="dask"):                               a cluster, whose client is open
        lab.sweep_recipes(recipes, keep="sweep.sqlite")

A point is computed with one thread of torch, on the same numbers, wherever it runs: its result is the same whatever
`n_jobs` and the backend are, on machines of one kind.

Reference: joblib's documentation, "Embarrassingly parallel for loops".
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from efflab.lab.seeds import check_seeds
from efflab.lab.sweep_file import SweepFile
from efflab.lab.sweep_workers import Answer, Judge, Parcel, judge, pack, work
from efflab.lab.swept import Asked, SweepError, Swept, ask, in_order_of_prefixes
from efflab.recipe import Recipe, check_recipe
from efflab.training import Progress

if TYPE_CHECKING:  # a lab sweeps
    from efflab.lab.lab import Lab

MOST_POINTS = 100_000
"""More points than a laptop computes in a year of nights are a slip of the pen."""


def sweep_recipes(
    lab: "Lab",
    recipes: Iterable[Recipe],
    *,
    seeds: Sequence[int] | None = None,
    n_jobs: int | None = None,
    keep: str | PathLike[str] | None = None,
    progress: Progress | None = None,
) -> Iterator[Swept]:
    """Yield each recipe with each seed, judged, as they come: first what `keep` holds, then what was computed now.

    See `Lab.sweep_recipes`.
    """
    points = _points(recipes, [lab.seed] if seeds is None else seeds, is_kept=keep is not None)
    if n_jobs is not None and (isinstance(n_jobs, bool) or not isinstance(n_jobs, int) or n_jobs == 0):
        raise ValueError(f"n_jobs must be a number of workers, -1 for all cores, or None, not {n_jobs!r}")
    return _swept(lab, points, n_jobs, keep, progress or Progress())


def _swept(
    lab: "Lab", points: list[Asked], n_jobs: int | None, keep: str | PathLike[str] | None, progress: Progress
) -> Iterator[Swept]:
    parts = _Parts(progress, len(points))
    parcel = pack(lab, _here(lab, parts))
    file = None if keep is None else SweepFile(Path(keep), parcel.fingerprint, lab.name)
    kept = file.read() if file else {}
    for one in points:
        if one.key in kept:
            parts.end_one()
            yield _result(one, kept[one.key])
    left = in_order_of_prefixes(one for one in points if one.key not in kept)
    for one, answer in _computed(parcel, left, n_jobs, progress):
        if answer.trace:
            raise SweepError(f"{one.recipe} with seed {one.seed} failed, which is no refusal:\n{answer.trace}")
        if answer.judged is None and not answer.reason:
            continue  # its training was stopped early
        if file:
            file.add(one.key, answer)
        parts.end_one()
        yield _result(one, answer)


def _points(recipes: Iterable[Recipe], seeds: Sequence[int], *, is_kept: bool) -> list[Asked]:
    """Each recipe with each seed, once."""
    check_seeds(seeds)
    found: dict[object, Asked] = {}
    for recipe in recipes:
        check_recipe(recipe)
        for seed in seeds:
            one = ask(recipe, seed, with_sources=is_kept)
            found.setdefault((one.recipe, seed), one)
            if len(found) > MOST_POINTS:
                raise ValueError(f"a sweep may have {MOST_POINTS:,} points; this one has more: leave values out")
    if not found:
        raise ValueError("recipes must hold at least one recipe")
    return list(found.values())


def _computed(
    parcel: Parcel, points: list[Asked], n_jobs: int | None, progress: Progress
) -> Iterator[tuple[Asked, Answer]]:
    """Each point with its answer, as they come. Once the progress is stopped no further one begins."""
    import joblib  # type: ignore[import-untyped]  # ships no types; only who sweeps waits for it
    from joblib.externals.loky.process_executor import TerminatedWorkerError  # type: ignore[import-untyped]

    def tasks() -> Iterator[object]:
        for i, one in enumerate(points):
            if progress.is_stopped:
                return
            yield joblib.delayed(_numbered)(i, parcel, one.text, one.seed, one.own)

    parallel = joblib.Parallel(n_jobs=n_jobs, return_as="generator_unordered", pre_dispatch="n_jobs")
    try:
        for i, answer in parallel(tasks()):
            yield points[i], answer
    except TerminatedWorkerError as error:
        raise SweepError(
            "a worker was ended from outside, perhaps because the memory was full: what was yielded stays, and with "
            "`keep` the same call goes on from there; fewer workers (n_jobs) need less memory"
        ) from error


def _numbered(i: int, *point: object) -> tuple[int, Answer]:
    """A point's number and its answer: they come back in any order."""
    return i, work(*point)  # type: ignore[arg-type]  # what `_computed` hands over


def _here(lab: "Lab", parts: "_Parts") -> Judge:
    """How a point is judged without a worker: in this process, on this lab, where the training tells its progress."""
    labs = {lab.seed: lab}

    def judge_here(seed: int, recipe: Callable[[], Recipe]) -> Answer:
        if seed not in labs:
            for other in set(labs) - {lab.seed}:
                del labs[other]  # points come seed by seed: one lab beside the caller's own is enough
            labs[seed] = lab.with_seed(seed)
        return judge(lambda: labs[seed], recipe, parts.next())

    return judge_here


class _Parts:
    """The progress of so many points."""

    def __init__(self, whole: Progress, n: int) -> None:
        self._whole, self._n, self._n_ended = whole, n, 0

    def next(self) -> Progress:
        """That of the point which runs now."""
        return self._whole.part(self._n_ended, self._n)

    def end_one(self) -> None:
        """One more is over."""
        self._n_ended += 1
        if self._whole.on_batch:
            self._whole.on_batch(self._n_ended / self._n)


def _result(one: Asked, answer: Answer) -> Swept:
    return Swept(one.recipe, one.seed, answer.judged, answer.reason)
