"""How much memory an inference takes, and a training step: computed from what is held when, and measured beside it.

    weights        parameters and buffers; in memory all the time
    gradients      one number for each trained weight
    optimizer      what it remembers: 0, 1 or 2 numbers for each trained weight (SGD, with momentum, Adam)
    activations    inference: the most that is alive at one moment, for each is dropped once nothing needs it any more;
                   training: what is kept from the forward pass until the backward pass has used it

The weights do not depend on the batch; the activations grow with it. That is why a network that fits into a memory by
its weights may still not be trained there.

Reference: Rajbhandari et al., ZeRO: memory optimizations toward training trillion parameter models, 2020, arXiv
1910.02054, section 3.

Where we simplify: the computed number knows no scratch memory of kernels, nothing that a runtime keeps for later, and
of a training step not the gradients of the activations on their way back; so the measured one is higher. At work:
`torch.profiler` with `profile_memory=True`.
"""

import contextlib
import copy
import json
import os
import subprocess
import sys
import weakref
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from efflab.measure.clock import now
from efflab.measure.speed import check_counts
from efflab.measure.speed_process import LOOK_S, PATIENCE_S
from efflab.runtime.eager import RUNTIME
from efflab.runtime.export import Artefact, evaluating

REMEMBERED = {"sgd": 0, "momentum": 1, "adam": 2}
"""Numbers that an optimizer keeps for each weight."""
PROGRAM = Path(__file__).with_name("memory_program.py")


class MemoryUnknownError(RuntimeError):
    """The memory could not be measured; the message says why."""


@dataclass(frozen=True)
class ComputedMemory:
    """Bytes that one run needs at its peak, from the sizes of tensors. `optimizer` is None for an inference."""

    weight_bytes: int
    gradient_bytes: int
    optimizer_bytes: int
    activation_bytes: int
    batch: int
    optimizer: str | None

    @property
    def peak_bytes(self) -> int:
        """All together."""
        return self.weight_bytes + self.gradient_bytes + self.optimizer_bytes + self.activation_bytes


@dataclass(frozen=True)
class MeasuredMemory:
    """Bytes by which a process grew: `loaded_bytes` with the network, at most `worked_bytes` more while it worked."""

    loaded_bytes: int
    worked_bytes: int
    batch: int
    optimizer: str | None
    runtime: str

    @property
    def peak_bytes(self) -> int:
        """Both together."""
        return self.loaded_bytes + self.worked_bytes


def compute_memory(
    model: nn.Module, shape: tuple[int, ...], *, batch: int = 1, optimizer: str | None = None
) -> ComputedMemory:
    """Run `model` once on zeros and add up what must be held. The model is unchanged afterwards.

    An inference is counted in evaluation mode and a training step in training mode, whatever the model's own is.

    Args:
        model: any module that takes one float tensor, (batch, *shape).
        shape: one input without the batch: (channels, height, width) of an image.
        batch: inputs in one run; at least two for a training step with batch norm.
        optimizer: "sgd", "momentum" or "adam" for a training step, None for an inference.

    Example:
        A weight of 300 x 100 and a bias; ten inputs of 300 numbers and ten outputs of 100; 4 bytes each.

        >>> memory = compute_memory(nn.Linear(300, 100), (300,), batch=10)
        >>> memory.weight_bytes, memory.activation_bytes
        (120400, 16000)

    Raises:
        ValueError: a batch that is no count, or an optimizer that is not known.

    Reference: Rajbhandari et al., 2020, arXiv 1910.02054, section 3.
    """
    _check(batch, optimizer)
    weights = [*model.parameters(), *model.buffers()]
    trained = sum(_bytes(weight) for weight in model.parameters() if weight.requires_grad) if optimizer else 0
    images = torch.zeros(batch, *shape)
    activations = _saved_bytes(model, images) if optimizer else _live_bytes(model, images)
    remembered = trained * REMEMBERED[optimizer] if optimizer else 0
    return ComputedMemory(sum(map(_bytes, weights)), trained, remembered, activations, batch, optimizer)


def measure_memory(
    artefact: Artefact,
    *,
    shape: tuple[int, int, int],
    batch: int = 1,
    optimizer: str | None = None,
    patience_s: float = PATIENCE_S,
    stale: Callable[[], bool] | None = None,
) -> MeasuredMemory | None:
    """Run the artefact in a process of its own and see by how much it grows; None when `stale` turned true meanwhile.

    Takes a few seconds, most of them for starting. Numbers below some 0.1 MB are rounded by the system's pages.

    Args:
        artefact: in ONNX Runtime or in torch; for a training step, in torch.
        shape: channels, height and width of one image.
        batch: images in a run.
        optimizer: "sgd", "momentum" or "adam" for a training step, None for an inference.
        patience_s: how long the process may take.
        stale: says whether the answer is not wanted any more.

    Raises:
        ValueError: a batch that is no count, an optimizer that is not known, or training asked of another runtime.
        MemoryUnknownError: the process could not be started, died, hung, or could not run the network.

    Reference: Linux, proc_pid_clear_refs(5).
    """
    _check(batch, optimizer)
    if optimizer and artefact.runtime != RUNTIME:
        raise ValueError(f"optimizer must be None for {artefact.path.name}: {artefact.runtime} cannot train")
    question = {"path": str(artefact.path), "batch": batch, "shape": shape, "optimizer": optimizer}
    said = _ask(json.dumps(question), patience_s, stale or (lambda: False))
    if said is None:
        return None
    answer = json.loads(said)
    if "error" in answer:
        raise MemoryUnknownError(f"the memory of {artefact.path.name} cannot be measured: {answer['error']}")
    return MeasuredMemory(answer["loaded"], answer["worked"], batch, optimizer, artefact.runtime)


