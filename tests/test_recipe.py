"""Recipes: steps as values, the fold over a model, the script that repeats it, and the JSON that keeps it."""

import json
from collections.abc import Mapping
from typing import Annotated

import numpy as np
import pytest
import support
from torch import nn

from efflab.data import Data
from efflab.knobs import Range, technique
from efflab.prune import fine_tune, prune_gradually, prune_weights
from efflab.recipe import TECHNIQUES, from_json, run, script, step, to_json
from efflab.training import Progress

Factor = Annotated[float, Range(0.5, 2.0, 0.1, "factor of all weights")]


@technique
def scale(model: nn.Module, *, factor: Factor | Mapping[str, Factor] = 2.0) -> nn.Module:
    """A linear layer with its weight multiplied."""
    scaled = nn.Linear(1, 1, bias=False)
    scaled.weight = nn.Parameter(model.weight.detach() * factor)
    return scaled


@technique
def listen(
    model: nn.Module,
    *,
    data: Data,
    teacher: nn.Module,
    seed: int = 0,
    progress: Progress | None = None,
    factor: Factor = 1.0,
) -> nn.Module:
    """Keep what was given where the test finds it."""
    heard = nn.Identity()
    heard.given = (model, data, teacher, seed, progress, factor)
    return heard


@pytest.fixture(scope="module")
def data() -> Data:
    return support.tiny_data()


# Steps


def test_a_step_holds_every_setting_given_or_not():
    assert step(prune_weights, sparsity=0.8).values == {
        "sparsity": 0.8,
        "scope": "global",
        "criterion": "magnitude",
    }


def test_the_order_of_the_keywords_makes_no_difference():
    assert step(prune_weights, scope="per layer", sparsity=0.8) == step(prune_weights, sparsity=0.8, scope="per layer")


def test_the_order_of_the_layers_makes_no_difference():
    first = step(prune_weights, sparsity={"a": 0.1, "b": 0.2})
    second = step(prune_weights, sparsity={"b": 0.2, "a": 0.1})
    assert first == second
    assert hash(first) == hash(second)
    assert first.values["sparsity"] == {"a": 0.1, "b": 0.2}


def test_a_step_is_not_changed_by_what_happens_to_the_mapping_it_was_made_from():
    mapping = {"a": 0.1}
    one = step(prune_weights, sparsity=mapping)
    mapping["a"] = 0.9
    one.values["sparsity"]["a"] = 0.9
    assert one.values["sparsity"] == {"a": 0.1}


def test_steps_with_another_value_or_technique_differ():
    assert step(prune_weights, sparsity=0.8) != step(prune_weights, sparsity=0.81)
    assert step(fine_tune) != step(prune_weights)


def test_the_repr_of_a_step_reads_like_the_call():
    one = step(prune_weights, sparsity={"conv1": 0.25}, criterion="random")
    assert repr(one) == "prune_weights(sparsity={'conv1': 0.25}, scope='global', criterion='random')"


def test_a_step_cannot_be_changed():
    with pytest.raises(AttributeError):
        step(prune_weights).settings = ()


def test_a_number_from_numpy_becomes_pythons_own():
    for value in np.linspace(0.2, 0.8, 4):  # the natural loop of a learner
        one = step(prune_weights, sparsity=value)
        assert type(one.values["sparsity"]) is float
        assert "np." not in repr(one) + script((one,))
        layered = step(prune_weights, sparsity={"conv1": value})
        assert "np." not in repr(layered) + script((layered,))


# Running


def test_an_empty_recipe_gives_the_model_itself(data):
    model = support.tiny_mlp()
    assert run((), model, data=data) is model


def test_the_steps_run_in_their_order(data):
    model = nn.Linear(1, 1, bias=False)
    model.weight.data.fill_(3.0)
    recipe = (step(scale, factor=2.0), step(scale, factor=0.5), step(scale, factor=1.5))
    assert run(recipe, model, data=data).weight.item() == 4.5
    assert run(recipe[:2], model, data=data).weight.item() == 3.0


def test_a_step_is_given_the_inputs_that_it_asks_for(data):
    model, teacher, progress = nn.Identity(), nn.Identity(), Progress()
    heard = run((step(listen),), model, data=data, seed=9, progress=progress, teacher=teacher)
    assert heard.given == (model, data, teacher, 9, progress, 1.0)


def test_the_teacher_is_the_first_model_unless_another_is_given(data):
    model = nn.Linear(1, 1, bias=False)
    heard = run((step(scale), step(listen)), model, data=data)
    assert heard.given[2] is model
    assert heard.given[0] is not model


def test_a_teacher_without_layers_is_still_a_teacher(data):
    empty = nn.Sequential()  # its length is 0, so it counts as false
    assert run((step(listen),), nn.Identity(), data=data, teacher=empty).given[2] is empty


# Scripts


def test_a_script_imports_each_technique_once_and_calls_it_with_all_settings():
    recipe = (step(prune_weights, sparsity=0.8), step(fine_tune, epochs=2), step(prune_weights, sparsity=0.9))
    assert script(recipe, seed=4) == (
        "from efflab.prune.weights import prune_weights\n"
        "from efflab.prune.tuning import fine_tune\n"
        "\n"
        "model = prune_weights(model, sparsity=0.8, scope='global', criterion='magnitude', seed=4)\n"
        "model = fine_tune(model, epochs=2, learning_rate=0.003, data=data, seed=4)\n"
        "model = prune_weights(model, sparsity=0.9, scope='global', criterion='magnitude', seed=4)\n"
    )


