"""Memory: the sums by hand, and a process whose growth agrees with them."""

import os
import signal
import subprocess
from pathlib import Path

import pytest
import torch
from networks import Calls, Shortcut
from torch import Tensor, nn
from torch.nn.utils import prune as torch_prune

from efflab.measure import memory
from efflab.measure.memory import MemoryUnknownError, compute_memory, measure_memory
from efflab.models import build
from efflab.runtime import Artefact, export, export_eager, sparsify

SHAPE = (1, 64, 64)


def wide() -> nn.Sequential:
    """16.8 MB of weights, and 65,536 numbers in the hidden layer for a batch of 64."""
    return nn.Sequential(nn.Flatten(), nn.Linear(4096, 1024), nn.ReLU(), nn.Linear(1024, 10))


def test_a_chain_holds_an_input_and_an_output_at_a_time() -> None:
    chain = nn.Sequential(nn.Linear(100, 400), nn.ReLU(), nn.Linear(400, 10))

    assert compute_memory(chain, (100,), batch=8).activation_bytes == 8 * (100 + 400 + 400) * 4


def test_a_view_takes_no_memory_of_its_own() -> None:
    assert compute_memory(nn.Flatten(), (1, 10, 10), batch=2).activation_bytes == 2 * 100 * 4


def test_a_shortcut_is_held_while_the_block_beside_it_runs() -> None:
    body = nn.Sequential(nn.Linear(50, 50), nn.ReLU(), nn.Linear(50, 50))

    inner, whole = (compute_memory(model, (50,), batch=4) for model in (body, Shortcut(body, nn.Identity())))

    assert whole.activation_bytes == inner.activation_bytes  # the images are held anyway
    behind = nn.Sequential(nn.Linear(50, 50), Shortcut(body, nn.Identity()))
    assert compute_memory(behind, (50,), batch=4).activation_bytes == inner.activation_bytes + 4 * 50 * 4


def test_a_training_step_keeps_what_the_backward_pass_reads() -> None:
    # The first layer's input, the output of the ReLU (for itself and for the layer behind it).
    chain = nn.Sequential(nn.Linear(100, 400), nn.ReLU(), nn.Linear(400, 10))

    assert compute_memory(chain, (100,), batch=8, optimizer="sgd").activation_bytes == 8 * (100 + 400) * 4


@pytest.mark.parametrize(("optimizer", "numbers"), [("sgd", 0), ("momentum", 1), ("adam", 2)])
def test_an_optimizer_remembers_as_many_numbers_as_torchs_own_does(optimizer: str, numbers: int) -> None:
    from efflab.measure.memory_program import OPTIMIZERS

    model = build("lenet5")
    step = OPTIMIZERS[optimizer](list(model.parameters()))
    model(torch.zeros(2, 1, 28, 28)).sum().backward()
    step.step()
    states = [value for state in step.state.values() for key, value in state.items() if key != "step"]

    computed = compute_memory(model, (1, 28, 28), batch=2, optimizer=optimizer)

    assert computed.optimizer_bytes == numbers * 431_080 * 4
    assert computed.optimizer_bytes == sum(state.numel() * 4 for state in states if isinstance(state, Tensor))


def test_frozen_weights_have_no_gradients() -> None:
    model = wide()
    model[1].requires_grad_(False)

    assert compute_memory(model, SHAPE, batch=2, optimizer="adam").gradient_bytes == (1024 * 10 + 10) * 4


def test_computing_leaves_the_model_as_it_was() -> None:
    model = build("cnn").train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}

    compute_memory(model, (1, 28, 28), batch=4)

    assert model.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


@pytest.mark.parametrize("training", [True, False])
def test_counting_a_training_step_changes_no_running_mean(training: bool) -> None:
    model = build("cnn").train(training)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}

    compute_memory(model, (1, 28, 28), batch=4, optimizer="adam")

    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert all(module.training is training for module in model.modules())


def test_a_training_step_is_counted_in_training_mode_whatever_mode_the_model_is_in() -> None:
    # Dropout keeps a factor for each number, only in training: the images, the factors, and what the last layer reads.
    chain = nn.Sequential(nn.Linear(100, 200), nn.Dropout(0.5), nn.Linear(200, 10))

    counts = [
        compute_memory(chain.train(mode), (100,), batch=8, optimizer="sgd").activation_bytes for mode in (True, False)
    ]

    assert counts == [8 * (100 + 200 + 200) * 4] * 2


def test_counting_a_training_step_draws_no_random_number() -> None:
    before = torch.get_rng_state()

    compute_memory(nn.Dropout(0.5), (100,), batch=8, optimizer="sgd")

    assert torch.equal(torch.get_rng_state(), before)


def test_a_masked_weight_is_kept_for_the_backward_pass_beside_its_two_parts() -> None:
    model = nn.Sequential(nn.Linear(30, 20), nn.Linear(20, 10))
    plain = compute_memory(model, (30,), batch=2, optimizer="sgd").activation_bytes
    torch_prune.l1_unstructured(model[1], "weight", amount=0.5)

    assert compute_memory(model, (30,), batch=2, optimizer="sgd").activation_bytes == plain + 20 * 10 * 4


