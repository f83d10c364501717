"""The rules by which channels are followed: what each operation does with the space of its input.

A rule is a few lines. Whatever has no rule freezes the spaces that it touches, and names itself as the reason.

Reference: Fang et al., DepGraph: towards any structural pruning, 2023, arXiv 2301.12900.
"""

import math
import operator
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import fx, nn

from efflab.prune.structure.spaces import ANSWER, Flow, Member, Space
from efflab.prune.structure.tracing import Trace

KEEPING = (
    *(nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.GELU, nn.SiLU, nn.Mish, nn.Softplus, nn.Tanh, nn.Sigmoid),
    *(nn.Hardswish, nn.Hardsigmoid, nn.Hardtanh, nn.Identity, nn.Dropout, nn.Dropout2d),
)
"""Layers in which each number stays by itself, or goes with its channel."""
POOLING = (nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveMaxPool2d, nn.AdaptiveAvgPool2d)
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)
KEEPING_NAMES = (
    *("relu", "relu_", "relu6", "leaky_relu", "elu", "gelu", "silu", "mish", "softplus", "tanh", "sigmoid"),
    *("hardswish", "hardsigmoid", "hardtanh", "dropout", "dropout2d", "contiguous", "clone"),
)
"""The same as functions of torch and methods of tensors."""
POOLING_NAMES = ("max_pool2d", "avg_pool2d", "adaptive_max_pool2d", "adaptive_avg_pool2d")
JOINING_NAMES = ("add", "add_", "iadd", "sub", "sub_", "isub", "mul", "mul_", "imul")


