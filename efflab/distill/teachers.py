"""A teacher's answers to the training images, each computed once.

The images of a training are the same in each epoch, for there is no augmentation here. So the teacher looks at all of
them before the first step, and its answers are looked up from then on: an epoch of the student then costs nearly what
it costs without a teacher. The next training with the same teacher and images finds them on the shelf. With
augmentation each epoch has images of its own, and the teacher must be asked each time.

Images are asked for in their order, in chunks of one size. So an answer does not depend on the batch in which it is
used, not even in its last bit, and a training with answers from the shelf is the same as one that asked anew.

Reference: Beyer et al., Knowledge distillation: a good teacher is patient and consistent, 2022, arXiv 2106.05237, on
what is lost when the answers to a fixed image are used for an augmented one.
"""

import zlib
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache

import torch
from torch import Tensor, nn

from efflab.data import Split
from efflab.distill.hidden import outputs_of
from efflab.runtime.export import evaluating
from efflab.training import Batch, Progress

CHUNK = 50
"""Images that the teacher looks at together: few stay in the processor's cache."""
MOST_BYTES = 512 * 1024**2
"""Representations of a whole training split that take more are not kept: the teacher is asked for each batch."""
N_SHELVED = 4
"""Answers of earlier trainings that are kept."""


@dataclass(frozen=True, eq=False)
class Answer:
    """What the teacher says of a batch. logits: (n, classes); hidden: by layer, as it gives it, (n, ...)."""

    logits: Tensor
    hidden: dict[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class TeacherAnswers:
    """What a teacher in evaluation mode says of all images of a split. Make one with `ask`.

    kept: the logits under "", and representations by layer. asked_for: layers whose representations are too large to be
    kept, for which `teacher` is asked batch by batch.
    """

    teacher: nn.Module
    kept: dict[str, Tensor]
    asked_for: tuple[str, ...] = ()

    def of(self, batch: Batch) -> Answer:
        """What it says of the images of a batch."""
        found = {name: kept[batch.index] for name, kept in self.kept.items()}
        if self.asked_for:
            found |= _look(self.teacher, batch.images, self.asked_for)
        return Answer(found.pop(""), {name: one for name, one in found.items() if name})


def ask(
    teacher: nn.Module, split: Split, layers: Iterable[str] = (), *, progress: Progress | None = None
) -> TeacherAnswers | None:
    """The answers of a teacher to all images of a split; None if it was stopped before it had seen them all.

    layers: the hidden layers whose representations are wanted, too.
    """
    wanted = tuple(layers)
    key = (_fingerprint(teacher), id(split.images), wanted)
    found = _shelf().get(key)
    if found is None or found[0] is not split.images:  # another tensor may have got the place of one that is gone
        kept = _ask_all(teacher, split.images, wanted, progress)
        if kept is None:
            return None
        found = split.images, kept
        _shelf()[key] = found
    _shelf().move_to_end(key)
    while len(_shelf()) > N_SHELVED:
        _shelf().popitem(last=False)
    return TeacherAnswers(teacher, found[1], tuple(name for name in wanted if name not in found[1]))


@cache
def _shelf() -> "OrderedDict[tuple[int, int, tuple[str, ...]], tuple[Tensor, dict[str, Tensor]]]":
    """The answers of earlier trainings, with the images that they are for; an exception to "no module-level state"."""
    return OrderedDict()


def _fingerprint(teacher: nn.Module) -> int:
    """A number that changes with the weights of a network, and with what it is."""
    found = zlib.crc32(repr(teacher).encode())
    for tensor in teacher.state_dict().values():
        found = zlib.crc32(tensor.detach().contiguous().numpy(force=True).tobytes(), found)
    return found


def _ask_all(
    teacher: nn.Module, images: Tensor, layers: tuple[str, ...], progress: Progress | None
) -> dict[str, Tensor] | None:
    first = _look(teacher, images[:1], layers)
    n_bytes = {name: one[0].numel() * one.element_size() * len(images) for name, one in first.items()}
    names = [name for name in first if name == "" or n_bytes[name] <= MOST_BYTES]
    with torch.inference_mode(False):  # for a caller in that mode: what is made in it can never be changed outside
        kept = {name: torch.empty((len(images), *first[name].shape[1:]), dtype=first[name].dtype) for name in names}
        for start in range(0, len(images), CHUNK):
            found = _look(teacher, images[start : start + CHUNK], [name for name in names if name])
            for name, one in kept.items():
                one[start : start + CHUNK] = found[name]
            if progress and progress.on_batch:
                progress.on_batch(0.0)
            if progress and progress.is_stopped:
                return None
    return kept


def _look(teacher: nn.Module, images: Tensor, layers: Iterable[str]) -> dict[str, Tensor]:
    """The logits under "", and what some layers give."""
    with outputs_of(teacher, layers) as outputs, torch.no_grad(), evaluating(teacher):
        logits = teacher(images)
        return {"": logits, **outputs}


def check_pair(student: nn.Module, teacher: nn.Module, images: Tensor) -> None:
    """Raise ValueError unless both read the images and give as many numbers for one. images: (n, c, h, w)."""
    n_classes = {whose: _n_classes(model, images[:1], whose) for whose, model in _both(student, teacher).items()}
    if n_classes["student"] != n_classes["teacher"]:
        raise ValueError(
            f"the teacher gives {n_classes['teacher']} numbers for an image and the student {n_classes['student']}: "
            "both must tell the same classes apart"
        )


def _both(student: nn.Module, teacher: nn.Module) -> dict[str, nn.Module]:
    return {"teacher": teacher, "student": student}


def _n_classes(model: nn.Module, image: Tensor, whose: str) -> int:
    try:
        with torch.no_grad(), evaluating(model):
            outputs = model(image)
    except RuntimeError as error:  # torch's word for shapes that do not fit
        reason = str(error).splitlines()[0]
        raise ValueError(f"the {whose} cannot read images of shape {tuple(image.shape[1:])}: {reason}") from error
    if not isinstance(outputs, Tensor) or outputs.ndim != 2:
        raise ValueError(f"the {whose} must give (n, classes) for n images, not {_shape(outputs)}")
    return outputs.shape[1]


def _shape(outputs: object) -> str:
    return str(tuple(outputs.shape)) if isinstance(outputs, Tensor) else f"a {type(outputs).__name__}"
