"""`efflab demo 03` for real: its page shows the panel alone, over the whole window, with no click and no code."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page

from tests.browser.driver import Chromium, NotebookPage

pytestmark = pytest.mark.browser

SECONDS = 180
WINDOW = ".efflab-panel.efflab-window"
COVERED = """() => {
  const at = (x, y) => document.elementFromPoint(x, y)?.closest(".efflab-panel.efflab-window");
  const [right, bottom] = [innerWidth - 20, innerHeight - 3];
  const places = [[3, 3], [right, 3], [3, bottom], [right, bottom], [innerWidth / 2, innerHeight / 2]];
  return places.every(([x, y]) => at(x, y));
}"""


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A demonstration that runs: its address, and the folder that it lies in; ended with Ctrl-C."""
    (tmp_path / "temporary").mkdir()
    log = (tmp_path / "log").open("w")
    command = [sys.executable, "-m", "efflab.cli", "demo", "03", "--no-browser"]
    environment = os.environ | {"TMPDIR": str(tmp_path / "temporary"), "EFFLAB_JOURNAL": str(tmp_path / "own.sqlite")}
    process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
    try:
        end = time.monotonic() + SECONDS
        while (found := re.search(r"http://\S+", (tmp_path / "log").read_text())) is None:
            assert process.poll() is None, (tmp_path / "log").read_text()
            assert time.monotonic() < end, "the demonstration did not start"
            time.sleep(0.1)
        yield found.group(), tmp_path
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
    finally:
        process.terminate()  # not killed: its server would stay
        process.wait(60)
        log.close()


def test_the_panel_fills_the_window_lives_and_leaves_nothing_behind(demo, lab, browser: Chromium, axe):
    address, folder = demo
    tab = NotebookPage(browser, lab)
    page: Page = tab.page
    page.set_viewport_size({"width": 1280, "height": 720})
    page.goto(address)
    page.wait_for_selector(f"{WINDOW} .efflab-figure[data-drawn]")
    page.wait_for_function(COVERED)
    assert page.locator(f"{WINDOW}.efflab-projector").count() == 1
    assert not page.locator(".jp-InputArea-editor").first.is_visible()
    assert page.locator(WINDOW).get_by_role("button", name="Skip").count() == 0

    handle = page.locator(f"{WINDOW} .noUi-handle").first
    handle.focus()
    for _ in range(3):
        page.keyboard.press("PageUp")
    page.wait_for_selector(f"{WINDOW} .efflab-sentence >> text=/^[1-9][0-9]? % of the weights removed/")
    assert tab.serious_faults() == []
    tab.page.context.close()
    tab.check()
    assert address.startswith("http://127.0.0.1:")
    assert not (folder / "own.sqlite").exists()  # the learner's journal is not touched


def test_nothing_is_left_of_a_demonstration(tmp_path):
    (tmp_path / "temporary").mkdir()
    environment = os.environ | {"TMPDIR": str(tmp_path / "temporary")}
    command = [sys.executable, "-m", "efflab.cli", "demo", "00", "--no-browser"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True)
    assert process.stdout is not None
    with process.stdout as said:
        assert "http://127.0.0.1:" in said.readline()
    assert [path.name[:12] for path in (tmp_path / "temporary").iterdir() if path.name.startswith("efflab-demo-")]
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 0
    left = [path.name for path in (tmp_path / "temporary").iterdir() if path.name.startswith("efflab-demo-")]
    assert left == []
