"""Dependency groups of any network: torch-pruning follows the channels, and what it finds is tried before it counts.

Our own rules (`groups.py`) are written to be read, and freeze what they do not know. torch-pruning follows the graph
that autograd records, which it takes for element-wise wherever nobody told it better. That goes through concatenation,
squeeze-excite and reshaping, and is sometimes wrong: through the heads of an attention, for example. So each group is
tried: the network without a random half of its channels must answer as the network with zeros in their place. A group
that fails is frozen, and says what was seen.

What comes out are the same `Group` and `Member` that our own rules give. A layer that reads two tensors side by side
has the channels of the second at an `offset`.

Reference: Fang et al., DepGraph: towards any structural pruning, 2023, arXiv 2301.12900.

Where we simplify: rows of a layer must be named by an offset and a repeat, and only the layers of `cutting.CUT` are
cut. Torch-Pruning also cuts through layer norms and attention, where the smaller network answers other than the zeroed
one does. At work: its `MetaPruner`.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from efflab.prune.structure.cutting import CUT, NORMS, cut_channels, difference, width, zero_channels
from efflab.prune.structure.following import owners, why_whole
from efflab.prune.structure.groups import Group
from efflab.prune.structure.spaces import ANSWER, Member, Side
from efflab.prune.structure.tracing import copy_plain, defaults_of, example, first_answer
from efflab.runtime.export import reason

if TYPE_CHECKING:
    from torch_pruning import DependencyGraph

MAKERS = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)
MIXING = (nn.LayerNorm, nn.GroupNorm, nn.MultiheadAttention)
"""Layers whose answer for one channel depends on the others, so that zeros are not the same as nothing."""


def groups(model: nn.Module, shape: tuple[int, ...]) -> tuple[Group, ...]:
    """The dependency groups of a model that takes one input of `shape`, without the batch; in the order they run in.

    Example:
        Channels that are put side by side are columns of the next layer, from an offset on.

        >>> class Dense(nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.one, self.two, self.end = nn.Linear(4, 2), nn.Linear(4, 3), nn.Linear(5, 3)
        ...
        ...     def forward(self, x):
        ...         return self.end(torch.cat([self.one(x), self.two(x)], 1))
        >>> for group in groups(Dense(), (4,)):
        ...     print(group.name, group.frozen or group.members[-1])
        one Member(layer='end', side='in', repeat=1, offset=0)
        two Member(layer='end', side='in', repeat=1, offset=2)
        end they are the network's answer

    Raises:
        ValueError: the forward pass needs more than one input, fails, or torch-pruning cannot follow it.

    Reference: Fang et al., 2023, arXiv 2301.12900.
    """
    defaults_of(model)  # for its sentence: torch-pruning would give each input of a batch to an argument of its own
    twin = copy_plain(model).eval()
    calls = _count_calls(twin, shape)
    graph = _graph(twin, shape)
    found: list[Group] = []
    for name in calls:
        if type(twin.get_submodule(name)) in MAKERS and not any(_makes_all(twin, one, name) for one in found):
            found += _group(twin, graph, name, calls)
    return _tried(model, shape, found)


def _count_calls(twin: nn.Module, shape: tuple[int, ...]) -> Counter[str]:
    """How often each layer is called, by its name; in the order in which they are called first."""
    calls: Counter[str] = Counter()
    hooks = [
        layer.register_forward_pre_hook(lambda *_, name=name: calls.update((name,)))
        for name, layer in twin.named_modules()
    ]
    first_answer(twin, twin, shape, type(twin).__name__)
    for hook in hooks:
        hook.remove()
    return calls


def _graph(twin: nn.Module, shape: tuple[int, ...]) -> "DependencyGraph":
    """What torch-pruning sees of a run with gradients, which changes the `twin`."""
    import torch_pruning  # here, for who uses our own rules does not need it

    for parameter in twin.parameters():
        parameter.requires_grad_(parameter.is_floating_point())
    graph, kind = torch_pruning.DependencyGraph(), type(twin).__name__
    with torch.inference_mode(False), torch.enable_grad(), torch.random.fork_rng(devices=[]):
        images = example(twin, shape)
        if list(twin.parameters()) and twin(images).grad_fn is None:
            raise ValueError(
                f"torch-pruning follows gradients, and the answer of {kind} has none (no_grad, detach ...)"
            )
        try:
            graph.build_dependency(twin, images, forward_fn=lambda model, x: model(x), verbose=False)
        except Exception as error:  # anybody's model, so anything may be raised
            raise ValueError(f"torch-pruning cannot follow {kind}: {reason(error)}") from error
    return graph


def _group(twin: nn.Module, graph: "DependencyGraph", name: str, calls: Counter[str]) -> list[Group]:
    """The group of the channels that a layer makes; none where they come to nothing, or only pass."""
    layer = twin.get_submodule(name)
    if layer not in graph.module2node or _is_depthwise(layer):
        return []
    size, finder = width(layer, columns=False), _Finder(twin, graph, calls)
    prune = graph.get_pruner_of_module(layer).prune_out_channels
    for item in graph.get_pruning_group(layer, prune, list(range(size))):
        finder.add(item, size)
    order = list(calls)
    members = sorted(finder.members, key=lambda one: (order.index(one.layer), one.offset))
    frozen = finder.frozen or ("" if any(one.side == "in" for one in members) else ANSWER)
    return [Group(name, size, tuple(members), frozen)]


class _Finder:
    """Puts what torch-pruning says of one group into our words; `frozen` is the first reason not to cut it."""

    def __init__(self, twin: nn.Module, graph: "DependencyGraph", calls: Counter[str]) -> None:
        self.members: list[Member] = []
        self.frozen = ""
        self._model, self._graph, self._calls, self._owners = twin, graph, calls, owners(twin)
        self._layers = {id(layer): name for name, layer in twin.named_modules()}
        self._parameters = {id(one): name for name, one in twin.named_parameters()}

    def add(self, item: Any, size: int) -> None:
        """One layer, parameter or operation, and which of its rows or columns the channels are."""
        node = item.dep.target
        if node.type == self._graph.ops.OPTYPE.OUTPUT:
            self._freeze(ANSWER)
        elif id(node.module) in self._parameters:
            self._number(self._parameters[id(node.module)])
        elif id(node.module) in self._layers and not _is_one_number(node.module):
            self._layer(self._layers[id(node.module)], node.module, item, size)

    def _layer(self, name: str, layer: nn.Module, item: Any, size: int) -> None:
        if type(layer) not in CUT:
            does = "computes across them" if isinstance(layer, MIXING) else "is not cut"
            self._freeze(f"they go through layer {name!r} ({type(layer).__name__}), which {does}")
        elif self._calls[name] > 1:
            self._freeze(f"layer {name!r} is used {self._calls[name]} times")
        elif why := why_whole(name, layer, self._owners):
            self._freeze(why)
        elif isinstance(layer, nn.Conv2d) and 1 < layer.groups < layer.out_channels:
            self._freeze(f"layer {name!r} makes several channels of each, which torch-pruning does not follow")
        elif parts := _parts(item, size, width(layer, (side := self._side(layer, item)) == "in")):
            self.members += [Member(name, side, repeat, offset) for offset, repeat in parts]
        else:
            self._freeze(f"layer {name!r} does not hold each of them in the same form")

    def _number(self, name: str) -> None:
        """A parameter that no layer known to torch-pruning holds."""
        owner = name.rpartition(".")[0]
        kind = type(self._model.get_submodule(owner))
        if kind.__module__.startswith("torch.nn"):
            self._freeze(f"they go through layer {owner!r} ({kind.__name__}), which is not cut")
        self._freeze(f"they go through the numbers {name!r}, which are not cut")

    def _side(self, layer: nn.Module, item: Any) -> Side:
        if isinstance(layer, (nn.PReLU, *NORMS)) or _is_depthwise(layer):
            return "through"
        return "out" if self._graph.is_out_channel_pruning_fn(item.dep.handler) else "in"

    def _freeze(self, why: str) -> None:
        self.frozen = self.frozen or why


def _parts(item: Any, size: int, n: int) -> list[tuple[int, int]]:
    """Where the channels are among the n rows or columns, each an offset and a repeat; none if that does not say it."""
    places: dict[int, list[int]] = {}
    for place, channel in zip(item.idxs, item.root_idxs, strict=True):
        places.setdefault(channel, []).append(place)
    parts = _runs(sorted(places.get(0, [])))
    for channel in range(size):
        expected = [offset + channel * repeat + k for offset, repeat in parts for k in range(repeat)]
        if sorted(places.get(channel, [])) != sorted(expected) or max(expected, default=n) >= n:
            return []
    return parts


def _runs(places: Sequence[int]) -> list[tuple[int, int]]:
    """Numbers that follow each other, as (first, how many): [0, 1, 2, 7, 8] -> [(0, 3), (7, 2)]."""
    starts = [place for place in places if place - 1 not in places]
    ends = [place + 1 for place in places if place + 1 not in places]
    return [(start, end - start) for start, end in zip(starts, ends, strict=True)]


def _is_depthwise(layer: nn.Module) -> bool:
    return isinstance(layer, nn.Conv2d) and 1 < layer.groups == layer.in_channels


def _is_one_number(layer: nn.Module) -> bool:
    """A PReLU with one slope for all channels."""
    return isinstance(layer, nn.PReLU) and layer.num_parameters == 1


def _makes_all(twin: nn.Module, group: Group, name: str) -> bool:
    """Whether all channels that a layer makes are in a group."""
    whole = slice(0, width(twin.get_submodule(name), columns=False))
    return any((one.layer, one.side) == (name, "out") and one.part(group.size) == whole for one in group.members)


def _tried(model: nn.Module, shape: tuple[int, ...], found: Sequence[Group]) -> tuple[Group, ...]:
    """The groups, those frozen that do not pass a trial; all together first, for most networks are followed well."""
    if not _why_wrong(model, shape, [one for one in found if not one.frozen]):
        return tuple(found)
    return tuple(one if one.frozen else replace(one, frozen=_why_wrong(model, shape, [one])) for one in found)


def _why_wrong(model: nn.Module, shape: tuple[int, ...], some: Sequence[Group]) -> str:
    """What goes wrong without a random half of the channels of some groups, or nothing."""
    generator = torch.Generator().manual_seed(0)
    kept = {one.name: torch.randperm(one.size, generator=generator) >= one.size // 2 for one in some}
    why = difference(cut_channels(model, some, kept), zero_channels(model, some, kept), shape)
    return f"without half of them {type(model).__name__} {why}" if why else ""
