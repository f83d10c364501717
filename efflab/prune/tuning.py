"""Fine-tuning: let the weights that are left take over, and keep the zeros at zero.

Reference: Han et al., Learning both weights and connections for efficient neural networks, 2015, arXiv
1506.02626.
"""

from torch import nn

from efflab.data import Data
from efflab.knobs import technique
from efflab.training import Epochs, LearningRate, Progress, copy_model, keep_best, train


@technique
def fine_tune(
    model: nn.Module,
    *,
    data: Data,
    epochs: Epochs = 3,
    learning_rate: LearningRate = 0.003,
    seed: int = 0,
    progress: Progress | None = None,
) -> nn.Module:
    """A copy of `model`, trained further; every weight that is zero stays zero.

    The result is the epoch that was best on validation data, the start included; stopped early, the best so
    far.

    Reference: Han et al., 2015, arXiv 1506.02626.
    """
    tuned = copy_model(model)
    records = train(
        tuned, data, epochs=epochs, learning_rate=learning_rate, seed=seed, keep_zeros=True, progress=progress
    )
    keep_best(tuned, data, records)
    return tuned
