"""Keep a notebook live: one worker thread, and only the newest setting of each control counts.

A slider sends thirty settings a second, more than most computations can follow. So each job belongs to a
key (the control or picture that asked), and the latest job of a key wins: it replaces one that waits, and
makes one that runs stale. A job asks `stale()` between chunks and gives up when it is; the last job of a
key always runs.

Quick previews and long trainings share the one thread (two would only fight for the same cores), so a long
job must let others in between. It does so by being a generator: each `yield` ends its turn, and the worker
serves the other keys in order before it goes on. A preview is a plain function: it waits for one turn of a
training (a batch), never for the end of it, and is not interleaved itself. A job that yields a number of seconds
rests that long, while others work: so it waits for the hand to be still, and is not begun for nothing.

Simplified: no priorities, no results handed back (a job tells a view), no second thread. At work, use
`concurrent.futures`, which has neither staleness nor turns. Gradient and inference mode of torch belong to
a thread: a job enters them itself.
"""

import atexit
import os
import threading
from collections import deque
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field
from functools import cache

from efflab.measure.clock import now

Stale = Callable[[], bool]
Turns = Iterator[float | None]
Job = Callable[[Stale], Turns | None]
OnError = Callable[[BaseException], object]


@dataclass(eq=False)
class _Task:
    key: Hashable
    job: Job
    on_error: OnError | None
    stale: threading.Event = field(default_factory=threading.Event)
    turns: Turns | None = None  # what a long job returned: its turns to come
    rests_until: float = 0.0

    def take_turn(self) -> bool:
        """True if there is more to do after this turn."""
        if self.stale.is_set():
            getattr(self.turns, "close", lambda: None)()  # a generator runs its `finally` blocks now
            return False
        if self.turns is None:
            self.turns = self.job(self.stale.is_set)
            return self.turns is not None
        try:
            rest = next(self.turns)
        except StopIteration:
            return False
        self.rests_until = now() + rest if rest else 0.0
        return True


class Worker:
    """A thread that runs the latest job of each key, one turn at a time.

    >>> worker, seen = Worker(), []
    >>> worker.submit("accuracy", lambda stale: seen.append(90))
    >>> worker.wait(timeout=10)
    >>> seen
    [90]
    """

    def __init__(self) -> None:
        self.last_error: BaseException | None = None
        self._changed = threading.Condition()
        self._waiting: dict[Hashable, _Task] = {}  # in the order in which keys are served
        self._given_up: deque[_Task] = deque()  # stale between two turns, still to be closed
        self._running: _Task | None = None
        self._thread: threading.Thread | None = None

    def submit(self, key: Hashable, job: Job, *, on_error: OnError | None = None) -> None:
        """Run `job(stale)` soon on the worker thread, instead of any earlier job of the same key.

        key: whoever asks, for example `"preview"`; different keys never supersede each other.
        job: a plain function, or a generator function whose every `yield` lets other keys have a turn; what it
            yields is the rest before its next turn in seconds, or None.
        on_error: gets what the job raised, on the worker thread; without it see `wait()`.
        """
        with self._changed:
            self._make_stale(key)
            self._waiting[key] = _Task(key, job, on_error)  # a key that waits keeps its place in the order
            if self._thread is None:
                self._thread = threading.Thread(target=self._serve, name="efflab worker", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def cancel(self, key: Hashable) -> None:
        """Make the job of this key stale and give it no further turn; a key without a job is ignored."""
        with self._changed:
            self._make_stale(key)
            self._waiting.pop(key, None)
            self._changed.notify_all()

    def wait(self, timeout: float | None = None) -> None:
        """Return when all work is done. timeout: seconds.

        Raises: what a job without `on_error` raised (until then it is in `last_error`); TimeoutError if there
        is still work after `timeout` seconds; RuntimeError if a job waits for itself.
        """
        if threading.current_thread() is self._thread:
            raise RuntimeError("wait() was called by a job, which would wait for itself; call it from a cell")
        with self._changed:
            if not self._changed.wait_for(self._is_idle, timeout):
                raise TimeoutError(f"still at work on {self._busy_with()} after {timeout} s; wait or cancel it")
            error, self.last_error = self.last_error, None
        if error is not None:
            raise error

    def close(self, timeout: float = 1.0) -> None:
        """Cancel everything and give a running job `timeout` seconds to notice."""
        with self._changed:
            for key in [*self._waiting, *([self._running.key] if self._running else [])]:
                self.cancel(key)
            self._changed.wait_for(self._is_idle, timeout)

    def _make_stale(self, key: Hashable) -> None:
        if self._running is not None and self._running.key == key:
            self._running.stale.set()
        waiting = self._waiting.get(key)
        if waiting is not None:
            waiting.stale.set()
            if waiting.turns is not None:
                self._given_up.append(waiting)

    def _is_idle(self) -> bool:
        return not (self._waiting or self._given_up or self._running)

    def _busy_with(self) -> str:
        running = [self._running.key] if self._running else []
        return ", ".join(map(repr, [*running, *self._waiting]))

    def _serve(self) -> None:
        while True:
            task = self._next()
            more = False
            try:
                more = task.take_turn()
            except BaseException as error:  # also SystemExit: the thread must outlive every job
                self._report(task, error)
            self._put_back(task, more)

    def _next(self) -> _Task:
        with self._changed:
            while not (self._given_up or self._rested()):
                rests = [task.rests_until for task in self._waiting.values()]
                self._changed.wait(max(0.0, min(rests) - now()) if rests else None)
            self._running = self._given_up.popleft() if self._given_up else self._waiting.pop(self._rested()[0])
            return self._running

    def _rested(self) -> list[Hashable]:
        return [key for key, task in self._waiting.items() if task.rests_until <= now()]

    def _put_back(self, task: _Task, more: bool) -> None:
        with self._changed:
            self._running = None
            if more and task.stale.is_set():
                self._given_up.append(task)
            elif more:
                self._waiting[task.key] = task
            self._changed.notify_all()

    def _report(self, task: _Task, error: BaseException) -> None:
        try:
            if task.on_error is None:
                raise error
            task.on_error(error)
        except BaseException as unhandled:  # nothing vanishes: wait() raises it
            self.last_error = unhandled


@cache
def worker() -> Worker:
    """The one worker of this process; the house's one exception to "no module-level state".

    Ask for it each time instead of keeping it: threads do not survive a fork, so there a new one is made.
    """
    shared = Worker()
    atexit.register(shared.close)  # a daemon thread inside a torch kernel at exit can abort the interpreter
    if hasattr(os, "register_at_fork"):  # not on Windows, which does not fork
        os.register_at_fork(after_in_child=worker.cache_clear)
    return shared
