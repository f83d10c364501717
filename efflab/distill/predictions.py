"""Distilling predictions: the student learns from the teacher's doubt, not only from the labels.

    1. the teacher answers the training images once; divided by a temperature, its answers are soft
    2. the student is trained so that its own soft answers come close, and its hard ones are right

Reference: Hinton, Vinyals and Dean, Distilling the knowledge in a neural network, 2015, arXiv 1503.02531.

Where we simplify: one teacher and no augmentation, so that its answers are computed once. At work: the same loss in
your own training loop; `torchtune` and `transformers` have recipes for language models.
"""

from typing import Annotated

from torch import Tensor, nn

from efflab.data import Data
from efflab.distill.losses import distillation_loss
from efflab.distill.teachers import ask, check_pair
from efflab.knobs import Range, technique
from efflab.training import Batch, Epochs, LearningRate, Loss, Progress, copy_model, keep_best, train

TEMPERATURES = Range(0.5, 20.0, 0.5, "what the logits are divided by")
Temperature = Annotated[float, TEMPERATURES]
Soft = Annotated[float, Range(0.0, 1.0, 0.05, "fraction of the loss that compares soft answers")]


@technique
def distill_predictions(
    model: nn.Module,
    *,
    data: Data,
    teacher: nn.Module,
    temperature: Temperature = 4.0,
    soft: Soft = 0.9,
    epochs: Epochs = 15,
    learning_rate: LearningRate = 0.003,
    seed: int = 0,
    progress: Progress | None = None,
) -> nn.Module:
    """A copy of `model`, trained to answer as `teacher` does, softened, and as the labels say.

    With `soft` 0 it is a plain training, with 1 no label is used. Weights that are zero stay zero, and weights in a
    code stay in it, so it serves as recovery after pruning, rounding or sharing, too. The result is the epoch that was
    best on validation data, the start included; stopped early, the best so far.

    Raises:
        ValueError: student and teacher do not read the same images, or do not tell the same classes apart; the loss
        became NaN.

    Reference: Hinton et al., 2015, arXiv 1503.02531, section 2.
    """
    check_pair(model, teacher, data.train.images)
    student, answers = copy_model(model), ask(teacher, data.train, progress=progress)
    if answers is None:
        return student.eval()

    def loss(student: nn.Module, batch: Batch) -> Tensor:
        logits, said = student(batch.images), answers.of(batch).logits
        return distillation_loss(logits, said, batch.labels, temperature, soft)

    learn(student, data, loss, epochs=epochs, learning_rate=learning_rate, seed=seed, progress=progress)
    return student


def learn(
    student: nn.Module,
    data: Data,
    loss: Loss,
    *,
    epochs: int,
    learning_rate: float,
    seed: int,
    progress: Progress | None,
) -> None:
    """Train a student in place with a loss of its own, and leave it with its best epoch; zeros and codes stay.

    Raises:
        ValueError: the loss became NaN.
    """
    records = train(
        student,
        data,
        epochs=epochs,
        learning_rate=learning_rate,
        seed=seed,
        keep_zeros=True,
        keep_codes=True,
        loss=loss,
        progress=progress,
    )
    keep_best(student, data, records)
