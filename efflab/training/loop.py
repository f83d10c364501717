"""The one training loop: plain minibatch descent, watched epoch by epoch.

`train` changes the model that it is given and yields a record after each epoch; whoever asks for the next
record lets it go on. It prints nothing, keeps no clock and can be stopped between any two batches.

References:
    AdamW: Loshchilov and Hutter, Decoupled weight decay regularization, 2019, arXiv 1711.05101.
    One-cycle learning rate: Smith and Topin, Super-convergence, 2018, arXiv 1708.07120.

Where we simplify: no augmentation, no mixed precision, everything in memory. At work: Lightning or your own
loop.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import OneCycleLR

from efflab.data import Data, Split
from efflab.runtime.behind import ValuesBehind, values_behind
from efflab.runtime.coded import refuse_coded
from efflab.training.predicting import validation_score
from efflab.training.progress import Epoch, Progress


@dataclass(frozen=True, eq=False)
class Batch:
    """Some of the training images. images: (n, c, h, w); labels: (n,); index: (n,), their places in the split."""

    images: Tensor
    labels: Tensor
    index: Tensor


Loss = Callable[[nn.Module, Batch], Tensor]
"""What a training makes small, in nats: from the model and a batch to ()."""


def train(
    model: nn.Module,
    data: Data,
    *,
    epochs: int,
    learning_rate: float = 3e-3,
    batch_size: int = 128,
    weight_decay: float = 1e-4,
    seed: int = 0,
    keep_zeros: bool = False,
    keep_codes: bool = False,
    loss: Loss | None = None,
    also: Iterable[nn.Parameter] = (),
    progress: Progress | None = None,
) -> Iterator[Epoch]:
    """Train `model` in place on `data.train`; yield a record after each epoch.

    With `keep_zeros`, weights that are exactly zero when an epoch starts stay exactly zero. With `keep_codes`, weights
    stay in their code: what trains is the codebook that they share, or the floats behind their grid. Layers may read
    from grids of activations, which stay as they are. `loss` is the task's own unless another is given; `also` are
    parameters outside of the model that it needs, and that train with it. Stopped, it ends after the current batch and
    yields no record for the unfinished epoch. The same seed gives the same bits on one machine, as long as the model
    has no layer that draws from torch's global generator (dropout).

    Raises:
        ValueError: `epochs` or `batch_size` is not positive, weights have a code that is not kept, or the loss became
        NaN or infinite.
    """
    if epochs < 1 or batch_size < 1:
        raise ValueError(f"epochs and batch_size must be at least 1, not epochs={epochs}, batch_size={batch_size}")
    if not keep_codes:
        moved_off = "training would move them off it: train first, and {encode} what comes out"
        refuse_coded(model, moved_off, weights_only=True)
    safe_layout(model)
    coded = values_behind(model)
    moved = [*model.parameters(), *(one.values for one in coded), *also]  # a coded weight gets no gradient, and stays
    optimizer = torch.optim.AdamW(moved, lr=learning_rate, weight_decay=weight_decay)
    n_batches = -(-len(data.train) // batch_size)
    schedule = OneCycleLR(optimizer, learning_rate, total_steps=epochs * n_batches)
    generator = torch.Generator().manual_seed(seed)
    criterion = loss or (lambda model, batch: data.task.loss(model(batch.images), batch.labels))
    for number in range(1, epochs + 1):
        model.train()
        zeros = _zeros(model, coded) if keep_zeros else []
        total = torch.zeros(())
        for i, batch in enumerate(_batches(data.train, batch_size, generator), start=1):
            value = take_step(model, batch, criterion, optimizer, zeros, coded)
            _check_loss(model, value, number)
            total += value * len(batch.labels)
            schedule.step()
            if progress and progress.on_batch:
                progress.on_batch((number - 1 + i / n_batches) / epochs)
            if progress and progress.is_stopped:
                model.eval()
                return
        model.eval()
        optimizer.zero_grad(set_to_none=True)  # a model that is kept should not keep its gradients
        yield _record(model, data, number, epochs, total.item() / len(data.train), progress)


def take_step(
    model: nn.Module,
    batch: Batch,
    loss: Loss,
    optimizer: torch.optim.Optimizer,
    zeros: list[tuple[nn.Parameter, Tensor]],
    coded: list[ValuesBehind],
) -> Tensor:
    """Move the weights once, against the gradient of the loss of one batch; the loss: ().

    zeros: parameters with a mask of what is zero in them and stays so. coded: the values that train in place of weights
    that have a code.
    """
    with (
        torch.inference_mode(False),
        torch.enable_grad(),
    ):  # both modes are thread-local: say what this thread needs
        value = loss(model, batch)
        optimizer.zero_grad(set_to_none=True)
        value.backward()
        for one in coded:
            one.gather()
        optimizer.step()
    with torch.no_grad():
        for parameter, is_zero in zeros:
            parameter.masked_fill_(is_zero, 0.0)
        for one in coded:
            one.spread()
    return value.detach()


def safe_layout(model: nn.Module) -> None:
    """Store the kernels of a model as a gradient needs them, in place; no number changes.

    With channels last, the gradient of a 1x1 convolution with a stride that reads fewer channels than a vector register
    holds (8, or 16 with AVX-512) writes beyond its memory, and the process dies: torch 2.13 with oneDNN on an x86 CPU.
    A resnet8 with few channels has such shortcuts. Stored plainly, the kernels take another path.
    """
    convolutions = [layer for layer in model.modules() if isinstance(layer, nn.Conv2d)]
    if any(one.kernel_size == (1, 1) and one.stride != (1, 1) and one.in_channels < 16 for one in convolutions):
        for layer in convolutions:
            layer.weight.data = layer.weight.data.contiguous()


def _batches(split: Split, batch_size: int, generator: torch.Generator) -> Iterator[Batch]:
    for index in torch.randperm(len(split), generator=generator).split(batch_size):
        with torch.inference_mode(False):  # a tensor made in inference mode can never be trained on
            batch = Batch(split.images[index], split.labels[index], index)
        yield batch


def _check_loss(model: nn.Module, loss: Tensor, number: int) -> None:
    """Raise ValueError if the loss is no number, for whatever came after it would be none either."""
    if not bool(loss.isfinite()):
        model.eval()
        raise ValueError(f"the loss became {float(loss)} in epoch {number}: lower the learning rate")


def _zeros(model: nn.Module, coded: list[ValuesBehind]) -> list[tuple[nn.Parameter, Tensor]]:
    """The weights that are exactly zero now, of every matrix and kernel that has some."""
    moved = [*model.parameters(), *(one.values for one in coded)]
    found = [(parameter, parameter.detach() == 0) for parameter in moved if parameter.ndim > 1]
    return [(parameter, is_zero) for parameter, is_zero in found if bool(is_zero.any())]


def _record(
    model: nn.Module, data: Data, number: int, epochs: int, train_loss: float, progress: Progress | None
) -> Epoch:
    record = Epoch(number, epochs, train_loss, validation_score(model, data))
    if progress and progress.on_record:
        progress.on_record(record)
    return record
