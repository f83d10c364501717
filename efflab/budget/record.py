"""A budget that a search has set: as few bytes, and as good on average over seeds as the best recipe that was found.

What one training reached may be luck, so the mean over several seeds counts. It need not beat the search: it meets the
budget from the low end of what the search's own seeds leave open.
"""

import json
from dataclasses import dataclass
from typing import Any

from efflab import shipped
from efflab.budget.parts import StoppedError, verdict
from efflab.lab import Lab
from efflab.lab.seeds import SeedRun, over_seeds, spread_of
from efflab.questions import Verdict
from efflab.recipe import Recipe, from_json
from efflab.training import Progress


@dataclass(frozen=True)
class Record:
    """The best recipe that `tools/search_recipes.py` found for a network under a limit of packed bytes.

    Scores are fractions of the validation images; `low` and `high` are the 95 % interval of the mean over the seeds.
    """

    network: str
    limit_bytes: int
    recipe: Recipe
    scores: tuple[float, ...]
    mean: float
    low: float
    high: float
    n_tried: int

    @classmethod
    def load(cls, data: str = "scattered") -> "Record":
        """The record of the search on this data.

        Raises:
            ValueError: nobody has searched on it.
        """
        path = shipped.folder("expected") / f"search_{data}.json"
        if not path.exists():
            raise ValueError(f"there is no record of a search on {data!r}; tools/search_recipes.py makes one")
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        best = found["best"]
        return cls(
            network=found["network"],
            limit_bytes=found["limit_bytes"],
            recipe=from_json(json.dumps(best["recipe"])),
            scores=tuple(best["scores"]),
            mean=best["mean"],
            low=best["low"],
            high=best["high"],
            n_tried=len(found["rungs"][0]["tried"]),
        )


@dataclass(frozen=True)
class RecordBudget:
    """At most `n_bytes` packed with each seed, and a mean score over `n_seeds` seeds of at least `score`, a fraction.

    Raises:
        ValueError: a limit that nothing could meet or miss.
    """

    n_bytes: int
    score: float
    n_seeds: int = 3

    def __post_init__(self) -> None:
        if self.n_bytes < 1 or self.n_seeds < 1 or not 0 <= self.score <= 1:
            raise ValueError(f"n_bytes and n_seeds must be 1 or more and score a fraction from 0 to 1, not {self}")

    @classmethod
    def of(cls, record: Record, *, n_seeds: int = 3) -> "RecordBudget":
        """As many bytes as the search was allowed, and a score from the low end of its interval on."""
        return cls(record.limit_bytes, record.low, n_seeds)

    def judge(self, runs: list[SeedRun]) -> Verdict:
        """Whether the runs of a recipe meet both parts, said with their numbers.

        Raises:
            ValueError: there are more or fewer of them than seeds are asked, or a training was stopped.
        """
        spread = spread_of(runs)
        if len(spread.scores) != self.n_seeds:
            raise ValueError(
                f"runs must be those of {self.n_seeds} seeds, trained to the end, not {len(spread.scores)}"
            )
        task = runs[0].preview.evaluation.task
        most = max(run.preview.size.packed_bytes for run in runs)
        each = ", ".join(f"{score * task.per_unit:.2f}" for score in spread.scores)
        size = f"{most:,} bytes packed, the most of {self.n_seeds} seeds, computed (at most {self.n_bytes:,} allowed)"
        score = (
            f"{spread.mean * task.per_unit:.2f} {task.unit} {task.score_name} on average over {self.n_seeds} seeds "
            f"({each}), measured (at least {self.score * task.per_unit:.2f} asked)"
        )
        return verdict({size: most <= self.n_bytes, score: spread.mean >= self.score})

    def judge_recipe(self, lab: Lab, recipe: Recipe, progress: Progress | None = None) -> Verdict:
        """Run a recipe with each seed, that of the lab first, and judge what comes out.

        Raises:
            ValueError: as `Lab.build`.
            StoppedError: a training was stopped early.
        """
        seeds = range(lab.seed, lab.seed + self.n_seeds)
        runs = [run for run in over_seeds(lab, recipe, seeds, progress=progress) if run.is_whole]
        if len(runs) < self.n_seeds:
            raise StoppedError(f"stopped after {len(runs)} of {self.n_seeds} seeds: a mean of them all is needed")
        return self.judge(runs)
