"""Distilling relations: not what the teacher says of an image, but which images are close to each other for it.

For the images of a batch, the last hidden layer gives one point each. The student's points should lie to each other as
the teacher's do: in the distances of all pairs and in the angles of all triples. Points may have any number of
dimensions, so no regressor is needed.

Reference: Park et al., Relational knowledge distillation, 2019, arXiv 1904.05068.

Where we simplify: maps are averaged over their places to one vector. At work: for networks whose *embeddings* are what
is used, as in search by image.
"""

from typing import Annotated

from torch import Tensor, nn

from efflab.data import Data
from efflab.distill.hidden import embedding, hidden_layers, outputs_of
from efflab.distill.losses import angle_loss, distance_loss
from efflab.distill.predictions import learn
from efflab.distill.teachers import TeacherAnswers, check_pair
from efflab.knobs import Range, technique
from efflab.training import Batch, Epochs, LearningRate, Progress, copy_model

Distances = Annotated[float, Range(0.0, 100.0, 5.0, "weight of the distances of pairs")]
Angles = Annotated[float, Range(0.0, 100.0, 5.0, "weight of the angles of triples")]


@technique
def distill_relations(
    model: nn.Module,
    *,
    data: Data,
    teacher: nn.Module,
    distances: Distances = 25.0,
    angles: Angles = 50.0,
    epochs: Epochs = 6,
    learning_rate: LearningRate = 0.005,
    seed: int = 0,
    progress: Progress | None = None,
) -> nn.Module:
    """A copy of `model`, trained on the labels, whose last hidden layer lays images out as that of `teacher` does.

    With both weights 0 it is a plain training. Zeros and codes stay. The result is the epoch that was best on
    validation data, the start included; stopped early, the best so far.

    Raises:
        ValueError: as `distill_predictions`.

    Reference: Park et al., 2019, arXiv 1904.05068, sections 3.2 and 3.3.
    """
    check_pair(model, teacher, data.train.images)
    image = data.train.images[:1]
    mine, other = (list(hidden_layers(one, image))[-1] for one in (model, teacher))
    student, answers = copy_model(model), TeacherAnswers(teacher, len(data.train), [other])
    with outputs_of(student, [mine]) as seen:

        def loss(student: nn.Module, batch: Batch) -> Tensor:
            hard = data.task.loss(student(batch.images), batch.labels)
            points, wanted = embedding(seen[mine]), embedding(answers.of(batch).hidden[other])
            return hard + distances * distance_loss(points, wanted) + angles * angle_loss(points, wanted)

        learn(student, data, loss, epochs=epochs, learning_rate=learning_rate, seed=seed, progress=progress)
    return student
