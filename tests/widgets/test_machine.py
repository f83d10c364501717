"""The machine card: a table that says where each line comes from."""

import dataclasses
import re

import pytest

from efflab.journal import Journal
from efflab.measure.machine import Machine, describe_machine
from efflab.widgets import Chapter
from efflab.widgets.machine import MachineCard, machine_html

ROW = re.compile(r"<tr><th scope='row'>(.*?)</th><td>(.*?)</td><td>(.*?)</td></tr>")


@pytest.fixture
def machine() -> Machine:
    return dataclasses.replace(
        describe_machine(),
        processor="a <b> processor",
        instruction_sets=("AVX2",),
        cache_bytes=6 * 2**20,
        power="unknown",
    )


def test_each_fact_is_a_row_with_its_badge(machine):
    rows = ROW.findall(machine_html(machine))

    assert len(rows) == len(machine.facts) == 10
    assert rows[0] == ("Processor", "a &lt;b&gt; processor", "<span class='efflab-badge'>read from the system</span>")
    assert rows[2][1] == "AVX2; not AVX-512, VNNI, BF16, AMX"
    assert rows[4] == ("Largest cache", "6.29 MB", "<span class='efflab-badge'>read from the system</span>")
    assert rows[6][2] == "<span class='efflab-badge'>measured</span>"


def test_what_the_system_does_not_say_has_no_badge(machine):
    assert ("Power source", "unknown: the system does not say", "") in ROW.findall(machine_html(machine))


def test_the_table_has_a_caption_and_heads(machine):
    html = machine_html(machine)

    assert html.count("<caption>") == 1
    assert html.count("scope='col'") == 3


def test_the_card_says_the_caption_aloud(machine):
    card = MachineCard(machine)

    assert card.readout.sentence == f"{machine.sentence}."
    assert card.children[0].value == machine_html(machine)
    assert card.last_error is None


def test_a_chapter_shows_this_machine(tmp_path):
    card = Chapter("03", journal=Journal(tmp_path / "journal.sqlite")).machine()

    assert card.machine.sentence == describe_machine().sentence
