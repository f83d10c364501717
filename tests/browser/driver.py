"""Drive a real Chromium against a real JupyterLab, as a learner would use it.

`Lab` is a JupyterLab server over a folder, with settings of its own and only on localhost. `Browser` is a Chromium from
the system. `NotebookPage` is one notebook in one tab: run it, drag, press keys, look. Every request that leaves this
machine is aborted and remembered; so is every error of the page and its console.

In-page clocks: `press` stamps the key in the page, when a marker reached the wanted value, and when that was painted,
so that the round trip to this process is not part of the latency.
"""

import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlparse

import nbformat
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import ConsoleMessage, Locator, Page, Route, sync_playwright

START_S = 90.0  # a cold JupyterLab on two busy cores
STEP_S = 60.0
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
FLAGS = (
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--disable-sync",
    "--no-first-run",
)
AXE = Path(__file__).parents[2] / ".venv" / "axe" / "node_modules" / "axe-core" / "axe.min.js"
LOCAL = {"localhost", "127.0.0.1"}

# What JupyterLab itself writes to the console as an error, without any code of ours.
KNOWN_CONSOLE_ERRORS = ("Could not restore the debugger state",)  # a kernel was shut down while its debugger was asked
QUIET = {"@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False}}

PROBE = """() => {
  const probe = (window.__probe = {start: 0, wanted: null, result: null});
  const painted = (then) => requestAnimationFrame(() => {
    const {port1, port2} = new MessageChannel();
    port1.onmessage = then;
    port2.postMessage(0);
  });
  document.addEventListener("keydown", () => { probe.start = performance.now(); }, true);
  new MutationObserver(() => {
    if (!probe.wanted) return;
    const {selector, attribute, value} = probe.wanted;
    const element = document.querySelector(selector);
    const found = attribute ? element?.getAttribute(attribute) : element?.textContent;
    if (found !== value) return;
    probe.wanted = null;
    const drawn = performance.now() - probe.start;
    painted(() => { probe.result = {drawn, painted: performance.now() - probe.start}; });
  }).observe(document.body, {subtree: true, childList: true, attributes: true, characterData: true});
}"""
KERNEL_IDLE = "() => window.jupyterapp?.shell?.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'"
CODE_CELLS = """
  const cells = window.jupyterapp.shell.currentWidget.content.widgets.map((cell) => cell.model);
  const code = cells.filter((cell) => cell.type === "code" && cell.sharedModel.source.trim());
  const outputs = code.flatMap((cell) => cell.outputs.toJSON());
  const errors = outputs.filter((output) => output.output_type === "error");
  const failed = errors.map((output) => output.traceback.join("\\n"));
"""
CELLS_ENDED = f"""() => {{{CODE_CELLS}
  const ended = (cell) => cell.executionCount !== null && cell.executionState === "idle";
  return failed.length > 0 || code.every(ended);
}}"""
FAILED_CELLS = f"() => {{{CODE_CELLS} return failed; }}"
SAVE_WIDGETS = "@jupyter-widgets/jupyterlab-manager:saveWidgetState"
SHUT_DOWN = "async () => { await window.jupyterapp?.shell?.currentWidget?.sessionContext?.shutdown(); }"


def find_chromium() -> str | None:
    """The Chromium of $CHROMIUM or of this system; None if there is none."""
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)


def write_notebook(path: Path, *cells: str) -> Path:
    """A notebook of code cells at `path`."""
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(cell) for cell in cells], metadata={"kernelspec": kernel}
    )
    nbformat.write(notebook, path)
    return path


@dataclass(frozen=True)
class Latency:
    """Milliseconds in the page from a key press until the marker changed (`drawn`) and was painted."""

    drawn_ms: float
    painted_ms: float


def median_painted_ms(presses: Sequence[Latency]) -> float:
    """The middle one of the times from key press to paint."""
    return statistics.median(press.painted_ms for press in presses)


