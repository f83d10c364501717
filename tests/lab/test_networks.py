"""From recipe to network: each step runs once, a stopped training is marked, and the base stays as it is."""

import copy
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Annotated

import pytest
import support
import torch
from torch import nn

from efflab import models
from efflab.distill import distill_predictions
from efflab.knobs import Range, technique
from efflab.lab import Lab
from efflab.lab.networks import N_CACHED
from efflab.prune import fine_tune, prune_gradually, prune_weights, train_ticket
from efflab.recipe import TECHNIQUES, from_json, run, script, step, to_json
from efflab.training import Progress, validation_score

# Steps run once


def test_a_recipe_is_built_once(lab, counted, calls):
    recipe = (step(counted, factor=2.0),)
    first = lab.build(recipe)
    assert lab.build(recipe) is first
    lab.preview(recipe)
    assert calls == ["scale 2.0"]


def test_moving_the_last_knob_does_not_run_the_first_step_again(lab, counted, calls):
    for sparsity in (0.1, 0.5, 0.9):
        lab.build((step(counted, factor=2.0), step(prune_weights, sparsity=sparsity)))
    assert calls == ["scale 2.0"]


def test_moving_the_first_knob_runs_both_again(lab, counted, calls):
    for factor in (0.5, 2.0):
        lab.build((step(counted, factor=factor), step(counted, factor=1.0)))
    assert calls == ["scale 0.5", "scale 1.0", "scale 2.0", "scale 1.0"]


def test_the_cached_prefix_gives_the_bits_of_a_lab_that_never_ran(lab, data, counted):
    lab.build((step(counted, factor=2.0),))
    recipe = (step(counted, factor=2.0), step(prune_weights, sparsity=0.7))
    assert support.bits(lab.build(recipe)) == support.bits(run(recipe, support.tiny_cnn(2), data=data))


def test_the_networks_that_are_kept_are_the_last_ones_used(lab, counted, calls):
    first = (step(counted, factor=2.0),)
    lab.build(first)
    for number in range(N_CACHED - 1):
        lab.build((step(prune_weights, sparsity=number / 100),))
    lab.build(first)  # still there, and now the last one used
    assert calls == ["scale 2.0"]
    lab.build((step(prune_weights, sparsity=0.99),))
    lab.build(first)
    assert calls == ["scale 2.0"]
    for number in range(N_CACHED):
        lab.build((step(prune_weights, sparsity=number / 50 + 0.01),))
    lab.build(first)
    assert calls == ["scale 2.0"] * 2


def test_a_step_that_failed_is_tried_again(lab, calls):
    @technique
    def fragile(model: nn.Module) -> nn.Module:
        calls.append("fragile")
        if len(calls) == 1:
            raise ValueError("not today")
        return copy.deepcopy(model)

    with pytest.raises(ValueError, match="not today"):
        lab.build((step(fragile),))
    lab.build((step(fragile),))
    assert calls == ["fragile", "fragile"]


def test_two_threads_get_the_same_bits(lab):
    recipes = [(step(prune_weights, sparsity=number / 10), step(fine_tune, epochs=1)) for number in range(4)]
    found: dict[tuple[int, int], dict[str, bytes]] = {}

    def work(thread: int) -> None:
        for index, recipe in enumerate(recipes):
            found[thread, index] = support.bits(lab.build(recipe))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(found[0, index] == found[1, index] for index in range(4))
    assert len({json.dumps(sorted(map(hash, one.values()))) for one in found.values()}) == 4


def test_the_slider_there_and_back_gives_the_same_bits(lab):
    recipe = (step(prune_weights, sparsity=0.5),)
    before = support.bits(lab.build(recipe))
    for percent in range(0, 100, 4):  # enough other ones to push it out of the cache
        lab.build((step(prune_weights, sparsity=percent / 100),))
    assert support.bits(lab.build(recipe)) == before


# What a step is given


def test_the_seed_of_the_lab_reaches_the_techniques(data):
    recipe = (step(prune_weights, criterion="random"),)
    first, second = (support.bits(Lab(support.tiny_cnn(), data, seed=seed).build(recipe)) for seed in (0, 1))
    assert first != second
    assert first == support.bits(run(recipe, support.tiny_cnn(), data=data, seed=0))


def test_the_teacher_is_the_base_of_the_lab_even_after_other_steps(lab):
    heard = []

    @technique
    def listen(model: nn.Module, *, teacher: nn.Module) -> nn.Module:
        heard.append(teacher)
        return copy.deepcopy(model)

    lab.build((step(prune_weights, sparsity=0.9), step(listen)))
    assert support.bits(heard[0]) == support.bits(lab.build(()))


