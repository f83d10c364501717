"""Work that takes its time: how far it is, the time left, and Stop."""

from collections.abc import Callable, Iterator

import ipywidgets

from efflab.measure.clock import Pace
from efflab.training import Progress
from efflab.training.turns import in_turns
from efflab.widgets.parts import button, wide
from efflab.widgets.worker import Turns


class Running(ipywidgets.VBox):
    """The bar of one training, or other work, at a time; takes no room while there is none.

    label: what runs. stop: what Stop does.
    """

    def __init__(self, label: str, stop: str = "end the training; the best network so far stays") -> None:
        self._progress: Progress | None = None
        self._bar = ipywidgets.FloatProgress(0.0, min=0.0, max=1.0, layout=wide())
        self._seconds_left = ipywidgets.HTML()
        head = ipywidgets.HTML(f"<span class='efflab-label'>{label}</span>")
        super().__init__([head, self._bar, self._seconds_left, button("Stop", self.stop, stop)])
        self.add_class("efflab-control")
        self._show(False)

    def stop(self) -> None:
        """End the work soon: a training after its batch, where the best network so far stays."""
        if self._progress is not None:
            self._progress.stop()

    def start(self) -> Progress:
        """The progress of new work, which Stop reaches from now on; an earlier one is stopped."""
        self.stop()
        self._progress = Progress()
        return self._progress

    def follow(self, work: Callable[[Progress], object], progress: Progress) -> Turns:
        """Run `work(progress)` in turns for the worker, and show how far it is.

        Raises:
            Exception: whatever the work raised.
        """
        return self.watch(in_turns(work, progress))

    def watch(self, fractions: Iterator[float], *, slow: float = 0.0) -> Turns:
        """Show how far the work is that yields the fraction done, 0 to 1, after each of its turns.

        slow: the fraction at its begin that does not tell how long the rest will take.

        Raises:
            Exception: whatever the work raised.
        """
        pace = Pace(slow=slow)
        self._show(True)
        try:
            for done in fractions:
                left = pace.seconds_left(done)
                self._bar.value, self._seconds_left.value = done, "" if left is None else f"{left:.0f} s left"
                yield None
        finally:
            getattr(fractions, "close", lambda: None)()  # given up between two turns, the work ends now
            self._show(False)

    def _show(self, is_on: bool) -> None:
        self.layout.display = "" if is_on else "none"
        self._bar.value, self._seconds_left.value = 0.0, ""
