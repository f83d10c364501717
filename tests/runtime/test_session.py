"""One way to open a file: the threads that were asked for, nothing else, and no word to anybody."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from torch import nn

from efflab.runtime import Artefact, export, session


@pytest.fixture
def artefact(tmp_path: Path) -> Artefact:
    return export(nn.Sequential(nn.Flatten(), nn.Linear(64, 10)), (1, 8, 8), tmp_path)


@pytest.mark.parametrize("threads", [1, 2])
def test_a_session_has_the_threads_that_were_asked_for(artefact: Artefact, threads: int) -> None:
    options = session(artefact, threads=threads).get_session_options()

    assert options.intra_op_num_threads == threads
    assert options.inter_op_num_threads == 1


def test_waiting_threads_do_not_spin(artefact: Artefact) -> None:
    options = session(artefact, threads=2).get_session_options()

    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"


def test_a_session_runs_on_the_processor_only(artefact: Artefact) -> None:
    assert session(artefact).get_providers() == ["CPUExecutionProvider"]


def test_an_artefact_for_another_runtime_is_refused() -> None:
    with pytest.raises(ValueError, match=r"model\.bin is for the runtime 'sparse'; only 'onnxruntime' is known"):
        session(Artefact(Path("model.bin"), "csr", "sparse"))


def test_a_missing_onnx_runtime_says_how_to_get_it(artefact: Artefact, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)

    with pytest.raises(ImportError, match=r"ONNX Runtime cannot be loaded .*`pip install onnxruntime`"):
        session(artefact)


def test_opening_a_session_leaves_no_trace_of_usage_reports(artefact: Artefact, tmp_path: Path) -> None:
    """With reports on, ONNX Runtime keeps an identifier and a queue of events in the user's cache folder."""
    home = tmp_path / "home"
    home.mkdir()
    silenced = {"CI", "ORT_DISABLE_TELEMETRY", "PYTEST_CURRENT_TEST"}
    environment = {name: value for name, value in os.environ.items() if name not in silenced}
    environment |= {"HOME": str(home), "XDG_CACHE_HOME": str(home / ".cache"), "PYTHONPATH": os.pathsep.join(sys.path)}
    code = (
        "import sys; from pathlib import Path; from efflab.runtime import Artefact, session; "
        "session(Artefact(Path(sys.argv[1]), 'onnx', 'onnxruntime')); print('opened')"
    )

    done = subprocess.run([sys.executable, "-c", code, artefact.path], env=environment, capture_output=True, text=True)

    assert done.stdout == "opened\n", done.stderr
    assert list(home.rglob("*onnxruntime*")) == []