def test_a_lab_may_have_a_teacher_of_its_own(data):
    teacher, recipe = support.tiny_mlp(), (step(distill_predictions, epochs=1),)
    lab = Lab(support.tiny_cnn(), data, teacher=teacher)
    expected = run(recipe, support.tiny_cnn(), data=data, teacher=teacher)
    assert support.bits(lab.build(recipe)) == support.bits(expected)
    assert support.bits(lab.after(()).build(recipe)) == support.bits(lab.with_seed(0).build(recipe))
    assert support.bits(lab.after(()).build(recipe)) == support.bits(expected)
    scope = {"model": support.tiny_cnn(), "data": data, "teacher": teacher}
    exec(lab.script(recipe), scope)
    assert support.bits(scope["model"]) == support.bits(expected)


def test_the_teacher_is_judged_on_validation_data(data):
    teacher = support.tiny_mlp()
    assert Lab(support.tiny_cnn(), data, teacher=teacher).teaching.value == validation_score(teacher, data)
    lab = Lab(support.tiny_cnn(), data)
    assert lab.teaching is lab.baseline


def test_a_teacher_that_does_not_fit_is_refused(data):
    with pytest.raises(TypeError, match=r"^teacher must be a torch model, not str$"):
        Lab(support.tiny_cnn(), data, teacher="resnet8")
    blind = models.build("mlp", shape=(1, 9, 9), n_classes=3)
    with pytest.raises(ValueError, match=r"^the teacher cannot read images of shape \(1, 8, 8\): "):
        _ = Lab(support.tiny_cnn(), data, teacher=blind).teaching


def test_a_result_left_in_training_mode_is_judged_in_evaluation_mode(lab):
    @technique
    def forget_to_finish(model: nn.Module) -> nn.Module:
        return copy.deepcopy(model).train()

    recipe = (step(forget_to_finish),)
    assert torch.equal(lab.preview(recipe).evaluation.answers, lab.baseline.answers)
    assert support.bits(lab.build(recipe)) == support.bits(lab.build(()))  # running means are not touched by judging


def test_a_technique_that_changes_its_input_is_told_and_spoils_nothing():
    @technique
    def careless(model: nn.Module, *, share: Annotated[float, Range(0.0, 1.0, 0.1, "share")] = 0.5) -> nn.Module:
        with torch.no_grad():
            next(model.parameters()).mul_(share)
        return model

    lab = Lab(support.tiny_mlp(), support.tiny_data())
    before = support.bits(lab.build(()))
    with pytest.raises(ValueError, match=r"careless changed the model that it was given.*copy.deepcopy"):
        lab.preview((step(careless),))
    assert support.bits(lab.build(())) == before


def test_a_technique_without_a_model_says_how_to_call_it_and_how_to_make_a_step():
    with pytest.raises(TypeError, match=r"prune_weights needs a model: prune_weights\(model, ...\); a step"):
        prune_weights(sparsity=0.9)


# Trainings that were stopped


def stopped() -> Progress:
    progress = Progress()
    progress.stop()
    return progress


@pytest.mark.parametrize("slow", [fine_tune, prune_gradually, train_ticket])
def test_a_stopped_training_is_marked_and_so_is_what_is_built_on_it(slow, lab):
    recipe = (step(slow, epochs=2),)
    *_, found = lab.previews(recipe, progress=stopped())
    assert found.is_partial
    assert lab.preview(recipe).is_partial  # the network that is kept is still the partial one
    assert lab.preview((*recipe, step(prune_weights, sparsity=0.95))).is_partial
    assert not lab.preview((step(prune_weights, sparsity=0.95),)).is_partial


def test_a_training_that_ended_is_not_marked(lab):
    heard = []
    *_, found = lab.previews((step(fine_tune, epochs=1),), progress=Progress(heard.append))
    assert len(heard) == 1
    assert not found.is_partial


def test_a_quick_step_is_whole_even_when_somebody_asked_to_stop(lab):
    *_, found = lab.previews((step(prune_weights),), progress=stopped())
    assert not found.is_partial


def test_forgetting_a_stopped_training_makes_it_run_again(lab, data):
    recipe = (step(fine_tune, epochs=2),)
    partial = support.bits(lab.build(recipe, progress=stopped()))
    lab.forget(recipe)
    whole = lab.preview(recipe)
    assert not whole.is_partial
    assert support.bits(lab.build(recipe)) != partial
    assert support.bits(lab.build(recipe)) == support.bits(run(recipe, support.tiny_cnn(2), data=data))


