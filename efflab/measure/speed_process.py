"""The other end of the stopwatch: starts the subprocess, talks to it, notices when it hangs or dies, and replaces it.

Reference: Python documentation, `subprocess`. A thread reads the answers, because not every system can wait
for a pipe with a time limit.

Where we simplify: one subprocess, one request at a time. At work: `concurrent.futures.ProcessPoolExecutor`,
though it can neither stop a task that has begun nor go on after a worker's death.
"""

import contextlib
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, ClassVar, Self

from efflab.measure.clock import now

LOOK_S = 0.02
"""How often a waiting call looks whether it is still wanted and still in time."""
STOP_S = 0.03
"""How long the subprocess may take to stop between two blocks before it is killed instead."""
PATIENCE_S = 30.0
"""A stopwatch process that gives no answer for this long is taken to hang."""
PROGRAM = Path(__file__).with_name("stopwatch.py")
SESSION = Path(__file__).parents[1] / "runtime" / "session.py"
"""What the program times when it is given this file: ONNX files, in ONNX Runtime."""
KERNELS = SESSION.with_name("kernels.py")
"""And with this one: matrix products, in torch."""
EAGER = SESSION.with_name("eager.py")
"""And with this one: networks, in torch."""

Message = dict[str, Any]
Lines = queue.SimpleQueue[str | None]


class SpeedError(RuntimeError):
    """The speed could not be measured; the message says why. The next measurement works again if its cause is gone."""


class Standby:
    """A stopwatch process that starts at the first use, is replaced when it died, and stays up until `close`.

    Any thread may ask; one question runs at a time. `patience_s` is how long the process may give no answer
    before it is taken to hang. A subclass says what is timed, `runtime`.
    """

    runtime: ClassVar[Path]

    def __init__(self, *, patience_s: float = PATIENCE_S) -> None:
        self._patience_s = patience_s
        self._process: Process | None = None
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @property
    def pid(self) -> int | None:
        """The number of the subprocess, or None when none is running."""
        return self._process.pid if self._process is not None and self._process.is_alive else None

    def close(self) -> None:
        """End the subprocess; a comparison that is running in another thread returns None. A later one starts anew."""
        if self._process is not None:
            self._process.end()

    def ask(self, request: Message, what: str, stale: Callable[[], bool] | None) -> Message | None:
        """The answer of the program, with its `machine`, or None if it is not wanted any more or `close` was called.

        Raises:
            SpeedError: the process died or hung, has not got what it needs, or could not time `what`.
        """
        with self._lock:
            process = self._running()
            try:
                answer = process.ask(request, self._patience_s, stale or _wanted)
            except BaseException:  # even an interrupt: the next one must not get this one's answer
                process.end()
                raise
        if answer is None or "stopped" in answer:
            return None
        if "error" in answer:
            raise SpeedError(f"{what} cannot be timed: {answer['error']}")
        return answer | {"machine": process.machine}

    def _running(self) -> "Process":
        if self._process is None or not self._process.is_alive:
            self.close()
            self._process = Process(self.runtime)
        return self._process


