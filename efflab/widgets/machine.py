"""On which machine the numbers of this notebook are measured, as a table with a badge on each line."""

from html import escape

import ipywidgets

from efflab.measure.machine import Fact, Machine, describe_machine
from efflab.widgets.asking import Panel
from efflab.widgets.tiles import badge


class MachineCard(Panel):
    """The facts about a machine; this one unless another is given. What its system does not say has no badge."""

    def __init__(self, machine: Machine | None = None) -> None:
        self.machine = machine or describe_machine()
        super().__init__([ipywidgets.HTML(machine_html(self.machine))])
        self.readout.sentence = f"{self.machine.sentence}."


def machine_html(machine: Machine) -> str:
    """The facts as a table."""
    rows = "".join(_row(fact) for fact in machine.facts)
    head = "<th scope='col'>About it</th><th scope='col'>Here</th><th scope='col'>From where</th>"
    caption = "<caption>The machine on which speeds are measured here</caption>"
    table = f"<table class='efflab-machine'>{caption}<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    return f"<div class='efflab-wide'>{table}</div>"


def _row(fact: Fact) -> str:
    shown = badge(fact.badge) if fact.badge else ""
    return f"<tr><th scope='row'>{escape(fact.label)}</th><td>{escape(fact.text)}</td><td>{shown}</td></tr>"
