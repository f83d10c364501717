"""What a worker of a sweep does: it gets the base and the data once, and judges one point after the other.

Workers are processes of this machine or of a cluster, as joblib is told. Pixels and labels travel as NumPy arrays:
joblib writes large arrays to a file that all workers of a machine map into memory, Dask sends the whole parcel once.
A worker keeps its lab from one point to the next, and so the networks of the steps that the next recipe shares.

Every point is computed with one thread of torch, wherever it runs: sums in another order give other bits.
"""

import multiprocessing
import os
import threading
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from efflab.data import Classification, Data, Split
from efflab.lab.swept import Judged, bytes_of, digest_of
from efflab.measure import count_work
from efflab.recipe import TECHNIQUES, AnyTechnique, Recipe, from_json
from efflab.training import Progress
from efflab.training.turns import one_thread

if TYPE_CHECKING:  # a lab sweeps
    from efflab.lab.lab import Lab

SPLITS = ("train", "validation", "calibration")
"""What travels: a sweep chooses, so the test data stay at home, unopened."""
_TURN = threading.RLock()
"""Held while a point is computed: the number of torch's threads belongs to the process, not to a thread of it."""

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Answer:
    """What came of a point: judged, or the reason of a refusal, or the trace of an error that is none.

    None of the three: its training was stopped early, and what there is of it does not count.
    """

    judged: Judged | None = None
    reason: str = ""
    trace: str = ""


Judge = Callable[[int, Callable[[], Recipe]], Answer]
"""Judges a recipe with a seed."""


@dataclass(frozen=True)
class Packed:
    """A tensor on its way: its numbers in the usual order, and how they lay in memory, on which their bits depend."""

    numbers: Array
    stride: tuple[int, ...]

    def unpack(self) -> Tensor:
        """The tensor, with memory of its own."""
        numbers = torch.from_numpy(np.require(self.numbers, requirements=["W"]))  # what is mapped cannot be written
        return torch.empty_strided(numbers.shape, self.stride, dtype=numbers.dtype).copy_(numbers)


@dataclass(frozen=True)
class Parcel:
    """What all points of a sweep start from; equal if the base, the data and the teacher are.

    here: judges a point in the process that packed the parcel, with the lab that is there; it does not travel.
    """

    fingerprint: str
    name: str = field(compare=False)
    network: nn.Module = field(compare=False)
    teacher: nn.Module | None = field(compare=False)
    splits: tuple[tuple[Packed, Packed], ...] = field(compare=False)
    about: tuple[str, tuple[str, ...], Classification] = field(compare=False)
    here: Judge | None = field(compare=False, default=None)

    def __reduce__(self) -> tuple[type["Parcel"], tuple[object, ...]]:
        return Parcel, (self.fingerprint, self.name, self.network, self.teacher, self.splits, self.about)

    def __sizeof__(self) -> int:
        """Bytes, by which Dask decides to send it once to each worker and not with each point."""
        numbers = sum(one.numbers.nbytes for split in self.splits for one in split)
        return numbers + sum(one.nbytes for one in self.network.parameters())

    def unpack(self, seed: int) -> "Lab":
        """A lab of what is in it."""
        from efflab.lab.lab import Lab  # which imports us

        train, validation, calibration = (Split(images.unpack(), labels.unpack()) for images, labels in self.splits)
        stand_in = Split(validation.images[:1], validation.labels[:1])  # a split cannot be empty; nobody looks at it
        name, classes, task = self.about
        data = Data(name, train, validation, stand_in, calibration, classes, task)
        return Lab(self.network, data, seed=seed, name=self.name, teacher=self.teacher)


def pack(lab: "Lab", here: Judge | None = None) -> Parcel:
    """The base, the data and the teacher of a lab."""
    network, teacher, data = lab.build(()), lab.teacher, lab.data
    other = None if teacher is network else teacher
    splits = tuple((_packed(split.images), _packed(split.labels)) for split in _splits(data))
    print_of: list[Iterable[bytes]] = [_bytes_of_model(network), () if other is None else _bytes_of_model(other)]
    print_of += [bytes_of({"images": one.images, "labels": one.labels}) for one in _splits(data)]
    said = repr((data.classes, data.task)).encode()
    fingerprint = digest_of([said, *(digest_of(parts).encode() for parts in print_of)])
    return Parcel(fingerprint, lab.name, network, other, splits, (data.name, data.classes, data.task), here)


