"""The lab: previews that grow, steps that run once, a base that stays, and test data that only `open_test` sees."""

import copy
import dataclasses
import gc
import itertools
import json
import math
import os
import subprocess
import sys
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import pytest
import support
import torch
from torch import Tensor, nn

from efflab import lab as lab_module
from efflab.data import Data, Split
from efflab.knobs import Choice, Range, technique
from efflab.lab import N_CACHED, Lab
from efflab.measure import compare, compute_size, evaluate
from efflab.prune import fine_tune, prune_gradually, prune_weights, train_ticket
from efflab.recipe import TECHNIQUES, from_json, run, script, step, to_json
from efflab.runtime import export
from efflab.training import Progress

Factor = Annotated[float, Range(0.5, 2.0, 0.25, "factor of all weights")]
N_CLASSES = support.N_CLASSES


@pytest.fixture
def data() -> Data:
    """1,000 validation images, which are eight chunks, and few to train on."""
    whole = support.tiny_data(n=4000)
    return dataclasses.replace(whole, train=Split(whole.train.images[:60], whole.train.labels[:60]))


@pytest.fixture
def lab(data) -> Lab:
    return Lab(support.tiny_cnn(2), data)


@pytest.fixture
def calls() -> list[str]:
    """What `counted` noted down, one entry a call."""
    return []


@pytest.fixture
def counted(calls):
    @technique
    def scale(model: nn.Module, *, factor: Factor = 1.0) -> nn.Module:
        calls.append(f"scale {factor}")
        scaled = copy.deepcopy(model)
        scaled.output.weight.data.mul_(factor)
        return scaled

    return scale


class Sealed:
    """Test data that must not be looked at."""

    def __getattribute__(self, name: str) -> object:
        raise AssertionError(f"the test data was opened: {name}")

    def __len__(self) -> int:
        raise AssertionError("the test data was opened: len()")

    def __iter__(self) -> Iterator[object]:
        raise AssertionError("the test data was opened: iter()")


def sealed(data: Data) -> Data:
    object.__setattr__(data, "test", Sealed())
    return data


# Making one


@pytest.mark.parametrize("training", [True, False])
def test_the_model_that_was_handed_in_stays_as_it_is(training, data):
    model = support.tiny_cnn().train(training)
    before = support.bits(model)
    strides = model.conv2.weight.stride()
    lab = Lab(model, data)
    lab.preview((step(prune_weights, sparsity=0.9), step(fine_tune, epochs=1)))
    list(lab.sensitivity((0.5,)))
    lab.sweep(prune_weights, "sparsity", [0.5])
    assert support.bits(model) == before
    assert all(module.training is training for module in model.modules())
    assert model.conv2.weight.stride() == strides


def test_changing_the_model_afterwards_does_not_change_the_lab(data):
    model = support.tiny_cnn()
    lab = Lab(model, data)
    before = support.bits(lab.build(()))
    nn.init.zeros_(model.output.weight)
    assert support.bits(lab.build(())) == before


def test_the_base_is_the_same_after_any_recipe(lab):
    before = support.bits(lab.build(()))
    for name in TECHNIQUES:
        lab.build((step(TECHNIQUES[name]),))
        assert support.bits(lab.build(())) == before, name


def test_a_model_handed_over_in_training_mode_is_judged_in_evaluation_mode(data):
    training, ready = Lab(support.tiny_cnn(2).train(), data), Lab(support.tiny_cnn(2), data)
    assert torch.equal(training.baseline.answers, ready.baseline.answers)


@pytest.mark.parametrize(
    ("model", "has_data", "kinds"), [("resnet", True, "str and Data"), (None, False, "Identity and NoneType")]
)
def test_what_is_no_model_or_no_data_is_refused(model, has_data, kinds, data):
    with pytest.raises(TypeError, match=f"^Lab needs a torch model and a Data, not {kinds}$"):
        Lab(model or nn.Identity(), data if has_data else None)


