"""Structured pruning: remove neurons and filters that matter least, with all that belongs to them.

The layers get smaller, so every runtime gets faster without knowing anything about it.

References:
    Li et al., Pruning filters for efficient ConvNets, 2017, arXiv 1608.08710.
    Fang et al., DepGraph: towards any structural pruning, 2023, arXiv 2301.12900.

Where we simplify: see `groups.py`. At work: Torch-Pruning, whose rules are one knob away.
"""

from typing import Annotated

from torch import nn

from efflab.data import Data
from efflab.knobs import Choice, Range, technique
from efflab.prune.masks import Scope
from efflab.prune.structure.rules import Rules
from efflab.prune.structure.selection import select_channels
from efflab.prune.structure.surgery import remove, zero

Neurons = Annotated[float, Range(0.0, 0.95, 0.01, "fraction of neurons removed")]
Filters = Annotated[float, Range(0.0, 0.95, 0.01, "fraction of filters removed")]
Multiple = Annotated[int, Range(1, 16, 1, "kept channels are a multiple of")]
Minimum = Annotated[int, Range(1, 64, 1, "fewest channels that stay in a layer")]
NeuronImportance = Annotated[
    str, Choice(("l1", "l2", "taylor", "activation mean", "random"), "what makes a neuron important")
]
FilterImportance = Annotated[
    str,
    Choice(("l1", "l2", "batch norm scale", "taylor", "activation mean", "random"), "what makes a filter important"),
]
Form = Annotated[str, Choice(("removed", "zeroed"), "what becomes of the channels")]

FORMS = {"removed": remove, "zeroed": zero}
"""Two networks with the same answers; only the smaller one can be faster."""


@technique
def prune_neurons(
    model: nn.Module,
    *,
    data: Data,
    ratio: Neurons = 0.5,
    scope: Scope = "per layer",
    importance: NeuronImportance = "l1",
    multiple: Multiple = 1,
    minimum: Minimum = 1,
    rules: Rules = "efflab",
    form: Form = "removed",
    seed: int = 0,
) -> nn.Module:
    """A copy of `model` with fewer hidden neurons: `round(ratio * n)` of the n that linear layers make are cut out.

    At least `minimum` of each layer stay, and what stays is rounded up to the `multiple`. In the form "zeroed" the
    others are set to zero instead of cut out: the answers are the same, the shapes stay. The `rules` "torch-pruning"
    follow channels where ours do not, and take longer. `data` tells the shape of an input, and its calibration split
    the importances "taylor" and "activation mean"; `seed` is for "random".

    Raises:
        ValueError: no linear layer has channels that can be removed; the sentence says why for each.

    Reference: Li et al., 2017, arXiv 1608.08710; Fang et al., 2023, arXiv 2301.12900.
    """
    selection = select_channels(
        model,
        nn.Linear,
        data=data,
        ratio=ratio,
        scope=scope,
        importance=importance,
        multiple=multiple,
        minimum=minimum,
        rules=rules,
        seed=seed,
    )
    return FORMS[form](model, data.shape, selection.kept, rules)


@technique
def prune_filters(
    model: nn.Module,
    *,
    data: Data,
    ratio: Filters = 0.5,
    scope: Scope = "per layer",
    importance: FilterImportance = "l1",
    multiple: Multiple = 1,
    minimum: Minimum = 1,
    rules: Rules = "efflab",
    form: Form = "removed",
    seed: int = 0,
) -> nn.Module:
    """A copy of `model` with fewer filters: `round(ratio * n)` of the n channels that convolutions make are cut out.

    Layers that a sum joins lose the same channels, and count once. At least `minimum` of each group stay, and what
    stays is rounded up to the `multiple`. In the form "zeroed" the others are set to zero instead of cut out: the
    answers are the same, the shapes stay. The `rules` "torch-pruning" follow channels where ours do not, and take
    longer. `data` tells the shape of an input, and its calibration split the importances "taylor" and "activation
    mean"; `seed` is for "random".

    Raises:
        ValueError: no convolution has channels that can be removed (the sentence says why for each), or "batch norm
            scale" is asked of a network in which a convolution has no batch norm.

    Reference: Li et al., 2017, arXiv 1608.08710; Fang et al., 2023, arXiv 2301.12900.
    """
    selection = select_channels(
        model,
        nn.Conv2d,
        data=data,
        ratio=ratio,
        scope=scope,
        importance=importance,
        multiple=multiple,
        minimum=minimum,
        rules=rules,
        seed=seed,
    )
    return FORMS[form](model, data.shape, selection.kept, rules)
