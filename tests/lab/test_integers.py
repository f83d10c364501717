"""A quantized recipe is shipped as integers, and judged from the file that was written."""

import pytest
import support

from efflab import Lab, fold_batch_norms, quantize_activations, quantize_weights, step
from efflab.lab import measuring
from efflab.measure import evaluate
from efflab.recipe import run
from efflab.runtime import Planned, executed_kernels, export_integers
from efflab.runtime.opened import OpenedFile
from efflab.runtime.quantized import quantized_layers

WEIGHTS, ACTIVATIONS, FOLDED = step(quantize_weights), step(quantize_activations), (step(fold_batch_norms),)


@pytest.fixture
def data():
    return support.tiny_data()


@pytest.fixture
def lab(data) -> Lab:
    return Lab(support.tiny_cnn(), data).after(FOLDED)


def test_the_base_of_a_lab_after_a_recipe_is_what_the_recipe_made(data):
    model = support.tiny_cnn()
    later = Lab(model, data, seed=3, name="tiny").after((*FOLDED, WEIGHTS))
    made = run((*FOLDED, WEIGHTS), model, data=data)
    assert support.bits(later.build(())) == support.bits(made)
    assert (later.name, later.seed, later.data) == ("tiny, then fold batch norms, then quantize weights", 3, data)


def test_the_file_is_the_one_with_integers(lab, stopwatch_stub, tmp_path):
    recipe = (WEIGHTS, ACTIVATIONS)
    expected = export_integers(lab.build(recipe), lab.data.shape, tmp_path)
    assert lab.measure(recipe).file_bytes == expected.n_bytes


def test_what_the_file_answers_is_measured_from_the_file(lab, stopwatch_stub, tmp_path):
    recipe = (step(quantize_weights, bits=2), ACTIVATIONS)
    made = export_integers(lab.build(recipe), lab.data.shape, tmp_path)
    *_, expected = evaluate(OpenedFile(made), lab.data.validation, lab.data.task)
    report = lab.measure(recipe)
    assert report.from_file.answers.tolist() == expected.answers.tolist()
    assert report.from_file.is_complete


def test_each_layer_has_its_kernel_or_the_reason_why_it_has_none(lab, stopwatch_stub):
    layers = set(quantized_layers(lab.build((WEIGHTS,))))
    whole, weights = lab.measure((WEIGHTS, ACTIVATIONS)), lab.measure((WEIGHTS,))
    assert set(whole.kernels) == set(weights.kernels) == layers
    assert {plan.kernel for plan in whole.kernels.values()} == {"int8"}
    assert all("activations lie on no grid" in plan.why for plan in weights.kernels.values())


def test_a_layer_counts_as_an_integer_kernel_only_if_one_ran(lab, stopwatch_stub, monkeypatch):
    def without_output(artefact):
        return executed_kernels(artefact) | {"output": "FusedGemm"}

    monkeypatch.setattr(measuring, "executed_kernels", without_output)
    kernels = lab.measure((WEIGHTS, ACTIVATIONS)).kernels
    assert kernels.pop("output") == Planned("float", measuring.NOT_RUN)
    assert {plan.kernel for plan in kernels.values()} == {"int8"}


def test_a_network_of_floats_has_no_kernels_to_tell_of(lab, stopwatch_stub):
    report = lab.measure(())
    assert (report.kernels, report.from_file) == ({}, None)


def test_a_quantized_base_is_weighed_as_integers_too(lab, stopwatch_stub):
    report = lab.after((WEIGHTS, ACTIVATIONS)).measure(())
    assert report.base_file_bytes == report.file_bytes == lab.measure((WEIGHTS, ACTIVATIONS)).file_bytes


def test_steps_that_follow_are_taken_at_each_value_of_a_sweep(lab):
    previews = list(lab.sweep_previews(WEIGHTS, "bits", [8, 2], then=(ACTIVATIONS,)))
    assert [one.recipe for one in previews] == [(step(quantize_weights, bits=bits), ACTIVATIONS) for bits in (8, 2)]
