"""Cross-layer equalisation: make the channels of a layer alike, so that one scale fits them all.

ReLU keeps factors: ReLU(s x) = s ReLU(x) for a positive s. So a channel may leave a layer s times smaller, if the next
layer multiplies what it reads of this channel by s; the network answers as before. With r1 the largest weight that
makes channel i, and r2 the largest that reads it,

    s_i = sqrt(r1_i / r2_i)        r1_i / s_i = r2_i * s_i = sqrt(r1_i * r2_i)

and the channel has the same range on both sides. A layer in the middle is scaled from both ends, so the pairs are gone
through in turn until nothing moves.

Reference: Nagel et al., Data-free quantization through weight equalization and bias correction, 2019, arXiv 1906.04721,
section 4.1.

Where we simplify: pairs of layers in a chain, no step that absorbs high biases, and ReLU6 is not replaced. At work:
AIMET, by the authors; or a scale for each channel, which runtimes offer, and with which weights need this no more.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F

from efflab.data import Data
from efflab.knobs import technique
from efflab.quantize.graph import Nodes, call_of, check_answers, follow, spoken, why_bound
from efflab.quantize.weights import linear_layers
from efflab.runtime.coded import refuse_coded
from efflab.runtime.quantized import KINDS
from efflab.training import copy_model

Layer = nn.Linear | nn.Conv2d
SINGLE = (nn.ReLU, nn.Identity, nn.Dropout, F.relu, torch.relu, F.dropout, "relu", "relu_")
"""What treats each number alone and keeps positive factors: modules, functions and methods."""
POOL_MODULES = (nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveMaxPool2d, nn.AdaptiveAvgPool2d)
POOLS = (*POOL_MODULES, F.max_pool2d, torch.max_pool2d, F.avg_pool2d, F.adaptive_max_pool2d, F.adaptive_avg_pool2d)
"""What looks at several numbers of one channel of an image, and keeps positive factors."""
CLOSE = 1e-6
"""No factor of a round is further from 1 than this: the channels are equal."""
ROUNDS = 500
"""Rounds after which it is good enough; a few dozen are usual."""


@dataclass(frozen=True)
class Pair:
    """A layer and the one that reads its channels; `why` says why they cannot be equalised, empty if they can."""

    first: str
    second: str
    why: str = ""


@technique
def equalize(model: nn.Module, *, data: Data) -> nn.Module:
    """A copy of `model` in which each channel has the same range where it is made and where it is read.

    Weights and biases are scaled, and the answers stay. Layers without a partner stay: `find_pairs` says why. Batch
    norms must have been folded. `data` gives a few images, on which the answers of both are compared.

    Raises:
        ValueError: no two layers can be equalised (the sentence says why for each), weights lie on a grid or are
        computed from others, or the answers would change.

    Reference: Nagel et al., 2019, arXiv 1906.04721, section 4.1.
    """
    refuse_coded(model, "equalising would scale them off it: equalize first, and {encode} what comes out")
    linear_layers(model)  # for its sentence
    possible = _possible(model, find_pairs(model))
    with torch.inference_mode(False), torch.no_grad():
        equal = copy_model(model)
        _equalize(equal, possible)
        check_answers(model, equal, data.calibration.images, "with its channels scaled")
    return equal


def find_pairs(model: nn.Module) -> tuple[Pair, ...]:
    """Every linear layer and convolution, the layer that reads its channels, and why they cannot be equalised, if so.

    Example:
        >>> layers = [nn.Linear(4, 2), nn.ReLU(), nn.Linear(2, 2), nn.GELU(), nn.Linear(2, 3)]
        >>> for pair in find_pairs(nn.Sequential(*layers)):
        ...     print(pair)
        Pair(first='0', second='2', why='')
        Pair(first='2', second='', why='GELU comes after it, through which no factor passes')
        Pair(first='4', second='', why='it gives the answers')

    Raises:
        ValueError: the forward pass cannot be followed.
    """
    nodes = follow(model, "which layers read the channels of which")
    names = [name for name, module in model.named_modules() if isinstance(module, nn.Linear | nn.Conv2d)]
    return tuple(_pair_of(model, nodes, name) for name in names)


def ranges(first: Tensor, second: Tensor, groups: int = 1) -> tuple[Tensor, Tensor]:
    """The largest magnitude that makes each channel, and the largest that reads it: (c,), (c,).

    first: (c, ...), the weight of a layer; second: (out, in, ...), that of the next, with its `groups`. `in` may be a
    multiple of c, when every channel was flattened to several inputs.
    """
    makes = first.flatten(1).abs().amax(dim=1)
    return makes, by_channel(second, len(first), groups).abs().amax(dim=(1, 3)).flatten()


def by_channel(weight: Tensor, n_channels: int, groups: int = 1) -> Tensor:
    """The weight of a layer by the channel that is read, as a view: (groups, out, channels of a group, the rest).

    Example:
        >>> by_channel(torch.arange(8).reshape(2, 4), n_channels=2)[0, 1]
        tensor([[4, 5],
                [6, 7]])
    """
    return weight.view(groups, len(weight) // groups, n_channels // groups, -1)


def _equalize(model: nn.Module, pairs: tuple[Pair, ...]) -> None:
    """Scale the layers of all pairs, in place; computed in float64."""
    layers = {name: model.get_submodule(name) for pair in pairs for name in (pair.first, pair.second)}
    numbers = {
        (name, key): number.double().contiguous()
        for name, layer in layers.items()
        for key, number in layer.named_parameters()
    }
    for _ in range(ROUNDS):
        moved = [_scale(numbers, pair, getattr(layers[pair.second], "groups", 1)) for pair in pairs]
        if max(moved) <= CLOSE:
            break
    for (name, key), number in numbers.items():
        layers[name].get_parameter(key).copy_(number)


def _scale(numbers: dict[tuple[str, str], Tensor], pair: Pair, groups: int) -> float:
    """Make the ranges of one pair equal, in place; how far the factors are from 1."""
    first, second = numbers[pair.first, "weight"], numbers[pair.second, "weight"]
    makes, reads = ranges(first, second, groups)
    factors = (makes / reads).sqrt().where((makes > 0) & (reads > 0), 1.0)  # (c,)
    first.div_(factors.view(-1, *[1] * (first.ndim - 1)))
    if (pair.first, "bias") in numbers:
        numbers[pair.first, "bias"].div_(factors)
    by_channel(second, len(first), groups).mul_(factors.view(groups, 1, -1, 1))
    return float((factors - 1).abs().max())


def _pair_of(model: nn.Module, nodes: Nodes, name: str) -> Pair:
    if why := _why_layer(model, nodes, name):
        return Pair(name, "", why)
    node, is_flat = call_of(nodes, name), False
    while True:
        if len(node.users) != 1:
            return Pair(name, "", f"what it gives is read in {len(node.users)} places")
        (node,) = node.users
        module = model.get_submodule(str(node.target)) if node.op == "call_module" else None
        if isinstance(module, nn.Linear | nn.Conv2d):
            return Pair(name, str(node.target), _why_pair(model, nodes, name, str(node.target), is_flat))
        flattens = _flattens(node, module)
        if not flattens and (why := _why_between(node, module, model.get_submodule(name))):
            return Pair(name, "", why)
        is_flat = is_flat or flattens


def _why_layer(model: nn.Module, nodes: Nodes, name: str) -> str:
    kind = type(model.get_submodule(name))
    return why_bound(model, nodes, name) if kind in KINDS else f"layer {name!r} is a {kind.__name__}"


def _flattens(node: fx.Node, module: nn.Module | None) -> bool:
    """Whether all axes of an image become one."""
    if isinstance(module, nn.Flatten):
        return (module.start_dim, module.end_dim) == (1, -1)
    said = (*node.args[1:], *node.kwargs.items())
    return node.target in (torch.flatten, "flatten") and said in ((1,), (("start_dim", 1),))


def _why_between(node: fx.Node, module: nn.Module | None, first: nn.Module) -> str:
    """Why a factor does not pass a step unchanged; empty if it does."""
    if node.op == "output":
        return "it gives the answers"
    if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
        return f"batch norm {node.target!r} comes after it: fold it first, with fold_batch_norms"
    step = node.target if module is None else type(module)
    if step in SINGLE or (step in POOLS and isinstance(first, nn.Conv2d)):
        return ""
    name = spoken(node) if module is None else type(module).__name__
    return f"{name} comes after it, through which no factor passes"


def _why_pair(model: nn.Module, nodes: Nodes, first: str, second: str, is_flat: bool) -> str:
    """Why the second layer cannot be scaled for the channels of the first; empty if it can."""
    if why := _why_layer(model, nodes, second):
        return why
    made, read = model.get_submodule(first), model.get_submodule(second)
    n_made = made.get_parameter("weight").shape[0]
    n_read = read.in_features if isinstance(read, nn.Linear) else getattr(read, "in_channels", 0)
    flattens = isinstance(made, nn.Conv2d) and isinstance(read, nn.Linear) and is_flat
    if (flattens and n_read % n_made == 0) or (type(made) is type(read) and n_read == n_made):
        return ""
    return f"the inputs of {second!r} are not the channels of {first!r}"


def _possible(model: nn.Module, found: tuple[Pair, ...]) -> tuple[Pair, ...]:
    if possible := tuple(one for one in found if not one.why):
        return possible
    reasons = "; ".join(f"{one.first!r} stays, because {one.why}" for one in found) or "it has none"
    raise ValueError(f"{type(model).__name__} has no two layers that can be equalised: {reasons}")
