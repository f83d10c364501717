"""One JupyterLab for all browser tests, one Chromium a file, a fresh tab for each test."""

import os
from collections.abc import Iterator

import pytest

from tests.browser.driver import AXE, Chromium, Lab, NotebookPage, chromium, find_chromium

HOW_TO_GET_ONE = (
    "no Chromium was found: install one (Debian `apt install chromium`, macOS `brew install --cask chromium`, "
    "Windows: Google Chrome) or set CHROMIUM to the path of its executable"
)


def give_up(sentence: str) -> None:
    """Skip on a user's machine, with the sentence; fail where CI runs."""
    (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(sentence)


@pytest.fixture(scope="session")
def axe() -> None:
    """For a test that needs axe-core."""
    if not AXE.exists():
        give_up("axe-core is not there: run `make axe` once")


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A running JupyterLab. Write notebooks into `lab.root`."""
    if find_chromium() is None:
        give_up(HOW_TO_GET_ONE)
    with Lab(tmp_path_factory.mktemp("notebooks"), tmp_path_factory.mktemp("jupyter")) as running:
        yield running


@pytest.fixture(scope="module")  # not session: while it runs, no other test could start an event loop
def browser(lab: Lab) -> Iterator[Chromium]:
    """A running Chromium."""
    with chromium() as running:
        yield running


@pytest.fixture
def page(browser: Chromium, lab: Lab) -> Iterator[NotebookPage]:
    """A tab of its own that must end without an error and without a request that leaves this machine."""
    tab = NotebookPage(browser, lab)
    yield tab
    tab.close()
    tab.check()
