"""Replay: random recipes, written as a script, as JSON and as a line, give the same bits again, or the same refusal.

The recipes are drawn with a seed, so each is the same in every run, and a failure names its number and the recipe.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
import support
from torch import nn

from efflab.data import Data
from efflab.knobs import Choice, Setting, Value
from efflab.lab.sweeps import grid
from efflab.prune import prunable_weights
from efflab.recipe import (
    TECHNIQUES,
    AnyTechnique,
    Recipe,
    Step,
    from_json,
    from_line,
    run,
    script,
    step,
    to_json,
    to_line,
)

N_RECIPES, N_QUICK = 200, 40
NUMBERS = [*range(N_QUICK), *(pytest.param(number, marks=pytest.mark.slow) for number in range(N_QUICK, N_RECIPES))]
MODELS = (support.tiny_all, support.tiny_all, support.tiny_both, support.tiny_mlp)
"""The first has layers of all kinds, so that most techniques find something to act on."""
LOW = ("epochs", "hint_epochs", "rounds", "steps", "width", "hint", "guided", "label")
"""Knobs that cost time, or count what these networks have few of; they are drawn from their lowest values."""
N_LOW = 2


@dataclass(frozen=True)
class Case:
    """A recipe, the base that it starts from, and the seed of its random acts."""

    recipe: Recipe
    make: Callable[[], nn.Module]
    seed: int


def draw(number: int) -> Case:
    """One to four steps of any techniques in any order; what one needs before it often comes before it."""
    chance = random.Random(number)
    make = chance.choice(MODELS)
    layers = list(prunable_weights(make()))
    names = chance.choices(list(TECHNIQUES), k=chance.randint(1, 4))
    whole = [one for name in names for one in (*(support.before(name) if chance.random() < 0.8 else ()), name)]
    return Case(tuple(draw_step(chance, name, layers) for name in whole[:4]), make, chance.randrange(1000))


def draw_step(chance: random.Random, name: str, layers: list[str]) -> Step:
    technique = TECHNIQUES[name]
    settings: dict[str, Setting] = {}
    for knob in technique.knobs:
        if knob in LOW or chance.random() < 0.5:
            settings[knob] = draw_value(chance, technique, knob)
        if knob in technique.per_layer and chance.random() < 0.4:
            some = chance.sample(layers, chance.randint(1, len(layers)))
            settings[knob] = {layer: draw_value(chance, technique, knob) for layer in some}
    return step(technique, **settings)


def draw_value(chance: random.Random, technique: AnyTechnique, knob: str) -> Value:
    kind = technique.knobs[knob]
    values = kind.options if isinstance(kind, Choice) else grid(kind)
    return chance.choice(values[:N_LOW] if knob in LOW else values)


def outcome(make: Callable[[], nn.Module]) -> dict[str, bytes] | str:
    """The bits of the network that is made, or the sentence of the technique that refuses."""
    try:
        return support.bits(make())
    except ValueError as error:
        return str(error)


def run_script(text: str, model: nn.Module, data: Data) -> nn.Module:
    scope = {"model": model, "data": data}
    exec(compile(text, "<script>", "exec"), scope)
    return scope["model"]


def forms(case: Case, data: Data) -> Iterator[tuple[str, Callable[[], nn.Module]]]:
    """How the recipe is repeated, by what it was written as."""
    recipe, seed = case.recipe, case.seed
    yield "script", lambda: run_script(script(recipe, seed=seed), case.make(), data)
    for read, text in ((from_json, to_json(recipe)), (from_line, to_line(recipe))):
        again = read(text)
        assert repr(again) == repr(recipe), text
        yield text, lambda again=again: run(again, case.make(), data=data, seed=seed)


@pytest.fixture(scope="module")
def data() -> Data:
    return support.tiny_data(n=60)


@pytest.mark.parametrize("number", NUMBERS)
def test_a_recipe_gives_the_same_bits_or_the_same_refusal_from_every_form(number, data):
    case = draw(number)
    expected = outcome(lambda: run(case.recipe, case.make(), data=data, seed=case.seed))
    for text, make in forms(case, data):
        assert outcome(make) == expected, text


def test_the_recipes_that_were_drawn_hold_everything_that_a_recipe_can():
    steps = [one for number in range(N_RECIPES) for one in draw(number).recipe]
    assert {one.technique.name for one in steps} == set(TECHNIQUES)
    assert {len(draw(number).recipe) for number in range(N_RECIPES)} == {1, 2, 3, 4}
    mapped = {(one.technique.name, name) for one in steps for name, value in one.values.items() if type(value) is dict}
    assert mapped == {(one.name, name) for one in TECHNIQUES.values() for name in one.per_layer}
    assert {type(value) for one in steps for value in one.values.values()} == {int, float, str, dict}


def test_many_of_them_run_and_some_are_refused(data):
    cases = [draw(number) for number in range(N_QUICK)]
    found = [outcome(lambda one=one: run(one.recipe, one.make(), data=data, seed=one.seed)) for one in cases]
    n_refused = sum(isinstance(one, str) for one in found)
    assert N_QUICK // 10 < n_refused < N_QUICK // 2
