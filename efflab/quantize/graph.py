"""Who is called, and who reads what: for techniques that change the numbers of a network and not its answers.

A layer may be changed together with its neighbour only if nobody else sees the numbers in between. The forward pass is
followed with symbols to find out, and because that is a look from outside, the answers are compared afterwards.

Reference: Reed et al., torch.fx: practical program capture and transformation for deep learning in Python, 2022, arXiv
2112.08429.

Where we simplify: every layer that is changed is called once. At work: the passes of your exporter.
"""

import inspect
from collections import Counter

import torch
from torch import Tensor, fx, nn

from efflab.runtime.export import evaluating, reason
from efflab.runtime.tracing import Tracer

Nodes = tuple[fx.Node, ...]
"""What a forward pass does, in order."""
N_TRIED = 8
"""Images on which the answers are compared."""


def follow(model: nn.Module, unknown: str) -> Nodes:
    """What the forward pass of a model does in evaluation mode; arguments beyond the images keep their defaults.

    Raises:
        ValueError: it cannot be followed; the sentence says that it is not known `unknown`.
    """
    defaults = {one.name: one.default for one in inspect.signature(model.forward).parameters.values()}
    fixed = {name: default for name, default in defaults.items() if default is not inspect.Parameter.empty}
    with torch.inference_mode(False), evaluating(model):
        try:
            return tuple(Tracer().trace(model, concrete_args=fixed).nodes)
        except Exception as error:  # anybody's model, so anything may be raised
            raise ValueError(
                f"the forward pass of {type(model).__name__} cannot be followed, so it is not known {unknown}: "
                f"{reason(error)}"
            ) from error


def n_calls(nodes: Nodes, name: str) -> int:
    """How often a module is called."""
    return Counter(str(node.target) for node in nodes if node.op == "call_module")[name]


def call_of(nodes: Nodes, name: str) -> fx.Node:
    """The one call of a module that is called once."""
    (node,) = (node for node in nodes if node.op == "call_module" and node.target == name)
    return node


def why_bound(model: nn.Module, nodes: Nodes, name: str) -> str:
    """Why the numbers of a layer cannot be changed for one place alone; empty if they can."""
    if (n := n_calls(nodes, name)) != 1:
        return f"layer {name!r} is called {n} times"
    return why_read(nodes, name) or _why_shared(model, name)


def why_read(nodes: Nodes, name: str) -> str:
    """A sentence if the numbers of a module are read without calling it; empty if not."""
    read = {str(node.target).rpartition(".")[0] for node in nodes if node.op == "get_attr"}
    return f"the numbers of {name!r} are also read directly" if name in read else ""


def spoken(node: fx.Node) -> str:
    """What a learner calls a step that is no layer: the network's input, or the name of a function."""
    if node.op == "placeholder":
        return "the network's input"
    return node.target if isinstance(node.target, str) else str(getattr(node.target, "__name__", node.target))


def check_answers(model: nn.Module, changed: nn.Module, images: Tensor, how: str) -> None:
    """Raise ValueError unless both answer alike, up to a hundred times the rounding of the largest answer.

    images: (n, c, h, w), of which a few are tried. `how` begins the sentence: "without its batch norms".
    """
    numbers = next(model.parameters())
    with evaluating(model), evaluating(changed), torch.random.fork_rng(devices=[]):
        expected, answered = (one(images[:N_TRIED].to(numbers)) for one in (model, changed))
    tolerance = 100 * torch.finfo(expected.dtype).eps * float(expected.abs().max())
    if not torch.allclose(answered, expected, rtol=0, atol=tolerance, equal_nan=True):
        raise ValueError(
            f"{how} {type(model).__name__} does not answer as it did, so its forward pass does something that was not "
            "understood; it stays as it was"
        )


def _why_shared(model: nn.Module, name: str) -> str:
    own = {id(one) for one in model.get_submodule(name).parameters()}
    for other, module in model.named_modules():
        if other != name and own & {id(one) for one in module.parameters(recurse=False)}:
            return f"layer {name!r} shares its numbers with {other!r}"
    return ""