def test_any_module_will_do(data):
    class Mine(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.deep = nn.Conv3d(1, 2, 3, padding=1)
            self.output = nn.Linear(128, N_CLASSES)

        def forward(self, images: Tensor) -> Tensor:
            return self.output(self.deep(images[:, :, None]).flatten(1))

    lab = Lab(Mine(), data)
    assert lab.preview((step(prune_weights, sparsity=1.0),)).size.n_nonzero == 2 + N_CLASSES


def test_a_lab_leaves_nothing_on_the_disk(data, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    lab = Lab(support.tiny_cnn(), data)
    lab.preview((step(prune_weights),))
    del lab
    gc.collect()
    assert list(tmp_path.iterdir()) == []


# The baseline


def test_the_baseline_is_the_base_on_all_validation_data(lab, data):
    answers = support.tiny_cnn(2)(data.validation.images).argmax(1)
    assert torch.equal(lab.baseline.answers, answers)
    assert lab.baseline.is_complete
    assert lab.base_size == compute_size(support.tiny_cnn(2))


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        (nn.Linear(5, 3), r"^the model cannot read images of shape \(1, 8, 8\): mat1 and mat2"),
        (nn.Conv2d(3, 2, 3), r"^the model cannot read images of shape \(1, 8, 8\): Given groups=1"),
        (nn.Flatten(0), r"^the model must return \(n, classes\) for 125 images, not \(8000,\)"),
        (nn.Sequential(nn.Flatten(), nn.Linear(64, 2)), "^the model must return a number for each of 3 classes, not 2"),
    ],
)
def test_a_model_that_does_not_fit_the_data_gets_a_sentence(model, sentence, data):
    with pytest.raises(ValueError, match=sentence) as refusal:
        Lab(model, data).preview(())
    assert "\n" not in str(refusal.value)


# Previews


def test_previews_grow_to_all_validation_images(lab):
    found = list(lab.previews((step(prune_weights, sparsity=0.8),)))
    assert [one.evaluation.n for one in found] == list(range(125, 1001, 125))
    assert [one.difference.n for one in found] == list(range(125, 1001, 125))
    assert [one.evaluation.is_complete for one in found] == [False] * 7 + [True]


def test_a_preview_says_what_the_recipe_made(lab, data):
    recipe = (step(prune_weights, sparsity=0.8),)
    pruned = prune_weights(support.tiny_cnn(2), sparsity=0.8)
    *_, expected = evaluate(pruned, data.validation, data.task)
    found = lab.preview(recipe)
    assert found.recipe == recipe
    assert torch.equal(found.evaluation.answers, expected.answers)
    assert found.difference == compare(lab.baseline, expected)
    assert found.size == compute_size(pruned)
    assert found.base_size == compute_size(support.tiny_cnn(2))
    assert not found.is_partial


def test_the_empty_recipe_is_the_base(lab):
    found = lab.preview(())
    assert found.difference.value == 0
    assert found.size == found.base_size


@pytest.mark.parametrize("seconds", [-1.0, 0.0])
def test_without_any_time_a_preview_still_has_one_chunk(seconds, lab):
    found = lab.preview((step(prune_weights),), seconds=seconds)
    assert found.evaluation.n == 125
    assert not found.evaluation.is_complete


def test_a_preview_stops_at_the_first_chunk_after_its_time(lab, monkeypatch):
    ticks = itertools.count()  # a clock that ticks once whenever it is read
    monkeypatch.setattr(lab_module, "now", lambda: float(next(ticks)))
    assert lab.preview((step(prune_weights),), seconds=3.5).evaluation.n == 4 * 125


def test_without_a_limit_a_preview_covers_everything(lab):
    assert lab.preview((step(prune_weights),)).evaluation.is_complete


def test_the_slider_there_and_back_gives_the_same_bits(lab):
    recipe = (step(prune_weights, sparsity=0.5),)
    before = support.bits(lab.build(recipe))
    for percent in range(0, 100, 4):  # enough other ones to push it out of the cache
        lab.build((step(prune_weights, sparsity=percent / 100),))
    assert support.bits(lab.build(recipe)) == before


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


def test_a_result_left_in_training_mode_is_judged_in_evaluation_mode(lab):
    @technique
    def forget_to_finish(model: nn.Module) -> nn.Module:
        return copy.deepcopy(model).train()

    recipe = (step(forget_to_finish),)
    assert torch.equal(lab.preview(recipe).evaluation.answers, lab.baseline.answers)
    assert support.bits(lab.build(recipe)) == support.bits(lab.build(()))  # running means are not touched by judging


def test_a_technique_that_cannot_act_says_why(data):
    lab = Lab(nn.Sequential(nn.Flatten(), nn.LayerNorm(64)), data)
    with pytest.raises(ValueError, match="Sequential has no layer whose weights can be pruned"):
        lab.preview((step(prune_weights),))


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


