"""What a network does: a graph of calls from one symbolic run, and the shape of each result from one real run.

Reference: Reed et al., torch.fx: practical program capture and transformation for deep learning in Python, 2022, arXiv
2112.08429.

Where we simplify: one input, and no path that depends on values. At work: `torch.export`.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn

from efflab.runtime.export import reason
from efflab.runtime.tracing import Tracer
from efflab.training import copy_model


@dataclass(frozen=True, eq=False)
class Trace:
    """The calls of one forward pass in evaluation mode; `shapes` holds those whose result is one tensor."""

    model: nn.Module
    """A copy of the model, in evaluation mode."""
    graph: fx.Graph
    shapes: dict[fx.Node, tuple[int, ...]]


def trace(model: nn.Module, shape: tuple[int, ...]) -> Trace:
    """Follow one input of `shape` (without the batch) through the model, which stays as it is.

    Raises:
        ValueError: the forward pass needs more than one input, depends on values, or fails.
    """
    kind = type(model).__name__
    defaults, twin = defaults_of(model), copy_plain(model).eval()
    try:
        graph = Tracer().trace(twin, concrete_args=defaults)
    except Exception as error:  # anybody's model, so anything may be raised
        raise ValueError(
            f"the forward pass of {kind} cannot be followed: {reason(error)}; rules='torch-pruning' follows a real run "
            "instead"
        ) from error
    shapes = _Shapes(twin, graph)
    first_answer(shapes, twin, shape, kind)
    return Trace(twin, graph, shapes.found)


def first_answer(run: Callable[[Tensor], Tensor], model: nn.Module, shape: tuple[int, ...], kind: str) -> Tensor:
    """What `run` gives for the example of `model`; `kind` is what the sentences call it.

    Raises:
        ValueError: it fails, or gives something else than one tensor.
    """
    try:
        result = answer(run, example(model, shape))
    except Exception as error:  # anybody's model, so anything may be raised
        raise ValueError(f"{kind} does not take an input of shape {tuple(shape)}: {reason(error)}") from error
    if not isinstance(result, Tensor):
        raise ValueError(f"{kind} returns a {type(result).__name__}; channels are followed to exactly one tensor")
    return result


def copy_plain(model: nn.Module) -> nn.Module:
    """A copy, as `copy_model` makes it.

    Raises:
        ValueError: torch cannot copy the model, for a weight was computed from others.
    """
    try:
        return copy_model(model)
    except RuntimeError as error:  # what torch says of a tensor that was computed from others
        raise ValueError(
            f"{type(model).__name__} cannot be copied, for a layer keeps a weight that was computed from other tensors "
            "(weight_norm, torch.nn.utils.prune ...); make it plain first, with remove_parametrizations or prune.remove"
        ) from error


def example(model: nn.Module, shape: tuple[int, ...]) -> Tensor:
    """Inputs to try the model with: (2, *shape), random but always the same, in the type of the model's numbers."""
    numbers = [tensor for tensor in (*model.parameters(), *model.buffers()) if tensor.is_floating_point()]
    images = torch.rand(2, *shape, generator=torch.Generator().manual_seed(0))
    return images.to(numbers[0]) if numbers else images


def answer(run: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """What `run` gives, without gradients; torch's global generator stays as it was."""
    with torch.inference_mode(False), torch.no_grad(), torch.random.fork_rng(devices=[]):
        return run(images)


def defaults_of(model: nn.Module) -> dict[str, Any]:
    """The inputs that need not be given, with what they are then.

    Raises:
        ValueError: there is not exactly one that must be given.
    """
    parameters = [one for one in inspect.signature(model.forward).parameters.values() if one.kind != one.VAR_KEYWORD]
    needed = [one.name for one in parameters if one.default is one.empty]
    if len(needed) != 1:
        names = ", ".join(needed) or "none"
        raise ValueError(
            f"the forward pass of {type(model).__name__} needs {len(needed)} inputs ({names}); channels are followed "
            "from exactly one"
        )
    return {one.name: one.default for one in parameters if one.default is not one.empty}


class _Shapes(fx.Interpreter):
    """Runs a graph and keeps the shape of every tensor."""

    def __init__(self, module: nn.Module, graph: fx.Graph) -> None:
        super().__init__(module, graph=graph)
        self.found: dict[fx.Node, tuple[int, ...]] = {}

    def __call__(self, images: Tensor) -> Tensor:
        result: Tensor = self.run(images)
        return result

    def run_node(self, n: fx.Node) -> Any:
        """The result of one call."""
        result = super().run_node(n)
        if isinstance(result, Tensor):
            self.found[n] = tuple(result.shape)
        return result
