"""Controls from knobs: a slider for a `Range`, buttons for a `Choice`, a slider a layer where a knob takes a mapping.

The same declaration checks a call and labels its control, so a technique that a learner writes gets its controls with
no further work.
"""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace
from html import escape
from typing import Any

import ipywidgets

from efflab.knobs import Choice, Knob, Range, Setting, Value
from efflab.recipe import AnyTechnique

ACRONYMS = {"kv": "KV", "pue": "PUE", "gb": "GB", "kwh": "kWh", "tflops": "TFLOP/s"}
"""Words in the names of knobs that are not written in small letters."""


N_DIGITS = 10
"""Decimals that a slider's value keeps: the page computes 0.9000000000000001 where a hand means 0.9."""


def knobs_to_show(technique: AnyTechnique, controls: Sequence[str] | None) -> list[str]:
    """The knobs that a bench shows, in order; all of the technique's for None.

    Raises:
        ValueError: one is no knob of the technique, or none of them is a number.
    """
    names = list(technique.knobs if controls is None else controls)
    if unknown := [name for name in names if name not in technique.knobs]:
        raise ValueError(f"{technique.name} has no knob {unknown[0]!r}; its knobs are: {', '.join(technique.knobs)}")
    if not any(isinstance(technique.knobs[name], Range) for name in names):
        raise ValueError(
            f"a bench needs a control that is a number, for its main picture; {technique.name} shows {names}"
        )
    return names


class Control(ipywidgets.VBox):
    """A knob to move: its label, and below it a widget. With `layers` it can be opened to one slider a layer.

    `set` moves it as a hand would; `on_change` is told of every move.

    Raises:
        ValueError: `value` is not a value of the knob.
    """

    def __init__(self, name: str, knob: Knob, value: Value, layers: Sequence[str] = ()) -> None:
        self.name, self.knob = name, knob
        self._whole = _widget(knob, value)
        self._parts = {layer: _widget(knob, value) for layer in layers}
        self._rows = ipywidgets.VBox([_named(layer, part) for layer, part in self._parts.items()])
        self._switch = ipywidgets.Checkbox(False, description="one for each layer", indent=False)
        self._callbacks: list[Callable[[], object]] = []
        self._quiet = False
        super().__init__([])
        self.add_class("efflab-control")
        self._lay_out()
        for widget in (self._whole, *self._parts.values()):
            widget.observe(lambda _: self._moved(), "value")
        self._switch.observe(lambda _: self._switched(), "value")

    @property
    def setting(self) -> Setting:
        """The value of the knob, or a mapping from layer to value when it is open."""
        if self._switch.value:
            return {layer: _read(part) for layer, part in self._parts.items()}
        return _read(self._whole)

    def set(self, setting: Setting) -> None:
        """Move the control; a mapping opens it and moves the sliders of the layers that it names.

        Raises:
            TypeError, ValueError: not a setting of the knob, or a layer that this control does not have.
        """
        if not isinstance(setting, dict):
            self.knob.check(self.name, setting)
            self._switch.value = False
            self._put(self._whole, setting)
            return
        for layer, value in setting.items():
            if layer not in self._parts:
                raise ValueError(f"{self.name} has no control for layer {layer!r}; it has: {', '.join(self._parts)}")
            self.knob.check(f"{self.name}[{layer!r}]", value)
        self._quiet = True  # one move, not one a layer
        self._switch.value = True
        for layer, value in setting.items():
            self._put(self._parts[layer], value)
        self._quiet = False
        self._moved()

    def offer(self, options: tuple[str, ...], otherwise: str) -> None:
        """Let a choice be between these from now on, and tell nobody; what was chosen stays while it is among them.

        otherwise: what is chosen where it is not.

        Raises:
            TypeError: the knob is no choice.
            ValueError: `otherwise` is none of the options.
        """
        if not isinstance(self.knob, Choice):
            raise TypeError(f"{self.name} is no choice, so that no options can be offered")
        knob = replace(self.knob, options=options)
        knob.check(self.name, otherwise)
        chosen = self._whole.value if self._whole.value in options else otherwise
        self.knob, quiet, self._quiet = knob, self._quiet, True
        with self._whole.hold_sync():  # one message: new options alone would choose the first one
            self._whole.options = options
            self._whole.value = chosen
        self._quiet = quiet

    def on_change(self, callback: Callable[[], object]) -> None:
        """Call `callback()` after every move."""
        self._callbacks.append(callback)

    def lock(self, is_locked: bool) -> None:
        """Let nobody move it, or let them again."""
        for widget in (self._whole, self._switch, *self._parts.values()):
            widget.disabled = is_locked

    def _put(self, widget: ipywidgets.ValueWidget, value: Any) -> None:
        """Set the widget; a slider of stops gets one more where the value lies between two."""
        if not (isinstance(self.knob, Range) and isinstance(widget, ipywidgets.SelectionSlider)):
            widget.value = value
            return
        quiet, self._quiet = self._quiet, True
        with widget.hold_sync():  # one message: new options alone would send the handle to the first one
            before = widget.value
            widget.options = _options([*_stops(self.knob), value])
            widget.value = value
        self._quiet = quiet
        if value != before:
            self._moved()

    def _lay_out(self) -> None:
        body = self._rows if self._switch.value else self._whole
        rest = [self._switch] if self._parts else []
        self.children = [_label(spoken(self.name), self.knob.label), body, *rest]

    def _switched(self) -> None:
        self._lay_out()
        self._moved()

    def _moved(self) -> None:
        if not self._quiet:
            for callback in self._callbacks:
                callback()


