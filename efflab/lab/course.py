"""How far a diagnosis has come: seconds that its pieces take about, counted while they run.

A piece that is not done yet makes the fraction grow with the clock, for one that stands still makes the time that is
left grow.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TypeVar

from efflab.measure.clock import now
from efflab.training import Progress

ABOUT_S = {"write": 0.1, "time": 0.7, "count": 0.6, "layers": 2.4, "energy": 1.25, "memory": 3.6, "roofline": 4.7}
"""About how long each piece takes, for the time that is left."""
NEARLY = 0.95
"""A piece that is not done yet counts as done up to this fraction, however long it takes."""
LOOK_S = 0.02

T = TypeVar("T")


class NotWantedError(Exception):
    """The one who asked does not want the answer any more."""


class Course:
    """How far the diagnosis is, and whether it is still wanted."""

    def __init__(self, progress: Progress, stale: Callable[[], bool] | None, *, has_roofline: bool) -> None:
        self._progress, self._stale = progress, stale
        self._total = sum(ABOUT_S.values()) - (ABOUT_S["roofline"] if has_roofline else 0)
        self._done = 0.0

    def is_stale(self) -> bool:
        """Whether it is not wanted any more."""
        return self._progress.is_stopped or (self._stale is not None and self._stale())

    def wanted(self, answer: T | None) -> T:
        """The answer; none means that it was not wanted any more."""
        if answer is None:
            raise NotWantedError
        return answer

    def begin(self) -> None:
        """Nothing is done yet; it is told."""
        self._tell()

    def passed(self, piece: str) -> None:
        """A piece is done; it is told."""
        self._done += ABOUT_S[piece]
        self._tell()

    def together(self, works: Sequence[Callable[[], T]], piece: str) -> list[T]:
        """What the works return, each run in a thread of its own, while others may have their turns.

        Meanwhile the fraction grows with the clock, for one that stands still makes the time that is left grow.
        """
        pool, begun, most = ThreadPoolExecutor(len(works)), now(), NEARLY * ABOUT_S[piece]
        try:
            futures: list[Future[T]] = [pool.submit(work) for work in works]
            while wait(futures, LOOK_S).not_done:
                self._tell(min(most, now() - begun))
            return [future.result() for future in futures]
        finally:
            pool.shutdown(wait=False)

    def _tell(self, more: float = 0.0) -> None:
        """more: seconds of `ABOUT_S` that the piece which is not done yet counts for."""
        if self.is_stale():
            raise NotWantedError
        if self._progress.on_batch:
            self._progress.on_batch(min(1.0, round((self._done + more) / self._total, 6)))
