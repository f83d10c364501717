"""What a diagnosis looks like: the reasons, the layers, the roofline, and the costs with what they assume.

Everything here may be called from the worker thread.
"""

from collections.abc import Callable, Sequence
from html import escape

import ipywidgets

from efflab.figures import layer_times, roofline
from efflab.figures.diagnosis import BADGES, WORDS, CostRow, caption, cost_rows, rest_text
from efflab.figures.roofline import above_text
from efflab.lab.diagnosis import Diagnosis
from efflab.lab.rates import Rates
from efflab.measure.carbon import carbon_intensities
from efflab.measure.reason import Reason
from efflab.measure.reasons import weights_in_cache
from efflab.widgets.parts import scrolling, wide
from efflab.widgets.tiles import badge
from efflab.widgets.view import PictureView

OWN = "your own number"
"""What the chooser of a country says when the grams are no country's."""


ROOF_NOTE = (
    "A layer left of the ridge may wait for memory, and does if it stands close below the sloped roof; far below, "
    "something else is the limit."
)


class DiagnosisStage(ipywidgets.VBox):
    """Shows one diagnosis, or none. `assume` changes the watts and the grid; `fail` gets what was wrong with them."""

    def __init__(self, fail: Callable[[BaseException], object]) -> None:
        self.diagnosis: Diagnosis | None = None
        self.rates = Rates.of()
        self._fail, self._is_quiet = fail, False
        self.note, self.reasons, self.compared, self.rest, self.roof_note, self.costs = (
            ipywidgets.HTML() for _ in range(6)
        )
        self.layers, self.roofline = PictureView(height=460), PictureView(height=400)
        self._watts, self._grams = _number(), _number()
        self._country = ipywidgets.Dropdown(options=[*carbon_intensities(), OWN], layout=wide())
        self._assumed = ipywidgets.HBox(
            [
                _control("Watts of a busy core", self._watts),
                _control("Electricity of", self._country),
                _control("Grams of CO2 for a kilowatt-hour", self._grams),
            ]
        )
        self._assumed.add_class("efflab-assumed")
        words = [self.note, self.reasons, self.rest, self.compared]
        super().__init__([*words, self.layers, self.roofline, self.roof_note, self.costs, self._assumed])
        self._put_rates()
        self.clear("")
        self._watts.observe(lambda change: self._typed(watts=change["new"]), "value")
        self._grams.observe(lambda change: self._typed(grams_per_kwh=change["new"]), "value")
        self._country.observe(lambda change: self._typed(country=change["new"]), "value")

    def clear(self, text: str) -> None:
        """Show no numbers but this sentence."""
        self.diagnosis = None
        self.note.value = f"<div class='efflab-verdict'>{escape(text)}</div>" if text else ""
        for part in (self.reasons, self.compared, self.rest, self.roof_note, self.costs):
            part.value = ""
        for view in (self.layers, self.roofline):
            view.hide()
        self._assumed.layout.display = "none"

    def draw(self, diagnosis: Diagnosis, beside: Sequence[Diagnosis] = (), note: str = "") -> None:
        """Show a diagnosis, with the watts and the grid that are assumed now.

        beside: the same network at all batches that were measured, to compare the reasons. note: a sentence above all.
        """
        self.diagnosis = diagnosis = diagnosis.at(self.rates)
        notes = [*filter(None, [note.rstrip(".")]), *diagnosis.notes]
        self.note.value = "".join(f"<p>{escape(note[:1].upper() + note[1:])}.</p>" for note in notes)
        self.reasons.value = reasons_html(diagnosis.reasons)
        self.compared.value = compared_html(beside) if len(beside) > 1 else ""
        self.rest.value = rest_html(diagnosis)
        if diagnosis.now.times.layers:
            self.layers.show_picture(layer_times(diagnosis.now.work, diagnosis.now.times))
        if diagnosis.roofline and diagnosis.points:
            in_cache = weights_in_cache(diagnosis.now.work, diagnosis.machine.cache_bytes)
            self.roofline.show_picture(roofline(diagnosis.points, diagnosis.roofline, in_cache=in_cache))
            above = above_text(diagnosis.points, diagnosis.roofline, in_cache=in_cache)
            self.roof_note.value = f"<p>{escape(f'{ROOF_NOTE} {above}'.strip())}</p>"
        self._draw_costs()
        self._assumed.layout.display = ""

    def assume(
        self, *, watts: float | None = None, country: str | None = None, grams_per_kwh: float | None = None
    ) -> None:
        """Assume other watts a core, the electricity of another country, or grams of one's own.

        Raises:
            ValueError: a number that no processor or grid can have, or a country that is not listed.
        """
        watts = self.rates.watts if watts is None else watts
        if country is not None:
            self.rates = Rates.of(country, watts=watts)
        elif grams_per_kwh is not None:
            self.rates = Rates(watts, grams_per_kwh)
        else:
            self.rates = Rates(watts, self.rates.grams_per_kwh, self.rates.country)
        self._put_rates()
        if self.diagnosis:
            self.diagnosis = self.diagnosis.at(self.rates)
            self._draw_costs()

    def project(self, is_on: bool) -> None:
        """Large type and thick lines, or back."""
        for view in (self.layers, self.roofline):
            view.project(is_on)

    def _typed(self, *, country: str | None = None, **numbers: float) -> None:
        if self._is_quiet or country == OWN:
            return
        try:
            self.assume(country=country, **numbers)
        except ValueError as error:
            self._fail(error)
            self._put_rates()

    def _put_rates(self) -> None:
        """Put into the fields what is assumed."""
        self._is_quiet = True
        self._watts.value, self._grams.value = self.rates.watts, self.rates.grams_per_kwh
        self._country.value = self.rates.country or OWN
        self._is_quiet = False

    def _draw_costs(self) -> None:
        assert self.diagnosis is not None
        self.costs.value = costs_html(cost_rows(self.diagnosis), caption(self.diagnosis))