def _label(name: str, text: str) -> ipywidgets.HTML:
    return ipywidgets.HTML(f"<span class='efflab-label'><b>{escape(name)}</b>: {escape(text)}</span>")


def _named(layer: str, widget: ipywidgets.ValueWidget) -> ipywidgets.VBox:
    row = ipywidgets.VBox([ipywidgets.HTML(f"<span class='efflab-label'>{escape(layer)}</span>"), widget])
    row.add_class("efflab-control")
    return row


def _widget(knob: Knob, value: Value) -> ipywidgets.ValueWidget:
    knob.check("value", value)
    wide = ipywidgets.Layout(width="auto")
    if isinstance(knob, Choice):
        return ipywidgets.RadioButtons(options=knob.options, value=value, layout=wide)
    if knob.is_logarithmic:
        # FloatLogSlider would bring a published 6.74 to the nearest stop as soon as it is on the page.
        return ipywidgets.SelectionSlider(options=_options([*_stops(knob), value]), value=value, layout=wide)
    slider = ipywidgets.IntSlider if knob.is_integer else ipywidgets.FloatSlider
    extra = {} if knob.is_integer else {"readout_format": ".0%" if knob.is_fraction else number_format(knob.step)}
    return slider(value=value, min=knob.low, max=knob.high, step=knob.step, layout=wide, **extra)


def _stops(knob: Range) -> list[Value]:
    """Where a slider that moves by factors stops: from end to end, in round numbers."""
    raw = itertools.takewhile(lambda stop: stop < knob.high, (knob.low * knob.step**n for n in itertools.count()))
    return [*(stop if knob.is_integer else float(f"{stop:.2g}") for stop in raw), knob.high]


def _options(values: Sequence[Value]) -> list[tuple[str, Value]]:
    return [(f"{value:,.10g}" if isinstance(value, float) else f"{value:,}", value) for value in sorted(set(values))]


def spoken(name: str) -> str:
    """The name of a knob as people write it: `kv_bits` becomes "KV bits"."""
    first, *rest = (ACRONYMS.get(word, word) for word in name.split("_"))
    return " ".join([first if first.isupper() else first.capitalize(), *rest])


def number_format(step: float) -> str:
    """How a slider shows its number: with the digits of its step, 0.5 -> ".1f"."""
    return f".{len(f'{step:.10f}'.rstrip('0').partition('.')[2])}f"


def _read(widget: ipywidgets.ValueWidget) -> Value:
    """The value that a hand means."""
    value: Value = widget.value
    return round(value, N_DIGITS) if isinstance(value, float) else value
