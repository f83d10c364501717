"""Every notebook that is committed runs from top to bottom: offline, without an error and without a warning."""

import json
import os
import re
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode

from efflab.journal import Journal

pytestmark = pytest.mark.slow

FOLDER = Path(__file__).resolve().parents[2] / "notebooks"
STUDENT = sorted(FOLDER.glob("*.ipynb"))
SOLVED = sorted((FOLDER / "solutions").glob("*.ipynb"))
CELL_SECONDS = 600
ALLOWED: dict[str, str] = {}
"""What a notebook may say on its error stream: a regular expression for the line, and why it cannot be mended."""

# What a learner who waits would see: the end of all work that cells handed to the worker, and every error line.
EPILOGUE = """
import json, sys
worker, widget = (sys.modules.get(name) for name in ("efflab.widgets.worker", "ipywidgets.widgets.widget"))
worker and worker.worker().wait(timeout=590)
widgets = list(widget._instances.values()) if widget else []
print(json.dumps([str(one.last_error) for one in widgets if getattr(one, "last_error", None)]))
"""


@dataclass(frozen=True)
class Run:
    """A notebook that was executed, the errors that its widgets show, its journal, and who it tried to call."""

    notebook: NotebookNode
    shown_errors: list[str]
    journal: Journal
    calls: str
    seconds: float

    @property
    def complaints(self) -> list[str]:
        """Lines on the error stream that nobody allowed."""
        outputs = [output for cell in self.notebook.cells for output in cell.get("outputs", [])]
        texts = [output.text for output in outputs if output.output_type == "stream" and output.name == "stderr"]
        lines = [line for text in texts for line in text.splitlines() if line.strip()]
        return [line for line in lines if not any(re.search(pattern, line) for pattern in ALLOWED)]


Execute = Callable[[NotebookNode], Run]


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache for all notebooks, as on a learner's laptop."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def execute(tmp_path: Path, cache: Path) -> Execute:
    """Runs a notebook in a kernel of its own, in an empty folder, with nothing of the user's."""
    (tmp_path / "work").mkdir()
    offline = Path(__file__).parent / "offline"
    path = [str(offline), str(FOLDER.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(path),
        "EFFLAB_JOURNAL": str(tmp_path / "journal.sqlite"),
        "EFFLAB_CACHE": str(cache),
        "EFFLAB_TEST_CALLS": str(tmp_path / "calls.txt"),
        "IPYTHONDIR": str(tmp_path / "ipython"),
    }

    def run(notebook: NotebookNode) -> Run:
        copy = nbformat.from_dict(notebook)
        copy.cells.append(nbformat.v4.new_code_cell(EPILOGUE))
        client = NotebookClient(
            copy,
            timeout=CELL_SECONDS,
            kernel_name="python3",
            store_widget_state=False,
            resources={"metadata": {"path": str(tmp_path / "work")}},
        )
        began = time.perf_counter()
        client.execute(env=environment)
        seconds = time.perf_counter() - began
        errors = json.loads(copy.cells[-1].outputs[-1].text)
        calls = tmp_path / "calls.txt"
        journal = Journal(tmp_path / "journal.sqlite")
        return Run(copy, errors, journal, calls.read_text(encoding="utf-8") if calls.exists() else "", seconds)

    return run


def small(*sources: str) -> NotebookNode:
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])


def identity(path: Path) -> str:
    return path.relative_to(FOLDER).with_suffix("").as_posix()


def checks_asked(notebook: NotebookNode) -> set[str]:
    """The exercises that a notebook checks."""
    code = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    return set(re.findall(r"chapter\.check\(\s*[\"'](\w+)[\"']", code))


def test_there_are_notebooks_to_run() -> None:
    assert STUDENT
    assert [path.name for path in SOLVED] == [path.name for path in STUDENT]


@pytest.mark.parametrize("path", [*STUDENT, *SOLVED], ids=identity)
def test_a_notebook_runs_from_top_to_bottom(path: Path, execute: Execute, capsys: pytest.CaptureFixture[str]) -> None:
    notebook = nbformat.read(path, as_version=4)
    done = execute(notebook)
    with capsys.disabled():
        sys.stdout.write(f"\n{identity(path)}: {done.seconds:.0f} s ")
    code = [cell for cell in done.notebook.cells if cell.cell_type == "code" and cell.source]
    assert len(code) > 1
    assert all(cell.execution_count for cell in code)
    assert done.complaints == []
    assert done.shown_errors == []
    assert done.calls == ""
    verdicts = {entry.name: entry.value["passed"] for entry in done.journal.entries(kind="check")}
    assert checks_asked(notebook) <= set(verdicts)
    if path in SOLVED:
        assert all(verdicts.values()), verdicts
    else:
        assert not any(verdicts[name] for name in checks_asked(notebook)), "a stub passes its own check"


def test_an_error_in_a_cell_is_seen(execute: Execute) -> None:
    with pytest.raises(CellExecutionError, match="ZeroDivisionError"):
        execute(small("1 / 0"))


def test_a_warning_is_seen(execute: Execute) -> None:
    done = execute(small("import warnings; warnings.warn('something is old')"))
    assert any("something is old" in line for line in done.complaints)


def test_an_error_that_a_widget_shows_is_seen(execute: Execute) -> None:
    broken = "import ipywidgets\nview = ipywidgets.HTML()\nview.last_error = ValueError('the slider is bent')"
    assert execute(small(broken)).shown_errors == ["the slider is bent"]


def test_an_error_on_the_worker_is_seen(execute: Execute) -> None:
    broken = "from efflab.widgets.worker import worker\nworker().submit('job', lambda stale: 1 / 0)"
    with pytest.raises(CellExecutionError, match="ZeroDivisionError"):
        execute(small(broken))


@pytest.mark.parametrize(
    "call",
    [
        "import socket; socket.create_connection(('192.0.2.1', 80), 1)",
        "import urllib.request; urllib.request.urlopen('http://example.invalid')",
        "import socket; socket.socket(type=socket.SOCK_DGRAM).sendto(b'.', ('192.0.2.1', 53))",
        "import os, sys; os.system(sys.executable + ' -c \"import socket; socket.gethostbyname(chr(97))\"')",
    ],
    ids=["connection", "page", "datagram", "process"],
)
def test_an_attempt_to_leave_this_machine_is_seen_even_if_its_error_is_swallowed(call: str, execute: Execute) -> None:
    done = execute(small(f"try:\n    {call}\nexcept OSError:\n    pass"))
    assert "notebooks run offline" in done.calls
