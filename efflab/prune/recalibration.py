"""Batch norm recalibration: let the batch norms of a pruned network measure their inputs anew.

In evaluation mode a batch norm subtracts the mean of its channel and divides by the root of its variance, as they were
when the network was trained. Once channels before it are gone, those numbers belong to another network. A look at a few
hundred images brings them up to date; no weight changes, so it takes no training.

Reference: Li et al., EagleEye: fast sub-net evaluation for efficient neural network pruning, 2020, arXiv 2007.02491,
which calls it adaptive batch normalization.

Where we simplify: every batch counts alike, and the variance is the mean of the variances of the batches. At work:
`torch.optim.swa_utils.update_bn`, which our tests compare with.
"""

from typing import Annotated

import torch
from torch import Tensor, nn

from efflab.data import Data
from efflab.knobs import Range, technique
from efflab.runtime.export import evaluating
from efflab.training import copy_model

BATCH = 100
"""Images at a time; each batch is one value in the average."""

BatchNorm = nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d
Images = Annotated[int, Range(100, 2000, 100, "training images that it looks at")]


@technique
def recalibrate(model: nn.Module, *, data: Data, images: Images = 500) -> nn.Module:
    """A copy of `model` whose batch norms have the mean and variance of what they get now; the weights stay.

    They forget what they remember and average over `images` training images, spread evenly over the training split;
    over all of them if there are fewer. Everything else is in evaluation mode meanwhile, so dropout drops nothing.

    Raises:
        ValueError: no batch norm remembers a mean and a variance.

    Reference: Li et al., 2020, arXiv 2007.02491.
    """
    recalibrated = copy_model(model)
    norms = batch_norms(recalibrated)
    momenta = [norm.momentum for norm in norms]
    with evaluating(recalibrated), torch.inference_mode(False), torch.no_grad():
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # what torch calls a cumulative average
            norm.train()
        for batch in batches(data.train.images, images):
            recalibrated(batch)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    return recalibrated


def batch_norms(model: nn.Module) -> tuple[BatchNorm, ...]:
    """The batch norms of a model that remember a mean and a variance.

    Raises:
        ValueError: there are none.
    """
    found = [module for module in model.modules() if isinstance(module, BatchNorm)]
    if remembering := tuple(norm for norm in found if norm.running_mean is not None):
        return remembering
    if found:
        why = "its batch norms remember none (track_running_stats=False); leave this step out"
    else:
        why = "it has no batch norm; where they were folded take this step before fold_batch_norms, else leave it out"
    raise ValueError(f"{type(model).__name__} has no mean and variance that could be measured anew: {why}")


def batches(images: Tensor, n: int) -> tuple[Tensor, ...]:
    """`n` images spread evenly over all, in batches of nearly equal size. images: (all, ...) -> each (about 100, ...).

    Example:
        >>> [batch.tolist() for batch in batches(torch.arange(1000), 200)][1][:4]
        [500, 505, 510, 515]
    """
    n = min(n, len(images))
    places = torch.arange(n) * len(images) // n
    return images[places].tensor_split(max(1, round(n / BATCH)))
