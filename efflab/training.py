"""The one training loop: plain minibatch descent, watched epoch by epoch.

`train` changes the model that it is given and yields a record after each epoch; whoever asks for the next
record lets it go on. It prints nothing, keeps no clock and can be stopped between any two batches.

References:
    AdamW: Loshchilov and Hutter, Decoupled weight decay regularization, 2019, arXiv 1711.05101.
    One-cycle learning rate: Smith and Topin, Super-convergence, 2018, arXiv 1708.07120.

Where we simplify: no augmentation, no mixed precision, everything in memory. At work: Lightning or your own
loop.
"""

import copy
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Annotated, TypeVar

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import OneCycleLR

from efflab.data import Data, Split
from efflab.knobs import Range
from efflab.runtime.coded import Coded, refuse_coded
from efflab.runtime.quantized import OnGrid
from efflab.runtime.shared import SharedValues, shared_layers

M = TypeVar("M", bound=nn.Module)
Epochs = Annotated[int, Range(1, 30, 1, "passes over the training data")]
LearningRate = Annotated[float, Range(0.0001, 0.01, 0.0001, "largest learning rate")]


@dataclass(frozen=True)
class Epoch:
    """What one pass over the training split gave: `train_loss` in nats; `score`, a fraction, on validation data."""

    number: int
    n_epochs: int
    train_loss: float
    score: float


