"""From a base and a recipe to a network, step by step; steps that ran before are not run again."""

import hashlib
from dataclasses import dataclass

import torch
from torch import nn

from efflab import models
from efflab.data import Data
from efflab.lab.kept import Kept
from efflab.recipe import TECHNIQUES, Recipe, Step, run
from efflab.training import Progress, copy_model

N_CACHED = 16
"""Networks that a lab keeps, so that moving the last knob does not train the first step again."""


@dataclass(frozen=True)
class Built:
    """What a recipe made, in evaluation mode. `is_partial`: one of its trainings was stopped early."""

    model: nn.Module
    is_partial: bool = False


class Networks:
    """The networks that recipes make of one base, and the teacher of the steps that ask for one: the base, or another.

    Raises:
        ValueError: the base or the teacher cannot be copied.
    """

    def __init__(self, model: nn.Module, data: Data, seed: int, teacher: nn.Module | None = None) -> None:
        self.base = models.channels_last(_copy(model).eval())
        self.teacher = self.base if teacher is None else models.channels_last(_copy(teacher).eval())
        self._data, self._seed = data, seed
        self._kept = Kept[Built](N_CACHED)

    def build(self, recipe: Recipe, progress: Progress | None = None) -> Built:
        """What the recipe makes of the base.

        Raises:
            ValueError: a technique cannot act on this model, or changed the one that it was given.
        """
        if not recipe:
            return Built(self.base)
        if (kept := self._kept.get(recipe)) is not None:
            return kept
        before, last = self.build(recipe[:-1], progress), recipe[-1]
        model = self._take(last, before.model, progress).eval()
        was_stopped = last.technique.is_slow and progress is not None and progress.is_stopped
        built = Built(model, before.is_partial or was_stopped)
        self._kept.keep(recipe, built)
        return built

    def forget(self, recipe: Recipe) -> None:
        """Drop the network of a recipe, and those built on it, so that its last step runs again."""
        self._kept.forget(recipe)

    def stopped(self, recipe: Recipe) -> Recipe | None:
        """The first steps of a recipe up to a training that was stopped early; None if none of what is kept was."""
        starts = (recipe[:n] for n in range(1, len(recipe) + 1))
        return next((one for one in starts if (kept := self._kept.get(one)) is not None and kept.is_partial), None)

    def _take(self, one: Step, before: nn.Module, progress: Progress | None) -> nn.Module:
        """Take one step. A technique that is not ours gets a copy, so that one that is not pure spoils nothing."""
        is_ours = one.technique in TECHNIQUES.values()
        given = before if is_ours else copy_model(before)
        model = run((one,), given, data=self._data, seed=self._seed, progress=progress, teacher=self.teacher)
        if not is_ours and not hold_the_same(given, before):
            raise ValueError(
                f"{one.technique.name} changed the model that it was given; it must return a new one: begin it with "
                "model = copy.deepcopy(model)"
            )
        return model


def hold_the_same(model: nn.Module, other: nn.Module) -> bool:
    """Whether two networks hold the same numbers under the same names."""
    state, others = model.state_dict(), other.state_dict()
    return state.keys() == others.keys() and all(torch.equal(tensor, others[name]) for name, tensor in state.items())


def fingerprint(model: nn.Module) -> str:
    """Eight hexadecimal digits that say which network it is: another number anywhere in it gives others.

    Example:
        >>> fingerprint(nn.Linear(2, 1)) == fingerprint(nn.Linear(2, 1))  # they start at random
        False
    """
    found = hashlib.sha256()
    for name, tensor in model.state_dict().items():
        found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)} ".encode())
        found.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return found.hexdigest()[:8]


def _copy(model: nn.Module) -> nn.Module:
    try:
        return copy_model(model)
    except RuntimeError as error:  # a weight that is computed, as torch.nn.utils.prune and weight_norm leave it
        raise ValueError(
            f"{type(model).__name__} cannot be copied ({error}); if its weights were masked by torch.nn.utils.prune, "
            "call prune.remove(module, 'weight') on each first"
        ) from error