class Process:
    """One running stopwatch. `end()` kills it, once; so does forgetting it, and leaving Python."""

    def __init__(self, runtime: Path) -> None:
        errors = tempfile.TemporaryFile()  # noqa: SIM115 (open as long as the process; `_end` closes it)
        popen = start(runtime, errors)
        lines: Lines = queue.SimpleQueue()
        reader = threading.Thread(target=_read, args=(popen.stdout, lines), name="stopwatch", daemon=True)
        reader.start()
        self.machine = ""
        self._is_given_up = False
        self._errors, self._popen, self._lines = errors, popen, lines
        self._number = 0
        self.end = weakref.finalize(self, _end, popen, reader, errors)

    @property
    def pid(self) -> int:
        """The number by which the operating system knows the subprocess."""
        return self._popen.pid

    @property
    def is_alive(self) -> bool:
        """Whether it can still be asked."""
        return self.end.alive and not self._is_given_up and self._popen.poll() is None

    def ask(self, request: Message, patience_s: float, is_stale: Callable[[], bool]) -> Message | None:
        """The answer to `request`, or None if it is not wanted any more or `end` was called.

        Raises:
            SpeedError: the subprocess died, gave no answer within `patience_s` seconds, or misses a library.
        """
        if not self.machine:
            hello = self._receive(patience_s, is_stale)
            if hello is None:
                return None  # it goes on starting, for the next one who asks
            if "missing" in hello:
                raise SpeedError(f"speed cannot be measured here: {hello['missing']}")
            self.machine = hello["machine"]
        if is_stale():
            return None
        self._number += 1
        self._send({"number": self._number, **request})
        reply = self._receive(patience_s, is_stale)
        if reply is None:
            self._stop()
        return reply

    def _send(self, message: Message) -> None:
        assert self._popen.stdin is not None
        with contextlib.suppress(OSError, ValueError):  # it is dead or ended: `_receive` says so
            self._popen.stdin.write(json.dumps(message) + "\n")
            self._popen.stdin.flush()

    def _receive(self, patience_s: float, is_stale: Callable[[], bool]) -> Message | None:
        deadline = now() + patience_s
        while not is_stale():
            with contextlib.suppress(queue.Empty):
                return self._read_line(self._lines.get(timeout=LOOK_S))
            if now() > deadline:
                raise SpeedError(
                    f"the stopwatch process gave no answer within {patience_s:g} s, so it was ended; the next "
                    "measurement starts a new one, and a smaller batch takes less time"
                )
        return None

    def _read_line(self, line: str | None) -> Message | None:
        if line is not None:
            message: Message = json.loads(line)
            return message
        if self.end.alive:
            raise SpeedError(self._epitaph())
        return None

    def _stop(self) -> None:
        """Ask it to stop between two blocks, which keeps it warm; kill it if that is not quick."""
        self._send({"stop": self._number})
        try:
            self._receive(STOP_S, is_stale=lambda: False)
        except SpeedError:
            self._is_given_up = True
            self._popen.kill()
            threading.Thread(target=self.end, name="stopwatch's end").start()  # a busy system buries it slowly

    def _epitaph(self) -> str:
        self._errors.seek(0)
        last = self._errors.read().decode(errors="replace").strip().rpartition("\n")[2]
        words = f" and its last words: {last}" if last else ""
        code = self._popen.wait()
        return f"the stopwatch process died with exit code {code}{words}; the next measurement starts a new one"


def start(runtime: Path, errors: IO[bytes]) -> "subprocess.Popen[str]":
    """Start the program with the file that makes what is timed; what it writes about errors goes to `errors`."""
    # -P: the program's own folder holds modules of ours, which must not hide the standard library's.
    command = [sys.executable, "-P", str(PROGRAM), str(runtime)]
    # ONNX Runtime reports its use over the network unless this is set before it is loaded.
    environment = {**os.environ, "ORT_DISABLE_TELEMETRY": "1", "OMP_NUM_THREADS": "1"}
    try:
        return subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=environment,
            encoding="utf-8",
            start_new_session=True,  # the notebook's interrupt button is not for it (Windows: no window is the same)
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
    except OSError as error:
        errors.close()
        raise SpeedError(f"the stopwatch process cannot be started ({error}), so there is no speed") from error


def _read(replies: IO[str], lines: Lines) -> None:
    """Pass on each line, and None at the end."""
    for line in replies:
        lines.put(line)
    lines.put(None)


def _end(popen: "subprocess.Popen[str]", reader: threading.Thread, errors: IO[bytes]) -> None:
    popen.kill()
    popen.wait()
    reader.join()  # the pipe has ended with the process
    for pipe in (popen.stdin, popen.stdout, errors):
        with contextlib.suppress(OSError):  # what was not sent cannot be sent any more
            if pipe is not None:
                pipe.close()


def _wanted() -> bool:
    return False
