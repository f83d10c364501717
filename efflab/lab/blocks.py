"""The layers of a network before and after: how wide, how much work, and which of them lose their channels together."""

from dataclasses import dataclass

from torch import nn

from efflab.measure.work import LayerWork, count_work
from efflab.prune.structure import Group, find_groups


@dataclass(frozen=True)
class Block:
    """A layer that makes channels, in the base and now. `n_base` and `n_now` count them: filters or neurons.

    `group` is the name of their dependency group, and `layers` are all layers that lose a channel with them. `frozen`
    says why none may go, or is empty. MACs are those of one image.
    """

    layer: str
    kind: str
    n_base: int
    n_now: int
    group: str
    layers: tuple[str, ...]
    frozen: str
    macs_base: int
    macs_now: int


def find_blocks(base: nn.Module, now: nn.Module, shape: tuple[int, ...], rules: str = "efflab") -> tuple[Block, ...]:
    """The linear layers and convolutions of `base`, in the order they run in, beside the same layers of `now`.

    `rules` says which rules follow the channels, "efflab" or "torch-pruning".

    Raises:
        ValueError: the channels of `base` cannot be followed, or `now` has not the same layers.
    """
    makers = {name: group for group in find_groups(base, shape, rules) for name in group.layers("out")}
    layers, others = dict(base.named_modules()), dict(now.named_modules())
    if missing := [name for name in makers if type(others.get(name)) is not type(layers[name])]:
        layer = f"{type(layers[missing[0]]).__name__} layer {missing[0]!r}"
        raise ValueError(f"the network has no {layer} any more, so it cannot stand beside its base")
    before, after = _work(base, shape), _work(now, shape)
    names = [name for name in before if name in makers]
    return tuple(_block(name, makers[name], base, now, before, after) for name in names)


def _work(model: nn.Module, shape: tuple[int, ...]) -> dict[str, LayerWork]:
    return {layer.name: layer for layer in count_work(model, shape).layers}


def _block(
    name: str,
    group: Group,
    base: nn.Module,
    now: nn.Module,
    before: dict[str, LayerWork],
    after: dict[str, LayerWork],
) -> Block:
    n_base, n_now = (_n_made(model.get_submodule(name)) for model in (base, now))
    together = tuple(dict.fromkeys(member.layer for member in group.members))
    macs_now = after[name].macs if name in after else 0
    kind = type(base.get_submodule(name)).__name__
    return Block(name, kind, n_base, n_now, group.name, together, group.frozen, before[name].macs, macs_now)


def _n_made(layer: nn.Module) -> int:
    """What the layer says of itself: its weight may be computed from other tensors (weight_norm ...)."""
    assert isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d)
    return layer.out_features if isinstance(layer, nn.Linear) else layer.out_channels
