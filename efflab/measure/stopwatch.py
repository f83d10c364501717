"""The stopwatch: the program of the subprocess that times networks and kernels. It is run as a file.

Why a process of its own: threads of one Python process share the interpreter's lock, and a busy thread beside
it turned a forward pass of 2.1 ms into 117 ms. Why a program of its own: without torch it starts in a quarter
of a second.

What is timed is said by one file of `efflab.runtime`, the program's argument: `session.py` opens ONNX files, and
`kernels.py` makes matrices for torch to multiply. Such a file has `version()`, which says whose code runs, and
`runs(request)`, which makes three things that can be run: the base, the base once more, and the candidate.

How a comparison runs: each round times one block of each of the three, in an order that changes from round to
round, so that what the machine does meanwhile hits all alike. A block is a few runs one after the other, long
enough for the timer, after one run that nobody times; its value is the median run.

A request whose `what` is "energy" asks something else: to run one network without a break, and to read the energy
counters (`energy_counters.py`) and the processor's time before and after.

Lines of JSON come in and go out, and no port is opened. When the input ends the process ends, so that it
cannot outlive the notebook, not even one that was killed.

Reference: Mytkowicz et al., Producing wrong data without doing anything obviously wrong!, ASPLOS 2009.

Where we simplify: random inputs between 0 and 1, all of one batch. At work: onnxruntime_perf_test, and
`torch.utils.benchmark` for kernels.
"""

import gc
import importlib.util
import itertools
import json
import os
import platform
import queue
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, TextIO

BLOCK_S = 0.0005
"""A block lasts about this long: a thousand times the timer's step, and shorter than a turn of the operating system."""
WARM_UP_S = 0.02
"""Each of the three runs this long before anything is timed, or WARM_UP_RUNS if that is shorter, but at least twice."""
WARM_UP_RUNS = 30
SLOW_S = 0.01
"""A run longer than this fetches its weights anew anyway, so its block gets no untimed run."""
MIN_ROUNDS = 6
"""The fewest rounds for which a 95 % interval of a median exists."""

Run = Callable[[], object]
Request = dict[str, Any]


class StoppedError(Exception):
    """The one who asked does not want the answer any more."""


