"""How far a training is: a record after each epoch, and the line to whoever watches and may stop it."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Epoch:
    """What one pass over the training split gave: `train_loss` in nats; `score`, a fraction, on validation data."""

    number: int
    n_epochs: int
    train_loss: float
    score: float


class Progress:
    """How a slow technique tells where it is, and how it is told to stop.

    `on_record` is called with each epoch's record, `on_batch` with the fraction done (0 to 1) after each
    batch; both on the thread that trains. `stop()` may be called from any thread. A technique that trains
    several times hands on `part(i, n)` or `stretch(before, n, total)`, which count within the whole.
    """

    def __init__(
        self,
        on_record: Callable[[Epoch], None] | None = None,
        on_batch: Callable[[float], None] | None = None,
    ) -> None:
        self.on_record = on_record
        self.on_batch = on_batch
        self._stop = threading.Event()

    def stop(self) -> None:
        """Ask the training to end after the batch that runs."""
        self._stop.set()

    @property
    def is_stopped(self) -> bool:
        """Whether someone asked to stop."""
        return self._stop.is_set()

    def part(self, index: int, n_parts: int) -> "Progress":
        """The progress of part `index` (from 0) of `n_parts` equal ones; it stops when the whole stops."""

        def on_record(record: Epoch) -> None:
            if self.on_record:
                before = index * record.n_epochs
                self.on_record(replace(record, number=before + record.number, n_epochs=n_parts * record.n_epochs))

        def on_batch(fraction: float) -> None:
            if self.on_batch:
                self.on_batch((index + fraction) / n_parts)

        return self._within(on_record, on_batch)

    def stretch(self, before: int, n_epochs: int, total: int) -> "Progress":
        """The progress of `n_epochs` epochs that follow `before` others, of `total`; it stops when the whole stops."""

        def on_record(record: Epoch) -> None:
            if self.on_record:
                self.on_record(replace(record, number=before + record.number, n_epochs=total))

        def on_batch(fraction: float) -> None:
            if self.on_batch:
                self.on_batch((before + fraction * n_epochs) / total)

        return self._within(on_record, on_batch)

    def _within(self, on_record: Callable[[Epoch], None], on_batch: Callable[[float], None]) -> "Progress":
        inner = Progress(on_record, on_batch)
        inner._stop = self._stop
        return inner
