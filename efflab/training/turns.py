"""Let a function that trains for minutes share the one worker thread with previews that take milliseconds.

The worker interleaves generators, but a technique is a plain function that reports after each batch. `in_turns` makes
a generator of it: the function runs on a thread of its own, and only while the worker waits for its next turn. So two
computations never fight for the same cores, and a preview waits for one batch, never for a training.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from efflab.training.progress import Progress


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute with one core while a hand moves: the other draws the page, and small networks lose little by it."""
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(n_threads)


def in_turns(work: Callable[[Progress], object], progress: Progress) -> Iterator[float]:
    """Run `work(progress)`; yield the fraction done (0 to 1) after each batch that it reports.

    Closed before its end, it asks the work to stop and lets it finish its batch. `progress.on_batch` is taken over.

    Raises:
        Exception: whatever the work raised, in the thread that asks for the next turn.
    """
    go, pause = threading.Semaphore(0), threading.Semaphore(0)
    state: dict[str, float] = {"done": 0.0}
    errors: list[BaseException] = []

    def hand_over(fraction: float) -> None:
        state["done"] = fraction
        pause.release()
        go.acquire()

    def whole() -> None:
        go.acquire()
        try:
            work(progress)
        except BaseException as error:  # handed to whoever asks for the next turn
            errors.append(error)
        finally:
            state["ended"] = 1.0
            pause.release()

    progress.on_batch = hand_over
    thread = threading.Thread(target=whole, name="efflab training", daemon=True)
    thread.start()
    try:
        while True:
            go.release()
            pause.acquire()
            if "ended" in state:
                break
            yield state["done"]
    finally:
        progress.stop()
        progress.on_batch = None
        go.release()
        thread.join()
    if errors:
        raise errors[0]
