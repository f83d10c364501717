"""Executed nodes are traced back to the layers: every layer with weights once, whatever ONNX Runtime merges."""

from pathlib import Path

import pytest
import torch
from networks import mobilenet_v2, resnet18
from torch import Tensor, nn

from efflab import models
from efflab.measure.layer_speed import read_events
from efflab.runtime import export
from efflab.runtime.nodes import Origin, layer_names, trace_nodes
from efflab.runtime.session import forward_pass, open_file


class Nested(nn.Module):
    """Containers in containers, one activation called twice, and functions between the layers."""

    def __init__(self) -> None:
        super().__init__()
        self.block = nn.Sequential(nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU()), nn.Conv2d(8, 8, 3))
        self.list = nn.ModuleList([nn.Linear(128, 128)])
        self.shared = nn.Sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        y = self.shared(self.block(x)).flatten(1)
        y = self.shared(self.list[0](y))
        return torch.tanh(y * 2) + y


NETWORKS = {
    "nested": (Nested, (1, 8, 8)),
    "mlp": (lambda: models.build("mlp"), (1, 28, 28)),
    "lenet5": (lambda: models.build("lenet5"), (1, 28, 28)),
    "cnn": (lambda: models.build("cnn"), (1, 28, 28)),
    "resnet8": (lambda: models.build("resnet8"), (1, 28, 28)),
    "resnet18": (resnet18, (3, 32, 32)),
    "mobilenet_v2": (mobilenet_v2, (3, 32, 32)),
}


def executed(model: nn.Module, shape: tuple[int, int, int], folder: Path) -> tuple[list[str], dict[str, Origin]]:
    """What ONNX Runtime says it ran, and where it comes from."""
    artefact = export(model, shape, folder)
    run = forward_pass(open_file(str(artefact.path), 1, profile=str(folder / "profile")), 1, list(shape))
    run()
    del run  # the profile is written when the session ends
    (profile,) = folder.glob("profile*.json")
    names = [name for name, _ in read_events(profile)]
    return names, trace_nodes(artefact.path, names)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_layer_with_weights_is_found_once_and_in_order(name: str, tmp_path: Path) -> None:
    make, shape = NETWORKS[name]
    model = make().eval()
    names, origins = executed(model, shape, tmp_path)

    heavy = [path for path, module in model.named_modules() if isinstance(module, (nn.Conv2d, nn.Linear))]
    found = [origins[one].layer for one in names if one in origins]
    assert sorted(layer for layer in found if layer in heavy) == sorted(heavy)
    assert set(found) <= set(dict(model.named_modules()))


def test_an_activation_is_merged_into_the_layer_before_it(tmp_path: Path) -> None:
    _, origins = executed(models.build("lenet5"), (1, 28, 28), tmp_path)

    merged = {origin.layer: origin.merged for origin in origins.values()}
    assert (merged["conv1"], merged["conv2"], merged["hidden"]) == (("relu1",), ("relu2",), ("relu3",))
    assert merged["output"] == merged["pool1"] == ()


def test_the_sum_of_a_residual_block_goes_to_its_last_convolution(tmp_path: Path) -> None:
    _, origins = executed(models.build("resnet8"), (1, 28, 28), tmp_path)

    merged = {origin.layer: origin.merged for origin in origins.values()}
    assert merged["block2.conv2"] == ("block2",)
    assert merged["block2.shortcut"] == ()


def test_a_layer_that_is_called_twice_has_one_name(tmp_path: Path) -> None:
    _, origins = executed(Nested().eval(), (1, 8, 8), tmp_path)

    found = [name for origin in origins.values() for name in (origin.layer, *origin.merged)]
    assert found.count("shared") == 2  # by itself or merged, behind block.1 and behind list.0
    assert "shared_1" not in found


def test_a_layer_whose_own_name_ends_in_a_number_keeps_it() -> None:
    assert layer_names(["/conv_1/Conv", "/conv_2/Conv"]) == {"/conv_1/Conv": "conv_1", "/conv_2/Conv": "conv_2"}


def test_a_node_that_nobody_knows_belongs_to_no_layer(tmp_path: Path) -> None:
    artefact = export(models.build("mlp"), (1, 28, 28), tmp_path)

    assert trace_nodes(artefact.path, ["ReorderInput", "a stranger"]) == {}
