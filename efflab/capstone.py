"""The capstone: a run of the journal is handed in, its recipe runs again from the start, and what comes out is judged.

A number that somebody typed, or one that an earlier version wrote down, counts for nothing: the recipe does. So the
judgement is that of this machine, now, and it says whether the journal told the same.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from efflab.budget import DeployedBudget, PackedBudget, RecipeBudget, RecordBudget, StoppedError, TaughtBudget
from efflab.journal import Entry, day_text
from efflab.lab import Lab
from efflab.questions import Verdict
from efflab.recipe import from_json
from efflab.scoreboard import Run, recipe_words, select
from efflab.training import Progress


@dataclass(frozen=True)
class HandedIn:
    """A run that was run again: what is judged of it, and its score now, a fraction of the validation data."""

    run: Run
    verdict: Verdict
    score: float

    @property
    def is_same(self) -> bool:
        """Whether the journal has told this score; it keeps four digits."""
        return round(self.score, 4) == self.run.score

    def comparison(self, lab: Lab) -> str:
        """What the journal told and what came out now, as a sentence."""
        task = lab.data.task
        told, now = (f"{score * task.per_unit:.2f} {task.unit}" for score in (self.run.score, self.score))
        if self.is_same:
            return f"Run again from the start, it has {now} {task.score_name} (measured), as the journal says."
        return (
            f"The journal says {told} {task.score_name}; run again from the start, it has {now} (measured), which "
            "counts. Another machine or version gives other numbers; so does an entry that somebody changed."
        )


def told_before(checks: Iterable[Entry]) -> str:
    """What a journal's checks of a budget tell: the newest that passed, or else the newest; "" where there is none.

    Example:
        >>> told_before([Entry(1, "2026-11-29T18:20:05.123Z", "18", "check", "under_20_kb", {"passed": False})])
        'Tried before, on 29 November 2026: not met yet.'
    """
    told = [(entry, entry.value) for entry in checks if isinstance(entry.value, dict)]
    passed = [(entry, value) for entry, value in told if value.get("passed") is True]
    if not told:
        return ""
    entry, value = (passed or told)[-1]
    recipe, day = value.get("recipe"), day_text(entry.at)
    tail = f", with: {recipe_words(recipe)}" if isinstance(recipe, str) else ""
    return f"Met before, on {day}{tail}." if passed else f"Tried before, on {day}: not met yet."


def candidates(runs: Iterable[Run], lab: Lab, budget: RecipeBudget) -> tuple[Run, ...]:
    """The runs of this lab's base and teacher on its data, the newest of each recipe and seed.

    First those whose bytes keep to the budget, as far as the journal knows them, and among these the best score.
    """
    found = select(runs, data=lab.data.name, network=lab.name)
    newest = {(run.recipe, run.seed): run for run in found if run.teacher in ("", lab.own_teacher)}
    return tuple(sorted(newest.values(), key=lambda run: (_place(run, budget), -run.score, run.packed_bytes)))


def _place(run: Run, budget: RecipeBudget) -> int:
    """0 where the bytes that the journal has of a run keep to a budget or it has no limit of them, 2 where they do not.

    1 where nobody weighed the file that the budget limits.
    """
    if isinstance(budget, DeployedBudget):
        n = run.file_bytes
    elif isinstance(budget, PackedBudget | RecordBudget | TaughtBudget):
        n = run.packed_bytes
    else:
        return 0
    if n is None:
        return 1
    return 0 if n <= budget.n_bytes else 2


def hand_in(run: Run, lab: Lab, budget: RecipeBudget, progress: Progress | None = None) -> HandedIn:
    """Run the recipe of a run again, with its seed, on the base and the data of a lab, and judge what it makes.

    Nothing that the lab has trained before is used.

    Raises:
        ValueError: the run is of another network or other data, or its recipe cannot be read or run.
        StoppedError: it was stopped before there was enough to judge.
    """
    if (run.network, run.data) != (lab.name, lab.data.name):
        raise ValueError(
            f"this run is of {run.network or 'an unknown network'} on {run.data or 'unknown data'}; "
            f"handed in are runs of {lab.name} on {lab.data.name}"
        )
    if run.teacher not in ("", lab.own_teacher):
        raise ValueError(f"this run was taught by {run.teacher}, which is not the teacher of this lab")
    recipe = from_json(run.recipe)
    fresh = lab.with_seed(run.seed or 0)
    verdict = budget.judge_recipe(fresh, recipe, progress)
    if fresh.is_partial(recipe):
        raise StoppedError("a training was stopped early: what it made is not judged")
    return HandedIn(run, verdict, fresh.preview(recipe).evaluation.value)
