"""Replay: random recipes, written as a script, as JSON and as a line, give the same bits again, or the same refusal.

Hypothesis draws them; one that fails is shown as the smallest recipe that fails like it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
import support
from drawing import examples, values
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from efflab.data import Data
from efflab.knobs import Setting
from efflab.prune import prunable_weights
from efflab.recipe import TECHNIQUES, Recipe, Step, from_json, from_line, run, script, step, to_json, to_line

N_RECIPES, N_QUICK = 200, 40
LENGTHS = (1, 2, 3, 4)
"""As many recipes of each: what is drawn depends on which modules are loaded, so it must not be left to chance."""
MODELS = (support.tiny_mlp, support.tiny_both, *[support.tiny_all] * 3)
"""The last has layers of all kinds, so that most techniques find something to act on."""
LOW = ("epochs", "hint_epochs", "rounds", "steps", "width", "hint", "guided", "label")
"""Knobs that cost time, or count what these networks have few of; they are drawn from their lowest values."""
N_LOW = 2


@dataclass(frozen=True)
class Case:
    """A recipe, the base that it starts from, and the seed of its random acts."""

    recipe: Recipe
    make: Callable[[], nn.Module]
    seed: int


def steps(name: str, layers: list[str]) -> st.SearchStrategy[Step]:
    """A step of a technique: some of its knobs are set, some of those layer by layer, and the others stay as usual."""
    technique = TECHNIQUES[name]
    needed: dict[str, st.SearchStrategy[Setting]] = {}
    others: dict[str, st.SearchStrategy[Setting]] = {}
    for knob, kind in technique.knobs.items():
        if knob in LOW:
            needed[knob] = values(kind, N_LOW)
        elif knob in technique.per_layer:
            needed[knob] = values(kind) | st.dictionaries(st.sampled_from(layers), values(kind), min_size=1)
        else:
            others[knob] = values(kind)
    return st.fixed_dictionaries(needed, optional=others).map(lambda found: step(technique, **found))


@st.composite
def cases(draw: st.DrawFn, length: int) -> Case:
    """So many steps of any techniques in any order; what one needs before it often comes before it, if it fits."""
    make = draw(st.sampled_from(MODELS))
    layers = list(prunable_weights(make()))
    names: list[str] = []
    while len(names) < length:
        name = draw(st.sampled_from(list(TECHNIQUES)))
        is_prepared = draw(st.sampled_from([False, True, True, True, True]))
        prepared = [*support.before(name), name]
        names += prepared if is_prepared and len(names) + len(prepared) <= length else [name]
    recipe = tuple(draw(steps(name, layers)) for name in names)
    return Case(recipe, make, draw(st.integers(0, 999)))


def outcome(make: Callable[[], nn.Module]) -> dict[str, bytes] | str:
    """The bits of the network that is made, or the sentence that refuses."""
    try:
        return support.bits(make())
    except ValueError as error:
        return str(error)


def by_hand(case: Case, data: Data) -> nn.Module:
    """What the techniques themselves make, or how they refuse: their functions, called one after the other."""
    base = model = case.make()
    inputs = {"data": data, "seed": case.seed, "progress": None, "teacher": base}
    for one in case.recipe:
        wanted = {name: inputs[name] for name in one.technique.inputs}
        model = one.technique.function(model, **one.values, **wanted)
    return model


def run_script(text: str, model: nn.Module, data: Data) -> nn.Module:
    scope = {"model": model, "data": data}
    exec(compile(text, "<script>", "exec"), scope)
    return scope["model"]


def forms(case: Case, data: Data) -> Iterator[tuple[str, Callable[[], nn.Module]]]:
    """How the recipe is repeated, by what it was written as."""
    recipe, seed = case.recipe, case.seed
    text = script(recipe, seed=seed)
    yield text, lambda: run_script(text, case.make(), data)
    for read, written in ((from_json, to_json(recipe)), (from_line, to_line(recipe))):
        again = read(written)
        assert repr(again) == repr(recipe), written
        yield written, lambda again=again: run(again, case.make(), data=data, seed=seed)


@pytest.mark.parametrize("number", [N_QUICK, pytest.param(N_RECIPES, marks=pytest.mark.slow)])
def test_each_recipe_gives_the_same_bits_or_the_refusal_of_its_technique_from_every_form(number):
    data, seen = support.tiny_data(n=60), []

    for length in LENGTHS:

        @examples(number // len(LENGTHS))
        @given(case=cases(length))
        def check(case: Case) -> None:
            expected = outcome(lambda: by_hand(case, data))
            for text, make in forms(case, data):
                assert outcome(make) == expected, text
            seen.append((case.recipe, expected))

        check()
    assert len(seen) == number
    n_refused = sum(isinstance(found, str) for _, found in seen)
    assert 0.1 * number < n_refused < 0.67 * number
    assert {len(recipe) for recipe, _ in seen} == {1, 2, 3, 4}
    if number == N_RECIPES:
        assert_much_that_a_recipe_can_hold([one for recipe, _ in seen for one in recipe])


def assert_much_that_a_recipe_can_hold(steps: list[Step]) -> None:
    """Not all: constants in the code are drawn, too, so that a change anywhere may change the draws a little."""
    assert len({one.technique.name for one in steps}) > 0.8 * len(TECHNIQUES)
    mapped = {one.technique.name for one in steps if any(type(value) is dict for value in one.values.values())}
    assert len(mapped) > 0.5 * sum(bool(one.per_layer) for one in TECHNIQUES.values())
    assert {type(value) for one in steps for value in one.values.values()} == {int, float, str, dict}
