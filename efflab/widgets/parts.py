"""Small parts that several panels are made of."""

from collections.abc import Callable

import ipywidgets


def button(text: str, act: Callable[[], object], tooltip: str = "") -> ipywidgets.Button:
    """A button as wide as its place that calls `act()`."""
    made = ipywidgets.Button(description=text, tooltip=tooltip, layout=wide())
    made.on_click(lambda _: act())
    return made


def wide() -> ipywidgets.Layout:
    """As wide as the place; a layout of its own, for widgets must not share one."""
    return ipywidgets.Layout(width="auto")
