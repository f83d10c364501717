"""The lottery ticket: a sparse network that, from its own first weights, learns as well as the whole one.

Train, prune, and start the remaining weights again from where they began ("rewind"). As a control, start the
same mask from other random weights: if the mask alone were the ticket, both would learn equally well.

Reference: Frankle and Carbin, The lottery ticket hypothesis, 2019, arXiv 1803.03635.

Where we simplify: one round of pruning, where the paper's smallest tickets took many.
"""

from typing import Annotated

from torch import nn

from efflab.data import Data
from efflab.knobs import Choice, Range, technique
from efflab.models import reset_weights
from efflab.prune.masks import Sparsity, masks_for
from efflab.prune.scores import score
from efflab.prune.tuning import fine_tune
from efflab.prune.weights import prunable_weights, zero_removed
from efflab.training import LearningRate, Progress, copy_model, train

BothEpochs = Annotated[int, Range(1, 30, 1, "passes over the training data in each of the two trainings")]
Restart = Annotated[str, Choice(("rewind", "random"), "the weights that the ticket starts from")]


@technique
def train_ticket(
    model: nn.Module,
    *,
    data: Data,
    sparsity: Sparsity = 0.8,
    restart: Restart = "rewind",
    epochs: BothEpochs = 4,
    learning_rate: LearningRate = 0.003,
    seed: int = 0,
    progress: Progress | None = None,
) -> nn.Module:
    """A network of the shape of `model`, trained from fresh weights under the mask of an earlier training.

    1. Draw fresh weights and train them. 2. The mask keeps the largest. 3. Go back to the fresh weights ("rewind") or
    draw others ("random"), and train again under the mask. `epochs` are those of each training. The trained
    weights of `model` are not used.

    Raises:
        ValueError: a layer cannot be started anew, or no layer can be pruned.

    Reference: Frankle and Carbin, 2019, arXiv 1803.03635.
    """
    prunable_weights(model)  # to refuse now what could only be refused after the first training
    whole = progress or Progress()
    first = copy_model(model)
    reset_weights(first, seed=seed)
    ticket = copy_model(first)
    for _ in train(first, data, epochs=epochs, learning_rate=learning_rate, seed=seed, progress=whole.part(0, 2)):
        pass  # the records reach `progress`; here only the trained weights count
    masks = masks_for(score(prunable_weights(first), "magnitude", seed=seed), sparsity, "global")
    if restart == "random":
        reset_weights(ticket, seed=seed + 1)
    zero_removed(ticket, masks)
    second = whole.part(1, 2)
    return fine_tune(ticket, data=data, epochs=epochs, learning_rate=learning_rate, seed=seed, progress=second)
