"""A budget instead of a slider: say at most how many multiplications, bytes or milliseconds, and the ratio is found."""

from collections.abc import Callable, Mapping
from typing import Protocol

import ipywidgets

from efflab.figures.text import bytes_text, fixed, ms_text
from efflab.knobs import Setting
from efflab.lab import Lab
from efflab.lab.fitting import Fit, Limit
from efflab.recipe import AnyTechnique
from efflab.training import Progress
from efflab.widgets.parts import button, named_choice, wide
from efflab.widgets.running import Running
from efflab.widgets.worker import Stale, Turns, worker

QUANTITIES = {"MACs": "multiplications (MACs)", "bytes": "bytes of the file", "ms": "milliseconds"}
HINT = "The tiles say how much the base has, before each arrow: ask for less."
"""What stands below the button until a search ends."""
BADGES = {"MACs": "computed", "bytes": "measured", "ms": "measured"}


class Asks(Protocol):
    """What the search needs to know of its bench, and whom it tells."""

    lab: Lab
    technique: AnyTechnique

    def set(self, **settings: Setting) -> None:
        """Move controls."""

    def clear_error(self) -> None:
        """Take an old message away."""

    def show_error(self, error: BaseException) -> None:
        """Say what went wrong."""


class Budgeting(ipywidgets.VBox):
    """A quantity, a number and a button; the search says what it reached, and moves the control there.

    bench: whose knob is moved. knob: its name. settings, batch: give the bench's other settings, and its batch.
    """

    def __init__(
        self, bench: Asks, knob: str, settings: Callable[[], Mapping[str, Setting]], batch: Callable[[], int]
    ) -> None:
        self._bench, self._knob, self._settings, self._batch = bench, knob, settings, batch
        self.fit: Fit | None = None
        self._quantity = ipywidgets.Dropdown(options=[(text, name) for name, text in QUANTITIES.items()], layout=wide())
        self._limit = ipywidgets.FloatText(value=0.0, layout=wide())
        self.button = button(f"Find the {knob}", self._try_to_search, "tries about seven settings")
        self.running = Running("Searching", "end the search; the controls stay where they are")
        self.line = ipywidgets.HTML(HINT)
        value = ipywidgets.VBox([ipywidgets.HTML("<span class='efflab-label'>At most</span>"), self._limit])
        value.add_class("efflab-control")
        parts = ipywidgets.VBox([value, named_choice("of", self._quantity), self.button, self.running, self.line])
        super().__init__([ipywidgets.Accordion([parts], titles=(f"Find the {knob} for a budget",))])

    def ask(self, quantity: str, value: float) -> None:
        """Search as a hand would: `bench.budgeting.ask("MACs", 4_000_000)`.

        Raises:
            ValueError: no such quantity, or no such number.
        """
        Limit(quantity, value)  # type: ignore[arg-type]  # it says what may be asked
        self._quantity.value, self._limit.value = quantity, value
        self.search()

    def search(self) -> None:
        """Find the mildest setting within the limit; the controls move there if there is one.

        Raises:
            ValueError: the number is not above 0.
        """
        limit = Limit(self._quantity.value, self._limit.value)
        self._bench.clear_error()
        progress, batch = self.running.start(), self._batch()
        others = {name: value for name, value in self._settings().items() if name != self._knob}
        job = lambda stale: self._search(limit, batch, others, progress, stale)  # noqa: E731
        worker().submit((id(self), "budget"), job, on_error=self._bench.show_error)

    def lock(self, is_locked: bool) -> None:
        """Take the button away, or give it free."""
        self.button.disabled = is_locked

    def _try_to_search(self) -> None:
        try:
            self.search()
        except ValueError as error:  # what was typed; ipywidgets would only log it
            self._bench.show_error(error)

    def _search(
        self, limit: Limit, batch: int, others: Mapping[str, Setting], progress: Progress, stale: Stale
    ) -> Turns:
        found: list[Fit | None] = []

        def work(one: Progress) -> None:
            lab, technique = self._bench.lab, self._bench.technique
            found.append(lab.fit(technique, self._knob, limit, batch=batch, progress=one, stale=stale, **others))  # type: ignore[arg-type]

        yield from self.running.follow(work, progress)
        self.fit = found[0] if found else None
        self.line.value = "Stopped before it was found." if self.fit is None else fit_text(self.fit, self._knob)
        if self.fit is not None and self.fit.is_met:
            self._bench.set(**{self._knob: self.fit.step.values[self._knob]})


def fit_text(fit: Fit, knob: str) -> str:
    """What was found: "ratio 0.35 is the mildest setting within the budget: 3,881,808 MACs ..."."""
    value, limit = fit.step.values[knob], fit.limit
    reached = f"{amount_text(limit.quantity, fit.reached)} (at most {amount_text(limit.quantity, limit.value)})"
    n = len(fit.tried)
    tries = f"{n} {'try' if n == 1 else 'tries'}, each {BADGES[limit.quantity]}"
    if fit.is_met:
        return f"{knob} {value} is the mildest setting within the budget: {reached}. {tries}."
    return f"Not reached: even {knob} {value} has {reached}. {tries}."


def amount_text(quantity: str, amount: float) -> str:
    """An amount with its unit."""
    if quantity == "MACs":
        return f"{fixed(amount, 0)} MACs"
    return bytes_text(amount) if quantity == "bytes" else ms_text(amount)
