"""Which runs no other run beats: the Pareto front of the score and a cost, and what a run costs.

Only what is alike can be compared: scores on the same data, and times at the same batch on the same machine. `select`
picks such runs; a front of all of them together means nothing.

Reference: Kung, Luccio and Preparata, On finding the maxima of a set of vectors, JACM 22, 1975: sort, then one pass.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from efflab.measure.energy import WATTS_PER_CORE, check_watts
from efflab.scoreboard.runs import Run

Cost = Literal["packed_bytes", "file_bytes", "ms", "macs", "joules"]


@dataclass(frozen=True)
class CostAbout:
    """What a cost is called, in what it is counted, and where it comes from: computed, measured or estimated."""

    label: str
    unit: str
    badge: str

    @property
    def text(self) -> str:
        """All of it, as at an axis."""
        return f"{self.label} ({self.unit}, {self.badge})"


COSTS: dict[Cost, CostAbout] = {
    "packed_bytes": CostAbout("size, packed", "bytes", "computed"),
    "file_bytes": CostAbout("size of the file", "bytes", "measured"),
    "ms": CostAbout("time of one run", "ms", "measured"),
    "macs": CostAbout("multiplications with an addition, one image", "MACs", "computed"),
    "joules": CostAbout("energy of 1,000 images", "J", "estimated"),
}


def select(
    runs: Iterable[Run], *, data: str | None = None, network: str | None = None, batch: int | None = None
) -> tuple[Run, ...]:
    """The runs on this data, of this network, timed at this batch; what is None may be anything.

    A run of which nobody wrote down the data or the network belongs to none. Neither was timed what has no batch.
    """
    return tuple(
        run
        for run in runs
        if (data is None or run.data == data)
        and (network is None or run.network == network)
        and (batch is None or run.batch == batch)
    )


def cost_of(run: Run, cost: Cost, *, watts: float = WATTS_PER_CORE) -> float | None:
    """What a run costs, or None where it is not known.

    watts: of a busy core, for `joules`. They are *estimated* as in `efflab.measure.energy`, where there is no counter:
    the time of the cores times watts. Runs are timed on one thread, so that the time of the cores is that of the run.

    Raises:
        ValueError: there is no such cost, or no core draws so many watts.
    """
    if cost not in COSTS:
        raise ValueError(f"cost must be one of {', '.join(COSTS)}, not {cost!r}")
    if cost != "joules":
        found: float | None = getattr(run, cost)
        return found
    check_watts(watts)
    return None if run.ms is None or run.batch is None else run.ms * watts / run.batch  # 1,000 images, 1,000 ms a s


def front(runs: Sequence[Run], cost: Cost, *, watts: float = WATTS_PER_CORE) -> tuple[Run, ...]:
    """The runs that no other beats in score and cost, cheapest first; of twins, all. Runs without the cost are not in.

    A learner may prefer any of them to any other, and none of the rest. The intervals of the scores are not looked at:
    two runs of the front may differ by less than chance.

    Raises:
        ValueError: as `cost_of`.
    """
    costs = [cost_of(run, cost, watts=watts) for run in runs]
    known = [(run, value) for run, value in zip(runs, costs, strict=True) if value is not None]
    return tuple(known[i][0] for i in unbeaten([(run.score, value) for run, value in known]))


def unbeaten(points: Sequence[tuple[float, float]]) -> list[int]:
    """The places of the points (score, cost) that no other beats, cheapest first; of twins, all. O(n log n).

    One beats another if it has a higher score or a lower cost, and is not worse in the other.

    Example:
        >>> unbeaten([(0.9, 2.0), (0.8, 1.0), (0.7, 1.5)])
        [1, 0]
    """
    found: list[int] = []
    for i in sorted(range(len(points)), key=lambda i: (points[i][1], -points[i][0])):
        if not found or points[i][0] > points[found[-1]][0] or points[i] == points[found[-1]]:
            found.append(i)
    return found
