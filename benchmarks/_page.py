"""A notebook in a real page, for benchmarks of what a learner waits for: the driver of the browser tests."""

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "browser"))

from driver import Chromium, Lab, NotebookPage, chromium, write_notebook

WIDGET_SECONDS = 60
"""Longest time to wait for one thing on the page."""


@contextmanager
def browser() -> Iterator[tuple[Chromium, Lab]]:
    """A running Chromium and a running JupyterLab over an empty folder."""
    with tempfile.TemporaryDirectory(prefix="efflab-") as folder:
        root = Path(folder) / "notebooks"
        root.mkdir()
        with Lab(root, Path(folder) / "state") as lab, chromium() as running:
            print(f"  Chromium {running.version}")
            yield running, lab


@contextmanager
def notebook(running: Chromium, lab: Lab, name: str, *cells: str) -> Iterator[NotebookPage]:
    """A notebook of these cells in a tab of its own with a fresh kernel, opened and not run.

    Raises:
        AssertionError: at the end, if the page reported an error or asked for something off this machine.
    """
    write_notebook(lab.root / f"{name}.ipynb", *cells)
    tab = NotebookPage(running, lab)
    tab.page.set_default_timeout(1000 * WIDGET_SECONDS)
    tab.open(f"{name}.ipynb")
    try:
        yield tab
        tab.check()
    finally:
        tab.close()
