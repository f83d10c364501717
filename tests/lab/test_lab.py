"""The lab: previews that grow, a base that stays, and test data that only `open_test` sees."""

import dataclasses
import gc
import itertools
import math
import shutil
import zlib
from collections.abc import Iterator

import pytest
import support
import torch
from torch import Tensor, nn

from efflab.data import Data
from efflab.lab import Lab
from efflab.lab import lab as lab_module
from efflab.lab import measuring as measuring_module
from efflab.lab.shipping import ship
from efflab.measure import compare, compute_size, evaluate
from efflab.prune import fine_tune, prune_weights
from efflab.recipe import TECHNIQUES, step
from efflab.runtime import ExportError, export
from efflab.training import Progress

N_CLASSES = support.N_CLASSES


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


def test_the_base_is_the_same_after_any_recipe(data):
    lab = Lab(support.tiny_all(2), data)
    before = support.bits(lab.build(()))
    for name in TECHNIQUES:
        lab.build(tuple(step(TECHNIQUES[one]) for one in (*support.before(name), name)))
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


def test_the_sensitivity_is_that_of_the_base(lab):
    points = list(lab.sensitivity((0.0, 0.5)))
    assert [point.layer for point in points[::2]] == list(lab.layers()) == ["conv1", "conv2", "conv3", "output"]
    assert all(torch.equal(point.evaluation.answers, lab.baseline.answers) for point in points[::2])


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


def test_a_technique_that_cannot_act_says_why(data):
    lab = Lab(nn.Sequential(nn.Flatten(), nn.LayerNorm(64)), data)
    with pytest.raises(ValueError, match="Sequential has no layer whose weights can be pruned"):
        lab.preview((step(prune_weights),))


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


def test_a_setting_that_was_judged_is_not_judged_again():
    lab = Lab(support.tiny_mlp(), support.tiny_data())
    recipe = (step(prune_weights, sparsity=0.5),)
    assert not lab.knows(recipe)
    first = lab.preview(recipe)
    assert lab.knows(recipe)
    assert lab.preview(recipe) is first
    lab.forget(recipe)
    assert not lab.knows(recipe)


# The test data


def test_only_opening_it_touches_the_test_data(data, stopwatch_stub):
    lab = Lab(support.tiny_all(), sealed(data))
    for name in TECHNIQUES:
        lab.preview(tuple(step(TECHNIQUES[one]) for one in (*support.before(name), name)))
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


def test_a_network_whose_training_was_stopped_opens_nothing(data):
    lab, recipe, progress = Lab(support.tiny_cnn(), sealed(data)), (step(fine_tune, epochs=20),), Progress()
    progress.on_record = lambda epoch: progress.stop()
    lab.build(recipe, progress=progress)
    with pytest.raises(ValueError, match="the test data stay closed: a training was stopped early"):
        lab.open_test(recipe)
    assert lab.n_test_openings == 0


# Measuring


def test_a_report_weighs_the_files_that_an_export_writes(lab, tmp_path, stopwatch_stub):
    recipe = (step(prune_weights, sparsity=0.9),)
    report = lab.measure(recipe)
    base = export(support.tiny_cnn(2), (1, 8, 8), tmp_path, "base").path.read_bytes()
    pruned = export(prune_weights(support.tiny_cnn(2), sparsity=0.9), (1, 8, 8), tmp_path, "pruned").path.read_bytes()
    assert (report.base_file_bytes, report.file_bytes) == (len(base), len(pruned))
    assert report.base_compressed_bytes == len(zlib.compress(base))
    assert report.compressed_bytes == len(zlib.compress(pruned)) < report.base_compressed_bytes
    assert report.preview.evaluation.is_complete
    assert report.preview.recipe == recipe


def test_base_and_candidate_are_timed_side_by_side_as_asked(lab, stopwatch_stub):
    assert lab.measure((step(prune_weights, sparsity=0.9),), batch=7, threads=2).speed == "a speed"
    (request,) = stopwatch_stub.requests
    assert (request["shape"], request["batch"], request["threads"]) == ((1, 8, 8), 7, 2)
    assert request["base"] != request["now"]


def test_a_stale_measurement_gives_no_report(lab, stopwatch_stub):
    assert lab.measure((step(prune_weights),), stale=lambda: True) is None


def test_the_base_is_written_once_for_all_measurements(lab, stopwatch_stub, monkeypatch):
    written = []
    monkeypatch.setattr(measuring_module, "ship", lambda *given: written.append(given[-1]) or ship(*given))
    for sparsity in (0.5, 0.9):
        lab.measure((step(prune_weights, sparsity=sparsity),))
    assert written == ["base", "candidate", "candidate"]


def test_a_base_that_was_swept_away_is_written_again(lab, stopwatch_stub, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    first = lab.measure(())
    for folder in tmp_path.iterdir():
        shutil.rmtree(folder)
    assert lab.measure(()).base_file_bytes == first.base_file_bytes
    assert [request["base"] == request["now"] for request in stopwatch_stub.requests] == [True, True]


def test_a_temporary_folder_that_cannot_be_written_is_a_sentence_and_the_next_one_works(
    lab, stopwatch_stub, tmp_path, monkeypatch
):
    with monkeypatch.context() as patched:
        patched.setattr("tempfile.tempdir", str(tmp_path / "missing"))
        with pytest.raises(ExportError, match=r"no file can be written in the temporary folder .*missing"):
            lab.measure(())
    assert lab.measure(()).speed == "a speed"


def test_measuring_leaves_nothing_on_the_disk(data, stopwatch_stub, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    lab = Lab(support.tiny_cnn(2), data)
    lab.measure((step(prune_weights),))
    del lab
    gc.collect()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_network_beside_itself_shows_a_speed_that_was_timed_here(lab):
    try:
        report = lab.measure(())
    finally:
        measuring_module.stopwatch().close()
    assert 0 < report.speed.now.median_ms < 1000
    assert report.speed.ratio_low <= report.speed.ratio <= report.speed.ratio_high
    assert math.isclose(report.speed.ratio, 1, abs_tol=0.5)
    assert report.file_bytes == report.base_file_bytes
