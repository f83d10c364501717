"""One chapter's panel alone, over the whole window: what `efflab demo 03` opens.

The cells that show it carry the tag `demo` in the shipped notebook, so that a demonstration is never another text than
the chapter. A kernel of a JupyterLab server runs them before the page is opened, which finds the panel as it stands:
nobody has to press anything, and no code is seen. All of it lies in a folder that goes when the demonstration ends, the
journal included.
"""

import ast
import json
import os
import secrets
import signal
import socket
import subprocess
import threading
import urllib.error
import urllib.request
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import Any, NoReturn

from efflab import shipped
from efflab.cli.chapters import ChapterError, chapters, jupyter_command, jupyter_environment

TAG = "demo"
NOTEBOOK = "demo.ipynb"
START_S, PAUSE_S, CELL_S = 120.0, 0.2, 300.0
SHOW = "from efflab.widgets.teaching import fill_window\n\nfill_window({})"
KERNEL = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}


def demo(chapter: str, *, browser: bool = True, source: Path | None = None) -> None:
    """Open the panel of a chapter, and stay until Ctrl-C, or until we are asked to end.

    Raises:
        ChapterError: there is no such chapter, or it has no panel to show.
        OSError: JupyterLab could not be started.
    """
    code = demo_code(chapter, source=source)
    for one in (signal.SIGINT, signal.SIGTERM):  # also where whoever started us ignores them
        signal.signal(one, _end)
    folder = TemporaryDirectory(prefix="efflab-demo-", ignore_cleanup_errors=True)
    with suppress(KeyboardInterrupt), folder as home, _server(Path(home)) as server:
        server.show(code)
        print(f"The demonstration is on {server.url}\nStop it with Ctrl-C.", flush=True)
        if browser:
            webbrowser.open(server.url)
        server.wait()


def demo_code(chapter: str, *, source: Path | None = None) -> str:
    """The chapter's cells with the tag `demo`, the last of which lets its panel fill the window.

    Raises:
        ChapterError: there is no such chapter, or none of its cells has the tag.
    """
    there = chapters(source or shipped.notebooks())
    path = there.get(chapter.zfill(2) if chapter.isdigit() else chapter)
    if path is None:
        raise ChapterError(f"there is no chapter {chapter!r}; there are: {', '.join(there) or 'none'}")
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    texts = ["".join(cell["source"]) for cell in cells if TAG in cell["metadata"].get("tags", [])]
    if not texts:
        raise ChapterError(f"chapter {chapter} has no panel to show alone")
    return _with_last_shown("\n\n".join(texts))


def _with_last_shown(code: str) -> str:
    """The code, whose last expression is a panel, with that panel over the window."""
    last = ast.parse(code).body[-1]
    if not isinstance(last, ast.Expr):
        raise ChapterError(f"the last line of the demonstration shows no panel: {ast.unparse(last)}")
    before = "\n".join(code.splitlines()[: last.lineno - 1])
    return f"{before}\n{SHOW.format(ast.unparse(last.value))}\n"


class Server:
    """A JupyterLab on localhost with a folder, a token and settings of its own."""

    def __init__(self, home: Path) -> None:
        self.home, self.port, self._token = home, _free_port(), secrets.token_hex(16)
        (home / "notebooks").mkdir()
        places = {
            "JUPYTER_CONFIG_DIR": "config",
            "JUPYTER_DATA_DIR": "data",  # where it remembers which outputs it may trust
            "JUPYTER_RUNTIME_DIR": "runtime",
            "JUPYTERLAB_SETTINGS_DIR": "settings",
            "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
            "EFFLAB_JOURNAL": "journal.sqlite",
        }
        own = {name: str(home / place) for name, place in places.items()} | {"EFFLAB_TEACHER": "1"}
        self._log = (home / "server.log").open("wb")
        self._process = subprocess.Popen(
            [
                *jupyter_command(home / "notebooks", browser=False),
                f"--ServerApp.port={self.port}",
                "--ServerApp.port_retries=0",
                f"--IdentityProvider.token={self._token}",
            ],
            env=os.environ | jupyter_environment() | own,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,  # Ctrl-C is for us: the server would ask whether it is meant
        )

    @property
    def url(self) -> str:
        """Where the demonstration opens."""
        return f"http://127.0.0.1:{self.port}/lab/tree/{NOTEBOOK}?token={self._token}&reset"

    def show(self, code: str) -> None:
        """Run the code in a kernel, and leave what it displays in the notebook that the page opens.

        Raises:
            OSError: the server did not answer, or the code failed.
        """
        self._wait_until_up()
        cell = {
            "cell_type": "code",
            "id": "demo",
            "execution_count": 1,
            "metadata": {"jupyter": {"source_hidden": True}, "trusted": True},
            "outputs": [],
            "source": code,
        }
        self._save(cell)
        session = self._ask(
            "sessions", {"path": NOTEBOOK, "type": "notebook", "name": "", "kernel": {"name": "python3"}}
        )
        cell["outputs"] = self._run(session["kernel"]["id"], code)
        self._save(cell)

    def wait(self) -> None:
        """Stay until the server ends by itself."""
        self._process.wait()

    def close(self) -> None:
        """End the server and its kernel."""
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()

    def _save(self, cell: dict[str, Any]) -> None:
        notebook = {"cells": [cell], "metadata": KERNEL, "nbformat": 4, "nbformat_minor": 5}
        self._ask(f"contents/{NOTEBOOK}", {"type": "notebook", "format": "json", "content": notebook}, method="PUT")

    def _run(self, kernel: str, code: str) -> list[dict[str, Any]]:
        from jupyter_client.blocking.client import BlockingKernelClient
        from nbformat.v4 import output_from_msg

        outputs: list[dict[str, Any]] = []

        def keep(message: dict[str, Any]) -> None:
            if message["msg_type"] in ("display_data", "execute_result", "error", "stream"):
                outputs.append(output_from_msg(message))  # type: ignore[no-untyped-call]  # nbformat's

        client = BlockingKernelClient()
        client.load_connection_file(str(self.home / "runtime" / f"kernel-{kernel}.json"))
        client.start_channels()
        try:
            client.wait_for_ready(timeout=START_S)
            client.execute_interactive(code, output_hook=keep, timeout=CELL_S)
        except (RuntimeError, TimeoutError) as error:
            raise OSError(f"the kernel of the demonstration did not answer: {error}") from error
        finally:
            client.stop_channels()
        failed = [one for one in outputs if one["output_type"] == "error"]
        if failed:
            raise OSError(f"the demonstration failed: {failed[0]['ename']}: {failed[0]['evalue']}")
        return outputs

    def _ask(self, what: str, body: dict[str, Any] | None = None, *, method: str | None = None) -> Any:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/api/{what}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"token {self._token}", "Content-Type": "application/json"},
            method=method or ("GET" if body is None else "POST"),
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # this machine, whatever proxy it has
        with opener.open(request, timeout=60) as answer:
            return json.loads(answer.read())

    def _wait_until_up(self) -> None:
        pause = threading.Event()
        for _ in range(round(START_S / PAUSE_S)):
            try:
                self._ask("status")
                return
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                if self._process.poll() is not None:
                    break
                pause.wait(PAUSE_S)
        said = (self.home / "server.log").read_text(encoding="utf-8", errors="replace").strip().splitlines()[-3:]
        raise OSError("JupyterLab did not start: " + " ".join(said))


def _end(number: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


@contextmanager
def _server(home: Path) -> Iterator[Server]:
    server = Server(home)
    try:
        yield server
    finally:
        server.close()


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