class Progress:
    """How a slow technique tells where it is, and how it is told to stop.

    `on_record` is called with each epoch's record, `on_batch` with the fraction done (0 to 1) after each
    batch; both on the thread that trains. `stop()` may be called from any thread. A technique that trains
    several times hands on `part(i, n)`, which counts within the whole.
    """

    def __init__(
        self,
        on_record: Callable[[Epoch], None] | None = None,
        on_batch: Callable[[float], None] | None = None,
    ) -> None:
        self.on_record = on_record
        self.on_batch = on_batch
        self._stop = threading.Event()

    def stop(self) -> None:
        """Ask the training to end after the batch that runs."""
        self._stop.set()

    @property
    def is_stopped(self) -> bool:
        """Whether someone asked to stop."""
        return self._stop.is_set()

    def part(self, index: int, n_parts: int) -> "Progress":
        """The progress of part `index` (from 0) of `n_parts` equal ones; it stops when the whole stops."""

        def on_record(record: Epoch) -> None:
            if self.on_record:
                before = index * record.n_epochs
                self.on_record(replace(record, number=before + record.number, n_epochs=n_parts * record.n_epochs))

        def on_batch(fraction: float) -> None:
            if self.on_batch:
                self.on_batch((index + fraction) / n_parts)

        part = Progress(on_record, on_batch)
        part._stop = self._stop
        return part


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
    keep_codebooks: bool = False,
    progress: Progress | None = None,
) -> Iterator[Epoch]:
    """Train `model` in place on `data.train`; yield a record after each epoch.

    With `keep_zeros`, weights that are exactly zero when an epoch starts stay exactly zero. With `keep_codebooks`,
    weights that share a value go on sharing it: trained are the values, in place of the weights. Layers may read from
    grids of activations, which stay as they are. Stopped, it ends after the current batch and yields no record for the
    unfinished epoch. The same seed gives the same bits on one machine, as long as the model has no layer that draws
    from torch's global generator (dropout).

    Raises:
        ValueError: `epochs` or `batch_size` is not positive, weights have a code that is not kept, or the loss became
        NaN or infinite.
    """
    if epochs < 1 or batch_size < 1:
        raise ValueError(f"epochs and batch_size must be at least 1, not epochs={epochs}, batch_size={batch_size}")
    moved_off = "training would move them off it: train first, and {encode} what comes out"
    refuse_coded(model, moved_off, OnGrid if keep_codebooks else Coded, weights_only=True)
    safe_layout(model)
    shared = _shared(model)
    moved = [*model.parameters(), *(one.values for one in shared)]  # shared weights have no gradient then, and stay
    optimizer = torch.optim.AdamW(moved, lr=learning_rate, weight_decay=weight_decay)
    n_batches = -(-len(data.train) // batch_size)
    schedule = OneCycleLR(optimizer, learning_rate, total_steps=epochs * n_batches)
    generator = torch.Generator().manual_seed(seed)
    for number in range(1, epochs + 1):
        model.train()
        zeros = _zeros(model) if keep_zeros else []
        total = torch.zeros(())
        for i, (images, labels) in enumerate(_batches(data.train, batch_size, generator), start=1):
            loss = _step(model, data, images, labels, optimizer, zeros, shared)
            _check_loss(model, loss, number)
            total += loss * len(labels)
            schedule.step()
            if progress and progress.on_batch:
                progress.on_batch((number - 1 + i / n_batches) / epochs)
            if progress and progress.is_stopped:
                model.eval()
                return
        model.eval()
        optimizer.zero_grad(set_to_none=True)  # a model that is kept should not keep its gradients
        yield _record(model, data, number, epochs, total.item() / len(data.train), progress)


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


def warm_up() -> None:
    """Load what torch loads at its first optimizer, seconds of imports, before someone waits for a training."""
    torch.optim.AdamW([torch.zeros(1, requires_grad=True)])


def keep_best(model: nn.Module, data: Data, records: Iterator[Epoch]) -> None:
    """Go through `records` of `train` and leave `model` with the weights that scored best on validation data.

    The weights it starts with take part, so a training that was stopped or that failed loses nothing.
    """
    model.eval()
    sign = 1 if data.task.higher_is_better else -1
    best, weights = sign * validation_score(model, data), copy.deepcopy(model.state_dict())
    try:
        for record in records:
            if sign * record.score >= best:
                best, weights = sign * record.score, copy.deepcopy(model.state_dict())
    finally:
        model.load_state_dict(weights)


def copy_model(model: M) -> M:
    """A copy that shares nothing with `model` and can be trained, even one made inside `torch.inference_mode()`."""
    # Each module holds a dozen containers, for hooks and the like, which are nearly always empty. Copying them takes
    # deepcopy longer than copying the weights of a small network, so it is told their copies beforehand.
    held = (value for module in model.modules() for value in vars(module).values())
    empty = {id(value): type(value)() for value in held if type(value) in (dict, OrderedDict, set) and not value}
    with torch.inference_mode(False):
        return copy.deepcopy(model, empty)


def validation_score(model: nn.Module, data: Data) -> float:
    """The score of `model`, in evaluation mode, on all validation data; a fraction."""
    answers = data.task.answers(predict(model, data.validation.images))
    return data.task.scores(answers, data.validation.labels).mean(dtype=torch.float64).item()


def predict(model: nn.Module, images: Tensor, *, chunk: int = 250) -> Tensor:
    """The outputs for all images, computed chunk by chunk. images: (n, c, h, w) -> (n, classes)."""
    with torch.inference_mode():
        return torch.cat([model(part) for part in images.split(chunk)])


def _batches(split: Split, batch_size: int, generator: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
    for index in torch.randperm(len(split), generator=generator).split(batch_size):
        with torch.inference_mode(False):  # a tensor made in inference mode can never be trained on
            images, labels = split.images[index], split.labels[index]
        yield images, labels


def _step(
    model: nn.Module,
    data: Data,
    images: Tensor,
    labels: Tensor,
    optimizer: torch.optim.Optimizer,
    zeros: list[tuple[nn.Parameter, Tensor]],
    shared: list[SharedValues],
) -> Tensor:
    with (
        torch.inference_mode(False),
        torch.enable_grad(),
    ):  # both modes are thread-local: say what this thread needs
        loss = data.task.loss(model(images), labels)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        for one in shared:
            one.gather()
        optimizer.step()
    with torch.no_grad():
        for one in shared:
            one.spread()
        for parameter, is_zero in zeros:
            parameter.masked_fill_(is_zero, 0.0)
    return loss.detach()


def _check_loss(model: nn.Module, loss: Tensor, number: int) -> None:
    """Raise ValueError if the loss is no number, for whatever came after it would be none either."""
    if not bool(loss.isfinite()):
        model.eval()
        raise ValueError(f"the loss became {float(loss)} in epoch {number}: lower the learning rate")


def _zeros(model: nn.Module) -> list[tuple[nn.Parameter, Tensor]]:
    """The weights that are exactly zero now, of every matrix and kernel that has some."""
    found = [(parameter, parameter.detach() == 0) for parameter in model.parameters() if parameter.ndim > 1]
    return [(parameter, is_zero) for parameter, is_zero in found if bool(is_zero.any())]


def _shared(model: nn.Module) -> list[SharedValues]:
    """The codebooks of a model; one weight may belong to several layers."""
    layers = {id(layer.weight): layer for layer in shared_layers(model).values()}
    with torch.inference_mode(False):
        return [SharedValues(layer) for layer in layers.values()]


def _record(
    model: nn.Module, data: Data, number: int, epochs: int, train_loss: float, progress: Progress | None
) -> Epoch:
    record = Epoch(number, epochs, train_loss, validation_score(model, data))
    if progress and progress.on_record:
        progress.on_record(record)
    return record