def _ask(question: str, patience_s: float, is_stale: Callable[[], bool]) -> str | None:
    """What the program says, or None if it is not wanted any more."""
    # glibc hands each larger tensor back to the system when it is freed, so that what is held is what is needed.
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-P", str(PROGRAM), question]
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    try:
        process = subprocess.Popen(command, env=environment, encoding="utf-8", **pipes)  # type: ignore[call-overload]
    except OSError as error:
        raise MemoryUnknownError(f"the process that measures memory cannot be started: {error}") from error
    with process:
        try:
            return _wait(process, now() + patience_s, is_stale)
        finally:
            process.kill()


def _wait(process: "subprocess.Popen[str]", deadline: float, is_stale: Callable[[], bool]) -> str | None:
    while not is_stale():
        with contextlib.suppress(subprocess.TimeoutExpired):
            said, errors = process.communicate(timeout=LOOK_S)
            if process.returncode:
                last = errors.strip().rpartition("\n")[2]
                raise MemoryUnknownError(
                    f"the process that measures memory died with exit code {process.returncode} {last}".strip()
                )
            return said
        if now() > deadline:
            raise MemoryUnknownError(
                "the process that measures memory gave no answer in time, so it was ended; a smaller batch takes less"
            )
    return None


class _Live(TorchDispatchMode):
    """Follows which tensors are alive while a model runs without gradients, and the most bytes at one moment."""

    def __init__(self, weights: set[int]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch's
        self.peak = 0
        self._weights = weights
        self._bytes: dict[int, int] = {}
        self._holders: Counter[int] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, (tuple, list)) else (result,):
            if isinstance(tensor, Tensor):
                self.hold(tensor)
        return result

    def hold(self, tensor: Tensor) -> None:
        """Count the memory behind a tensor until the last tensor that shares it is gone."""
        place = tensor.untyped_storage().data_ptr()
        if place in self._weights:  # a view of them, such as a transposed one
            return
        self._bytes[place] = tensor.untyped_storage().nbytes()
        self._holders[place] += 1
        weakref.finalize(tensor, self._release, place)
        self.peak = max(self.peak, sum(self._bytes.values()))

    def _release(self, place: int) -> None:
        self._holders[place] -= 1
        if not self._holders[place]:
            del self._bytes[place]


def _live_bytes(model: nn.Module, images: Tensor) -> int:
    """The most bytes of activations, images included, that are alive at one moment of a forward pass."""
    live = _Live(_places(model))
    live.hold(images)
    with evaluating(model), torch.no_grad(), live:
        model(images)
    return live.peak


def _saved_bytes(model: nn.Module, images: Tensor) -> int:
    """Bytes that a forward pass in training mode leaves for the backward pass, images included, weights not."""
    model = _training_copy(model)
    weights = _places(model)
    saved: dict[int, tuple[int, Tensor]] = {}

    def keep(tensor: Tensor) -> Tensor:
        place = tensor.untyped_storage().data_ptr()
        if place not in weights:
            saved[place] = (tensor.untyped_storage().nbytes(), tensor.detach())  # alive, so that no place is used twice
        return tensor

    keep(images)
    hooks = torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor)
    with torch.enable_grad(), torch.random.fork_rng(devices=[]), hooks:  # dropout draws random numbers
        model(images)
    return sum(n_bytes for n_bytes, _ in saved.values())


def _training_copy(model: nn.Module) -> nn.Module:
    """A copy in training mode, for there a batch norm learns from whatever it sees."""
    # deepcopy refuses a tensor that was computed from others, such as a masked weight: it is handed over as a number.
    tensors = (value for module in model.modules() for value in vars(module).values() if isinstance(value, Tensor))
    return copy.deepcopy(model, {id(tensor): tensor.detach().clone() for tensor in tensors}).train()


def _places(model: nn.Module) -> set[int]:
    """Where in memory the weights lie; a sparse one has no one place, and none of its views is held."""
    tensors = (*model.parameters(), *model.buffers())
    return {tensor.untyped_storage().data_ptr() for tensor in tensors if tensor.layout == torch.strided}


def _bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def _check(batch: int, optimizer: str | None) -> None:
    check_counts(batch=batch)
    if optimizer is not None and optimizer not in REMEMBERED:
        raise ValueError(f"optimizer must be None or one of {', '.join(REMEMBERED)}, not {optimizer!r}")