def work(parcel: Parcel, text: str, seed: int, own: Mapping[str, AnyTechnique]) -> Answer:
    """Judge one point, in a worker or where the sweep was called. own: techniques that are not ours, by name."""

    def recipe() -> Recipe:
        return from_json(text, {**TECHNIQUES, **own})

    with _TURN:
        if parcel.here is not None:
            return parcel.here(seed, recipe)
        leave_with_parent()
        return judge(lambda: _lab(parcel, seed), recipe)


def judge(lab: "Callable[[], Lab]", recipe: Callable[[], Recipe], progress: Progress | None = None) -> Answer:
    """Build and judge the network of a recipe, on all validation images. Whatever goes wrong is an answer, too."""
    try:
        with one_thread():
            return _judged(lab(), recipe(), progress)
    except ValueError as error:  # a technique that cannot act says so
        return Answer(reason=str(error) or repr(error))
    except Exception:
        return Answer(trace=traceback.format_exc())


@cache
def leave_with_parent() -> None:
    """Let this process end when the one ends that started it: joblib's workers stay for minutes, computing on."""
    if (parent := multiprocessing.parent_process()) is None:
        return
    import psutil  # only workers need it

    def wait() -> None:
        try:
            if os.getppid() == parent.pid:
                psutil.Process(parent.pid).wait()
        except psutil.NoSuchProcess:
            pass
        os._exit(1)

    threading.Thread(target=wait, name="efflab parent", daemon=True).start()


def _judged(lab: "Lab", recipe: Recipe, progress: Progress | None) -> Answer:
    lab.forget_stopped(recipe)
    network = lab.build(recipe, progress=progress)
    if lab.is_partial(recipe):
        lab.forget_stopped(recipe)
        return Answer()
    preview = lab.preview(recipe)
    evaluation, size = preview.evaluation, preview.size
    low, high = evaluation.interval
    digest = digest_of(_bytes_of_model(network))
    found = Judged(evaluation.value, low, high, evaluation.n, size.n_nonzero, size.packed_bytes, None, digest)
    return Answer(replace(found, macs=_macs(network, lab.data.shape)))


def _macs(network: nn.Module, shape: tuple[int, ...]) -> int | None:
    try:
        work = count_work(network, shape)
    except (ValueError, TypeError, RuntimeError):  # a network of one's own, of which not all is known
        return None
    return None if work.uncounted else work.macs


def _lab(parcel: Parcel, seed: int) -> "Lab":
    """The lab of this process, which stays for the points that follow; one at a time, for points come seed by seed."""
    labs = _labs(parcel.fingerprint)
    if seed not in labs:
        last = next(iter(labs.values()), None)
        new = parcel.unpack(seed) if last is None else last.with_seed(seed)
        labs.clear()
        labs[seed] = new
    return labs[seed]


@lru_cache(maxsize=1)
def _labs(fingerprint: str) -> "dict[int, Lab]":
    return {}


def _packed(tensor: Tensor) -> Packed:
    stride = torch.empty_like(tensor, device="meta").stride()  # that of a copy, which may have no gaps
    return Packed(tensor.detach().cpu().contiguous().numpy(), stride)


def _splits(data: Data) -> list[Split]:
    return [getattr(data, name) for name in SPLITS]


def _bytes_of_model(model: nn.Module) -> list[bytes]:
    """What tells a model from another: its layers and its numbers."""
    return [f"{type(model).__module__}.{type(model).__qualname__} {model!r}".encode(), *bytes_of(_state(model))]


def _state(model: nn.Module) -> dict[str, Tensor]:
    return {name: value for name, value in model.state_dict().items() if isinstance(value, Tensor)}