@pytest.mark.parametrize("runtime", ["torch", "onnxruntime"])
def test_loading_takes_what_the_weights_weigh(runtime: str, tmp_path: Path) -> None:
    model = wide()
    artefact = (export_eager if runtime == "torch" else export)(model, SHAPE, tmp_path)

    measured = measure_memory(artefact, shape=SHAPE)

    assert measured is not None
    assert measured.runtime == runtime
    weights = compute_memory(model, SHAPE).weight_bytes
    assert weights == (4096 * 1024 + 1024 + 1024 * 10 + 10) * 4
    assert measured.loaded_bytes == pytest.approx(weights, rel=0.1)


def test_working_takes_what_the_activations_weigh(tmp_path: Path) -> None:
    model = Calls(lambda _, x: torch.relu(torch.relu(x).flatten(1)))
    artefact = export_eager(model, SHAPE, tmp_path)

    measured = measure_memory(artefact, shape=SHAPE, batch=1000)

    assert measured is not None
    computed = compute_memory(model, SHAPE, batch=1000)
    assert computed.activation_bytes == 3 * 1000 * 4096 * 4  # images, what is read and what is written
    assert measured.worked_bytes == pytest.approx(computed.activation_bytes, rel=0.1)


def test_a_training_step_with_momentum_takes_three_times_the_weights(tmp_path: Path) -> None:
    model = wide()

    measured = measure_memory(export_eager(model, SHAPE, tmp_path), shape=SHAPE, batch=2, optimizer="momentum")

    assert measured is not None
    computed = compute_memory(model, SHAPE, batch=2, optimizer="momentum")
    assert computed.peak_bytes == pytest.approx(3 * computed.weight_bytes, rel=0.01)
    assert measured.peak_bytes == pytest.approx(computed.peak_bytes, rel=0.1)


def test_sparse_weights_are_loaded_sparse(tmp_path: Path) -> None:
    model = wide()
    with torch.no_grad():
        model[1].weight[100:] = 0

    measured = measure_memory(export_eager(sparsify(model), SHAPE, tmp_path), shape=SHAPE)

    assert measured is not None
    assert measured.loaded_bytes < 0.3 * compute_memory(model, SHAPE).weight_bytes


@pytest.fixture
def artefact(tmp_path: Path) -> Artefact:
    return export_eager(nn.Sequential(nn.Flatten(), nn.Linear(36, 10)), (1, 6, 6), tmp_path)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"batch": 0}, "batch must be a whole number from 1 up, not 0"),
        ({"optimizer": "lion"}, "optimizer must be None or one of sgd, momentum, adam, not 'lion'"),
    ],
)
def test_a_bad_setting_is_named(settings: dict[str, object], message: str, artefact: Artefact) -> None:
    with pytest.raises(ValueError, match=message):
        measure_memory(artefact, shape=(1, 6, 6), **settings)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=message):
        compute_memory(nn.Flatten(), (1, 6, 6), **settings)  # type: ignore[arg-type]


def test_onnx_runtime_cannot_train(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"optimizer must be None for model\.onnx: onnxruntime cannot train"):
        measure_memory(export(build("lenet5"), (1, 28, 28), tmp_path), shape=(1, 28, 28), optimizer="sgd")


def test_a_network_that_the_process_cannot_run_is_a_sentence(artefact: Artefact) -> None:
    with pytest.raises(MemoryUnknownError, match=r"the memory of model\.safetensors cannot be measured: mat1 and mat2"):
        measure_memory(artefact, shape=(1, 7, 7))


def test_a_process_that_dies_is_a_sentence_and_the_next_one_answers(
    artefact: Artefact, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[subprocess.Popen[str]] = []

    class Killed(subprocess.Popen):  # type: ignore[type-arg]
        def __init__(self, *args: object, **kwargs: object) -> None:
            super().__init__(*args, **kwargs)  # type: ignore[call-overload]
            started.append(self)
            os.kill(self.pid, signal.SIGTERM)

    with monkeypatch.context() as patched:
        patched.setattr(memory.subprocess, "Popen", Killed)
        with pytest.raises(MemoryUnknownError, match="died with exit code"):
            measure_memory(artefact, shape=(1, 6, 6))

    assert [process.poll() is not None for process in started] == [True]
    assert measure_memory(artefact, shape=(1, 6, 6)) is not None


def test_a_process_that_hangs_is_ended(artefact: Artefact) -> None:
    with pytest.raises(MemoryUnknownError, match="gave no answer in time"):
        measure_memory(artefact, shape=(1, 6, 6), patience_s=0.0)


def test_what_is_not_wanted_any_more_is_ended(artefact: Artefact) -> None:
    assert measure_memory(artefact, shape=(1, 6, 6), stale=lambda: True) is None
