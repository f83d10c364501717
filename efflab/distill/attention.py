"""Distilling attention: the student learns *where* the teacher looks, not what it sees there.

The attention map of a layer is the mean over its channels of the squared activations: one picture, whatever the number
of channels is, so that a thin student can be compared with a wide teacher without a regressor.

Reference: Zagoruyko and Komodakis, Paying more attention to attention, 2017, arXiv 1612.03928.

Where we simplify: layers are paired by the height and width of their maps, the last one of each size. At work: the same
in your own loop, for networks with feature maps.
"""

from typing import Annotated

import torch
from torch import Tensor, nn

from efflab.data import Data
from efflab.distill.hidden import hidden_layers, outputs_of
from efflab.distill.losses import attention_loss
from efflab.distill.predictions import learn
from efflab.distill.teachers import ask, check_pair
from efflab.knobs import Range, technique
from efflab.training import Batch, Epochs, LearningRate, Progress, copy_model

Attention = Annotated[float, Range(0.0, 100.0, 1.0, "weight of the attention loss beside that of the labels")]


@technique
def distill_attention(
    model: nn.Module,
    *,
    data: Data,
    teacher: nn.Module,
    attention: Attention = 10.0,
    epochs: Epochs = 8,
    learning_rate: LearningRate = 0.01,
    seed: int = 0,
    progress: Progress | None = None,
) -> nn.Module:
    """A copy of `model`, trained on the labels and to look where `teacher` looks.

    With `attention` 0 it is a plain training. Zeros and codes stay. The result is the epoch that was best on validation
    data, the start included; stopped early, the best so far.

    Raises:
        ValueError: as `distill_predictions`; the two have no feature maps of the same height and width.

    Reference: Zagoruyko and Komodakis, 2017, arXiv 1612.03928, equation 2.
    """
    check_pair(model, teacher, data.train.images)
    pairs = pair_maps(model, teacher, data.train.images[:1])
    student, answers = copy_model(model), ask(teacher, data.train, pairs.values(), progress=progress)
    if answers is None:
        return student.eval()
    with outputs_of(student, pairs) as seen:

        def loss(student: nn.Module, batch: Batch) -> Tensor:
            hard = data.task.loss(student(batch.images), batch.labels)
            maps = answers.of(batch).hidden
            losses = [attention_loss(seen[mine], maps[other]) for mine, other in pairs.items()]
            return hard + attention * torch.stack(losses).sum()

        learn(student, data, loss, epochs=epochs, learning_rate=learning_rate, seed=seed, progress=progress)
    return student


def pair_maps(student: nn.Module, teacher: nn.Module, image: Tensor) -> dict[str, str]:
    """The student's layers with the teacher's that give maps of the same height and width, the last ones of each size.

    image: (1, c, h, w).

    Raises:
        ValueError: there are none.
    """
    last = [_last_of_each_size(model, image) for model in (student, teacher)]
    pairs = {name: last[1][size] for size, name in last[0].items() if size in last[1]}
    if not pairs:
        sizes = [", ".join(f"{h}x{w}" for h, w in one) or "none" for one in last]
        raise ValueError(
            "student and teacher have no feature maps of the same height and width, so there is nothing to look at "
            f"together; the student has maps of: {sizes[0]}; the teacher of: {sizes[1]}"
        )
    return pairs


def _last_of_each_size(model: nn.Module, image: Tensor) -> dict[tuple[int, ...], str]:
    layers = hidden_layers(model, image)
    return {shape[1:]: name for name, shape in layers.items() if len(shape) == 3}