# Sweeps


def test_a_sweep_is_a_table_of_previews(lab):
    table = lab.sweep(prune_weights, "sparsity", [0.2, 0.8], scope="per layer")
    assert list(table.columns) == ["sparsity", "score", "low", "high", "n_nonzero", "packed_bytes"]
    assert table["sparsity"].tolist() == [0.2, 0.8]
    for row in table.itertuples():
        one = lab.preview((step(prune_weights, sparsity=row.sparsity, scope="per layer"),))
        assert (row.score, row.low, row.high) == (one.evaluation.value, *one.evaluation.interval)
        assert (row.n_nonzero, row.packed_bytes) == (one.size.n_nonzero, one.size.packed_bytes)


def test_a_sweep_goes_from_end_to_end_by_default(lab):
    values = lab.sweep(prune_weights, "sparsity")["sparsity"].tolist()
    assert values == [number / 20 for number in range(21)]


def test_a_sweep_of_a_choice_takes_every_option(lab):
    assert lab.sweep(prune_weights, "scope")["scope"].tolist() == ["global", "per layer"]


@pytest.mark.parametrize(
    ("knob", "expected"),
    [
        (Range(1, 5, 1, "a"), [1, 2, 3, 4, 5]),
        (Range(1, 8, 2, "the step does not fit"), [1, 3, 5, 7, 8]),
        (Range(0.0, 1.0, 0.6, "nor here"), [0.0, 0.6, 1.0]),
        (Range(0.0, 0.3, 0.1, "0.1 * 3 is more than 0.3"), [0.0, 0.1, 0.2, 0.3]),
        (Range(1 / 3, 2 / 3, 1 / 3, "no round ends"), [1 / 3, 2 / 3]),
        (Choice(("x", "y"), "b"), ["x", "y"]),
    ],
)
def test_swept_values_lie_on_the_grid_and_include_both_ends(knob, expected):
    values = lab_module._spread(knob)
    assert values == expected
    for value in values:
        knob.check("value", value)


def test_long_ranges_are_thinned_out_to_21_values_of_the_grid():
    values = lab_module._spread(Range(0, 1000, 1, "a"))
    assert len(values) == 21
    assert (values[0], values[-1]) == (0, 1000)
    assert all(isinstance(value, int) for value in values)


def test_the_previews_of_a_sweep_come_one_by_one(lab, counted, calls):
    sweep = lab.sweep_previews(counted, "factor")
    next(sweep)
    assert calls == ["scale 0.5"]
    assert len(list(sweep)) == 6


def test_an_unknown_knob_is_refused_with_the_known_ones(lab):
    with pytest.raises(
        ValueError, match="prune_weights has no knob 'sparsety'; its knobs are: sparsity, scope, criterion"
    ):
        lab.sweep(prune_weights, "sparsety")


def test_a_swept_value_out_of_range_is_refused(lab):
    with pytest.raises(ValueError, match=r"sparsity .* must be a number from 0.0 to 1.0, not 1.5"):
        lab.sweep(prune_weights, "sparsity", [0.5, 1.5])


def test_the_sensitivity_is_that_of_the_base(lab):
    points = list(lab.sensitivity((0.0, 0.5)))
    assert [point.layer for point in points[::2]] == list(lab.layers()) == ["conv1", "conv2", "conv3", "output"]
    assert all(torch.equal(point.evaluation.answers, lab.baseline.answers) for point in points[::2])


# The test data


def test_only_opening_it_touches_the_test_data(data, stopwatch_stub):
    lab = Lab(support.tiny_cnn(), sealed(data))
    for name in TECHNIQUES:
        lab.preview((step(TECHNIQUES[name]),))
    lab.measure((step(prune_weights),))
    lab.sweep(prune_weights, "sparsity", [0.5])
    list(lab.sensitivity((0.5,)))
    assert lab.n_test_openings == 0
    with pytest.raises(AssertionError, match="the test data was opened"):
        lab.open_test(())


def test_opening_judges_on_the_test_data_and_counts(lab, data):
    recipe = (step(prune_weights, sparsity=0.5),)
    *_, expected = evaluate(prune_weights(support.tiny_cnn(2), sparsity=0.5), data.test, data.task)
    found = lab.open_test(recipe)
    assert torch.equal(found.answers, expected.answers)
    assert (found.value, found.n, found.is_complete) == (expected.value, len(data.test), True)
    assert lab.n_test_openings == 1
    lab.open_test(())
    assert lab.n_test_openings == 2


