"""The ways to run a network: each file judged by what it answers itself, weighed, timed, and nothing left behind."""

import dataclasses
import tempfile
from pathlib import Path

import pytest
import support
import torch
from support import AnsweringStopwatch as Stub
from torch import nn

from efflab import data as datasets
from efflab import models
from efflab.data import Split
from efflab.lab import Lab
from efflab.lab.kernels import WAYS, Kernel, NoKernel, measure_kernels
from efflab.quantize import fold_batch_norms, quantize_activations, quantize_weights
from efflab.recipe import step
from efflab.runtime import export, export_integers
from efflab.runtime.opened import OpenedFile
from efflab.training import predict


@pytest.fixture
def temporary(tmp_path, monkeypatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture(scope="module")
def lab() -> Lab:
    return Lab.open("cnn-digits")


@pytest.fixture(scope="module")
def rows(lab) -> dict[str, Kernel]:
    return {row.way: row for row in measure_kernels(lab.build(()), lab.data, stopwatch=Stub())}


def test_every_way_is_measured_in_order(rows):
    assert list(rows) == list(WAYS)
    assert all(isinstance(row, Kernel) for row in rows.values())


def test_the_layers_that_multiply_integers_are_counted_from_what_ran(rows):
    counts = {way: (row.n_integer, len(row.layers)) for way, row in rows.items()}
    assert counts == dict(zip(WAYS, [(0, 4), (0, 4), (1, 4), (1, 4), (4, 4), (4, 4)], strict=True))


def test_the_score_is_that_of_the_file(lab, rows, tmp_path):
    quantized = quantize_activations(quantize_weights(lab.build((step(fold_batch_norms),))), data=lab.data, images=200)
    made = export_integers(quantized, lab.data.shape, tmp_path)
    split = lab.data.validation
    with torch.inference_mode():
        answers = OpenedFile(made)(split.images).argmax(1)
    assert torch.equal(rows["int8 static"].evaluation.answers, answers)
    assert rows["int8 static"].evaluation.is_complete


def test_the_float_file_scores_as_the_network_does_and_the_others_are_compared_with_it(lab, rows):
    assert rows["float32"].evaluation.value == lab.baseline.value
    assert rows["float32"].difference.value == 0
    for row in rows.values():
        assert row.difference.value == pytest.approx(row.evaluation.value - lab.baseline.value, abs=1e-6)
        assert abs(row.difference.value) < 0.02


def test_the_bytes_are_those_of_the_files(lab, temporary):
    watch = Stub()
    rows = list(measure_kernels(lab.build(()), lab.data, stopwatch=watch, batch=8, threads=2))
    assert [row.n_bytes for row in rows] == [n_bytes for _, _, n_bytes, _, _ in watch.asked]
    assert {base for base, *_ in watch.asked} == {"base.onnx"}
    assert len({now for _, now, *_ in watch.asked}) == len(WAYS)
    assert {(batch, threads) for *_, batch, threads in watch.asked} == {(8, 2)}
    assert list(temporary.iterdir()) == []


def test_integers_are_smaller_than_floats(rows):
    assert rows["int8 weights"].n_bytes < rows["int8 static"].n_bytes < 0.6 * rows["float32"].n_bytes
    assert rows["int8 by ONNX Runtime"].n_bytes < 0.6 * rows["float32"].n_bytes
    assert all(row.compressed_bytes < row.n_bytes for row in rows.values())


def test_a_grid_found_in_each_run_depends_on_the_images_of_the_run(tmp_path):
    """So a dynamic network is judged with the batch with which it is timed."""
    data, model = datasets.load("digits"), models.load("mlp-digits")
    images, labels = data.validation.images[:50].clone(), data.validation.labels[:50]
    images[0] *= 1000  # beside it, the others are hardly one step
    data = dataclasses.replace(data, validation=Split(images, labels))
    measured = [
        next(measure_kernels(model, data, stopwatch=Stub(), ways=["int8 dynamic"], batch=batch)) for batch in (1, 50)
    ]
    opened = OpenedFile(export_integers(quantize_weights(model), data.shape, tmp_path, dynamic=True))
    alone, together = torch.cat([opened(image[None]) for image in images]).argmax(1), opened(images).argmax(1)
    assert not torch.equal(alone, together)
    assert torch.equal(measured[0].evaluation.answers, alone)
    assert torch.equal(measured[1].evaluation.answers, together)


def test_a_network_without_linear_layers_has_no_kernel_for_them(temporary):
    model = nn.Sequential(nn.Conv2d(1, 3, 8), nn.Flatten())
    rows = {row.way: row for row in measure_kernels(model, support.tiny_data(), stopwatch=Stub())}
    assert [way for way, row in rows.items() if isinstance(row, NoKernel)] == ["int8 dynamic", "int4 blocks"]
    assert "it has no linear layer" in rows["int8 dynamic"].reason
    assert rows["int8 static"].n_integer == 1


def test_a_network_that_is_quantized_already_says_so_and_is_timed_in_floats():
    quantized = quantize_weights(support.tiny_mlp())
    rows = {row.way: row for row in measure_kernels(quantized, support.tiny_data(), stopwatch=Stub())}
    assert isinstance(rows["float32"], Kernel)
    assert "has its weights on a grid of 8 bits already" in rows["int8 static"].reason


def test_only_the_ways_that_are_asked_for_are_measured_and_others_are_refused(lab):
    ways = ["int8 static", "float32"]
    assert [row.way for row in measure_kernels(lab.build(()), lab.data, stopwatch=Stub(), ways=ways)] == ways
    with pytest.raises(ValueError, match=r"^a way is one of float32, int8 weights, .*, not 'int3'$"):
        next(measure_kernels(lab.build(()), lab.data, stopwatch=Stub(), ways=["int3"]))


def test_when_it_is_stale_it_ends_and_leaves_no_file(lab, temporary):
    answers = iter([False, False, True])
    rows = list(measure_kernels(lab.build(()), lab.data, stopwatch=Stub(), stale=lambda: next(answers)))
    assert len(rows) == 2
    assert list(temporary.iterdir()) == []


def test_whoever_stops_listening_leaves_no_file(lab, temporary):
    rows = measure_kernels(lab.build(()), lab.data, stopwatch=Stub())
    next(rows)
    rows.close()
    assert list(temporary.iterdir()) == []


def test_the_lab_measures_for_real_and_leaves_the_network_alone():
    lab = Lab(models.build("mlp", shape=support.SHAPE, n_classes=3, sizes=(300, 100)), support.tiny_data())
    before = support.bits(lab.build(()))
    rows = list(lab.kernels(ways=["float32", "int8 static"], batch=4))
    assert [(row.way, row.speed.batch, row.speed.base.n > 5) for row in rows] == [
        ("float32", 4, True),
        ("int8 static", 4, True),
    ]
    assert support.bits(lab.build(())) == before


def test_an_opened_file_answers_as_the_model_does_and_has_nothing_to_train(tmp_path):
    model, images = support.tiny_cnn(), support.tiny_data().validation.images
    opened = OpenedFile(export(model, support.SHAPE, tmp_path))
    torch.testing.assert_close(opened(images), predict(model, images), rtol=0, atol=1e-5)
    assert list(opened.parameters()) == []
