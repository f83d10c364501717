"""Batch-norm folding: let a layer do what the batch norm behind it does, so that there is one weight to quantize.

In evaluation mode a batch norm multiplies each channel by a number and adds another. The layer before it can do so
itself, with w the weights and b the bias of a channel:

    factor = scale / sqrt(variance + eps)
    w' = w * factor            b' = (b - mean) * factor + shift

A runtime folds before it quantizes, and the weights that lie on the grid are w'. Their channels may differ much more
than those of w did: that is what a scale for each channel is for.

Reference: Jacob et al., Quantization and training of neural networks for efficient integer-arithmetic-only inference,
2018, arXiv 1712.05877, section 3.2.

Where we simplify: linear layers and 2-d convolutions, each right before its batch norm. At work:
`torch.nn.utils.fusion`, which our tests compare with, or your runtime's exporter, which folds by itself.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from efflab.data import Data
from efflab.knobs import technique
from efflab.quantize.graph import Nodes, call_of, check_answers, follow, n_calls, spoken, why_bound, why_read
from efflab.quantize.weights import linear_layers
from efflab.runtime.coded import refuse_coded
from efflab.training import copy_model

PAIRS: dict[type[nn.Module], type[nn.Module]] = {nn.BatchNorm1d: nn.Linear, nn.BatchNorm2d: nn.Conv2d}
"""The batch norm, and the layer that it can be folded into."""


@dataclass(frozen=True)
class Fold:
    """A batch norm and the layer right before it; `why` says why it cannot be folded into it, empty if it can."""

    norm: str
    layer: str
    why: str = ""


@technique
def fold_batch_norms(model: nn.Module, *, data: Data) -> nn.Module:
    """A copy of `model` in which layers do what the batch norm behind them did; the answers in evaluation mode stay.

    A batch norm that was folded becomes an `nn.Identity`, and its layer gets a bias if it had none. Those that cannot
    be folded stay: `find_folds` says why. `data` gives a few images, on which the answers of both are compared.

    Raises:
        ValueError: there is no batch norm, none can be folded (the sentence says why for each), weights lie on a grid
        or are computed from others, or the answers would change.

    Reference: Jacob et al., 2018, arXiv 1712.05877, section 3.2.
    """
    refuse_coded(model, "folding would scale them off it: fold first, and {encode} what comes out")
    linear_layers(model)  # for its sentence
    possible = _possible(model, find_folds(model))
    with torch.inference_mode(False), torch.no_grad():
        folded = copy_model(model)
        for one in possible:
            _fold(folded, one)
        check_answers(model, folded, data.calibration.images, "without its batch norms")
    return folded


def find_folds(model: nn.Module) -> tuple[Fold, ...]:
    """Every batch norm of a model, the layer right before it, and why it cannot be folded, if so.

    Example:
        >>> find_folds(nn.Sequential(nn.Linear(4, 2), nn.BatchNorm1d(2), nn.ReLU(), nn.BatchNorm1d(2)))
        (Fold(norm='1', layer='0', why=''), Fold(norm='3', layer='2', why='it comes after a ReLU'))

    Raises:
        ValueError: the forward pass cannot be followed.
    """
    nodes = follow(model, "what comes before its batch norms")
    norms = [name for name, module in model.named_modules() if isinstance(module, tuple(PAIRS))]
    return tuple(_fold_of(model, name, nodes) for name in norms)


def folded_numbers(weight: Tensor, bias: Tensor | None, norm: nn.BatchNorm1d | nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """The weight and the bias of a layer that does what the batch norm behind it did, computed in float64.

    weight: (out, ...) -> same shape; bias: (out,) or None -> (out,); both in the type of the weight.

    Raises:
        ValueError: the batch norm remembers no mean and variance.

    Reference: Jacob et al., 2018, arXiv 1712.05877, section 3.2.
    """
    if norm.running_mean is None or norm.running_var is None:
        raise ValueError("norm must remember a mean and a variance, which it does not (track_running_stats=False)")
    mean = norm.running_mean.double()
    factor = (norm.running_var.double() + norm.eps).rsqrt()
    if norm.weight is not None:
        factor = factor * norm.weight.double()
    shifted = ((0 if bias is None else bias.double()) - mean) * factor
    if norm.bias is not None:
        shifted = shifted + norm.bias.double()
    by_row = factor.reshape(-1, *[1] * (weight.ndim - 1))  # (out, 1, ...)
    return (weight.double() * by_row).to(weight.dtype), shifted.to(weight.dtype)


def _fold_of(model: nn.Module, name: str, nodes: Nodes) -> Fold:
    if (n := n_calls(nodes, name)) != 1:
        return Fold(name, "", f"it is called {n} times")
    before = call_of(nodes, name).all_input_nodes[0]
    if before.op != "call_module":
        return Fold(name, "", "it comes after no layer, but after " + spoken(before))
    layer = str(before.target)
    why = _why_kind(model.get_submodule(name), model.get_submodule(layer))
    why = why or why_bound(model, nodes, layer) or why_read(nodes, name)
    if not why and len(before.users) != 1:
        why = f"something else reads what layer {layer!r} gives, too"
    return Fold(name, layer, why)


def _why_kind(norm: nn.Module, layer: nn.Module) -> str:
    if type(norm) not in PAIRS or type(layer) is not PAIRS[type(norm)]:
        return f"it comes after a {type(layer).__name__}"
    return "" if norm.running_mean is not None else "it remembers no mean and variance (track_running_stats=False)"


def _possible(model: nn.Module, found: tuple[Fold, ...]) -> tuple[Fold, ...]:
    if possible := tuple(one for one in found if not one.why):
        return possible
    kind = type(model).__name__
    if not found:
        raise ValueError(f"{kind} has no batch norm that could be folded; leave this step out")
    reasons = "; ".join(f"{one.norm!r} stays, because {one.why}" for one in found)
    raise ValueError(f"{kind} has no batch norm that can be folded into the layer before it: {reasons}")


def _fold(model: nn.Module, one: Fold) -> None:
    """Fold a batch norm into its layer, in place."""
    layer, norm = model.get_submodule(one.layer), model.get_submodule(one.norm)
    assert isinstance(layer, nn.Linear | nn.Conv2d)
    assert isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d)
    weight, bias = folded_numbers(layer.weight, layer.bias, norm)
    layer.weight.copy_(weight)
    layer.bias = nn.Parameter(bias, layer.weight.requires_grad)
    model.set_submodule(one.norm, nn.Identity().train(norm.training))
