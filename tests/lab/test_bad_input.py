"""What goes wrong while a lab measures is one sentence, what can still be shown is shown, and the next one works."""

import os
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
import support
import torch
from networks import Calls
from torch import nn

from efflab.data import Data
from efflab.lab import Lab
from efflab.lab import measuring as measuring_module
from efflab.measure import speed_process
from efflab.measure.speed import SpeedError, Stopwatch
from efflab.prune import prune_weights
from efflab.recipe import step
from efflab.runtime import ExportError

KILL = signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM
PRUNED = (step(prune_weights, sparsity=0.5),)


@pytest.fixture
def stopwatch(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stopwatch]:
    """The one that labs use in this test; it has not been started yet."""
    with Stopwatch() as own:
        monkeypatch.setattr(measuring_module, "stopwatch", lambda: own)
        yield own


def branching(self: nn.Module, images: torch.Tensor) -> torch.Tensor:
    """A forward pass with an `if` about the images: (n, 1, 8, 8) -> (n, 3)."""
    scores = images.flatten(1)[:, :3]
    return scores if images.sum() > 0 else -scores


def sentence(lab: Lab, error: type[Exception], match: str, stale: Callable[[], bool] | None = None) -> None:
    """Measuring fails with one line, and the preview of the same network is there."""
    with pytest.raises(error, match=match) as failure:
        lab.measure(PRUNED, stale=stale)
    assert "\n" not in str(failure.value)
    assert lab.preview(PRUNED).evaluation.is_complete


def works(lab: Lab) -> bool:
    """Whether the next measurement comes to its end."""
    report = lab.measure(PRUNED)
    return report is not None and report.speed.now.median_ms > 0


def test_a_network_whose_path_depends_on_values_cannot_be_measured(data: Data) -> None:
    lab = Lab(Calls(branching), data)

    with pytest.raises(ExportError, match=r"cannot be exported: its forward pass reads a value out of a tensor") as no:
        lab.measure(())

    assert "\n" not in str(no.value)
    assert lab.preview(()).evaluation.is_complete


def test_a_process_that_is_killed_while_it_measures_is_told_and_the_next_measurement_starts_a_new_one(
    lab: Lab, stopwatch: Stopwatch
) -> None:
    assert works(lab)
    killed, looks = stopwatch.pid, iter(range(10**9))

    def stale() -> bool:
        if next(looks) == 3:
            os.kill(killed, KILL)
        return False

    sentence(lab, SpeedError, r"died with exit code -?\d+; the next measurement starts a new one", stale)

    assert works(lab)
    assert stopwatch.pid not in (None, killed)


def test_a_process_that_is_killed_between_two_measurements_is_replaced(lab: Lab, stopwatch: Stopwatch) -> None:
    assert works(lab)
    killed = stopwatch.pid
    os.kill(killed, KILL)
    psutil.Process(killed).wait(timeout=10)

    assert works(lab)
    assert stopwatch.pid not in (None, killed)


def test_a_process_that_dies_at_once_is_told_with_its_last_words(
    lab: Lab, stopwatch: Stopwatch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "program.py"
    program.write_text("import sys; sys.exit('no memory left')")
    with monkeypatch.context() as patched:
        patched.setattr(speed_process, "PROGRAM", program)
        sentence(lab, SpeedError, "died with exit code 1 and its last words: no memory left; the next measurement")

    assert works(lab)


def test_a_process_that_hangs_is_ended(
    lab: Lab, stopwatch: Stopwatch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "program.py"
    program.write_text("""import sys; print('{"machine": "deaf"}', flush=True); sys.stdin.read()""")
    with monkeypatch.context() as patched:
        patched.setattr(speed_process, "PROGRAM", program)
        patched.setattr(stopwatch, "_patience_s", 0.2)
        sentence(lab, SpeedError, r"gave no answer within 0\.2 s, so it was ended; the next measurement starts a new")

    assert works(lab)


def test_without_onnx_runtime_it_is_told_how_to_get_it(
    lab: Lab, stopwatch: Stopwatch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "onnxruntime.py").write_text("raise ImportError('no wheel for this machine')")
    with monkeypatch.context() as patched:
        patched.setenv("PYTHONPATH", str(tmp_path))
        sentence(lab, SpeedError, r"cannot be loaded \(no wheel for this machine\): `pip install onnxruntime`")

    assert works(lab)


def test_a_folder_that_filled_up_after_the_base_was_written_is_told(
    lab: Lab, stopwatch: Stopwatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert works(lab)

    def full(*_: object, **__: object) -> str:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(tempfile, "mkdtemp", full)
        sentence(lab, ExportError, r"no file can be written in .* \(No space left on device\).*; set TMPDIR to a")

    assert works(lab)


def test_a_network_that_answers_nan_is_not_measured_and_says_so(data: Data) -> None:
    model = support.tiny_cnn(2)
    nn.init.constant_(model.output.bias, float("nan"))

    with pytest.raises(ValueError, match=r"^the model's outputs are NaN; a weight or a pixel is not a finite number$"):
        Lab(model, data).measure(())
