"""The script of a recipe: Python whose execution gives the same weights."""

import support
from torch import nn

from efflab.knobs import technique
from efflab.prune import fine_tune, prune_weights
from efflab.recipe import run, script, step


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


def test_a_technique_that_asks_for_a_teacher_gets_the_first_model_in_the_script_too(data, scale):
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