def test_forgetting_a_training_forgets_what_was_built_on_it(lab, data):
    first = (step(fine_tune, epochs=2),)
    both = (*first, step(prune_weights, sparsity=0.5))
    lab.build(both, progress=stopped())
    lab.forget(first)
    assert not lab.preview(both).is_partial
    assert support.bits(lab.build(both)) == support.bits(run(both, support.tiny_cnn(2), data=data))


def test_forgetting_leaves_other_networks_and_the_steps_before(lab, counted, calls):
    before, other = (step(counted, factor=2.0),), (step(counted, factor=0.5),)
    lab.build(other)
    lab.build((*before, step(prune_weights)))
    lab.forget((*before, step(prune_weights)))
    lab.forget((step(fine_tune),))  # which was never built
    lab.build((*before, step(prune_weights)))
    lab.build(other)
    assert calls == ["scale 0.5", "scale 2.0"]


def test_forgetting_what_was_stopped_keeps_a_training_that_had_ended(lab):
    first = (step(fine_tune, epochs=1),)
    recipe = (*first, step(prune_weights), step(fine_tune, epochs=2), step(prune_weights, sparsity=0.9))
    ended = lab.build(first)
    lab.build(recipe, progress=stopped())
    lab.forget_stopped(recipe)
    assert lab.build(first) is ended
    assert not lab.preview(recipe).is_partial
    whole = lab.build(recipe)
    lab.forget_stopped(recipe)
    assert lab.build(recipe) is whole


# A technique of one's own

OWN = '''\
@technique
def round_weights(model: nn.Module, *, digits: Digits = 1) -> nn.Module:
    """Round every weight."""
    rounded = copy.deepcopy(model)
    for parameter in rounded.parameters():
        parameter.data = parameter.data.round(decimals=digits)
    return rounded
'''
IMPORTS = """\
import copy
from typing import Annotated
from torch import nn
from efflab import models
from efflab.distill import distill_predictions
from efflab.knobs import Range, technique
Digits = Annotated[int, Range(0, 4, 1, "digits kept")]
"""


def test_a_technique_of_a_notebook_works_in_recipe_sweep_json_and_script(lab, data):
    own = support.define(IMPORTS + OWN, "round_weights", "<cell of the lab>")
    recipe = (step(own, digits=1), step(prune_weights, sparsity=0.5))
    expected = support.bits(lab.build(recipe))
    for value in lab.build((step(own, digits=1),)).output.weight.flatten().tolist():
        assert value * 10 == pytest.approx(round(value * 10), abs=1e-5)
    assert lab.sweep(own, "digits")["digits"].tolist() == [0, 1, 2, 3, 4]
    again = from_json(to_json(recipe), TECHNIQUES | {own.name: own})
    assert again == recipe
    scope: dict[str, object] = {"model": lab.build(()), "data": data}
    exec(IMPORTS + script(recipe), scope)
    assert support.bits(scope["model"]) == expected


def test_running_the_cell_again_with_other_code_is_noticed(lab):
    first = support.define(IMPORTS + OWN, "round_weights", "<cell, run once>")
    second = support.define(IMPORTS + OWN.replace("digits)", "0)"), "round_weights", "<cell, run twice>")
    one, other = (support.bits(lab.build((step(own, digits=2),))) for own in (first, second))
    assert one != other


def test_a_cell_of_a_real_main_module_gives_a_script_that_runs_to_equal_bits(tmp_path, repository):
    """In a process of its own, where `__main__` is the notebook; the script runs in another."""
    cells = tmp_path / "cells.py"
    cells.write_text(
        f"{IMPORTS}\n{OWN}\n"
        "import support, torch, sys\n"
        "from pathlib import Path\n"
        "from efflab.recipe import script, step\n"
        "from efflab.lab import Lab\n"
        "lab = Lab(support.tiny_mlp(), support.tiny_data(n=60))\n"
        "recipe = (step(round_weights, digits=2),)\n"
        "Path(sys.argv[1]).write_text(script(recipe))\n"
        "print(lab.build(recipe).output.weight.tolist())\n"
    )
    text = tmp_path / "script.py"
    first = run_python([str(cells), str(text)], repository)
    assert OWN in text.read_text()
    alone = tmp_path / "alone.py"
    alone.write_text(
        f"{IMPORTS}\nimport support\nmodel, data = support.tiny_mlp(), support.tiny_data(n=60)\n"
        f"{text.read_text()}print(model.output.weight.tolist())\n"
    )
    assert run_python([str(alone)], repository) == first
    assert first.startswith("[[")


def run_python(arguments: list[str], repository: Path) -> str:
    """What a fresh Python prints."""
    paths = os.pathsep.join([str(repository), str(repository / "tests")])
    environment = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout
