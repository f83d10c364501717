"""Weight pruning: set the weights that matter least to zero.

The network keeps its shape: the zeros save bytes once they are encoded, and save no time in a dense kernel.

Reference: Han et al., Learning both weights and connections for efficient neural networks, 2015, arXiv
1506.02626.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from efflab.knobs import technique
from efflab.prune.masks import Scope, Sparsity, masks_for
from efflab.prune.scores import Criterion, score
from efflab.runtime.quantized import quantized_layers
from efflab.training import copy_model

PRUNABLE = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d)
"""Layers whose weight matrix or kernel is pruned; biases and normalisation are left alone."""


@technique
def prune_weights(
    model: nn.Module,
    *,
    sparsity: Sparsity | Mapping[str, Sparsity] = 0.5,
    scope: Scope = "global",
    criterion: Criterion = "magnitude",
    seed: int = 0,
) -> nn.Module:
    """A copy of `model` without `round(sparsity * n)` of its n weights, which are set to zero.

    Weights that are zero already go first. `sparsity` may be a mapping {layer: fraction}; `scope` then has no
    effect, for each layer has its own. `seed` is used by the "random" criterion only.

    Raises:
        ValueError: the model has no linear or convolutional layer, `sparsity` names a layer that is not there, or a
        layer lies on a grid without a zero.

    Reference: Han et al., 2015, arXiv 1506.02626.
    """
    weights = prunable_weights(model)
    scores = score(weights, criterion, seed=seed)
    return apply_masks(model, masks_for(scores, sparsity, scope))


def prunable_weights(model: nn.Module) -> dict[str, Tensor]:
    """The weights that pruning may remove, by layer name; a weight that two layers share appears once.

    Raises:
        ValueError: there are none, or one is computed from other tensors.
    """
    layers = {name: module.weight for name, module in model.named_modules() if isinstance(module, PRUNABLE)}
    if computed := [name for name, weight in layers.items() if not isinstance(weight, nn.Parameter)]:
        raise ValueError(
            f"layer {computed[0]!r} computes its weight from other tensors (weight_norm, torch.nn.utils.prune ...), so "
            "zeros would not last; make it plain first, with remove_parametrizations or prune.remove"
        )
    owners = {id(weight): name for name, weight in reversed(layers.items())}  # the first layer owns a shared weight
    weights = {name or "model": weight.detach() for name, weight in layers.items() if owners[id(weight)] == name}
    if not weights:
        kinds = ", ".join(kind.__name__ for kind in PRUNABLE)
        raise ValueError(f"{type(model).__name__} has no layer whose weights can be pruned; it needs one of: {kinds}")
    return weights


def apply_masks(model: nn.Module, masks: Mapping[str, Tensor]) -> nn.Module:
    """A copy of `model` with the removed weights at zero. masks: {layer: shape of its weight, bool, True = kept}."""
    pruned = copy_model(model)
    zero_removed(pruned, masks)
    return pruned


def zero_removed(model: nn.Module, masks: Mapping[str, Tensor]) -> None:
    """Set the removed weights of `model` itself to zero. masks: as for `apply_masks`.

    Raises:
        ValueError: they lie on a grid that has no zero.
    """
    weights = prunable_weights(model)
    for name, layer in quantized_layers(model).items():
        if not layer.has_zero and name in masks and not masks[name].all():
            raise ValueError(
                f"layer {name!r} has its weights on a symmetric grid of 1 bit, -scale and +scale, which has no zero: "
                "prune first, and quantize to 2 bits or more"
            )
    for name, mask in masks.items():
        weights[name].masked_fill_(~mask, 0.0)


def sparsity_of(model: nn.Module) -> float:
    """The fraction of zeros among the weights that pruning may remove."""
    weights = prunable_weights(model).values()
    return 1 - sum(int(torch.count_nonzero(weight)) for weight in weights) / sum(weight.numel() for weight in weights)
