"""Distilling hints: a layer in the middle of the student first learns what a layer of the teacher has found.

    1. the hint: the student, up to its guided layer, is trained so that a *regressor* can compute from it what the
       teacher's hint layer gives
    2. the regressor is thrown away, and the whole student is distilled from the teacher's predictions

Reference: Romero et al., FitNets: hints for thin deep nets, 2015, arXiv 1412.6550.

Where we simplify: the regressor is a 1x1 convolution or a linear layer, and maps of different height and width are
averaged to the smaller size; the paper takes larger kernels instead. At work: rarely alone; losses on hidden layers are
a part of `TinyBERT` and its like.
"""

from typing import Annotated

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from efflab.data import Data
from efflab.distill.hidden import hidden_layers, numbered, outputs_of
from efflab.distill.losses import hint_loss
from efflab.distill.predictions import Soft, Temperature, distill_predictions
from efflab.distill.teachers import ask, check_pair
from efflab.knobs import Range, technique
from efflab.training import Batch, Epochs, LearningRate, Progress, copy_model, train

HintLayer = Annotated[int, Range(1, 12, 1, "number of the teacher's hidden layer that is the hint")]
GuidedLayer = Annotated[int, Range(1, 12, 1, "number of the student's hidden layer that learns it")]
HintEpochs = Annotated[int, Range(1, 30, 1, "passes over the training data for the hint")]


@technique
def distill_hints(
    model: nn.Module,
    *,
    data: Data,
    teacher: nn.Module,
    hint: HintLayer = 2,
    guided: GuidedLayer = 2,
    hint_epochs: HintEpochs = 2,
    temperature: Temperature = 4.0,
    soft: Soft = 0.9,
    epochs: Epochs = 6,
    learning_rate: LearningRate = 0.01,
    seed: int = 0,
    progress: Progress | None = None,
) -> nn.Module:
    """A copy of `model` whose guided layer first learned to give what the hint layer of `teacher` gives.

    Layers are counted as `hidden_layers` lists them. Zeros and codes stay. The result is the best epoch of the second
    stage on validation data; stopped in the first one, it is what the hint has made of the student so far.

    Raises:
        ValueError: as `distill_predictions`; there is no such layer; one layer gives maps and the other a vector.

    Reference: Romero et al., 2015, arXiv 1412.6550, section 2.
    """
    check_pair(model, teacher, data.train.images)
    whole, total = progress or Progress(), hint_epochs + epochs
    student = follow_hint(
        model,
        teacher,
        data,
        hint=numbered(teacher, data.train.images[:1], hint, "teacher"),
        guided=numbered(model, data.train.images[:1], guided, "student"),
        epochs=hint_epochs,
        learning_rate=learning_rate,
        seed=seed,
        progress=whole.stretch(0, hint_epochs, total),
    )
    return distill_predictions(
        student,
        data=data,
        teacher=teacher,
        temperature=temperature,
        soft=soft,
        epochs=epochs,
        learning_rate=learning_rate,
        seed=seed,
        progress=whole.stretch(hint_epochs, epochs, total),
    )


def follow_hint(
    model: nn.Module,
    teacher: nn.Module,
    data: Data,
    *,
    hint: str,
    guided: str,
    epochs: int,
    learning_rate: float,
    seed: int,
    progress: Progress | None = None,
) -> nn.Module:
    """A copy of `model`, trained up to its layer `guided` towards what the layer `hint` of `teacher` gives.

    Raises:
        ValueError: one of the two layers gives maps and the other a vector; the loss became NaN.
    """
    student, answers = copy_model(model), ask(teacher, data.train, [hint], progress=progress)
    if answers is None:
        return student.eval()
    image = data.train.images[:1]
    shapes = hidden_layers(student, image)[guided], hidden_layers(teacher, image)[hint]
    regressor = make_regressor(*shapes, seed=seed)
    with outputs_of(student, [guided]) as seen:

        def loss(student: nn.Module, batch: Batch) -> Tensor:
            student(batch.images)
            wanted = answers.of(batch).hidden[hint]
            return hint_loss(*same_size(regressor(seen[guided]), wanted))

        records = train(
            student,
            data,
            epochs=epochs,
            learning_rate=learning_rate,
            seed=seed,
            keep_zeros=True,
            keep_codes=True,
            loss=loss,
            also=regressor.parameters(),
            progress=progress,
        )
        for _ in records:
            pass  # they reach `progress`; which epoch is best, the labels do not say yet
    return student.eval()


def make_regressor(guided: tuple[int, ...], hint: tuple[int, ...], *, seed: int = 0) -> nn.Module:
    """A layer that computes from what the guided layer gives something of the width of the hint.

    guided, hint: the shapes for one image: (c, h, w) of maps, (tokens, d) or (d,).

    Example:
        >>> make_regressor((8, 14, 14), (32, 14, 14))
        Conv2d(8, 32, kernel_size=(1, 1), stride=(1, 1))

    Raises:
        ValueError: one is a map and the other a vector, or there are other numbers of tokens.
    """
    if len(guided) != len(hint) or (len(hint) == 2 and guided[0] != hint[0]):
        raise ValueError(
            f"the student's layer gives {_kind(guided)} and the teacher's {_kind(hint)}, which no regressor joins: "
            "choose two layers that both give maps, or both vectors"
        )
    with torch.inference_mode(False), torch.random.fork_rng(devices=[]):  # initialisers draw from the global generator
        torch.manual_seed(seed)
        if len(hint) == 3:
            return nn.Conv2d(guided[0], hint[0], 1)
        return nn.Linear(guided[-1], hint[-1])


def same_size(maps: Tensor, others: Tensor) -> tuple[Tensor, Tensor]:
    """Both, the larger of two maps averaged to the height and width of the smaller; vectors as they are."""
    if maps.ndim != 4 or maps.shape[2:] == others.shape[2:]:
        return maps, others
    size = (min(maps.shape[2], others.shape[2]), min(maps.shape[3], others.shape[3]))
    return F.adaptive_avg_pool2d(maps, size), F.adaptive_avg_pool2d(others, size)


def _kind(shape: tuple[int, ...]) -> str:
    sizes = "x".join(map(str, shape))
    return {1: f"a vector of {sizes}", 2: f"tokens of {sizes}"}.get(len(shape), f"maps of {sizes}")
