"""What every test stands on: one thread, no network, and none of the user's own folders."""

import os
import socket
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import support

# Before torch is imported: sums in a fixed order give the same bits on a machine with any number of cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")

LOOPBACK = ("127.0.0.1", "::1", "localhost")


@pytest.fixture(scope="session")
def repository() -> Path:
    """The folder of the checkout."""
    return Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session", autouse=True)
def own_folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Give the session caches, journals and settings of its own: the user's are neither read nor changed."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        for kind in ("CACHE", "CONFIG", "DATA", "STATE"):
            patch.setenv(f"XDG_{kind}_HOME", str(home / kind.lower()))
        patch.setenv("HYPOTHESIS_STORAGE_DIRECTORY", str(home / "hypothesis"))  # else in the checkout
        yield home


@pytest.fixture(scope="module")
def tool(repository: Path) -> Iterator[Callable[[str], ModuleType]]:
    """Imports a module of tools/ by its name; all of them are forgotten again."""
    folder = repository / "tools"
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        yield import_module
        for path in folder.glob("*.py"):
            sys.modules.pop(path.stem, None)


@pytest.fixture
def stopwatch(monkeypatch: pytest.MonkeyPatch) -> "support.AnsweringStopwatch":
    """Nothing is really timed."""
    import support  # torch, which not every test needs

    from efflab.lab import measuring

    answering = support.AnsweringStopwatch()
    monkeypatch.setattr(measuring, "stopwatch", lambda: answering)
    return answering


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Turn any connection that leaves this machine into a failure of the test that asked for it."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: object) -> None:
        if isinstance(address, tuple) and address[0] not in LOOPBACK:
            raise RuntimeError(f"a test tried to reach {address[0]}: tests run offline")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)
