"""A teacher's answers to the training images, each computed once.

The images of a training are the same in each epoch, for there is no augmentation here. So the teacher is asked for an
image in the first epoch, and its answer is looked up in all others: an epoch of the student then costs what it costs
without a teacher. With augmentation each epoch has images of its own, and the teacher must be asked each time.

Reference: Beyer et al., Knowledge distillation: a good teacher is patient and consistent, 2022, arXiv 2106.05237, on
what is lost when the answers to a fixed image are used for an augmented one.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from efflab.distill.hidden import outputs_of
from efflab.runtime.export import evaluating
from efflab.training import Batch

MOST_BYTES = 512 * 1024**2
"""Representations of a whole training split that take more are not kept: the teacher is asked in each epoch."""


@dataclass(frozen=True, eq=False)
class Answer:
    """What the teacher says of a batch. logits: (n, classes); hidden: by layer, as it gives it, (n, ...)."""

    logits: Tensor
    hidden: dict[str, Tensor] = field(default_factory=dict)


class TeacherAnswers:
    """The answers of a teacher in evaluation mode to a split of `n_images` images, as they are asked for.

    layers: the hidden layers whose representations are wanted, too.
    """

    def __init__(self, teacher: nn.Module, n_images: int, layers: Iterable[str] = ()) -> None:
        self._teacher, self._n_images, self._layers = teacher, n_images, tuple(layers)
        with torch.inference_mode(False):  # for a caller in that mode: what is made in it can never be changed outside
            self._known = torch.zeros(n_images, dtype=torch.bool)
        self._kept: dict[str, Tensor] = {}
        self.n_asked = 0
        """Images that the teacher has looked at."""

    def of(self, batch: Batch) -> Answer:
        """What the teacher says of the images of a batch; it looks only at images that it has not seen."""
        if bool(self._known[batch.index].all()):
            found = {name: kept[batch.index] for name, kept in self._kept.items()}
        else:
            found = self._ask(batch.images)
            self._keep(batch.index, found)
        return Answer(found.pop(""), found)

    def _ask(self, images: Tensor) -> dict[str, Tensor]:
        self.n_asked += len(images)
        with outputs_of(self._teacher, self._layers) as outputs, torch.no_grad(), evaluating(self._teacher):
            logits = self._teacher(images)
            return {"": logits, **outputs}

    def _keep(self, index: Tensor, found: dict[str, Tensor]) -> None:
        n_bytes = sum(one[0].numel() * one.element_size() for one in found.values()) * self._n_images
        if n_bytes > MOST_BYTES:
            return
        for name, one in found.items():
            if name not in self._kept:
                self._kept[name] = one.new_empty((self._n_images, *one.shape[1:]))
            self._kept[name][index] = one
        self._known[index] = True


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
