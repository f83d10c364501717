"""A budget of a device: the bytes of the file and the time of a run, both measured here, and how much may be lost.

The time is a number of milliseconds, not a ratio: a device does not ask how slow the base was. So the same network may
meet it on one machine and miss it on another, and the sentence gives the base's time beside it.
"""

from dataclasses import dataclass, replace

from efflab.budget.parts import check_batch, is_lost_at_most, measured, verdict
from efflab.lab import Lab, Report
from efflab.measure import Evaluation, compare
from efflab.questions import Verdict
from efflab.recipe import Recipe
from efflab.training import Progress


@dataclass(frozen=True)
class DeployedBudget:
    """At most `n_bytes` in the ONNX file and `ms` for a run of `batch` images on one thread, and at most `lost`.

    ms: milliseconds of the median run. lost: a fraction of the base's score.

    Raises:
        ValueError: a limit that nothing could meet or miss, or a batch that is no count.
    """

    n_bytes: int
    ms: float
    lost: float
    batch: int = 1

    def __post_init__(self) -> None:
        if self.n_bytes < 1 or not self.ms > 0 or not 0 <= self.lost <= 1 or self.batch < 1:
            raise ValueError(f"n_bytes, ms and batch must be more than 0 and lost a fraction from 0 to 1, not {self}")

    def judge(self, report: Report, base: Evaluation) -> Verdict:
        """Whether a network meets all parts, said with its numbers. base: the base on the same images.

        Where the file holds integers, what counts is the score of the file, not that of the simulation.

        Raises:
            ValueError: the report was timed at another batch.
        """
        check_batch(report, self.batch)
        speed = report.speed
        n, now, then = report.file_bytes, speed.now.median_ms, speed.base.median_ms
        images = "1 image takes" if self.batch == 1 else f"{self.batch} images take"
        size = f"the file has {n:,} bytes, measured (at most {self.n_bytes:,} allowed)"
        time = f"{images} {now:.3g} ms, measured (at most {self.ms:.3g} allowed; the base takes {then:.3g})"
        shipped = report.preview
        if report.from_file is not None:
            shipped = replace(shipped, evaluation=report.from_file, difference=compare(base, report.from_file))
        return verdict({size: n <= self.n_bytes, time: now <= self.ms} | is_lost_at_most(self.lost, shipped))

    def judge_recipe(self, lab: Lab, recipe: Recipe, progress: Progress | None = None) -> Verdict:
        """Run a recipe, write and time what it makes, and judge that.

        Raises:
            ValueError, ExportError, SpeedError: as `measured`.
        """
        return self.judge(measured(lab, recipe, self.batch, progress), lab.baseline)
