"""When weights go: a little at a time, so that the others can take over their work.

References:
    Gradual, cubic: Zhu and Gupta, To prune, or not to prune, 2017, arXiv 1710.01878, equation 1.
    Iterative: Han et al., Learning both weights and connections for efficient neural networks, 2015, arXiv
    1506.02626.

Where we simplify: the gradual schedule prunes once an epoch, not every few hundred batches.
"""

from typing import Annotated

from torch import nn

from efflab.data import Data
from efflab.knobs import Range, technique
from efflab.prune.masks import Sparsity, masks_for
from efflab.prune.scores import score
from efflab.prune.tuning import fine_tune
from efflab.prune.weights import prunable_weights, prune_weights, zero_removed
from efflab.training import Epochs, LearningRate, Progress, copy_model, keep_best, train

RoundEpochs = Annotated[int, Range(1, 30, 1, "passes over the training data in each round")]
Rounds = Annotated[int, Range(1, 10, 1, "rounds of pruning and training")]

RAMP = 2 / 3
"""The fraction of a gradual training in which the sparsity grows; the rest is for recovery."""


def cubic_sparsity(step: int, n_steps: int, final: float) -> float:
    """The sparsity at `step` of `n_steps`: fast at first, while the weights that go matter little, then slower.

    Example:
        >>> [round(cubic_sparsity(step, 4, 0.8), 3) for step in range(5)]
        [0.0, 0.463, 0.7, 0.788, 0.8]

    Raises:
        ValueError: `step` is not between 0 and `n_steps`, or there are no steps.

    Reference: Zhu and Gupta, 2017, arXiv 1710.01878, equation 1 with initial sparsity 0.
    """
    if n_steps < 1 or not 0 <= step <= n_steps:
        raise ValueError(f"step must lie between 0 and n_steps, and n_steps be at least 1, not {step} of {n_steps}")
    return final * (1 - (1 - step / n_steps) ** 3)


def round_sparsity(number: int, n_rounds: int, final: float) -> float:
    """The sparsity after round `number` of `n_rounds`: each round removes the same fraction of what is left.

    Example:
        >>> [round(round_sparsity(number, 3, 0.875), 3) for number in (1, 2, 3)]
        [0.5, 0.75, 0.875]
    """
    return 1 - float((1 - final) ** (number / n_rounds))


@technique
def prune_gradually(
    model: nn.Module,
    *,
    data: Data,
    sparsity: Sparsity = 0.9,
    epochs: Epochs = 6,
    learning_rate: LearningRate = 0.003,
    seed: int = 0,
    progress: Progress | None = None,
) -> nn.Module:
    """A copy of `model`, pruned along the cubic schedule while it trains, and then trained on.

    The smallest weights of all layers together go, before each epoch, until two thirds of the epochs are
    done. Stopped early, it is pruned to the end at once, so that the sparsity is always the one asked for.

    Raises:
        ValueError: the model has no layer whose weights can be pruned.

    Reference: Zhu and Gupta, 2017, arXiv 1710.01878.
    """
    pruned = copy_model(model)
    n_ramp = max(1, round(RAMP * epochs))
    prune_smallest(pruned, cubic_sparsity(1, n_ramp, sparsity))
    records = train(
        pruned, data, epochs=epochs, learning_rate=learning_rate, seed=seed, keep_zeros=True, progress=progress
    )
    for number in range(2, n_ramp + 1):  # each record that is asked for is one more epoch of training
        next(records, None)
        prune_smallest(pruned, cubic_sparsity(number, n_ramp, sparsity))
    keep_best(pruned, data, records)
    return pruned


@technique
def prune_iteratively(
    model: nn.Module,
    *,
    data: Data,
    sparsity: Sparsity = 0.9,
    rounds: Rounds = 3,
    epochs: RoundEpochs = 2,
    learning_rate: LearningRate = 0.003,
    seed: int = 0,
    progress: Progress | None = None,
) -> nn.Module:
    """A copy of `model` that is pruned and fine-tuned in turn.

    Each round removes the same fraction of what is left, the smallest weights of all layers together. `epochs` are
    those of one round. Stopped early, it is pruned to the end at once, so that the sparsity is always the one asked
    for.

    Raises:
        ValueError: the model has no layer whose weights can be pruned.

    Reference: Han et al., 2015, arXiv 1506.02626.
    """
    whole = progress or Progress()
    for number in range(1, rounds + 1):
        model = prune_weights(model, sparsity=round_sparsity(number, rounds, sparsity))
        part = whole.part(number - 1, rounds)
        model = fine_tune(model, data=data, epochs=epochs, learning_rate=learning_rate, seed=seed, progress=part)
    return model


def prune_smallest(model: nn.Module, sparsity: float) -> None:
    """Set the smallest weights of `model` itself to zero, `round(sparsity * n)` of all n."""
    scores = score(prunable_weights(model), "magnitude", seed=0)
    zero_removed(model, masks_for(scores, sparsity, "global"))
