"""The one training loop, what it tells while it runs, and what is kept of it."""

from typing import Annotated

import torch

from efflab.knobs import Range
from efflab.training.keeping import copy_model, keep_best
from efflab.training.loop import Batch, Loss, safe_layout, train
from efflab.training.predicting import predict, validation_score
from efflab.training.progress import Epoch, Progress

__all__ = [
    "Batch",
    "Epoch",
    "Epochs",
    "LearningRate",
    "Loss",
    "Progress",
    "copy_model",
    "keep_best",
    "predict",
    "safe_layout",
    "train",
    "validation_score",
    "warm_up",
]

Epochs = Annotated[int, Range(1, 30, 1, "passes over the training data")]
LearningRate = Annotated[float, Range(0.0001, 0.01, 0.0001, "largest learning rate")]


def warm_up() -> None:
    """Load what torch loads at its first optimizer, seconds of imports, before someone waits for a training."""
    torch.optim.AdamW([torch.zeros(1, requires_grad=True)])
