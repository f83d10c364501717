"""The channels of one layer as a technique saw them: their weights, how important each was, and which stayed."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from efflab.data import Data
from efflab.prune import prune_filters, prune_neurons
from efflab.prune.structure import select_channels
from efflab.recipe import Recipe, Step

KINDS: dict[str, type[nn.Module]] = {prune_filters.name: nn.Conv2d, prune_neurons.name: nn.Linear}
"""The layers whose channels a technique ranks."""


@dataclass(frozen=True, eq=False)
class Filters:
    """weights: (n, ...), those that make each channel; scores: (n,), higher matters more; kept: (n,), bool."""

    layer: str
    importance: str
    weights: Tensor
    scores: Tensor
    kept: Tensor


def split_at_cut(recipe: Recipe) -> tuple[Recipe, Step]:
    """The last step that took channels away, and the steps before it.

    Raises:
        ValueError: no step does.
    """
    places = [i for i, one in enumerate(recipe) if one.technique.name in KINDS]
    if not places:
        raise ValueError(f"no step of this recipe takes channels away; {' and '.join(KINDS)} do")
    return recipe[: places[-1]], recipe[places[-1]]


def find_filters(model: nn.Module, cut: Step, layer: str, *, data: Data, seed: int) -> Filters:
    """What the step `cut` decided about the channels that `layer` of `model` makes.

    Raises:
        ValueError: the layer makes no channels that this technique ranks.
    """
    settings = {name: value for name, value in cut.values.items() if name != "form"}
    selection = select_channels(model, KINDS[cut.technique.name], data=data, seed=seed, **settings)  # type: ignore[arg-type]
    makers = [(group, one) for group in selection.groups for one in group.members if one.side == "out"]
    parts = sorted((one.offset, group.size, group.name) for group, one in makers if one.layer == layer)
    if not parts:
        names = dict.fromkeys(one.layer for _, one in makers)
        raise ValueError(f"layer must be one of {', '.join(names)}, not {layer!r}")
    weight = model.get_submodule(layer).get_parameter("weight").detach()
    weights = torch.cat([weight[offset : offset + size] for offset, size, _ in parts])
    scores, kept = (torch.cat([of[name] for *_, name in parts]) for of in (selection.scores, selection.kept))
    return Filters(layer, str(settings["importance"]), weights, scores, kept)