class Lab:
    """A JupyterLab server over `root`, on a free port of localhost, that knows nothing of the user's own settings.

    settings: JupyterLab's default settings to override, by plugin name.
    """

    def __init__(self, root: Path, state: Path, settings: Mapping[str, Any] | None = None) -> None:
        self.root, self.token = root, "browser-test"
        self.port = _free_port()
        self._state, self._settings = state, QUIET | dict(settings or {})
        self._server: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        config = self._state / "config"
        (config / "labconfig").mkdir(parents=True)
        (config / "labconfig" / "default_setting_overrides.json").write_text(json.dumps(self._settings))
        environment = os.environ | {
            "JUPYTER_CONFIG_DIR": str(config),
            "JUPYTER_RUNTIME_DIR": str(self._state / "runtime"),
            "JUPYTERLAB_SETTINGS_DIR": str(self._state / "settings"),
            "JUPYTERLAB_WORKSPACES_DIR": str(self._state / "workspaces"),
        }
        with self.log.open("wb") as log:
            self._server = subprocess.Popen(self._command(), stdout=log, stderr=log, env=environment, cwd=self.root)
        self._wait_until_up()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.terminate()
        try:
            self._server.wait(15)
        except subprocess.TimeoutExpired:
            self._server.kill()
            self._server.wait()

    @property
    def log(self) -> Path:
        """What the server wrote."""
        return self._state / "server.log"

    def url(self, notebook: str) -> str:
        """Where a notebook opens, alone, with a fresh workspace."""
        return f"http://localhost:{self.port}/lab/tree/{notebook}?token={self.token}&reset"

    def _command(self) -> list[str]:
        options = [
            "--no-browser",
            "--expose-app-in-browser",  # `window.jupyterapp`: run cells, set the theme, ask the kernel's state
            f"--port={self.port}",
            "--ServerApp.port_retries=0",
            "--ServerApp.ip=127.0.0.1",
            f"--ServerApp.root_dir={self.root}",
            f"--IdentityProvider.token={self.token}",
            "--LabApp.news_url=",
            "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
            "--LabApp.extension_manager=readonly",  # the other one asks a package index
        ]
        root = ["--allow-root"] if _is_root() else []
        return [sys.executable, "-m", "jupyter", "lab", *options, *root]

    def _wait_until_up(self) -> None:
        assert self._server is not None
        end = time.monotonic() + START_S
        while time.monotonic() < end and self._server.poll() is None:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}/api?token={self.token}", timeout=5).close()
                return
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                time.sleep(0.1)
        self.__exit__()
        raise RuntimeError(f"JupyterLab did not answer within {START_S} s:\n{self.log.read_text()[-2000:]}")


@contextmanager
def chromium() -> Iterator[Chromium]:
    """The system's Chromium, without a network life of its own."""
    flags = [*FLAGS, *(["--no-sandbox"] if _is_root() else [])]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=flags)
        try:
            yield browser
        finally:
            browser.close()


