"""ONNX Runtime's own quantizer: the whole network in integers, answers near ours, and not a word."""

import logging
import tempfile
from pathlib import Path

import numpy as np
import onnx
import pytest
import support
import torch
from torch import nn

from efflab import data as datasets
from efflab import models
from efflab.data import Data
from efflab.quantize import fold_batch_norms, quantize_activations, quantize_weights
from efflab.runtime import Artefact, ExportError, executed_kernels, export, export_integers, parity
from efflab.runtime.executed import INTEGER
from efflab.runtime.their_quantizer import quantize_by_runtime


@pytest.fixture(scope="module")
def data() -> Data:
    return datasets.load("digits")


@pytest.fixture(scope="module")
def network() -> nn.Module:
    return models.load("cnn-digits")


@pytest.fixture
def base(network: nn.Module, data: Data, tmp_path: Path) -> Artefact:
    return export(network, data.shape, tmp_path)


def stored(made: Artefact) -> dict[str, np.ndarray]:
    return {one.name: onnx.numpy_helper.to_array(one) for one in onnx.load(made.path).graph.initializer}


def test_every_layer_multiplies_integers_and_most_answers_stay(base, network, data, tmp_path):
    made = quantize_by_runtime(base, data.calibration.images, tmp_path / "made")
    found = executed_kernels(made)
    assert found.keys() == {"conv1", "conv2", "conv3", "output"}
    assert set(found.values()) <= set(INTEGER)
    assert parity(made, network, data.validation.images).agreement > 0.97


@pytest.mark.parametrize("per_channel", [True, False])
def test_the_weights_are_those_of_our_grid_per_tensor_or_per_channel(per_channel, base, network, data, tmp_path):
    made = quantize_by_runtime(base, data.calibration.images, tmp_path / "made", per_channel=per_channel)
    theirs = stored(made)["output.weight_quantized"].astype(int)
    ours = quantize_weights(network, granularity="per channel" if per_channel else "per tensor").output.integers()
    assert int(np.abs(theirs - ours.numpy()).max()) <= 1  # halves may go either way
    assert float((theirs == ours.numpy()).mean()) > 0.99


def test_the_range_of_the_images_is_the_one_that_we_see(base, network, data, tmp_path):
    images = data.calibration.images[:100]
    made = quantize_by_runtime(base, images, tmp_path / "made")
    assert stored(made)["images_scale"] == pytest.approx(float(images.max() - images.min()) / 255)


def test_all_images_are_seen_and_not_only_the_first_batch(base, data, tmp_path):
    images = torch.zeros(250, *data.shape)
    images[249, 0, 0, 0] = 9.0
    made = quantize_by_runtime(base, images, tmp_path / "made")
    assert stored(made)["images_scale"] == pytest.approx(9 / 255)


def test_both_quantizers_lose_about_as_little(network, data, tmp_path):
    folded = fold_batch_norms(network, data=data)
    ours = export_integers(quantize_activations(quantize_weights(folded), data=data), data.shape, tmp_path, "ours")
    base = export(network, data.shape, tmp_path)
    theirs = quantize_by_runtime(base, data.calibration.images[:200], tmp_path)
    agreements = [parity(made, network, data.validation.images).agreement for made in (ours, theirs)]
    assert abs(agreements[0] - agreements[1]) < 0.02
    assert ours.n_bytes < 1.1 * theirs.n_bytes


def test_it_prints_and_logs_nothing_and_leaves_nothing(base, data, tmp_path, monkeypatch, capfd, caplog):
    passing = tmp_path / "passing"
    passing.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(passing))
    monkeypatch.chdir(passing)
    made = quantize_by_runtime(base, data.calibration.images[:20], tmp_path / "made")
    assert capfd.readouterr() == ("", "")
    assert caplog.records == []
    assert list(passing.iterdir()) == []
    assert list((tmp_path / "made").iterdir()) == [made.path]
    assert logging.root.manager.disable == 0


def test_the_float_file_stays_as_it_was(base, data, tmp_path):
    before = base.path.read_bytes()
    quantize_by_runtime(base, data.calibration.images[:20], tmp_path / "made")
    assert base.path.read_bytes() == before


def test_no_images_are_refused(base, data, tmp_path):
    with pytest.raises(ValueError, match=r"^images must hold at least one image to calibrate on, not 0$"):
        quantize_by_runtime(base, data.calibration.images[:0], tmp_path)


def test_images_of_another_shape_are_a_sentence_and_leave_no_file(base, tmp_path):
    with pytest.raises(ExportError, match=r"^ONNX Runtime cannot quantize model\.onnx: "):
        quantize_by_runtime(base, torch.zeros(3, 2, 5, 5), tmp_path / "made")
    assert list((tmp_path / "made").iterdir()) == []


def test_a_file_for_another_runtime_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"only 'onnxruntime' is known"):
        quantize_by_runtime(Artefact(Path("a"), "graph", "torch"), torch.zeros(1, *support.SHAPE), tmp_path)
