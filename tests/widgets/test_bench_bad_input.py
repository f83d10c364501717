"""What the bench shows when a network cannot be measured: one sentence; and the rest of it goes on."""

import copy
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

import pytest
import torch
from networks import Calls
from torch import nn

from efflab import Lab, Range, prune_weights, technique
from efflab.journal import Journal
from efflab.lab import measuring as measuring_module
from efflab.measure import speed_process
from efflab.measure.speed import Stopwatch
from efflab.widgets import Bench
from efflab.widgets.worker import worker

SECONDS = 120
Break = Callable[[pytest.MonkeyPatch, Path], None]


def dying(patch: pytest.MonkeyPatch, folder: Path) -> None:
    (folder / "program.py").write_text("import sys; sys.exit('no memory left')")
    patch.setattr(speed_process, "PROGRAM", folder / "program.py")


def hanging(patch: pytest.MonkeyPatch, folder: Path) -> None:
    (folder / "program.py").write_text("""import sys; print('{"machine": "deaf"}', flush=True); sys.stdin.read()""")
    patch.setattr(speed_process, "PROGRAM", folder / "program.py")


def without_onnx_runtime(patch: pytest.MonkeyPatch, folder: Path) -> None:
    (folder / "onnxruntime.py").write_text("raise ImportError('no wheel for this machine')")
    patch.setenv("PYTHONPATH", str(folder))


def without_a_folder(patch: pytest.MonkeyPatch, folder: Path) -> None:
    patch.setattr(tempfile, "tempdir", str(folder / "missing"))


BROKEN: dict[str, tuple[Break, str]] = {
    "dies": (dying, "the stopwatch process died with exit code 1 and its last words: no memory left; the next"),
    "hangs": (hanging, "the stopwatch process gave no answer within 0.5 s, so it was ended; the next measurement"),
    "missing": (without_onnx_runtime, "(no wheel for this machine): `pip install onnxruntime` installs it"),
    "unwritable": (without_a_folder, "no file can be written in the temporary folder"),
}


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    """A lab that has measured nothing yet, with a stopwatch of its own, which has not been started."""
    with Stopwatch() as own:
        monkeypatch.setattr(measuring_module, "stopwatch", lambda: own)
        yield Lab.open("mlp-digits")
        worker().wait(SECONDS)


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal.sqlite")


def assert_shown_but_for_the_speed(bench: Bench, message: str) -> None:
    """One line says what failed; size and score of what is set are there, and the whole curve can be drawn."""
    assert message in bench.readout.error
    assert "\n" not in bench.readout.error
    assert bench.report is None
    assert bench.preview.recipe == (bench.step,)
    assert f"{bench.preview.evaluation.value * 100:.1f} %" in bench.stage.tiles.value
    assert "not measured yet" in bench.stage.tiles.value
    bench.reveal()
    worker().wait(SECONDS)
    assert len(bench.stage.curve) == 21


@pytest.mark.parametrize("case", BROKEN)
def test_a_speed_that_cannot_be_measured_is_a_sentence_and_the_next_one_is_measured(
    case: str, lab: Lab, journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    act, message = BROKEN[case]
    with monkeypatch.context() as patched:
        act(patched, tmp_path)
        patched.setattr(measuring_module.stopwatch(), "_patience_s", 0.5 if case == "hangs" else 30.0)
        bench = Bench(lab, prune_weights, controls=("sparsity",), start={"sparsity": 0.6}, journal=journal)
        worker().wait(SECONDS)
        assert_shown_but_for_the_speed(bench, message)

    bench.set(sparsity=0.7)
    worker().wait(SECONDS)

    assert bench.readout.error == ""
    assert bench.report.preview.recipe == (bench.step,)
    assert bench.report.speed.verdict in bench.stage.tiles.value


def test_a_network_that_cannot_be_exported_is_a_sentence_and_its_accuracy_is_shown(lab: Lab, journal: Journal) -> None:
    network = Calls(lambda self, x: self.inner(x) if x.sum() > 0 else -self.inner(x))
    network.inner = lab.build(())

    bench = Bench(Lab(network, lab.data), prune_weights, controls=("sparsity",), journal=journal)
    worker().wait(SECONDS)

    message = "the model cannot be exported: its forward pass reads a value out of a tensor"
    assert_shown_but_for_the_speed(bench, message)
    bench.set(sparsity=0.9)
    worker().wait(SECONDS)
    assert_shown_but_for_the_speed(bench, message)


def test_a_setting_whose_answers_are_nan_is_a_sentence_and_the_next_setting_is_measured(
    lab: Lab, journal: Journal
) -> None:
    @technique
    def divide(model: nn.Module, *, by: Annotated[float, Range(0.0, 2.0, 0.5, "what weights are divided by")] = 1.0):
        divided = copy.deepcopy(model)
        with torch.no_grad():
            for weight in divided.parameters():
                weight.div_(by).sub_(weight.clone() if by == 0 else 0)  # infinity less infinity
        return divided

    bench = Bench(lab, divide, recover=None, journal=journal)
    bench.set(by=0.0)
    worker().wait(SECONDS)
    assert bench.readout.error == "the model's outputs are NaN; a weight or a pixel is not a finite number"

    bench.set(by=2.0)
    worker().wait(SECONDS)
    assert bench.readout.error == ""
    assert bench.report.preview.recipe == (bench.step,)