class NotebookPage:
    """One tab that shows one notebook of a `Lab`.

    external: addresses off this machine that the page asked for (and did not get).
    errors: what the page threw and what it wrote to its console as an error.
    """

    def __init__(self, browser: Chromium, lab: Lab) -> None:
        self._lab = lab
        self._context = browser.new_context(viewport={"width": 1400, "height": 900})
        self.page: Page = self._context.new_page()
        self.page.set_default_timeout(1000 * STEP_S)
        self.external: list[str] = []
        self.errors: list[str] = []
        self._context.route("**/*", self._allow_local)
        self.page.on("websocket", lambda socket: self._is_local(socket.url))
        self.page.on("pageerror", lambda error: self.errors.append(f"page error: {error}"))
        self.page.on("console", self._note_console)

    def open(self, notebook: str) -> None:
        """Show the notebook and wait until its kernel is ready. Nothing is run."""
        self.page.goto(self._lab.url(notebook), wait_until="commit", timeout=1000 * START_S)
        self.page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=1000 * START_S)
        self.page.wait_for_function(KERNEL_IDLE, timeout=1000 * START_S)
        self.page.evaluate(PROBE)

    def start_all(self) -> None:
        """Run all cells; do not wait for them."""
        self.page.evaluate("() => { window.jupyterapp.commands.execute('notebook:run-all-cells'); }")

    def run_all(self) -> None:
        """Run all cells and wait for the last one. Raises: AssertionError with the traceback if a cell failed."""
        self.start_all()
        self.page.wait_for_function(CELLS_ENDED)
        failed = self.page.evaluate(FAILED_CELLS)
        assert not failed, f"a cell failed:\n{failed[0]}"
        self.page.wait_for_function(KERNEL_IDLE)

    def save(self) -> None:
        """Write the notebook with its outputs."""
        self.page.evaluate("async () => { await window.jupyterapp.commands.execute('docmanager:save'); }")

    def save_widgets(self) -> None:
        """Write the notebook with its outputs and the state of its widgets, as JupyterLab's setting has it."""
        self.page.evaluate("name => window.jupyterapp.commands.execute(name)", SAVE_WIDGETS)
        self.save()
        self.save()  # the state is collected while the notebook is saved: only the second file is sure to hold it

    def show(self, element: Locator) -> Locator:
        """Scroll the element into view, wait until it is there, and return it."""
        element.scroll_into_view_if_needed()
        element.wait_for(state="visible")
        return element

    def drag(self, handle: Locator, pixels: int, steps: int = 20) -> None:
        """Drag a slider's handle to the right (left if negative), a step a frame."""
        box = self.show(handle).bounding_box()
        assert box is not None, "the handle has no place on the page"
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        self.page.mouse.move(x, y)
        self.page.mouse.down()
        for step in range(1, steps + 1):
            self.page.mouse.move(x + pixels * step / steps, y)
            self.next_frame()
        self.page.mouse.up()

    def press(self, key: str, *, marker: str, value: str, attribute: str | None = None) -> Latency:
        """Press a key and time it until the first element that matches `marker` has the text, or attribute, `value`."""
        wanted = {"selector": marker, "attribute": attribute, "value": value}
        self.page.evaluate("wanted => Object.assign(window.__probe, {wanted, result: null})", wanted)
        self.page.keyboard.press(key)
        result = self.page.wait_for_function("() => window.__probe.result").json_value()
        return Latency(drawn_ms=result["drawn"], painted_ms=result["painted"])

    def next_frame(self) -> None:
        """Let the page paint once."""
        self.page.evaluate("() => new Promise((resolve) => { requestAnimationFrame(() => resolve()); })")

    @contextmanager
    def dark_theme(self) -> Iterator[None]:
        """JupyterLab's dark look; light again at the end, because the server keeps the choice for every later tab."""
        self._set_theme("JupyterLab Dark", light="false")
        try:
            yield
        finally:
            self._set_theme("JupyterLab Light", light="true")

    @contextmanager
    def narrow(self, width: int = 850) -> Iterator[None]:
        """A narrow window without JupyterLab's list of files, as a projector may have it; as before at the end."""
        before, toggle = (
            self.page.viewport_size,
            "() => window.jupyterapp.commands.execute('application:toggle-left-area')",
        )
        assert before is not None, "the window has no size of its own"
        self.page.evaluate(toggle)
        self.page.set_viewport_size({"width": width, "height": before["height"]})
        try:
            yield
        finally:
            self.page.set_viewport_size(before)
            self.page.evaluate(toggle)

    def _set_theme(self, theme: str, light: str) -> None:
        self.page.evaluate("theme => window.jupyterapp.commands.execute('apputils:change-theme', {theme})", theme)
        self.page.wait_for_selector(f'[data-jp-theme-light="{light}"]', state="attached")
        # JupyterLab covers the page meanwhile; a second change before the cover is gone makes an error of its own.
        self.page.wait_for_selector("#jupyterlab-splash", state="detached")

    def screenshot(self, path: Path) -> None:
        """A picture of the window, as PNG."""
        self.page.screenshot(path=path)

    def close(self) -> None:
        """Shut the kernel down and close the tab."""
        self.page.evaluate(SHUT_DOWN)
        self._context.close()

    def expect_error(self, pattern: str) -> None:
        """Take out the errors that match: those that JupyterLab makes without us and that a test provokes.

        Raises: AssertionError if there is none, because then the reason to expect it is gone.
        """
        matching = [error for error in self.errors if re.search(pattern, error)]
        assert matching, f"expected an error like {pattern!r}, the page reported {self.errors}"
        self.errors = [error for error in self.errors if error not in matching]

    def serious_faults(self) -> list[tuple[str, str, list[str]]]:
        """What axe finds in the panels that is serious or critical: rule, impact, elements."""
        self.page.add_script_tag(content=AXE.read_text(encoding="utf-8"))
        found = self.page.evaluate("async () => (await axe.run('.efflab-panel')).violations")
        return [
            (one["id"], one["impact"], [node["html"][:200] for node in one["nodes"]])
            for one in found
            if one["impact"] in ("serious", "critical")
        ]

    def check(self) -> None:
        """Raises: AssertionError if the page asked for something off this machine or reported an error."""
        assert not self.external, f"the page asked for {self.external}"
        assert not self.errors, "\n".join(self.errors)

    def _is_local(self, url: str) -> bool:
        parts = urlparse(url)
        if parts.scheme in {"data", "blob"} or parts.hostname in LOCAL:
            return True
        self.external.append(url)
        return False

    def _allow_local(self, route: Route) -> None:
        if self._is_local(route.request.url):
            route.continue_()
        else:
            route.abort()

    def _note_console(self, message: ConsoleMessage) -> None:
        if message.type == "error" and not message.text.startswith(KNOWN_CONSOLE_ERRORS):
            self.errors.append(f"console: {message.text}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _is_root() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0
