"""What a network answers, and how often it is right, on all images at once."""

import torch
from torch import Tensor, nn

from efflab.data import Data


def validation_score(model: nn.Module, data: Data) -> float:
    """The score of `model`, in evaluation mode, on all validation data; a fraction."""
    answers = data.task.answers(predict(model, data.validation.images))
    return data.task.scores(answers, data.validation.labels).mean(dtype=torch.float64).item()


def predict(model: nn.Module, images: Tensor, *, chunk: int = 250) -> Tensor:
    """The outputs for all images, computed chunk by chunk. images: (n, c, h, w) -> (n, classes)."""
    with torch.inference_mode():
        return torch.cat([model(part) for part in images.split(chunk)])
