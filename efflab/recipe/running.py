"""Running a recipe: a fold over the model."""

from torch import nn

from efflab.data import Data
from efflab.recipe.steps import Recipe
from efflab.training import Progress


def run(
    recipe: Recipe,
    model: nn.Module,
    *,
    data: Data,
    seed: int = 0,
    progress: Progress | None = None,
    teacher: nn.Module | None = None,
) -> nn.Module:
    """The model that the recipe makes of `model`, which stays as it is. Each step gets the inputs that it asks for."""
    inputs = {"data": data, "seed": seed, "progress": progress, "teacher": model if teacher is None else teacher}
    for one in recipe:
        wanted = {name: inputs[name] for name in one.technique.inputs}
        model = one.technique(model, **one.values, **wanted)
    return model
