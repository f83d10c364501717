"""The model as torch itself runs it, one operation after the other ("eager"), in a file that another process can open.

Speed is measured in a process of its own, which has never seen the classes of a notebook. So the model is written
down as what it does: a graph of calls, from one symbolic run, and for each layer of `torch.nn` its settings and its
numbers. Masks of `torch.nn.utils.prune` stay masks and sparse weights stay sparse, because what they cost is what is
to be timed; weights on a grid are the floats that torch computes with. Nothing is pickled: the file holds tensors and
JSON, so opening it runs nobody's code.

Reference: Reed et al., torch.fx: practical program capture and transformation for deep learning in Python, 2022,
arXiv 2112.08429.

Where we simplify: one input, one output, no path that depends on values. At work: `torch.export`, which also writes
such a graph, but has no form for sparse weights.
"""

import inspect
import json
import math
import operator
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, fx, nn
from torch.nn.utils import prune as torch_prune

from efflab.runtime import kernels
from efflab.runtime.coded import as_floats, coded_layers
from efflab.runtime.export import Artefact, ExportError, check_forward, discard, evaluating, example, reason
from efflab.runtime.quantized import OnGrid
from efflab.runtime.session import forward_pass as onnx_pass
from efflab.runtime.session import open_file
from efflab.runtime.sparse import SparseLinear
from efflab.runtime.tracing import Tracer

RUNTIME = "torch"
"""The name by which an artefact asks for torch itself."""
SUFFIX = ".safetensors"
CALLABLE_FROM = {"torch": torch, "torch.nn.functional": nn.functional, "operator": operator, "math": math}
"""The modules whose functions a graph may call; a file cannot name any other."""
TOLERANCE = 1e-4
"""By how much the answers of the file may differ from the model's, relative to the largest of them."""


def export_eager(model: nn.Module, shape: tuple[int, int, int], folder: Path, name: str = "model") -> Artefact:
    """Write `model` to `folder/name.safetensors`, in evaluation mode; the file answers as the model does.

    Args:
        model: any module that maps a batch of images to one tensor and is made of layers of `torch.nn`.
        shape: channels, height and width of one image.
        folder: where to write; made if it is not there.
        name: the file's name without its ending.

    Raises:
        ExportError: the forward pass fails or depends on values, a layer has settings that cannot be written down, or
            the file cannot be written.

    Reference: Reed et al., 2022, arXiv 2112.08429.
    """
    path = Path(folder) / f"{name}{SUFFIX}"
    images = torch.rand(example(model, shape).shape, generator=torch.Generator().manual_seed(0))
    with evaluating(model), torch.no_grad():
        scores = check_forward(model, images)
        tensors, content = _describe(_with_plain_layers(model))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(tensors, path, metadata={"graph": json.dumps(content)})
    except (OSError, SafetensorError) as error:  # a full disk is the second kind
        discard(path)
        raise ExportError(f"{path} cannot be written: {getattr(error, 'strerror', None) or error}") from error
    _check_answers(path, images, scores)
    return Artefact(path, "graph", RUNTIME)


def open_eager(path: Path | str) -> nn.Module:
    """The model that a file holds, in evaluation mode: its layers are those of `torch.nn`, its weights can be trained.

    Raises:
        ValueError: the file names a function or a layer that no such file may name.

    Reference: Reed et al., 2022, arXiv 2112.08429.
    """
    with safe_open(str(path), framework="pt") as file:
        content = json.loads(file.metadata()["graph"])
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (the file is no mapping)
    parts: dict[str, Any] = {name: _layer(layer, _below(name, tensors)) for name, layer in content["layers"].items()}
    parts |= {name: tensors[name] for name in content["constants"]}
    return fx.GraphModule(parts, _graph(content["nodes"])).eval()


# What the subprocess needs.


def version() -> str:
    """Whose code runs."""
    return kernels.version()


