"""Which kernel runs each layer: every layer once, floats where floats are multiplied, and no product of activations."""

from pathlib import Path

import pytest
import support
import torch
from networks import Calls
from torch import nn

from efflab import models
from efflab.quantize import fold_batch_norms, quantize_activations, quantize_weights
from efflab.runtime import Artefact, executed_kernels, export, export_integers
from efflab.runtime.executed import FLOAT, INTEGER, is_integer

BUILDERS = {
    "mlp": support.tiny_mlp,
    "attention": support.tiny_all,
    "resnet8": lambda: models.build("resnet8", shape=support.SHAPE, n_classes=3, sizes=(4,)),
    "lenet5": lambda: models.build("lenet5"),
}


def heavy(model: nn.Module) -> set[str]:
    return {name for name, layer in model.named_modules() if isinstance(layer, nn.Linear | nn.Conv2d)}


@pytest.mark.parametrize("name", BUILDERS)
def test_every_layer_of_a_float_file_is_found_and_runs_in_floats(name: str, tmp_path: Path) -> None:
    model = BUILDERS[name]()
    shape = (1, 28, 28) if name == "lenet5" else support.SHAPE
    found = executed_kernels(export(model, shape, tmp_path))
    assert found.keys() == heavy(model)
    assert set(found.values()) <= set(FLOAT)


@pytest.mark.parametrize("name", ["mlp", "attention", "resnet8"])
def test_every_layer_with_both_grids_runs_in_integers(name: str, tmp_path: Path) -> None:
    data, model = support.tiny_data(), BUILDERS[name]()
    folded = model if name == "mlp" else fold_batch_norms(model, data=data)
    quantized = quantize_activations(quantize_weights(folded), data=data)
    found = executed_kernels(export_integers(quantized, data.shape, tmp_path))
    assert found.keys() == heavy(model)
    assert set(found.values()) <= set(INTEGER)


def test_weights_alone_run_in_floats_whatever_the_file_holds(tmp_path: Path) -> None:
    made = export_integers(quantize_weights(support.tiny_mlp()), support.SHAPE, tmp_path)
    assert not any(map(is_integer, executed_kernels(made).values()))


def test_the_model_itself_is_called_model(tmp_path: Path) -> None:
    assert executed_kernels(export(nn.Linear(8, 3), support.SHAPE, tmp_path)) == {"model": "MatMul"}


def test_a_layer_that_is_called_twice_is_named_once(tmp_path: Path) -> None:
    model = Calls(lambda m, x: m.layer(torch.relu(m.layer(x.flatten(1)))))
    model.layer = nn.Linear(64, 64)
    assert executed_kernels(export(model, support.SHAPE, tmp_path)) == {"layer": "FusedGemm, Gemm"}


def test_two_operators_are_integers_only_if_both_are() -> None:
    assert is_integer("QGemm, MatMulNBits")
    assert not is_integer("QGemm, Gemm")


def test_nothing_is_left_beside_the_file(tmp_path: Path) -> None:
    made = export(support.tiny_mlp(), support.SHAPE, tmp_path)
    executed_kernels(made)
    assert list(tmp_path.iterdir()) == [made.path]


def test_a_file_for_another_runtime_is_refused() -> None:
    with pytest.raises(ValueError, match=r"only 'onnxruntime' is known"):
        executed_kernels(Artefact(Path("model.safetensors"), "graph", "torch"))