def test_a_recipe_that_cannot_be_built_opens_nothing(data):
    lab = Lab(nn.Sequential(nn.Flatten(), nn.LayerNorm(64)), sealed(data))
    with pytest.raises(ValueError, match="no layer whose weights can be pruned"):
        lab.open_test((step(prune_weights),))
    assert lab.n_test_openings == 0


# Measuring


class StubStopwatch:
    """Takes no time; hands over what it was given."""

    def __init__(self) -> None:
        self.requests: list[dict[str, object]] = []

    def compare(self, base, now, **settings):
        self.requests.append({"base": base.path.read_bytes(), "now": now.path.read_bytes(), **settings})
        stale = settings["stale"]
        return None if stale and stale() else "a speed"


@pytest.fixture
def stopwatch_stub(monkeypatch) -> StubStopwatch:
    stub = StubStopwatch()
    monkeypatch.setattr(lab_module, "stopwatch", lambda: stub)
    return stub


def test_a_report_weighs_the_files_that_an_export_writes(lab, tmp_path, stopwatch_stub):
    recipe = (step(prune_weights, sparsity=0.9),)
    report = lab.measure(recipe)
    base = export(support.tiny_cnn(2), (1, 8, 8), tmp_path, "base").path.read_bytes()
    pruned = export(prune_weights(support.tiny_cnn(2), sparsity=0.9), (1, 8, 8), tmp_path, "pruned").path.read_bytes()
    assert (report.base_file_bytes, report.file_bytes) == (len(base), len(pruned))
    assert report.base_compressed_bytes == len(zlib.compress(base, 9))
    assert report.compressed_bytes == len(zlib.compress(pruned, 9)) < report.base_compressed_bytes
    assert report.preview.evaluation.is_complete
    assert report.preview.recipe == recipe


def test_base_and_candidate_are_timed_side_by_side_as_asked(lab, stopwatch_stub):
    assert lab.measure((step(prune_weights, sparsity=0.9),), batch=7, threads=2).speed == "a speed"
    (request,) = stopwatch_stub.requests
    assert (request["shape"], request["batch"], request["threads"]) == ((1, 8, 8), 7, 2)
    assert request["base"] != request["now"]


def test_a_stale_measurement_gives_no_report(lab, stopwatch_stub):
    assert lab.measure((step(prune_weights),), stale=lambda: True) is None


def test_measuring_leaves_nothing_on_the_disk(lab, stopwatch_stub, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    lab.measure((step(prune_weights),))
    del lab
    gc.collect()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_network_beside_itself_shows_a_speed_that_was_timed_here(lab):
    try:
        report = lab.measure(())
    finally:
        lab_module.stopwatch().close()
    assert 0 < report.speed.now.median_ms < 1000
    assert report.speed.ratio_low <= report.speed.ratio <= report.speed.ratio_high
    assert math.isclose(report.speed.ratio, 1, abs_tol=0.5)
    assert report.file_bytes == report.base_file_bytes


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


def test_a_lab_without_a_screen_is_frozen_where_it_should_be(lab):
    found = lab.preview(())
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.is_partial = True


@pytest.mark.parametrize("wrong", [step(prune_weights, sparsity=0.5), [step(prune_weights)], (prune_weights,)])
def test_what_is_no_tuple_of_steps_is_answered_with_one(wrong):
    lab = Lab(support.tiny_mlp(), support.tiny_data())
    with pytest.raises(TypeError, match=r"a recipe is a tuple of steps, such as \(step\("):
        lab.preview(wrong)
    with pytest.raises(TypeError, match="a recipe is a tuple of steps"):
        lab.build(wrong)


def test_a_technique_without_a_model_says_how_to_call_it_and_how_to_make_a_step():
    with pytest.raises(TypeError, match=r"prune_weights needs a model: prune_weights\(model, ...\); a step"):
        prune_weights(sparsity=0.9)


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


def test_a_setting_that_was_judged_is_not_judged_again():
    lab = Lab(support.tiny_mlp(), support.tiny_data())
    recipe = (step(prune_weights, sparsity=0.5),)
    assert not lab.knows(recipe)
    first = lab.preview(recipe)
    assert lab.knows(recipe)
    assert lab.preview(recipe) is first
    lab.forget(recipe)
    assert not lab.knows(recipe)
