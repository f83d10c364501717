"""What a million requests cost at a latency that was measured here: the calculator of `efflab.costs.serving_cost`.

The latency carries the badge *measured* only when it comes as a `Speed`, which says how and on which machine.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from efflab.costs import ServingCost, serving_cost
from efflab.costs.texts import electricity, three
from efflab.figures import Picture
from efflab.figures.cost_of_training import serving_price
from efflab.figures.text import ms_text
from efflab.knobs import Value
from efflab.lab import Lab
from efflab.measure.energy import WATTS_SOURCE
from efflab.measure.speed import Speed
from efflab.widgets.calculator import Calculator
from efflab.widgets.calculator_electricity import COUNTRY, countries, electricity_line
from efflab.widgets.calculator_subject import Chosen, Preset, Subject, from_chooser
from efflab.widgets.parts import button
from efflab.widgets.tiles import badge, tile
from efflab.widgets.worker import Stale, worker

LATENCY, MEASURED = "Latency", "as measured"
HOURS = "latency in ms x cores x 1,000,000 requests / 3,600,000 ms in an hour"
PRICE = "core hours x the price of a core hour, which is yours to change"
NOT_YET = "Not measured yet: press Measure here."


class ServingCalculator(Calculator):
    """The price, electricity and carbon of a million requests. Headless: `serving_cost`.

    speed: the latency and threads to begin with, as measured. lab: whose network the button **Measure here** times.
    Without both the latency is the learner's own number.

    Raises:
        ValueError, TypeError: the speed is no `Speed`, or out of the range of a control.
    """

    def __init__(
        self,
        speed: Speed | None = None,
        *,
        lab: Lab | None = None,
        controls: Sequence[str] | None = None,
        start: Mapping[str, Value] | None = None,
    ) -> None:
        self.speed: Speed | None = None
        self._lab = lab
        self._button = button("Measure here", self.measure, "times the network on this machine, a few seconds")
        actions = (self._button,) if lab else ()
        super().__init__(self._subject(), controls=controls, start=start, actions=actions)
        if speed is not None:
            self.take(speed)
        elif lab is not None:
            self.readout.sentence = NOT_YET

    def take(self, speed: Speed) -> None:
        """Go on from this measurement: its milliseconds for an image, and its threads as busy cores.

        Raises:
            TypeError, ValueError: it is no `Speed`, or the formula does not take its numbers.
        """
        if not isinstance(speed, Speed):
            raise TypeError(f"speed must be a Speed, such as lab.measure(recipe).speed, not {speed!r}")
        self.speed = speed
        self.subject = replace(self.subject, picture=self._picture)
        self.offer(LATENCY, measured_preset(speed))

    def measure(self) -> None:
        """Time the network of the lab, on the worker, and go on from what was measured.

        Raises:
            ValueError: this calculator was made without a lab.
        """
        if self._lab is None:
            raise ValueError("this calculator was made without a lab, so there is nothing to time: give it lab=...")
        self.clear_error()
        self._button.disabled, self.readout.sentence = True, "Measuring ..."
        worker().submit((id(self), "measure"), self._measure, on_error=self.show_error)

    def _measure(self, stale: Stale) -> None:
        assert self._lab is not None
        try:
            report = self._lab.measure((), stale=stale)
        finally:
            self._button.disabled = False
        if report is not None:
            self.take(report.speed)

    def _subject(self) -> Subject:
        return Subject(
            serving_cost,
            _tiles,
            self._picture,
            choosers={LATENCY: (), COUNTRY: countries()},
            chosen={COUNTRY: "World"},
            folded=("pue", "grams_per_kwh"),
            fold_title="Building and electricity",
        )

    def _picture(self, cost: ServingCost, settings: Mapping[str, Any]) -> Picture:
        if self.speed is None:
            return serving_price(cost, None)
        return serving_price(cost, serving_cost(**{**settings, **measured_preset(self.speed).settings}))


def serving_calculator(speed: Speed) -> ServingCalculator:
    """What a million requests cost at a measured speed, such as `lab.measure(recipe).speed`.

    Raises:
        ValueError, TypeError: as `ServingCalculator`.
    """
    return ServingCalculator(speed)


def measured_preset(speed: Speed) -> Preset:
    """A speed as settings of the formula: milliseconds for one image, and a core for each thread."""
    latency_ms = float(f"{speed.now.median_ms / speed.batch:.4g}")
    threads = f"{speed.threads} thread{'s' if speed.threads > 1 else ''}"
    how = f"the median of {speed.now.n} runs with batch {speed.batch} and {threads}, on {speed.machine}"
    return Preset(MEASURED, {"latency_ms": latency_ms, "cores": speed.threads}, how, kind="measured")


def _tiles(cost: ServingCost, chosen: Chosen) -> str:
    timed = from_chooser(chosen, LATENCY) if chosen[LATENCY] else badge("estimated", "a number of yours, not measured")
    watts = badge("estimated", f"watts and PUE are yours to change. {WATTS_SOURCE}")
    return (
        tile(
            "A million requests",
            f"{three(cost.core_hours)} core hours",
            f"{ms_text(cost.latency_ms)} for each {timed}",
            f"the core hours {badge('computed', HOURS)}",
        )
        + tile("Price", three(cost.price), f"in your currency {badge('estimated', PRICE)}")
        + tile(
            "Carbon",
            f"{three(cost.co2_g)} g of CO2",
            f"{electricity(cost.energy_kwh)} of electricity {watts}",
            electricity_line(chosen),
        )
    )
