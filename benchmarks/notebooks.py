"""Run All of every student notebook, one after the other: seconds of each, and of all together.

    benchmarks/notebooks.py [--solved]      --solved: the solved ones, whose budgets train and measure

Each runs in a kernel of its own, with a journal of its own, and counts until the work that its cells handed over is
done: what a learner waits who presses Run All and looks at the last panel. The data are made once, in the first of
them, as on a laptop.
"""

import os
import sys
import tempfile
from pathlib import Path

import nbformat
from _report import timed, versions
from nbclient import NotebookClient

FOLDER = Path(__file__).resolve().parent.parent / "notebooks"
GOAL_S = 600
WAIT = """
import sys
worker = sys.modules.get("efflab.widgets.worker")
worker and worker.worker().wait(timeout=1800)
"""


def run(path: Path, home: Path) -> None:
    """All cells of a notebook, and whatever they began."""
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.append(nbformat.v4.new_code_cell(WAIT))
    work = home / path.stem
    work.mkdir()
    client = NotebookClient(
        notebook,
        timeout=2000,
        kernel_name="python3",
        store_widget_state=False,
        resources={"metadata": {"path": str(work)}},
    )
    more = {"EFFLAB_JOURNAL": str(work / "journal.sqlite"), "EFFLAB_CACHE": str(home / "cache")}
    client.execute(env=os.environ | more)


def main() -> None:
    """Run them all, and print how long each took."""
    is_solved = "--solved" in sys.argv[1:]
    total = 0.0
    print(f"\nRun All of the {'solved' if is_solved else 'student'} notebooks, work of their panels included")
    with tempfile.TemporaryDirectory() as home:
        for path in sorted((FOLDER / "solutions" if is_solved else FOLDER).glob("[0-9][0-9]_*.ipynb")):
            seconds = timed(lambda path=path: run(path, Path(home)))[1]  # type: ignore[misc]  # the path of this turn
            total += seconds
            print(f"  {path.stem:<52} {seconds:10.1f} s", flush=True)
    print(f"  {'all':<52} {total:10.1f} s (goal: at most {GOAL_S}) {'reached' if total <= GOAL_S else 'NOT reached'}")
    versions()


if __name__ == "__main__":
    main()
