"""The worker runs the latest job of each key, shares its thread fairly and loses no exception."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any

import pytest

from efflab.widgets.worker import Worker, worker

SECONDS = 20.0  # a deadlock fails here; nothing waits this long otherwise


class Hold:
    """A job that reports when it has started and then waits to be let go."""

    def __init__(self) -> None:
        self.started, self.go = threading.Event(), threading.Event()
        self.was_stale: Future[bool] = Future()

    def __call__(self, stale: Callable[[], bool]) -> None:
        self.started.set()
        assert self.go.wait(SECONDS)
        self.was_stale.set_result(stale())

    def wait_until_started(self) -> None:
        assert self.started.wait(SECONDS)


@pytest.fixture
def busy() -> Iterator[tuple[Worker, Hold]]:
    """A worker that is held at work under the key "hold"."""
    held, hold = Worker(), Hold()
    held.submit("hold", hold)
    hold.wait_until_started()
    yield held, hold
    hold.go.set()
    held.close()


def note(seen: list[Any], value: Any) -> Callable[[Callable[[], bool]], None]:
    return lambda stale: seen.append(value)


def test_only_the_last_of_many_queued_jobs_of_a_key_runs(busy):
    held, hold = busy
    seen: list[int] = []
    for setting in range(100):
        held.submit("preview", note(seen, setting))
    hold.go.set()
    held.wait(SECONDS)
    assert seen == [99]


def test_a_running_job_becomes_stale_when_its_key_is_submitted_again(busy):
    held, hold = busy
    seen: list[str] = []
    held.submit("hold", note(seen, "newer"))
    hold.go.set()
    held.wait(SECONDS)
    assert hold.was_stale.result() is True
    assert seen == ["newer"]


def test_a_running_job_stays_fresh_when_another_key_is_submitted(busy):
    held, hold = busy
    held.submit("preview", note([], 0))
    hold.go.set()
    held.wait(SECONDS)
    assert hold.was_stale.result() is False


def test_keys_are_served_in_the_order_of_their_first_request(busy):
    held, hold = busy
    seen: list[str] = []
    for key in ("a", "b", "c"):
        held.submit(key, note(seen, key))
    held.submit("a", note(seen, "newer a"))  # a moving slider keeps its place
    hold.go.set()
    held.wait(SECONDS)
    assert seen == ["newer a", "b", "c"]


def test_a_preview_runs_between_two_turns_of_a_training(busy):
    held, hold = busy
    seen: list[str] = []

    def training(stale):
        for batch in range(3):
            seen.append(f"batch {batch}")
            yield

    held.submit("training", training)
    held.submit("preview", note(seen, "preview"))
    hold.go.set()
    held.wait(SECONDS)
    assert seen == ["preview", "batch 0", "batch 1", "batch 2"]  # its first turn made the generator


def test_two_long_jobs_take_turns(busy):
    held, hold = busy
    seen: list[str] = []

    def long(name):
        def job(stale):
            for turn in range(2):
                seen.append(f"{name}{turn}")
                yield

        return job

    held.submit("a", long("a"))
    held.submit("b", long("b"))
    hold.go.set()
    held.wait(SECONDS)
    assert seen == ["a0", "b0", "a1", "b1"]


def test_a_job_that_rests_lets_all_others_work_first(busy):
    held, hold = busy
    seen: list[str] = []

    def resting(stale):
        seen.append("before the rest")
        yield 0.05
        seen.append("after the rest")

    held.submit("rests", resting)
    held.submit("a", note(seen, "a"))
    held.submit("b", note(seen, "b"))
    hold.go.set()
    held.wait(SECONDS)
    assert seen == ["a", "b", "before the rest", "after the rest"]


def test_a_newer_job_of_the_key_does_not_wait_for_the_end_of_a_rest():
    worker, resting, seen = Worker(), threading.Event(), []

    def rests_for_an_hour(stale):
        resting.set()
        yield 3600.0
        seen.append("never")

    worker.submit("live", rests_for_an_hour)
    assert resting.wait(SECONDS)
    worker.submit("live", note(seen, "newer"))
    worker.wait(SECONDS)
    assert seen == ["newer"]


def test_wait_covers_a_rest():
    worker, seen = Worker(), []

    def job(stale):
        yield 0.05
        seen.append("after the rest")

    worker.submit("live", job)
    worker.wait(SECONDS)
    assert seen == ["after the rest"]


@pytest.mark.parametrize("end", ["submit", "cancel"])
def test_a_long_job_that_became_stale_is_closed_and_its_finally_runs(end):
    busy, first_turn, closed = Worker(), threading.Event(), threading.Event()
    turns: list[int] = []

    def training(stale):
        try:
            while True:
                turns.append(len(turns))
                first_turn.set()
                yield
        finally:
            closed.set()

    busy.submit("training", training)
    assert first_turn.wait(SECONDS)
    if end == "submit":
        busy.submit("training", note(turns, "newer"))
    else:
        busy.cancel("training")
    busy.wait(SECONDS)
    assert closed.is_set()
    assert (turns[-1] == "newer") == (end == "submit")


def test_a_cancelled_job_that_waits_never_runs(busy):
    held, hold = busy
    seen: list[int] = []
    held.submit("preview", note(seen, 1))
    held.cancel("preview")
    hold.go.set()
    held.wait(SECONDS)
    assert seen == []


def test_cancelling_a_running_job_makes_it_stale(busy):
    held, hold = busy
    held.cancel("hold")
    hold.go.set()
    held.wait(SECONDS)
    assert hold.was_stale.result() is True


def test_cancelling_an_unknown_key_changes_nothing(busy):
    held, hold = busy
    held.cancel("nobody")
    hold.go.set()
    held.wait(SECONDS)
    assert hold.was_stale.result() is False


def fail(stale):
    raise ValueError("sparsity 2.0 is above 1")


def fail_later(stale):
    yield
    raise ValueError("sparsity 2.0 is above 1")


@pytest.mark.parametrize("job", [fail, fail_later])
def test_wait_raises_what_a_job_raised_and_only_once(job):
    failing = Worker()
    failing.submit("preview", job)
    with pytest.raises(ValueError, match=r"sparsity 2\.0 is above 1"):
        failing.wait(SECONDS)
    failing.wait(SECONDS)
    assert failing.last_error is None


@pytest.mark.parametrize("job", [fail, fail_later])
def test_on_error_gets_the_exception_instead_of_wait(job):
    failing, seen = Worker(), []
    failing.submit("preview", job, on_error=seen.append)
    failing.wait(SECONDS)
    assert [str(error) for error in seen] == ["sparsity 2.0 is above 1"]
    assert failing.last_error is None


def test_an_exception_raised_by_on_error_is_not_lost():
    def broken(error: BaseException) -> None:
        raise KeyError("broken handler")

    failing = Worker()
    failing.submit("preview", fail, on_error=broken)
    with pytest.raises(KeyError, match="broken handler"):
        failing.wait(SECONDS)


def test_the_thread_survives_a_job_that_exits():
    def leave(stale):
        sys.exit("a learner wrote exit()")

    surviving, seen = Worker(), []
    surviving.submit("a", leave, on_error=seen.append)
    surviving.submit("b", note(seen, "still here"))
    surviving.wait(SECONDS)
    assert isinstance(seen[0], SystemExit)
    assert seen[1] == "still here"


def test_wait_names_the_keys_that_are_still_at_work(busy):
    held, _ = busy
    held.submit("preview", note([], 0))
    with pytest.raises(TimeoutError, match="'hold', 'preview'"):
        held.wait(timeout=0)


def test_wait_inside_a_job_is_refused_because_it_would_never_end():
    waiting = Worker()
    waiting.submit("preview", lambda stale: waiting.wait())
    with pytest.raises(RuntimeError, match="would wait for itself"):
        waiting.wait(SECONDS)


def test_jobs_run_on_one_daemon_thread_and_never_on_the_callers():
    threads: list[threading.Thread] = []
    one = Worker()
    for key in "abc":
        one.submit(key, lambda stale: threads.append(threading.current_thread()))
    one.wait(SECONDS)
    assert len(threads) == 3
    assert len(set(threads)) == 1
    assert threads[0].daemon
    assert threads[0] is not threading.current_thread()


def test_a_job_may_submit_another_one():
    chained, seen = Worker(), []
    chained.submit("a", lambda stale: chained.submit("b", note(seen, "b")))
    chained.wait(SECONDS)
    assert seen == ["b"]


def test_many_threads_submitting_never_lose_the_last_job_of_a_key():
    shared, seen = Worker(), {}
    barrier = threading.Barrier(4)

    def hammer(key: str) -> None:
        barrier.wait(SECONDS)
        for value in range(500):
            shared.submit(key, lambda stale, value=value: seen.update({key: value}))

    threads = [threading.Thread(target=hammer, args=(key,)) for key in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS)
    shared.wait(SECONDS)
    assert seen == dict.fromkeys("abcd", 499)


def test_close_makes_a_running_and_a_waiting_job_stale(busy):
    held, hold = busy
    seen: list[int] = []
    held.submit("preview", note(seen, 1))
    held.close(timeout=0)
    hold.go.set()
    held.wait(SECONDS)
    assert hold.was_stale.result() is True
    assert seen == []


def test_a_notebook_has_one_worker():
    assert worker() is worker()


FORK = """
import os
from efflab.widgets.worker import worker
worker().submit("parent", lambda stale: None)
worker().wait(20)
child = os.fork()
if child:
    raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
seen = []
worker().submit("child", lambda stale: seen.append(1))
worker().wait(20)
os._exit(0 if seen == [1] else 3)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork, so there is nothing to survive")
def test_a_forked_process_gets_a_worker_that_works():
    assert subprocess.run([sys.executable, "-c", FORK], timeout=60, check=False).returncode == 0


def test_an_endless_job_does_not_keep_the_interpreter_alive():
    code = (
        "from itertools import repeat\nfrom efflab.widgets.worker import worker\n"
        "worker().submit('training', lambda stale: repeat(None))"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 0
