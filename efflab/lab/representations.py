"""Representations: what the hidden layers of a teacher and a student hold, compared layer by layer.

Both networks look at the same images. What a layer gives for an image is one long vector: that of its units, or all
places of its maps one after the other. Where that is too long, maps are averaged over their places. Then CKA says how
alike two layers are, and two projections onto a plane, one turned onto the other, show it.

References: Kornblith et al., Similarity of neural network representations revisited, 2019, arXiv 1905.00414; Romero et
al., FitNets, 2015, arXiv 1412.6550, for the hint that a pair of layers can become.

Where we simplify: as `efflab.distill.similarity`. With fewer images than units CKA comes out too high, and a network
that was never trained already looks alike. At work: the debiased form, and as a floor an untrained network beside it.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from efflab.data import Split
from efflab.distill import (
    AlignedPca,
    aligned_pca,
    cka_matrix,
    distill_hints,
    embedding,
    hidden_layers,
    make_regressor,
    outputs_of,
)
from efflab.runtime.export import evaluating

if TYPE_CHECKING:  # pandas takes 0.4 s to import: only who asks for a table pays
    import pandas as pd

MOST_UNITS = 16_384
"""Maps with more numbers for one image are averaged over their places."""
CHUNK = 125
"""Images that a network looks at at once."""


@dataclass(frozen=True, eq=False)
class Layer:
    """What a hidden layer gives: vectors (n, units), made of outputs that have `shape` for one image.

    is_averaged: whether its maps were averaged over their places, or else laid flat.
    """

    vectors: Tensor
    shape: tuple[int, ...]
    is_averaged: bool


Layers = dict[str, Layer]
"""The hidden layers of a network by name, in the order in which they run."""


@dataclass(frozen=True, eq=False)
class Compared:
    """All hidden layers of a teacher and of a student, on the same images. labels: (n,)."""

    teacher: Layers
    student: Layers
    labels: Tensor

    @cached_property
    def cka(self) -> "pd.DataFrame":
        """How alike they are, from 0 to 1: a row for each layer of the teacher, a column for each of the student.

        Raises:
            ValueError: a layer gives the same for all images.
        """
        teacher, student = ({name: one.vectors for name, one in side.items()} for side in (self.teacher, self.student))
        return cka_matrix(teacher, student)

    def most_alike(self, student_layer: str) -> str:
        """The layer of the teacher that is most like one of the student's."""
        return str(self.cka[student_layer].idxmax())

    def points(self, teacher_layer: str, student_layer: str) -> AlignedPca:
        """Both layers projected onto two directions, the student's points turned onto the teacher's.

        Raises:
            ValueError: a layer has one unit only, or gives the same for all images.
        """
        return aligned_pca(self.teacher[teacher_layer].vectors, self.student[student_layer].vectors)


@dataclass(frozen=True)
class Pairing:
    """Two layers as a hint. setting: those of `distill_hints`; why_not: why they cannot be one, or nothing."""

    setting: str
    why_not: str = ""


def layers_of(model: nn.Module, images: Tensor) -> Layers:
    """What each hidden layer of `model` gives for some images, as vectors. images: (n, c, h, w).

    Raises:
        ValueError: the network has no hidden layer.
    """
    shapes = hidden_layers(model, images[:1])
    parts: dict[str, list[Tensor]] = {name: [] for name in shapes}
    with outputs_of(model, shapes) as outputs, torch.no_grad(), evaluating(model):
        for chunk in images.split(CHUNK):
            model(chunk)
            for name, shape in shapes.items():
                parts[name].append(_vectors(outputs[name], shape))
    return {name: Layer(torch.cat(parts[name]), shape, _is_large(shape)) for name, shape in shapes.items()}


def compare_layers(teacher: nn.Module, student: nn.Module, split: Split, n_images: int) -> Compared:
    """Both networks on the first `n_images` images of a split, or on all where it has fewer.

    Raises:
        ValueError: a network has no hidden layer, or n_images is less than 2.
    """
    if n_images < 2:
        raise ValueError(f"n_images must be at least 2, for similarity is about how images lie apart, not {n_images}")
    images = split.images[:n_images]
    return Compared(layers_of(teacher, images), layers_of(student, images), split.labels[:n_images])


def as_hint(compared: Compared, teacher_layer: str, student_layer: str) -> Pairing:
    """Two layers as the setting of `distill_hints` in which the student's learns to give what the teacher's does."""
    hint = list(compared.teacher).index(teacher_layer) + 1
    guided = list(compared.student).index(student_layer) + 1
    setting = f"hint={hint}, guided={guided}"
    try:
        distill_hints.check({"hint": hint, "guided": guided})
        make_regressor(compared.student[student_layer].shape, compared.teacher[teacher_layer].shape)
    except ValueError as error:
        return Pairing(setting, str(error))
    return Pairing(setting)


def _vectors(output: Tensor, shape: tuple[int, ...]) -> Tensor:
    return embedding(output) if _is_large(shape) else output.flatten(1)  # (n, units)


def _is_large(shape: tuple[int, ...]) -> bool:
    return len(shape) > 1 and torch.Size(shape).numel() > MOST_UNITS