class Follower:
    """Follows channels through a trace, call by call; `found` lists which layers take part in which space."""

    def __init__(self, trace: Trace) -> None:
        self.found: list[tuple[Space, Member]] = []
        self._model, self._shapes = trace.model, trace.shapes
        self._flows: dict[fx.Node, Flow] = {}
        self._made: dict[str, Space] = {}
        self._calls = Counter(node.target for node in trace.graph.nodes if node.op == "call_module")
        self._read_directly = {str(n.target).rpartition(".")[0] for n in trace.graph.nodes if n.op == "get_attr"}
        self._owners = owners(trace.model)
        for node in trace.graph.nodes:
            self._follow(node)

    def _follow(self, node: fx.Node) -> None:
        if node.op == "placeholder":
            self._stop(node, "they are the network's input")
        elif node.op == "output":
            self._stop(node, ANSWER)
        elif node.op == "call_module":
            self._layer(node, str(node.target))
        elif node.op != "get_attr":
            self._operation(node, _name(node))

    # Layers

    def _layer(self, node: fx.Node, name: str) -> None:
        layer = self._model.get_submodule(name)
        why = self._not_followed(name, layer) or ("" if node.args else f"layer {name!r} takes its input by keyword")
        if why:
            self._stop(node, why)
            if isinstance(layer, nn.Linear | nn.Conv2d):
                self._make(node, name, layer.weight.shape[0], 1, why)
        elif isinstance(layer, nn.Linear):
            dim = len(self._shapes[node]) - 1
            self._read(node, name, dim)
            self._make(node, name, layer.out_features, dim)
        elif isinstance(layer, nn.Conv2d) and layer.groups == 1:
            self._read(node, name, 1)
            self._make(node, name, layer.out_channels, 1)
        elif isinstance(layer, nn.Conv2d):
            self._pass(node, name, layer.out_channels // layer.in_channels)
        elif type(layer) in NORMS:
            self._pass(node, name, 1)
        elif isinstance(layer, nn.Flatten):
            self._flatten(node, layer.start_dim, layer.end_dim)
        else:
            self._keep(node, isinstance(layer, POOLING))

    def _not_followed(self, name: str, layer: nn.Module) -> str:
        """Why a layer cannot be followed, or nothing."""
        if type(layer) not in (nn.Linear, nn.Conv2d, nn.Flatten, *NORMS, *KEEPING, *POOLING):
            return f"they go through layer {name!r} ({type(layer).__name__}), which is not followed"
        if self._calls[name] > 1 and layer.state_dict():
            return f"layer {name!r} is used {self._calls[name]} times"
        if name in self._read_directly:
            return f"the numbers of layer {name!r} are also read directly"
        return why_whole(name, layer, self._owners)

    def _read(self, node: fx.Node, name: str, dim: int) -> None:
        """A layer reads all channels at once, along `dim`."""
        if (flow := self._input(node)) is None:
            return
        if flow.dim != dim:
            flow.space.freeze(f"layer {name!r} reads across them")
        self.found.append((flow.space, Member(name, "in", flow.repeat)))

    def _make(self, node: fx.Node, name: str, size: int, dim: int, why: str = "") -> None:
        """A layer makes channels; one that is used twice makes the same ones twice."""
        space = self._made.setdefault(name, Space(size, why))
        self.found.append((space, Member(name, "out")))
        self._flows[node] = Flow(space, dim)

    def _pass(self, node: fx.Node, name: str, multiplier: int) -> None:
        """Channels pass a layer one by one; each becomes `multiplier` of them."""
        flow = self._input(node)
        if flow is None or flow.dim != 1:
            self._stop(node, f"layer {name!r} does not take them as channels")
            return
        repeat = flow.repeat * multiplier
        self.found.append((flow.space, Member(name, "through", repeat)))
        self._flows[node] = Flow(flow.space, 1, repeat)

    # Functions and methods

    def _operation(self, node: fx.Node, name: str) -> None:
        if all(one not in self._flows for one in node.all_input_nodes):
            return  # numbers, and tensors that no input went into
        if name in JOINING_NAMES:
            self._join(node)
        elif name in KEEPING_NAMES or name in POOLING_NAMES or self._scales(node, name):
            self._keep(node, name in POOLING_NAMES)
        elif name == "flatten":
            self._flatten(node, _argument(node, 1, "start_dim", 0), _argument(node, 2, "end_dim", -1))
        elif name in ("view", "reshape") and self._flattens(node):
            self._flatten(node, 1, -1)
        elif name in ("mean", "squeeze"):
            self._drop(node)
        elif not self._reads_other_sizes(node, name):
            self._stop(node, f"they go through {name}, which is not followed")

    def _keep(self, node: fx.Node, pools: bool) -> None:
        flow = self._input(node)
        if flow is None or (pools and flow.dim != 1):
            self._stop(node, f"they go through {_called(node)}, which does not take them as channels")
            return
        self._flows[node] = flow

    def _scales(self, node: fx.Node, name: str) -> bool:
        """Whether it is a division by a number; by a tensor it could make 0 / 0 of a zeroed channel."""
        return name in ("div", "truediv") and len(node.args) == 2 and isinstance(node.args[1], int | float)

    def _join(self, node: fx.Node) -> None:
        """A sum or product: numbers change nothing, two flows of the same form become one space."""
        tensors = [one for one in node.all_input_nodes if math.prod(self._shapes.get(one, ())) > 1]
        flows = [self._flows.get(one) for one in tensors]
        sizes = {self._shapes[one][flow.dim] for one, flow in zip(tensors, flows, strict=True) if flow}
        first = next((flow for flow in flows if flow), None)
        alike = {(flow.dim, flow.repeat) if flow else None for flow in flows}
        ranks = {len(self._shapes[one]) for one in tensors}
        if first is None or len(alike) > 1 or len(sizes) > 1 or len(ranks) > 1:
            self._stop(node, f"{node.name} combines them with a tensor of another form")
            return
        for flow in flows:
            if flow:
                first.space.join(flow.space)
        self._flows[node] = first

    def _flatten(self, node: fx.Node, start: object, end: object) -> None:
        """(n, c, h, w) -> (n, c*h*w): each channel is h*w numbers in a row."""
        flow, before = self._input(node), self._shapes[node.all_input_nodes[0]]
        if flow is None or flow.dim != 1 or start != 1 or end not in (-1, len(before) - 1):
            self._stop(node, f"{_called(node)} flattens across them")
            return
        self._flows[node] = Flow(flow.space, 1, flow.repeat * math.prod(before[2:]))

    def _flattens(self, node: fx.Node) -> bool:
        """Whether a `view` is a flatten: x.view(x.size(0), -1), which asks for no fixed number of channels."""
        before, after = self._shapes[node.all_input_nodes[0]], self._shapes[node]
        return node.args[2:] == (-1,) and len(after) == 2 and after[0] == before[0]

    def _drop(self, node: fx.Node) -> None:
        """The mean over height and width, or dropping them where they are 1."""
        flow, dims = self._input(node), _argument(node, 1, "dim", None)
        rank = len(self._shapes[node.all_input_nodes[0]])
        over = [dim % rank for dim in ((dims,) if isinstance(dims, int) else dims or ()) if isinstance(dim, int)]
        if flow is None or not over or min(over) <= flow.dim:
            self._stop(node, f"{node.name} acts across them")
            return
        self._flows[node] = flow

    def _reads_other_sizes(self, node: fx.Node, name: str) -> bool:
        """Whether only sizes are read, and none of them is the number of channels: x.size(0), x.shape[2]."""
        flow = self._input(node)
        if flow is None or node in self._shapes:
            return False
        if name == "size" and len(node.args) == 2:
            asked = [node.args[1]]
        elif name == "size" or (name == "getattr" and node.args[1] == "shape"):
            asked = [use.args[1] if _name(use) == "getitem" else None for use in node.users if use.users]
        else:
            return False
        return all(isinstance(one, int) and one >= 0 and one != flow.dim for one in asked)

    # Both

    def _input(self, node: fx.Node) -> Flow | None:
        """What the first argument carries."""
        first = node.args[0] if node.args else None
        return self._flows.get(first) if isinstance(first, fx.Node) else None

    def _stop(self, node: fx.Node, why: str) -> None:
        """Freeze what goes in, and whatever comes out."""
        for one in node.all_input_nodes:
            if one in self._flows:
                self._flows[one].space.freeze(why)
        self._flows[node] = Flow(Space(0, why))


def _name(node: fx.Node) -> str:
    """The name of a method, or of a function of torch or Python; of any other function, with where it is from."""
    if isinstance(node.target, str):
        return node.target
    name = getattr(node.target, "__name__", repr(node.target))
    if node.target is getattr or any(
        getattr(place, name, None) is node.target for place in (torch, nn.functional, operator)
    ):
        return str(name)
    return f"{getattr(node.target, '__module__', '?')}.{name}"


def _called(node: fx.Node) -> str:
    """What a sentence calls the node."""
    return f"layer {node.target!r}" if node.op == "call_module" else node.name


def _argument(node: fx.Node, place: int, name: str, default: object) -> Any:
    return node.args[place] if len(node.args) > place else node.kwargs.get(name, default)


def owners(model: nn.Module) -> dict[int, list[str]]:
    """The layers that hold each parameter, by its id."""
    found: dict[int, list[str]] = {}
    for name, module in model.named_modules():
        for one in module.parameters(recurse=False):
            found.setdefault(id(one), []).append(name)
    return found


def why_whole(name: str, layer: nn.Module, owners: Mapping[int, Sequence[str]]) -> str:
    """Why a layer of a kind that can be cut must stay whole, whoever follows its channels; or nothing."""
    if set(layer.state_dict()) - {"weight", "bias", "running_mean", "running_var", "num_batches_tracked"}:
        return f"layer {name!r} computes its weight from other tensors (weight_norm, torch.nn.utils.prune ...)"
    if shared := [owner for one in layer.parameters() for owner in owners[id(one)] if owner != name]:
        return f"layer {name!r} shares its numbers with {shared[0]!r}"
    is_depthwise = isinstance(layer, nn.Conv2d) and layer.groups == layer.in_channels
    if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d) and layer.groups > 1 and not is_depthwise:
        return f"layer {name!r} is a convolution in {layer.groups} groups, which must stay equally wide"
    return ""
