"""A function that trains takes turns with others, and can be stopped between two of its batches."""

import threading

import pytest
import torch

from efflab.training import Progress
from efflab.training.turns import in_turns, one_thread


def batches(n, log):
    def work(progress):
        for i in range(1, n + 1):
            if progress.is_stopped:
                log.append("stopped")
                return
            log.append(i)
            progress.on_batch(i / n)

    return work


def test_each_turn_runs_one_batch_and_no_more():
    log = []
    turns = in_turns(batches(3, log), Progress())
    assert log == []
    assert next(turns) == pytest.approx(1 / 3)
    assert log == [1]
    assert next(turns) == pytest.approx(2 / 3)
    assert log == [1, 2]


def test_it_ends_when_the_work_ends():
    log = []
    assert list(in_turns(batches(2, log), Progress())) == [0.5, 1.0]
    assert log == [1, 2]


def test_a_stopped_work_ends_at_its_next_turn():
    log, progress = [], Progress()
    turns = in_turns(batches(9, log), progress)
    next(turns)
    progress.stop()
    assert list(turns) == []
    assert log == [1, "stopped"]


def test_closing_it_stops_the_work_and_waits_for_its_thread():
    log = []
    turns = in_turns(batches(9, log), Progress())
    next(turns)
    turns.close()
    assert log == [1, "stopped"]
    assert not [thread for thread in threading.enumerate() if thread.name == "efflab training"]


def test_what_the_work_raises_reaches_whoever_asks_for_the_next_turn():
    def work(progress):
        progress.on_batch(0.5)
        raise ValueError("no layer can be pruned")

    turns = in_turns(work, Progress())
    next(turns)
    with pytest.raises(ValueError, match="no layer can be pruned"):
        next(turns)


def test_one_thread_is_for_the_moment_only_even_after_an_error():
    def fail():
        with one_thread():
            raise ValueError(f"moved on with {torch.get_num_threads()} thread")

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with pytest.raises(ValueError, match="moved on with 1 thread"):
            fail()
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
