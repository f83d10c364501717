"""A model in torch itself, as a file: it answers as before, masks and sparse weights stay what they are."""

import copy
from pathlib import Path

import pytest
import torch
from networks import Calls, mobilenet_v2, resnet18
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.utils import prune as torch_prune

from efflab.models import build
from efflab.runtime import ExportError, SparseLinear, eager, export_eager, open_eager, sparsify
from efflab.runtime.eager import runs


class Attending(nn.Module):
    """Most of what a small vision transformer calls: attention, normalisation, slices, sums, a weight of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(1, 8, 3, padding="same")
        self.norm, self.attention = nn.LayerNorm(8), nn.MultiheadAttention(8, 2, batch_first=True)
        self.scale = nn.Parameter(torch.rand(8))
        self.head = nn.Sequential(nn.Dropout(0.5), nn.Linear(8, 10, bias=False))

    def forward(self, images: Tensor) -> Tensor:
        tokens = nn.functional.gelu(self.convolution(images), approximate="tanh").flatten(2).transpose(1, 2)
        mixed, _ = self.attention(tokens, tokens, tokens, need_weights=False)
        scores: Tensor = self.head(self.norm(tokens * self.scale + mixed)[:, 0])
        return scores


MODELS = {
    "chain": (lambda: build("lenet5"), (1, 28, 28)),
    "batch norm": (lambda: build("cnn"), (1, 28, 28)),
    "residual": (lambda: build("resnet8", shape=(3, 32, 32)), (3, 32, 32)),
    "attention": (Attending, (1, 6, 6)),
    "ResNet-18": (resnet18, (3, 64, 64)),
    "MobileNetV2": (mobilenet_v2, (3, 64, 64)),
}


def images(n: int, shape: tuple[int, ...]) -> Tensor:
    return torch.rand(n, *shape, generator=torch.Generator().manual_seed(1))


def scores(model: nn.Module, inputs: Tensor) -> Tensor:
    with torch.no_grad():
        answered: Tensor = copy.deepcopy(model).eval()(inputs)
    return answered


@pytest.mark.parametrize("name", MODELS)
def test_the_file_answers_like_the_model_at_another_batch_size(name: str, tmp_path: Path) -> None:
    make, shape = MODELS[name]
    model, inputs = make(), images(3, shape)

    opened = open_eager(export_eager(model, shape, tmp_path).path)

    torch.testing.assert_close(scores(opened, inputs), scores(model, inputs))


def test_the_model_keeps_its_weights_and_its_training_flags(tmp_path: Path) -> None:
    model = build("cnn")
    model.train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}

    export_eager(model, (1, 28, 28), tmp_path)

    assert all(module.training for module in model.modules())
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_a_mask_stays_a_mask_so_the_file_holds_weight_and_mask(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(36, 20))
    torch_prune.l1_unstructured(model[1], "weight", amount=0.9)

    artefact = export_eager(model, (1, 6, 6), tmp_path)
    tensors, opened = load_file(artefact.path), open_eager(artefact.path)

    assert tensors["1.weight_orig"].count_nonzero() == 720
    assert tensors["1.weight_mask"].count_nonzero() == 72
    assert torch_prune.is_pruned(opened)
    with torch.no_grad():
        torch.testing.assert_close(opened(images(2, (1, 6, 6))), model(images(2, (1, 6, 6))))


@pytest.mark.parametrize("layout", ["csr", "bsr"])
def test_a_sparse_layer_stays_sparse_and_the_file_holds_only_what_is_not_zero(layout: str, tmp_path: Path) -> None:
    layer = nn.Linear(36, 20)
    with torch.no_grad():
        layer.weight[1:] = 0
    model = nn.Sequential(nn.Flatten(), layer)

    artefact = export_eager(sparsify(model, layout, block=1), (1, 6, 6), tmp_path)
    opened, inputs = open_eager(artefact.path), images(3, (1, 6, 6))

    assert load_file(artefact.path)["1.values"].numel() == 36
    assert isinstance(opened.get_submodule("1"), SparseLinear)
    torch.testing.assert_close(scores(opened, inputs), scores(model, inputs))


def test_the_weights_of_an_opened_file_can_be_trained(tmp_path: Path) -> None:
    opened = open_eager(export_eager(build("lenet5"), (1, 28, 28), tmp_path).path)

    opened(images(2, (1, 28, 28))).sum().backward()

    assert sum(weight.numel() for weight in opened.parameters() if weight.grad is not None) == 431_080


REFUSED = {
    "reads a value": (Calls(lambda _, x: x.flatten(1) if x.sum() > 0 else -x.flatten(1)), "reads a value out of"),
    "calls an operation with torch.float64": (Calls(lambda _, x: x.flatten(1).to(torch.float64)), "torch.float64"),
    "does not take": (nn.Sequential(nn.Flatten(), nn.Linear(3, 3)), r"does not take images of shape \(1, 6, 6\)"),
    "weight norm": (
        nn.Sequential(nn.Flatten(), nn.utils.parametrizations.weight_norm(nn.Linear(36, 3))),
        "'ParametrizedLinear', which torch.nn does not know",
    ),
    "double": (nn.Sequential(nn.Flatten(), nn.Linear(36, 3)).double(), "export takes float32"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_model_that_cannot_be_written_is_refused_with_the_reason_and_leaves_no_file(
    case: str, tmp_path: Path
) -> None:
    model, message = REFUSED[case]

    with pytest.raises(ExportError, match=message):
        export_eager(model, (1, 6, 6), tmp_path)

    assert not list(tmp_path.iterdir())


def test_a_file_that_would_answer_otherwise_is_refused(tmp_path: Path) -> None:
    class Doubling(nn.Linear):  # named as a layer of torch.nn is, and it does something else
        def forward(self, input: Tensor) -> Tensor:
            return 2 * super().forward(input)

    Doubling.__name__, Doubling.__module__ = "Linear", "torch.nn.modules.linear"

    with pytest.raises(ExportError, match="cannot be written down layer by layer: Tensor-likes are not close"):
        export_eager(nn.Sequential(nn.Flatten(), Doubling(36, 3)), (1, 6, 6), tmp_path)

    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")

    with pytest.raises(ExportError, match=r"taken.model\.safetensors cannot be written"):
        export_eager(build("lenet5"), (1, 28, 28), tmp_path / "taken")


def test_a_disk_that_is_full_is_a_sentence_and_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: object, path: Path, **__: object) -> None:
        path.write_bytes(b"half of it")
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    monkeypatch.setattr(eager, "save_file", full)

    with pytest.raises(ExportError, match=r"model\.safetensors cannot be written: .*No space left on device"):
        export_eager(build("lenet5"), (1, 28, 28), tmp_path)

    assert not list(tmp_path.iterdir())


def test_a_file_cannot_call_what_is_no_mathematics(tmp_path: Path) -> None:
    path = export_eager(Calls(lambda _, x: torch.relu(x).flatten(1)), (1, 6, 6), tmp_path).path
    with safe_open(str(path), framework="pt") as file:
        graph = file.metadata()["graph"]
    assert '"torch.relu"' in graph
    evil = tmp_path / "evil.safetensors"
    save_file({"nothing": torch.zeros(1)}, evil, metadata={"graph": graph.replace("torch.relu", "os.system")})

    with pytest.raises(ValueError, match=r"calls 'os\.system'"):
        open_eager(evil)


def test_each_file_runs_in_its_own_runtime(tmp_path: Path) -> None:
    from efflab.runtime import export

    model = build("lenet5")
    eager, onnx = (write(model, (1, 28, 28), tmp_path) for write in (export_eager, export))
    request = {"base": str(onnx.path), "now": str(eager.path), "threads": 1, "batch": 2, "shape": [1, 28, 28]}

    base, _, now = [run() for run in runs(request)]

    torch.testing.assert_close(now, torch.from_numpy(base[0]))  # type: ignore[index]