def reasons_html(reasons: Sequence[Reason]) -> str:
    """The reasons as a list, each with a mark in words."""
    items = "".join(_reason(reason) for reason in reasons)
    head = f"<p>{len(reasons)} usual reasons why a network is not faster than its base; those that hold come first:</p>"
    return f"{head}<ul class='efflab-reasons' aria-label='Reasons'>{items}</ul>"


def compared_html(diagnoses: Sequence[Diagnosis]) -> str:
    """Which reasons hold at which batch, as a table."""
    ordered = sorted(diagnoses, key=lambda one: one.speed.batch)
    texts = [f"batch {one.speed.batch}{', machine busy' if one.busy else ''}" for one in ordered]
    heads = "".join(f"<th scope='col'>{text}</th>" for text in ("Reason", *texts))
    holds = [{reason.name: reason.holds for reason in one.reasons} for one in ordered]
    names = dict.fromkeys(reason.name for one in ordered for reason in one.reasons)
    rows = "".join(
        f"<tr><th scope='row'>{escape(name[:1].upper() + name[1:])}</th>"
        f"{''.join(f'<td>{_mark(one.get(name))}</td>' for one in holds)}</tr>"
        for name in names
    )
    caption_ = "<caption>The same network, as it was measured at each batch</caption>"
    table = f"<table class='efflab-machine'>{caption_}<thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>"
    return scrolling(table, "reasons at each batch")


def rest_html(diagnosis: Diagnosis) -> str:
    """What is left of the time, in numbers, and what the words mean."""
    words = "; ".join(f"<b>{word}</b>: {escape(text)}" for word, text in WORDS.items())
    return f"<p>{escape(rest_text(diagnosis))} {badge('measured')} {badge('computed')}</p><p>{words}.</p>"


def costs_html(rows: Sequence[CostRow], about: str) -> str:
    """The costs as a table."""
    heads = "".join(f"<th scope='col'>{text}</th>" for text in ("It takes", "base", "now", "From where"))
    body = "".join(
        f"<tr><th scope='row'>{escape(row.what)}</th><td>{escape(row.base)}</td><td>{escape(row.now)}</td>"
        f"<td>{badge(row.badge, row.source) if row.badge else ''}</td></tr>"
        for row in rows
    )
    table = (
        f"<table class='efflab-machine efflab-costs'><caption>{escape(about)}</caption><thead><tr>{heads}</tr></thead>"
        f"<tbody>{body}</tbody></table>"
    )
    return scrolling(table, "what it costs")


def _reason(reason: Reason) -> str:
    look, mark = "efflab-holds" if reason.holds else "efflab-not", _mark(reason.holds)
    badges = " ".join(badge(kind) for kind in BADGES[reason.name])
    name = escape(reason.name[:1].upper() + reason.name[1:])
    return (
        f"<li class='{look}'><span class='efflab-mark'>{mark}</span> <b>{name}</b> {badges}"
        f"<div>{escape(reason.sentence)}</div></li>"
    )


def _mark(holds: bool | None) -> str:
    return {True: "● holds", False: "○ does not hold", None: "not known"}[holds]


def _number() -> ipywidgets.FloatText:
    return ipywidgets.FloatText(continuous_update=False, layout=wide())


def _control(label: str, widget: ipywidgets.Widget) -> ipywidgets.VBox:
    box = ipywidgets.VBox([ipywidgets.HTML(f"<span class='efflab-label'>{escape(label)}</span>"), widget])
    box.add_class("efflab-control")
    return box