def compare(made: Iterable[Run], seconds: float, check: Callable[[], None]) -> dict[str, Any]:
    """Time base, base and candidate in rounds; `check` is called between blocks and may raise StoppedError.

    The three are made one by one as they are taken from `made`, and `check` is called between them too.

    The answer holds `rounds`, a list of [base, base again, now] in seconds a run, and how long all rounds
    took in seconds of the clock (`wall_s`) and of the processor (`cpu_s`).
    """
    runs = []
    for run in made:
        check()
        runs.append(run)
    slowest = max(warm_up(run, check) for run in runs)
    n_runs = int(BLOCK_S / slowest) | 1  # odd, so that the median is one of the runs
    untimed = 1 if slowest < SLOW_S else 0
    wall, cpu, rounds = time.perf_counter(), time.process_time(), []
    for order in turns():
        row = [0.0, 0.0, 0.0]
        for i in order:
            check()
            row[i] = block(runs[i], n_runs, untimed)
        rounds.append(row)
        if len(rounds) >= MIN_ROUNDS and time.perf_counter() - wall >= seconds:
            break
    return {"rounds": rounds, "wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}


def turns() -> Iterator[tuple[int, ...]]:
    """The six orders of the three, for ever: each goes first, and follows each other one, equally often."""
    return itertools.cycle(itertools.permutations(range(3)))


def warm_up(run: Run, check: Callable[[], None]) -> float:
    """Run until memory is allotted and the processor is awake; returns the median seconds of a run."""
    seconds: list[float] = []
    while len(seconds) < 2 or (sum(seconds) < WARM_UP_S and len(seconds) < WARM_UP_RUNS):
        check()
        seconds.append(block(run, 1, 0))
    return sorted(seconds)[len(seconds) // 2]


def block(run: Run, n_runs: int, untimed: int) -> float:
    """The median seconds of `n_runs` runs (an odd number), after `untimed` runs that fill the caches."""
    for _ in range(untimed):
        run()
    seconds = []
    for _ in range(n_runs):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return sorted(seconds)[n_runs // 2]


def keep_running(run: Run, seconds: float, check: Callable[[], None], counters: Callable[[], object]) -> dict[str, Any]:
    """Run for so many seconds without a break; `check` is called between blocks and may raise StoppedError.

    The answer holds `n_runs`, seconds of the clock (`wall_s`) and of the processor, all its cores (`cpu_s`), and
    what `counters()` said `before` and `after`.
    """
    n_runs, n_blocks = int(BLOCK_S / warm_up(run, check)) or 1, 0
    before = counters()
    wall, cpu = time.perf_counter(), time.process_time()
    while not n_blocks or time.perf_counter() - wall < seconds:
        check()
        for _ in range(n_runs):
            run()
        n_blocks += 1
    used = {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}
    return {**used, "n_runs": n_runs * n_blocks, "before": before, "after": counters()}


class Inbox:
    """The requests, and which of them are not wanted any more, read by a thread as they come in."""

    def __init__(self, lines: TextIO) -> None:
        self.requests: queue.Queue[Request] = queue.Queue()
        self._lines = lines
        self._stopped = 0
        threading.Thread(target=self._read, daemon=True).start()

    def check(self, number: int) -> None:
        """Raise StoppedError if request `number` is not wanted any more."""
        if number <= self._stopped:
            raise StoppedError

    def _read(self) -> None:
        for line in self._lines:
            message = json.loads(line)
            if "stop" in message:
                self._stopped = message["stop"]
            else:
                self.requests.put(message)
        os._exit(0)  # the input has ended, so nobody is there; the main thread may be inside a long run


def answer(request: Request, inbox: Inbox, make: Callable[[Request], Iterable[Run]]) -> dict[str, Any]:
    """What to send back: the timings, or that it was stopped, or why it failed."""

    def check() -> None:
        inbox.check(request["number"])

    gc.disable()
    try:
        if request.get("what") == "energy":
            counters = load_file(str(Path(__file__).with_name("energy_counters.py")))
            run = next(iter(make(request)))
            return keep_running(run, request["seconds"], check, lambda: counters.read(request["root"]))
        return compare(make(request), request["seconds"], check)
    except StoppedError:
        return {"stopped": True}
    except Exception as error:  # whatever the runtime says about what it was given is the answer
        return {"error": (str(error).strip() or type(error).__name__).splitlines()[0]}
    finally:
        gc.enable()


def load_file(path: str) -> ModuleType:
    """One file of efflab as a module, without the package around it and so with no more than the file imports."""
    spec = importlib.util.spec_from_file_location("runtime", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def describe(version: str) -> str:
    """The machine in one line: processor, cores, and whose code runs there."""
    return f"{processor()}, {os.cpu_count()} cores, {version}"


def processor(cpuinfo: str = "/proc/cpuinfo") -> str:
    """The name of the processor as its maker spells it, where the system tells."""
    try:
        with open(cpuinfo, encoding="utf-8") as lines:
            names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()


def main() -> None:
    """Say hello, then answer one request after the other. argv[1]: the file that makes what is timed."""
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a library prints must not look like an answer
    inbox = Inbox(sys.stdin)

    def send(message: dict[str, Any]) -> None:
        replies.write(json.dumps(message) + "\n")
        replies.flush()

    try:
        runtime = load_file(sys.argv[1])
        machine = describe(runtime.version())
    except ImportError as error:
        send({"missing": str(error)})
        return
    send({"machine": machine})
    while True:
        request = inbox.requests.get()
        send(answer(request, inbox, runtime.runs))


if __name__ == "__main__":
    main()
