"""Running a recipe: a fold over the model, each step with the inputs that it asks for."""

from typing import Annotated

import support
from torch import nn

from efflab.data import Data
from efflab.knobs import Range, technique
from efflab.recipe import run, step
from efflab.training import Progress


@technique
def listen(
    model: nn.Module,
    *,
    data: Data,
    teacher: nn.Module,
    seed: int = 0,
    progress: Progress | None = None,
    factor: Annotated[float, Range(0.5, 2.0, 0.1, "factor of all weights")] = 1.0,
) -> nn.Module:
    """Keep what was given where the test finds it."""
    heard = nn.Identity()
    heard.given = (model, data, teacher, seed, progress, factor)
    return heard


def test_an_empty_recipe_gives_the_model_itself(data):
    model = support.tiny_mlp()
    assert run((), model, data=data) is model


def test_the_steps_run_in_their_order(data, scale):
    model = nn.Linear(1, 1, bias=False)
    model.weight.data.fill_(3.0)
    recipe = (step(scale, factor=2.0), step(scale, factor=0.5), step(scale, factor=1.5))
    assert run(recipe, model, data=data).weight.item() == 4.5
    assert run(recipe[:2], model, data=data).weight.item() == 3.0


def test_a_step_is_given_the_inputs_that_it_asks_for(data):
    model, teacher, progress = nn.Identity(), nn.Identity(), Progress()
    heard = run((step(listen),), model, data=data, seed=9, progress=progress, teacher=teacher)
    assert heard.given == (model, data, teacher, 9, progress, 1.0)


def test_the_teacher_is_the_first_model_unless_another_is_given(data, scale):
    model = nn.Linear(1, 1, bias=False)
    heard = run((step(scale), step(listen)), model, data=data)
    assert heard.given[2] is model
    assert heard.given[0] is not model


def test_a_teacher_without_layers_is_still_a_teacher(data):
    empty = nn.Sequential()  # its length is 0, so it counts as false
    assert run((step(listen),), nn.Identity(), data=data, teacher=empty).given[2] is empty
