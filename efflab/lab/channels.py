"""Which group of channels bears a cut, and what a cut of it saves: each group is cut alone, the others stay whole.

Multiplications are computed and milliseconds are measured, and the two do not say the same: a group with half of the
MACs may hold a fifth of the time.

Reference: Li et al., Pruning filters for efficient ConvNets, 2017, arXiv 1608.08710, figure 2 (accuracy only).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from efflab.data import Data
from efflab.lab.filters import KINDS
from efflab.lab.shipping import passing_folder, stopwatch
from efflab.measure import Evaluation, evaluate
from efflab.measure.speed import Speed
from efflab.measure.work import count_work
from efflab.prune.structure import channel_scores, channels_to_keep, removable, remove
from efflab.recipe import AnyTechnique
from efflab.runtime import Artefact, export

RATIOS = (0.25, 0.5, 0.75)


@dataclass(frozen=True, eq=False)
class ChannelPoint:
    """The network with one group cut to `n_kept` channels, the others whole. `speed` is beside the base."""

    group: str
    layers: tuple[str, ...]
    ratio: float
    n_kept: int
    evaluation: Evaluation
    macs: int
    macs_base: int
    speed: Speed


def scan_channels(
    model: nn.Module,
    data: Data,
    technique: AnyTechnique,
    *,
    ratios: Sequence[float] = RATIOS,
    batch: int = 1,
    threads: int = 1,
    stale: Callable[[], bool] | None = None,
) -> Iterator[ChannelPoint]:
    """Yield a point for each group and ratio, by L1 importance, in the order of the network; ends early when stale.

    Raises:
        ValueError: no channels can be removed, or `technique` removes none, or a ratio is not between 0 and 1.
        ExportError: a network cannot be exported.
        SpeedError: one could not be timed.
    """
    if wrong := [ratio for ratio in ratios if not 0 < ratio < 1]:
        raise ValueError(f"ratios must lie between 0 and 1, not {wrong[0]!r}")
    if technique.name not in KINDS:
        raise ValueError(f"technique must be {' or '.join(KINDS)}, not {technique.name}")
    found = removable(model, data.shape, KINDS[technique.name])
    scores = channel_scores(model, found, "l1", data=data)
    macs_base = count_work(model, data.shape).macs
    with passing_folder() as folder:
        base = export(model, data.shape, folder, "base")
        for group in found:
            for ratio in ratios:
                kept = channels_to_keep({group.name: scores[group.name]}, ratio, "per layer")
                smaller = remove(model, data.shape, kept)
                speed = _time(smaller, data, folder, base, batch, threads, stale)
                if speed is None:
                    return
                *_, evaluation = evaluate(smaller, data.validation, data.task)
                n_kept, macs = int(kept[group.name].count_nonzero()), count_work(smaller, data.shape).macs
                yield ChannelPoint(group.name, group.layers("out"), ratio, n_kept, evaluation, macs, macs_base, speed)


def _time(
    model: nn.Module,
    data: Data,
    folder: Path,
    base: Artefact,
    batch: int,
    threads: int,
    stale: Callable[[], bool] | None,
) -> Speed | None:
    made = export(model, data.shape, folder, "candidate")
    return stopwatch().compare(base, made, shape=data.shape, batch=batch, threads=threads, stale=stale)
