"""Distilling relations: not what the teacher says of an image, but which images are close to each other for it.

For the images of a batch, the last hidden layer gives one point each. The student's points should lie to each other as
the teacher's do: in the distances of all pairs and in the angles of all triples. Points may have any number of
dimensions, so no regressor is needed.

Reference: Park et al., Relational knowledge distillation, 2019, arXiv 1904.05068.

Where we simplify: the paper's weights of 25 and 50 are for networks that train for long; for few epochs a smaller
one, for the distances alone, does better here. Maps are averaged over their places to one vector. At work: for networks
whose *embeddings* are what is used, as in search by image.
"""

from typing import Annotated

from torch import Tensor, nn

from efflab.data import Data
from efflab.distill.hidden import embedding, hidden_layers, outputs_of
from efflab.distill.losses import angle_loss, distance_loss
from efflab.distill.predictions import learn
from efflab.distill.teachers import ask, check_pair
from efflab.knobs import Range, technique
from efflab.training import Batch, Epochs, LearningRate, Progress, copy_model

Distances = Annotated[float, Range(0.0, 100.0, 1.0, "weight of the distances of pairs")]
Angles = Annotated[float, Range(0.0, 100.0, 1.0, "weight of the angles of triples")]


@technique
def distill_relations(
    model: nn.Module,
    *,
    data: Data,
    teacher: nn.Module,
    distances: Distances = 10.0,
    angles: Angles = 0.0,
    epochs: Epochs = 8,
    learning_rate: LearningRate = 0.01,
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
    student, answers = copy_model(model), ask(teacher, data.train, [other], progress=progress)
    if answers is None:
        return student.eval()
    with outputs_of(student, [mine]) as seen:

        def loss(student: nn.Module, batch: Batch) -> Tensor:
            hard = data.task.loss(student(batch.images), batch.labels)
            points, wanted = embedding(seen[mine]), embedding(answers.of(batch).hidden[other])
            near = distances * distance_loss(points, wanted) if distances else 0.0
            turned = angles * angle_loss(points, wanted) if angles else 0.0  # of all triples, which takes its time
            return hard + near + turned

        learn(student, data, loss, epochs=epochs, learning_rate=learning_rate, seed=seed, progress=progress)
    return student
