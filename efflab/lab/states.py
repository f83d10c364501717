"""Four states of one pruned network. All compute the same function; they differ in what is stored and what is run.

masked    the old weights, and beside them masks that are multiplied in at each run: how torch prunes
zeroed    the removed weights are zeros among the others
encoded   zeros are left out, one by one (CSR), and a sparse kernel runs what is left
removed   neurons that change nothing are cut off, and the layers have smaller shapes

Each is written to a file, weighed, and timed against the base that was never pruned.

Reference: Han et al., Deep Compression, 2015, arXiv 1510.00149, section 6.3 (zeros that are encoded); Li et al., 2017,
arXiv 1608.08710 (shapes that shrink).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn
from torch.nn.utils import prune as torch_prune

from efflab.lab.shipping import passing_folder
from efflab.measure.speed import Speed, TorchStopwatch
from efflab.prune import remove_neurons
from efflab.prune.weights import PRUNABLE
from efflab.runtime import Artefact, export
from efflab.runtime.coded import as_floats
from efflab.runtime.eager import export_eager
from efflab.runtime.sparse import sparsify
from efflab.training import copy_model

Export = Callable[[nn.Module, tuple[int, int, int], Path, str], Artefact]

STATES = ("masked", "zeroed", "encoded", "removed")
"""From the one that changes least to the one that changes most."""
RUNTIMES: dict[str, Export] = {"torch": export_eager, "ONNX Runtime": export}
"""What runs the files. torch takes all four states; ONNX has no sparse layers, and its export multiplies masks in."""
ROWS = (*((name, "torch") for name in STATES), ("zeroed", "ONNX Runtime"), ("removed", "ONNX Runtime"))
"""Each state in each runtime that can have it, in the order of measurement."""


@dataclass(frozen=True)
class State:
    """A state as it was measured: its file weighed, its speed timed against the base in the same runtime.

    `n_bytes` and `compressed_bytes` are of the file, as it is and zipped; `base_bytes` and `base_compressed_bytes` of
    the base's.
    """

    name: str
    runtime: str
    n_bytes: int
    compressed_bytes: int
    base_bytes: int
    base_compressed_bytes: int
    speed: Speed


@dataclass(frozen=True)
class NoState:
    """A state that this network cannot have, and the reason in a sentence."""

    name: str
    runtime: str
    reason: str


def make_state(name: str, pruned: nn.Module, base: nn.Module) -> nn.Module:
    """`pruned` in one of the four states; the answers stay the same up to rounding.

    Raises:
        ValueError: there is no such state, or this network cannot have it.

    Reference: Han et al., 2015, arXiv 1510.00149; Li et al., 2017, arXiv 1608.08710.
    """
    if name == "masked":
        return _masked(pruned, base)
    if name == "zeroed":
        return copy_model(pruned)
    if name == "encoded":
        return sparsify(pruned)
    if name == "removed":
        return remove_neurons(pruned)
    raise ValueError(f"a state is one of {', '.join(STATES)}, not {name!r}")


def measure_states(
    pruned: nn.Module,
    base: nn.Module,
    shape: tuple[int, int, int],
    *,
    stopwatch: TorchStopwatch,
    batch: int = 1,
    threads: int = 1,
    rows: Sequence[tuple[str, str]] = ROWS,
    stale: Callable[[], bool] | None = None,
) -> Iterator[State | NoState]:
    """Yield one state after the other: all four in torch, then those that ONNX Runtime can have.

    Ends early when `stale` turns true. No file is left behind.

    Args:
        pruned: a network with zeros.
        base: the network as it was before, with the same shapes.
        shape: channels, height and width of one image.
        stopwatch: what times.
        batch: images in a run.
        threads: threads that a run may use.
        rows: which states in which runtimes, of those in `ROWS`.
        stale: says whether the answer is not wanted any more.

    Raises:
        ExportError: the base cannot be written.
        SpeedError: a file could not be timed.

    Reference: Kalibera and Jones, Rigorous benchmarking in reasonable time, ISMM 2013.
    """
    with passing_folder() as folder:
        wanted = dict.fromkeys(runtime for _, runtime in rows)
        bases = {name: RUNTIMES[name](base, shape, folder, f"base in {name}") for name in wanted}
        for name, runtime in rows:
            try:
                state = make_state(name, pruned, base)
                made = RUNTIMES[runtime](state, shape, folder, f"{name} in {runtime}")
            except ValueError as error:  # ExportError too: the sentence is what there is to show
                yield NoState(name, runtime, str(error))
                continue
            of_base = bases[runtime]
            speed = stopwatch.compare(of_base, made, shape=shape, batch=batch, threads=threads, stale=stale)
            if speed is None:
                return
            yield _weighed(name, runtime, made, of_base, speed)


def _weighed(name: str, runtime: str, made: Artefact, base: Artefact, speed: Speed) -> State:
    return State(name, runtime, made.n_bytes, made.compressed_bytes, base.n_bytes, base.compressed_bytes, speed)


def _masked(pruned: nn.Module, base: nn.Module) -> nn.Module:
    """The weights of `pruned` under masks; below the masks, what is removed has its old values, as after training."""
    masked, old = as_floats(pruned), dict(base.named_modules())  # old values have no code
    for name, layer in list(masked.named_modules()):
        if isinstance(layer, PRUNABLE):
            mask = layer.weight.detach() != 0
            with torch.no_grad():
                layer.weight.copy_(torch.where(mask, layer.weight, old[name].get_parameter("weight")))
            torch_prune.custom_from_mask(layer, "weight", mask)
    return masked
