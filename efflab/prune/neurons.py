"""Neurons: zeros that lie so that whole rows and columns of the weights can be cut off.

A hidden neuron is a row of the layer before it and a column of the layer after it. While both are only set to zero,
the shapes stay and nothing gets faster. Cut off, the layers are smaller, and the network computes the same function.

Reference: Li et al., Pruning filters for efficient ConvNets, 2017, arXiv 1608.08710 (the L1 norm of what a unit reads).

Where we simplify: chains of linear layers, so that a cut touches two layers only. At work: Torch-Pruning (Fang et al.,
2023, arXiv 2301.12900), which follows a cut through any network.
"""

from itertools import pairwise
from typing import Annotated

import torch
from torch import Tensor, nn

from efflab.knobs import Range, technique
from efflab.prune.masks import keep_largest
from efflab.runtime.coded import refuse_coded
from efflab.training import copy_model

Ratio = Annotated[float, Range(0.0, 0.99, 0.01, "fraction of each hidden layer's neurons")]
Hidden = tuple[nn.Linear, tuple[nn.Module, ...], nn.Linear]
"""A hidden layer: what makes its neurons, what happens to each of them, and what reads them."""

UNCUT = "that code belongs to the neurons and filters that it has: remove those first, and {encode} what is left"
"""What is wrong with cutting a layer whose weights lie on a grid."""
ELEMENTWISE = (nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.GELU, nn.SiLU, nn.Tanh, nn.Sigmoid, nn.Dropout, nn.Identity)
"""Layers in which each neuron stays by itself."""


@technique
def zero_neurons(model: nn.Module, *, ratio: Ratio = 0.5) -> nn.Module:
    """A copy of `model` in which `round(ratio * n)` of the n neurons of each hidden layer are set to zero.

    Those go whose incoming weights have the smallest sum of magnitudes. A neuron's incoming weights, its bias and its
    outgoing weights become zero. At least one neuron of a layer stays.

    Raises:
        ValueError: the model has no hidden neurons in a chain of linear layers.

    Reference: Li et al., 2017, arXiv 1608.08710.
    """
    zeroed = copy_model(model)
    hidden = hidden_layers(zeroed)
    kept = [neurons_to_keep(before.weight.detach(), ratio) for before, _, _ in hidden]  # before any zero is written
    with torch.no_grad():
        for (before, _, after), stays in zip(hidden, kept, strict=True):
            before.weight[~stays] = 0
            after.weight[:, ~stays] = 0
            if before.bias is not None:
                before.bias[~stays] = 0
    return zeroed


def neurons_to_keep(weight: Tensor, ratio: float) -> Tensor:
    """Which neurons stay: those that read most. weight: (neurons, inputs) -> (neurons,), bool, True is kept.

    Example:
        >>> neurons_to_keep(torch.tensor([[1.0, -3.0], [2.0, 0.0], [0.5, -1.0]]), ratio=1 / 3)
        tensor([ True,  True, False])
    """
    n = len(weight)
    return keep_largest(weight.abs().sum(dim=1), min(round(ratio * n), n - 1))


def remove_neurons(model: nn.Module) -> nn.Module:
    """A copy of `model` without the hidden neurons that change nothing: smaller layers, and the same function.

    A neuron changes nothing when nobody reads it, or when it always gives zero. At least one of a layer stays.

    Raises:
        ValueError: the model has no hidden neurons in a chain of linear layers.

    Reference: Li et al., 2017, arXiv 1608.08710.
    """
    smaller = copy_model(model)
    hidden, n_cut = hidden_layers(smaller), 1
    while n_cut:  # a cut may leave a neighbour with nothing to read
        n_cut = sum(_cut(*layer) for layer in hidden)
    return smaller


def live_neurons(before: nn.Linear, between: tuple[nn.Module, ...], after: nn.Linear) -> Tensor:
    """Which neurons of a hidden layer change the answer: (neurons,), bool."""
    is_read = after.weight.detach().any(dim=0)
    speaks = before.weight.detach().any(dim=1)
    if before.bias is not None:
        speaks |= before.bias.detach() != 0
    of_zero = torch.zeros(1)
    for one in between:
        of_zero = one(of_zero)
    return is_read & (speaks | bool(of_zero))


def hidden_layers(model: nn.Module) -> tuple[Hidden, ...]:
    """The hidden layers of a chain, in order: two linear layers, and the element-wise ones between them.

    Raises:
        ValueError: there are none, or a layer has its weights in a code.
    """
    refuse_coded(model, UNCUT)
    chain = _chain(model)
    places = [i for i, module in enumerate(chain) if isinstance(module, nn.Linear)]
    found = [(chain[i], tuple(chain[i + 1 : j]), chain[j]) for i, j in pairwise(places)]
    hidden = tuple(
        (before, between, after)
        for before, between, after in found
        if isinstance(before, nn.Linear) and isinstance(after, nn.Linear)
        if all(isinstance(module, ELEMENTWISE) for module in between)
    )
    if not hidden:
        raise ValueError(
            f"{type(model).__name__} has no hidden neurons that can be cut off: it needs an nn.Sequential in which two "
            "nn.Linear follow each other, with nothing but an activation between them"
        )
    return hidden


def _chain(model: nn.Module) -> list[nn.Module]:
    """The layers in the order in which they run; only an nn.Sequential promises one."""
    if not isinstance(model, nn.Sequential):
        return [model]
    return [module for child in model for module in _chain(child)]


def _cut(before: nn.Linear, between: tuple[nn.Module, ...], after: nn.Linear) -> int:
    """Cut off the neurons that change nothing; how many there were."""
    live = live_neurons(before, between, after)
    live[0] |= not live.any()
    n_cut = int((~live).count_nonzero())
    if not n_cut:
        return 0
    before.weight = _part(before.weight, live)
    after.weight = _part(after.weight, live, dim=1)
    if before.bias is not None:
        before.bias = _part(before.bias, live)
    before.out_features = after.in_features = len(live) - n_cut
    return n_cut


def _part(parameter: Tensor, kept: Tensor, dim: int = 0) -> nn.Parameter:
    index = kept.nonzero().flatten()
    return nn.Parameter(parameter.detach().index_select(dim, index).clone(), parameter.requires_grad)
