"""Which channels stay: the groups, scores and masks of one network, before anything is cut.

Reference: Li et al., Pruning filters for efficient ConvNets, 2017, arXiv 1608.08710.
"""

from dataclasses import dataclass

from torch import Tensor, nn

from efflab.data import Data
from efflab.prune.structure.groups import Group
from efflab.prune.structure.importance import channel_scores
from efflab.prune.structure.ranking import channels_to_keep
from efflab.prune.structure.rules import removable


@dataclass(frozen=True, eq=False)
class Selection:
    """What a technique decided. scores, kept: {group: (size,)}; kept is bool, True = stays."""

    groups: tuple[Group, ...]
    scores: dict[str, Tensor]
    kept: dict[str, Tensor]


def select_channels(
    model: nn.Module,
    kind: type[nn.Module],
    *,
    data: Data,
    ratio: float = 0.5,
    scope: str = "per layer",
    importance: str = "l1",
    multiple: int = 1,
    minimum: int = 1,
    rules: str = "efflab",
    seed: int = 0,
) -> Selection:
    """Rank the channels that layers of one `kind`, Linear or Conv2d, make, and say which stay.

    `rules` says which rules follow the channels, "efflab" or "torch-pruning".

    Raises:
        ValueError: no layer of this kind has channels that can be removed, or the importance needs what is not there.
    """
    found = removable(model, data.shape, kind, rules)
    scores = channel_scores(model, found, importance, data=data, seed=seed)
    return Selection(found, scores, channels_to_keep(scores, ratio, scope, multiple=multiple, minimum=minimum))
