"""Networks that can be trained: copies of others, and the best one of a training."""

import copy
from collections import OrderedDict
from collections.abc import Iterator
from typing import TypeVar

import torch
from torch import nn

from efflab.data import Data
from efflab.training.predicting import validation_score
from efflab.training.progress import Epoch

M = TypeVar("M", bound=nn.Module)


def keep_best(model: nn.Module, data: Data, records: Iterator[Epoch]) -> None:
    """Go through `records` of `train` and leave `model` with the weights that scored best on validation data.

    The weights it starts with take part, so a training that was stopped or that failed loses nothing.
    """
    model.eval()
    sign = 1 if data.task.higher_is_better else -1
    best, weights = sign * validation_score(model, data), copy.deepcopy(model.state_dict())
    try:
        for record in records:
            if sign * record.score >= best:
                best, weights = sign * record.score, copy.deepcopy(model.state_dict())
    finally:
        model.load_state_dict(weights)


def copy_model(model: M) -> M:
    """A copy that shares nothing with `model` and can be trained, even one made inside `torch.inference_mode()`."""
    # Each module holds a dozen containers, for hooks and the like, which are nearly always empty. Copying them takes
    # deepcopy longer than copying the weights of a small network, so it is told their copies beforehand.
    held = (value for module in model.modules() for value in vars(module).values())
    empty = {id(value): type(value)() for value in held if type(value) in (dict, OrderedDict, set) and not value}
    with torch.inference_mode(False):
        return copy.deepcopy(model, empty)
