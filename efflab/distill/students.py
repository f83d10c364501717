"""Students: new networks that know nothing yet, in place of the one that is there.

In a recipe they come first: the base of the lab becomes the teacher, and what follows trains the student.

References: Hinton et al., Distilling the knowledge in a neural network, 2015, arXiv 1503.02531; for a student as large
as its teacher: Furlanello et al., Born-again neural networks, 2018, arXiv 1805.04770.
"""

from typing import Annotated

import torch
from torch import nn

from efflab.data import Data
from efflab.knobs import Choice, Range, technique
from efflab.models import build
from efflab.models.building import reset_weights
from efflab.training import copy_model

KINDS = Choice(("mlp", "cnn", "resnet8"), "the kind of network")
Kind = Annotated[str, KINDS]
Width = Annotated[int, Range(1, 64, 1, "hidden units of each layer, or channels of the first")]


@technique
def start_student(model: nn.Module, *, data: Data, kind: Kind = "mlp", width: Width = 64, seed: int = 0) -> nn.Module:
    """A new network with random weights that reads the same images and tells the same classes apart; not trained.

    Of `model` nothing is used. An "mlp" has two hidden layers of `width` units, as in the paper; the channels of a
    "cnn" and a "resnet8" begin with `width` and double twice.

    Reference: Hinton et al., 2015, arXiv 1503.02531, section 3.
    """
    sizes = (width, width) if kind == "mlp" else (width,)
    with torch.inference_mode(False):  # a network made in that mode could never be trained
        return build(kind, seed=seed, shape=data.shape, n_classes=data.n_classes, sizes=sizes)


@technique
def start_again(model: nn.Module, *, seed: int = 0) -> nn.Module:
    """A network of the shape of `model` with new random weights; not trained. What is zero may become another number.

    Raises:
        ValueError: a layer has weights but no rule to draw them, or has them in a code.

    Reference: Furlanello et al., 2018, arXiv 1805.04770.
    """
    again = copy_model(model)
    reset_weights(again, seed=seed)
    return again.eval()
