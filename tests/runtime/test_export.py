"""What would be shipped: the file answers like the model, weighs what it weighs, and leaves the model alone."""

import threading
import zlib
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from torch import Tensor, nn
from torch.nn.utils import prune

from efflab.runtime import Artefact, ExportError, export, parity, session

SHAPE = (1, 8, 8)


def convolutional() -> nn.Sequential:
    """A convolution and a batch norm whose averages are not the ones that it begins with."""
    torch.manual_seed(0)
    norm = nn.BatchNorm2d(4)
    model = nn.Sequential(nn.Conv2d(1, 4, 3), norm, nn.ReLU(), nn.Flatten(), nn.Linear(144, 10))
    norm.running_mean = torch.rand(4)
    norm.running_var = torch.rand(4) + 0.5
    return model


def linear() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))


class Branching(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        return images if images.sum() > 0 else -images


class Shaped(nn.Module):
    """Decides by shapes and by a constant of its own, which no image can change."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("times", torch.tensor(2))

    def forward(self, images: Tensor) -> Tensor:
        if images.shape[1] == 1:
            images = images * int(self.times)
        return images.flatten(1)


class Pair(nn.Module):
    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        return images, images


class Exotic(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        return torch.linalg.svdvals(images).flatten(1)


def weights_in(artefact: Artefact) -> list[np.ndarray]:
    return [numpy_helper.to_array(weight) for weight in onnx.load(artefact.path).graph.initializer]


@pytest.mark.parametrize("build", [linear, convolutional])
def test_the_file_gives_the_scores_of_the_model(build, tmp_path: Path) -> None:
    model = build()

    found = parity(export(model, SHAPE, tmp_path), model, torch.rand(50, *SHAPE))

    assert found.max_difference < 1e-5
    assert found.agreement == 1
    assert found.n == 50


@pytest.mark.parametrize("n", [1, 3, 17])
def test_the_file_takes_any_number_of_images(n: int, tmp_path: Path) -> None:
    runner = session(export(linear(), SHAPE, tmp_path))

    (scores,) = runner.run(["scores"], {"images": np.zeros((n, *SHAPE), np.float32)})

    assert scores.shape == (n, 10)


def test_a_batch_norm_is_folded_into_the_convolution_before_it(tmp_path: Path) -> None:
    model = convolutional()
    convolution, norm = model[0], model[1]
    factor = norm.weight / (norm.running_var + norm.eps).sqrt()
    wanted = (convolution.weight * factor.view(-1, 1, 1, 1)).detach().numpy()

    artefact = export(model, SHAPE, tmp_path)

    graph = onnx.load(artefact.path).graph
    assert [node.op_type for node in graph.node] == ["Conv", "Relu", "Flatten", "Gemm"]
    (folded,) = [weight for weight in weights_in(artefact) if weight.shape == (4, 1, 3, 3)]
    np.testing.assert_allclose(folded, wanted, rtol=1e-6)


def test_a_pruned_zero_stays_a_zero_in_the_file(tmp_path: Path) -> None:
    model = convolutional()
    with torch.no_grad():
        model[0].weight[::2] = 0

    (folded,) = [weight for weight in weights_in(export(model, SHAPE, tmp_path)) if weight.shape == (4, 1, 3, 3)]

    np.testing.assert_array_equal(folded == 0, model[0].weight.detach().numpy() == 0)


def test_the_model_keeps_flags_weights_hooks_and_the_random_stream(tmp_path: Path) -> None:
    model = convolutional().train()
    model[1].eval()  # frozen on purpose
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    random = torch.get_rng_state()

    export(model, SHAPE, tmp_path)

    assert [module.training for module in model] == [True, False, True, True, True]
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    assert torch.equal(torch.get_rng_state(), random)


def test_the_flags_come_back_when_the_export_fails(tmp_path: Path) -> None:
    model = nn.Sequential(Branching()).train()

    with pytest.raises(ExportError):
        export(model, SHAPE, tmp_path)

    assert model.training
    assert model[0].training


def test_the_same_model_gives_the_same_bytes(tmp_path: Path) -> None:
    first, second = (export(linear(), SHAPE, tmp_path / name) for name in "ab")

    assert first.path.read_bytes() == second.path.read_bytes()


def test_a_model_that_torch_pruned_can_be_exported(tmp_path: Path) -> None:
    model = linear()
    prune.l1_unstructured(model[1], "weight", amount=0.9)

    found = parity(export(model, SHAPE, tmp_path), model, torch.rand(20, *SHAPE))

    assert found.max_difference < 1e-5


def test_export_works_on_another_thread_in_inference_mode(tmp_path: Path) -> None:
    artefacts = []

    def work() -> None:
        with torch.inference_mode():
            artefacts.append(export(linear(), SHAPE, tmp_path))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()

    assert artefacts[0].path.is_file()


def test_a_path_that_shapes_and_constants_decide_is_exported(tmp_path: Path) -> None:
    model = Shaped()

    found = parity(export(model, SHAPE, tmp_path), model, torch.rand(5, *SHAPE))

    assert found.max_difference == 0


def test_a_path_that_the_images_decide_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"reads a value out of a tensor .* `torch\.where` keeps both"):
        export(Branching(), SHAPE, tmp_path)


def test_an_operation_that_onnx_lacks_is_named_and_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"cannot be exported to ONNX: .*svd"):
        export(Exotic(), SHAPE, tmp_path)

    assert list(tmp_path.iterdir()) == []


def test_images_of_another_shape_are_named(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"does not take images of shape \(1, 9, 9\): mat1 and mat2"):
        export(linear(), (1, 9, 9), tmp_path)


def test_a_model_with_two_outputs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"returns a tuple, and export needs one tensor \(n, classes\)"):
        export(Pair(), SHAPE, tmp_path)


def test_a_model_of_another_precision_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"torch\.float64 weights, and export takes float32"):
        export(linear().double(), SHAPE, tmp_path)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file stands here")

    with pytest.raises(ExportError, match=r"taken.*model\.onnx cannot be written: "):
        export(linear(), SHAPE, tmp_path / "taken" / "below")


def test_a_file_that_cannot_be_opened_for_writing_is_named(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").mkdir()

    with pytest.raises(ExportError, match=r"model\.onnx cannot be written: "):
        export(linear(), SHAPE, tmp_path)


def test_the_weight_counts_the_second_file_too(tmp_path: Path) -> None:
    whole = export(linear(), SHAPE, tmp_path)
    split = tmp_path / "split" / "model.onnx"
    split.parent.mkdir()
    onnx.save(onnx.load(whole.path), split, save_as_external_data=True, location="weights.bin", size_threshold=100)
    artefact = Artefact(split, "onnx", "onnxruntime")

    assert artefact.files == (split, tmp_path / "split" / "weights.bin")
    assert artefact.n_bytes == split.stat().st_size + (tmp_path / "split" / "weights.bin").stat().st_size
    assert artefact.n_bytes > 4 * (64 * 32 + 32 * 10)


def test_compressed_bytes_are_those_of_zlib(tmp_path: Path) -> None:
    artefact = export(linear(), SHAPE, tmp_path)

    assert artefact.compressed_bytes == len(zlib.compress(artefact.path.read_bytes()))


def test_zeros_make_the_compressed_file_smaller_but_not_the_file(tmp_path: Path) -> None:
    model = linear()
    dense = export(model, SHAPE, tmp_path, "dense")
    with torch.no_grad():
        model[1].weight[model[1].weight.abs() < 0.1] = 0
    pruned = export(model, SHAPE, tmp_path, "pruned")

    assert pruned.n_bytes == dense.n_bytes
    assert pruned.compressed_bytes < 0.5 * dense.compressed_bytes