def runs(request: dict[str, Any]) -> Iterator[Callable[[], object]]:
    """What the stopwatch times: the base, the base once more, and the candidate, each in the runtime of its file."""
    torch.set_num_threads(request["threads"])
    for path in (request["base"], request["base"], request["now"]):
        if path.endswith(SUFFIX):
            yield forward_pass(open_eager(path), request["batch"], request["shape"])
        else:
            yield onnx_pass(open_file(path, request["threads"]), request["batch"], request["shape"])


def forward_pass(model: nn.Module, batch: int, shape: list[int]) -> Callable[[], object]:
    """One forward pass of random images (batch, *shape), float32, without gradients."""
    images = torch.from_numpy(np.random.default_rng(0).random((batch, *shape), dtype=np.float32))

    def run() -> object:
        with torch.inference_mode():
            return model.forward(images)  # fx wraps the call of a graph in an error handler, which is no part of it

    return run


# From a model to tensors and JSON.


class _Tracer(Tracer):
    """Goes into every module but those of `torch.nn` and sparse layers, which stay whole."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, SparseLinear) or super().is_leaf_module(m, module_qualified_name)


def _with_plain_layers(model: nn.Module) -> nn.Module:
    """The model without its codes, where nothing but weights has one: its layers can then be written down."""
    layers = coded_layers(model).values()
    has_activations = any(isinstance(layer, OnGrid) and (layer.reads or layer.gives) for layer in layers)
    return as_floats(model) if layers and not has_activations else model


def _describe(model: nn.Module) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """All tensors by name, and the rest as what JSON can hold."""
    try:
        graph = _Tracer().trace(model)
    except Exception as error:  # anybody's model, so anything may be raised
        raise ExportError(f"the model cannot be followed through its forward pass: {reason(error)}") from error
    called = {str(node.target) for node in graph.nodes if node.op == "call_module"}
    constants = {str(node.target) for node in graph.nodes if node.op == "get_attr"}
    layers = {name: _settings(name, model.get_submodule(name)) for name in sorted(called)}
    tensors = {key: tensor for name in called for key, tensor in _tensors(name, model.get_submodule(name)).items()}
    tensors |= {name: operator.attrgetter(name)(model) for name in constants}
    kept = {name: tensor.detach().clone().contiguous() for name, tensor in tensors.items()}
    return kept, {"nodes": [_node(n) for n in graph.nodes], "layers": layers, "constants": sorted(constants)}


def _settings(name: str, layer: nn.Module) -> dict[str, Any]:
    """The class of a layer and the arguments that make it again."""
    if isinstance(layer, SparseLinear):
        layout = str(layer.weight.layout).removeprefix("torch.sparse_")
        return {"kind": "SparseLinear", "layout": layout, "shape": list(layer.weight.shape)}
    wanted = [word for word in inspect.signature(type(layer).__init__).parameters if word not in ("self", "bias")]
    settings = {word: getattr(layer, word) for word in wanted if hasattr(layer, word)}
    if "bias" in inspect.signature(type(layer).__init__).parameters:
        settings["bias"] = any("bias" in key for key in layer.state_dict())
    try:
        json.dumps(settings)
    except TypeError as error:
        kind = type(layer).__name__
        raise ExportError(f"layer {name!r}, a {kind}, has a setting that is no number or text: {error}") from None
    return {"kind": type(layer).__name__, "settings": settings}


def _tensors(name: str, layer: nn.Module) -> dict[str, Tensor]:
    if not isinstance(layer, SparseLinear):
        return {f"{name}.{key}": tensor for key, tensor in layer.state_dict().items()}
    weight = layer.weight
    parts = {"values": weight.values(), "columns": weight.col_indices(), "starts": weight.crow_indices()}
    if layer.bias is not None:
        parts["bias"] = layer.bias
    return {f"{name}.{key}": tensor for key, tensor in parts.items()}


def _node(node: fx.Node) -> dict[str, Any]:
    target = node.target if isinstance(node.target, str) else _qualified(node.target)
    arguments = {"args": _plain(node.args), "kwargs": _plain(node.kwargs)}
    return {"op": node.op, "name": node.name, "target": target, **arguments}


def _qualified(function: Any) -> str:
    """module.name of a function that may be called: relu -> "torch.nn.functional.relu"."""
    name = getattr(function, "__name__", "")
    for place, module in CALLABLE_FROM.items():
        if getattr(module, name, None) is function:
            return f"{place}.{name}"
    raise ExportError(f"the model calls {function!r}, which is no function of {', '.join(CALLABLE_FROM)}")


def _plain(value: Any) -> Any:
    """Arguments as JSON: other nodes by their names."""
    match value:
        case fx.Node():
            return {"node": value.name}
        case tuple() | list():
            return [_plain(one) for one in value]
        case dict():
            return {"dict": {key: _plain(one) for key, one in value.items()}}
        case slice():
            return {"slice": [_plain(end) for end in (value.start, value.stop, value.step)]}
        case None | bool() | int() | float() | str():
            return value
    raise ExportError(f"the model calls an operation with {value!r}, which cannot be written down")


# And back.


def _graph(nodes: list[dict[str, Any]]) -> fx.Graph:
    graph, made = fx.Graph(), dict[str, fx.Node]()
    for node in nodes:
        target = _function(node["target"]) if node["op"] == "call_function" else node["target"]
        args, kwargs = _argument(node["args"], made), _argument(node["kwargs"], made)
        made[node["name"]] = graph.create_node(node["op"], target, args, kwargs, node["name"])
    return graph


def _function(name: str) -> Callable[..., object]:
    place, _, function = name.rpartition(".")
    if place not in CALLABLE_FROM:
        raise ValueError(f"the file calls {name!r}, which is no function of {', '.join(CALLABLE_FROM)}")
    found: Callable[..., object] = getattr(CALLABLE_FROM[place], function)
    return found


def _argument(value: Any, made: dict[str, fx.Node]) -> Any:
    match value:
        case {"node": name}:
            return made[name]
        case {"dict": entries}:
            return {key: _argument(one, made) for key, one in entries.items()}
        case {"slice": ends}:
            return slice(*(_argument(end, made) for end in ends))
        case list():
            return tuple(_argument(one, made) for one in value)
    return value


def _layer(described: dict[str, Any], tensors: dict[str, Tensor]) -> nn.Module:
    if described["kind"] == "SparseLinear":
        layout = getattr(torch, f"sparse_{described['layout']}")
        parts = (tensors["starts"], tensors["columns"], tensors["values"])
        weight = torch.sparse_compressed_tensor(*parts, described["shape"], layout=layout, check_invariants=False)
        return SparseLinear(weight, tensors.get("bias"))
    kind = getattr(nn, described["kind"], None)
    if not (isinstance(kind, type) and issubclass(kind, nn.Module)):
        raise ValueError(f"the file has a layer of the kind {described['kind']!r}, which torch.nn does not know")
    layer: nn.Module = kind(**{key: _argument(value, {}) for key, value in described["settings"].items()})
    masks = {key.removesuffix("_mask"): tensors[key] for key in tensors if key.endswith("_mask")}
    for name, mask in masks.items():
        torch_prune.custom_from_mask(layer, name, mask)
    layer.load_state_dict(tensors)
    return layer


def _below(name: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {key.removeprefix(f"{name}."): tensor for key, tensor in tensors.items() if key.startswith(f"{name}.")}


def _check_answers(path: Path, images: Tensor, scores: Tensor) -> None:
    """Raise ExportError, and leave no file, unless it answers as the model does."""
    try:
        with torch.no_grad():
            answered = open_eager(path)(images)
        torch.testing.assert_close(answered, scores, rtol=0, atol=TOLERANCE * (1 + float(scores.abs().max())))
    except Exception as error:
        discard(path)
        raise ExportError(f"the model cannot be written down layer by layer: {reason(error)}") from error