def test_the_script_of_nothing_does_nothing():
    scope = {"model": "as it was"}
    exec(script(()), scope)
    assert scope["model"] == "as it was"


OWN = '''\
@technique
def round_weights(model: nn.Module, *, digits: Annotated[int, Range(0, 4, 1, "digits kept")] = 1) -> nn.Module:
    """Round every weight."""
    rounded = copy.deepcopy(model)
    for parameter in rounded.parameters():
        parameter.data = parameter.data.round(decimals=digits)
    return rounded
'''
CELL = f"import copy\nfrom typing import Annotated\nfrom efflab.knobs import Range\n\n{OWN}"


def test_a_technique_of_a_notebook_is_written_out_and_runs_to_equal_bits(data):
    own = support.define(CELL, "round_weights", "<cell 1>")
    recipe = (step(prune_weights, sparsity=0.3), step(own, digits=2))
    text = script(recipe)
    assert OWN in text
    assert "import round_weights" not in text
    model = support.tiny_mlp()
    scope = {"model": model, "data": data}
    exec(
        "import copy\nfrom typing import Annotated\nfrom torch import nn\nfrom efflab.knobs import Range, technique",
        scope,
    )
    exec(text, scope)
    expected = run(recipe, model, data=data)
    assert support.bits(scope["model"]) == support.bits(expected)
    assert support.bits(expected) != support.bits(run(recipe[:1], model, data=data))


def test_a_technique_that_asks_for_a_teacher_gets_the_first_model_in_the_script_too(data):
    source = (
        "@technique\n"
        "def lean(model: nn.Module, *, teacher: nn.Module) -> nn.Module:\n"
        '    """Halfway to the teacher."""\n'
        "    between = nn.Linear(1, 1, bias=False)\n"
        "    between.weight.data = (model.weight.data + teacher.weight.data) / 2\n"
        "    return between\n"
    )
    lean = support.define(source, "lean", "<cell 2>")
    model = nn.Linear(1, 1, bias=False)
    model.weight.data.fill_(1.0)
    recipe = (step(scale, factor=2.0), step(lean), step(lean))
    scope = {"model": model, "data": data, "technique": technique, "nn": nn}
    exec(script(recipe), scope)
    assert scope["model"].weight.item() == run(recipe, model, data=data).weight.item() == 1.25


# JSON


def test_the_json_is_a_list_of_names_and_settings():
    recipe = (step(prune_weights, sparsity={"conv1": 0.5}), step(fine_tune, epochs=2))
    assert json.loads(to_json(recipe)) == [
        {
            "technique": "prune_weights",
            "settings": {"sparsity": {"conv1": 0.5}, "scope": "global", "criterion": "magnitude"},
        },
        {"technique": "fine_tune", "settings": {"epochs": 2, "learning_rate": 0.003}},
    ]
    assert from_json(to_json(recipe)) == recipe


def test_an_empty_recipe_survives_json():
    assert from_json(to_json(())) == ()


def test_settings_that_the_json_leaves_out_take_their_defaults():
    assert from_json('[{"technique": "fine_tune", "settings": {}}]') == (step(fine_tune),)


def test_a_technique_of_ones_own_comes_back_when_it_is_given():
    recipe = (step(prune_weights), step(scale, factor={"a": 1.5}))
    assert from_json(to_json(recipe), TECHNIQUES | {"scale": scale}) == recipe
    with pytest.raises(ValueError, match="unknown technique 'scale'; known are: prune_weights, fine_tune"):
        from_json(to_json(recipe))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "5",
        "null",
        "[1]",
        '["prune_weights"]',
        '{"technique": "prune_weights"}',
        '[{"technique": "prune_weights"}]',
        '[{"settings": {}}]',
        '[{"technique": "prune_weights", "settings": 5}]',
        '[{"technique": "prune_weights", "settings": null}]',
    ],
)
def test_json_that_is_no_recipe_gets_a_sentence(text):
    with pytest.raises(ValueError, match=r'^a recipe must be a list of \{"technique": name, "settings": \{\.\.\.\}\}'):
        from_json(text)


@pytest.mark.parametrize("name", ['"vanish"', "null", "[]", "{}", "3"])
def test_a_name_that_is_no_technique_is_refused(name):
    with pytest.raises(ValueError, match="unknown technique"):
        from_json(f'[{{"technique": {name}, "settings": {{}}}}]')


def test_settings_from_json_are_checked_like_any_other():
    with pytest.raises(ValueError, match=r"sparsity .* must be a number from 0.0 to 1.0, not 7"):
        from_json('[{"technique": "prune_weights", "settings": {"sparsity": 7}}]')
    with pytest.raises(ValueError, match=r"sparsity .*, not nan"):
        from_json('[{"technique": "prune_weights", "settings": {"sparsity": NaN}}]')
    with pytest.raises(TypeError, match="fine_tune has no knob 'sparsity'"):
        from_json('[{"technique": "fine_tune", "settings": {"sparsity": 0.5}}]')
    with pytest.raises(TypeError, match=r"epochs .* must be a whole number from 1 to 30, not 2.5"):
        from_json('[{"technique": "fine_tune", "settings": {"epochs": 2.5}}]')


def test_a_recipe_in_json_does_what_it_did_before(data):
    recipe = (step(prune_gradually, sparsity=0.8, epochs=2),)
    model = support.tiny_mlp()
    again = run(from_json(to_json(recipe)), model, data=data, seed=1)
    assert support.bits(again) == support.bits(run(recipe, model, data=data, seed=1))
