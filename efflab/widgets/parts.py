"""Small parts that several panels are made of."""

from collections.abc import Callable
from html import escape
from typing import Any

import ipywidgets


def button(text: str, act: Callable[[], object], tooltip: str = "") -> ipywidgets.Button:
    """A button as wide as its place that calls `act()`."""
    made = ipywidgets.Button(description=text, tooltip=tooltip, layout=wide())
    made.on_click(lambda _: act())
    return made


def wide() -> ipywidgets.Layout:
    """As wide as the place; a layout of its own, for widgets must not share one."""
    return ipywidgets.Layout(width="auto")


def side_by_side(left: ipywidgets.Widget, right: ipywidgets.Widget) -> ipywidgets.HBox:
    """Controls on the left, what they do on the right."""
    box = ipywidgets.HBox([left, right])
    box.add_class("efflab-bench")
    return box


def named_choice(name: str, choice: ipywidgets.Dropdown) -> ipywidgets.HBox:
    """A chooser behind its name, which a screen reader says, too."""
    box = ipywidgets.HBox([ipywidgets.HTML(f"<span class='efflab-label'>{escape(name)}</span>"), choice])
    box.add_class("efflab-control")
    return box


def offer(choice: ipywidgets.Dropdown, options: list[tuple[str, Any]]) -> None:
    """Offer these, texts and values; what was chosen stays chosen while it is among them, else the first is."""
    if list(choice.options) == options:
        return
    chosen, values = choice.value, [value for _, value in options]
    choice.options = options
    if values:
        choice.value = chosen if chosen in values else values[0]


def line(text: str) -> ipywidgets.HTML:
    """A line of text below or above a picture."""
    return ipywidgets.HTML(line_text(text))


def line_text(text: str) -> str:
    """The same as HTML."""
    return f"<div class='efflab-line'>{escape(text)}</div>"


def breakable(text: str) -> str:
    """Text as HTML whose long names break after an underline, and not within a word."""
    return escape(text).replace("_", "_<wbr>")


def code_html(text: str, what: str) -> str:
    """Code as it is written; `what` is its name for a screen reader."""
    return scrolling(f"<pre>{escape(text)}</pre>", what)


def scrolling(html: str, what: str) -> str:
    """Something wide that scrolls by itself; the keyboard reaches it, and a screen reader says what it is."""
    named = f"class='efflab-wide' role='region' aria-label='{escape(what)}'"
    return f"<div {named} tabindex='0' data-lm-suppress-shortcuts='true'>{html}</div>"  # JupyterLab takes arrow keys
