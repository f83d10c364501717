"""From what ran back to the layers: whose work does a node of ONNX Runtime do?

An exported file is a graph of nodes, each named after the layer that it came from: "/block1/conv1/Conv". ONNX Runtime
does not run that graph but a faster one of its own. It merges nodes (a convolution and the activation behind it become
one), leaves out those that only rename their input, and adds some that put numbers into another order for its kernels.
It names the new nodes after an old node or after the result of one, which is how they are traced back here:

    file       /conv1/Conv -> /relu1/Relu -> /pool1/MaxPool
    executed   /relu1/Relu_output_0_nchwc -> ReorderOutput -> /pool1/MaxPool

The first executed node is the convolution of conv1 with relu1 merged into it; the second belongs to no layer.

Reference: ONNX Runtime, Graph optimizations,
https://onnxruntime.ai/docs/performance/model-optimizations/graph-optimizations.html.

Where we simplify: the names are all we have, and they are no promise of ONNX Runtime; a node that cannot be traced
belongs to no layer. At work: Netron, on a file written with `optimized_model_filepath`.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnx import GraphProto, NodeProto

ADDED = re.compile(r"(_token_\d+|_nchwc|_pre_q|/MatMulAddFusion)+$")
"""What ONNX Runtime appends to the name of the node, or of the result, that it replaces."""
AGAIN = re.compile(r"_\d+$")
"""What the exporter appends to the name of a layer that is called once more."""

GRIDS = ("QuantizeLinear", "DequantizeLinear")
"""What moves numbers onto a grid and back; where a kernel multiplies integers, it is a part of that kernel."""


@dataclass(frozen=True)
class Origin:
    """The layer whose work a node does, and the layers that are merged into it; names as in `named_modules()`."""

    layer: str
    merged: tuple[str, ...] = ()


def trace_nodes(path: Path, executed: Sequence[str]) -> dict[str, Origin]:
    """Where each executed node comes from; those that ONNX Runtime added for itself are left out.

    Args:
        path: the ONNX file.
        executed: the names of the nodes that ran, as ONNX Runtime's profiler spells them.

    Reference: ONNX Runtime, Graph optimizations.
    """
    import onnx  # here, because it takes 0.1 s and `import efflab` can do without

    graph = onnx.load(path, load_external_data=False).graph
    nodes = [node for node in graph.node if node.op_type != "Constant"]
    weights = stored_numbers(graph)
    layers = layer_names(node.name for node in nodes)
    found = {}
    for name, group in _members(nodes, executed, weights).items():
        named = [node for node in group if node.name in layers]
        if named:
            heavy = [node for node in named if _has_weights(node, weights)]
            layer = layers[(heavy or named)[0].name]  # the others are merged into it
            others = dict.fromkeys(layers[node.name] for node in named)
            found[name] = Origin(layer, tuple(other for other in others if other != layer))
    return found


def stored_numbers(graph: "GraphProto") -> set[str]:
    """The names of the numbers that the file holds, as they are or as the floats that its integers stand for."""
    stored = {weight.name for weight in graph.initializer}
    dequantized = [node for node in graph.node if node.op_type == "DequantizeLinear" and set(node.input) <= stored]
    return stored.union(*(node.output for node in dequantized))


def layer_names(nodes: Iterable[str], modules: Iterable[str] = ()) -> dict[str, str]:
    """The layer of each node that carries the name of one; "" is the model itself, between its layers.

    A module inside a container has its container's name in its own, and a second call has a number behind it, unless
    the number is a part of a name among `modules`.

    Example:
        >>> layer_names(["/stem/stem.0/Conv", "/act/Relu", "/block/conv/Conv", "/act_1/Relu", "/Add", "Identity_0"])
        {'/stem/stem.0/Conv': 'stem.0', '/act/Relu': 'act', '/block/conv/Conv': 'block.conv', '/act_1/Relu': 'act', \
'/Add': ''}
    """
    scopes = {name: name[1:].split("/")[:-1] for name in nodes if name.startswith("/")}
    known = {_joined(scope[:depth]) for scope in scopes.values() for depth in range(1, len(scope) + 1)}
    return {name: _joined(scope, known, modules) for name, scope in scopes.items()}


def _joined(scope: Sequence[str], known: Iterable[str] = (), modules: Iterable[str] = ()) -> str:
    """["stem", "stem.0"] as "stem.0", ["block", "conv"] as "block.conv"; ["act_1"] as "act" if that is known."""
    path, last = "", ""
    for part in scope:
        inner = part.removeprefix(f"{last}.") if last else part
        path, last = f"{path}.{inner}" if path else inner, part
        first = AGAIN.sub("", path)
        path = first if first in known and path not in modules else path
    return path


def _members(nodes: Sequence["NodeProto"], executed: Sequence[str], weights: set[str]) -> dict[str, list["NodeProto"]]:
    """The nodes of the file that each executed node stands for, in the order of the file."""
    by_name = {node.name: node for node in nodes}
    maker = {result: node for node in nodes for result in node.output}
    owner = {anchor.name: name for name in executed if (anchor := _anchor(name, by_name, maker))}
    turn = {name: i for i, name in enumerate(executed)}
    for node in nodes:  # an activation or a change of shape that does not run itself follows what it is computed from
        sources = [owner[maker[value].name] for value in node.input if value in maker and maker[value].name in owner]
        if sources and node.name not in owner and not _has_weights(node, weights):
            owner[node.name] = max(sources, key=lambda name: turn[name])
    for start, name in list(owner.items()):
        _claim(by_name[start], name, maker, owner)
    groups: dict[str, list[NodeProto]] = {}
    for node in nodes:
        if node.name in owner:
            groups.setdefault(owner[node.name], []).append(node)
    return groups


def _anchor(name: str, by_name: dict[str, "NodeProto"], maker: dict[str, "NodeProto"]) -> "NodeProto | None":
    """The node of the file after which an executed one is named, directly or by its result."""
    while name.startswith("fused "):
        name = name.removeprefix("fused ")
    plain = ADDED.sub("", name)
    return by_name.get(name) or by_name.get(plain) or maker.get(plain)


def _claim(start: "NodeProto", name: str, maker: dict[str, "NodeProto"], owner: dict[str, str]) -> None:
    """Give to `name` all nodes before `start` that nobody has: they were merged into it."""
    ahead = [start]
    while ahead:
        for value in ahead.pop().input:
            before = maker.get(value)
            if before is not None and before.name not in owner:
                owner[before.name] = name
                ahead.append(before)


def _has_weights(node: "NodeProto", weights: set[str]) -> bool:
    """Whether it reads numbers of the file, and not only the step of a grid."""
    return node.op_type not in GRIDS and any(value in weights for value in node.input)
