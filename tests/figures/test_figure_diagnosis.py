"""The words of a diagnosis: texts of amounts, rows with badges, and a badge for each reason there is."""

from dataclasses import replace

import pytest

from efflab.figures.diagnosis import (
    BADGES,
    caption,
    cost_rows,
    count_text,
    diagnosis_sentence,
    grams_text,
    joules_text,
    rest_text,
)
from efflab.lab.diagnosis import diagnose
from efflab.lab.rates import Rates
from efflab.measure.layer_speed import LayerTimes, NodeTime
from efflab.measure.memory import MemoryUnknownError
from efflab.prune import prune_weights
from tests.diagnosing import install
from tests.support import SHAPE, tiny_mlp


@pytest.fixture
def instruments(monkeypatch):
    return install(monkeypatch)


def made(**settings):
    base = tiny_mlp()
    return diagnose(prune_weights(base, sparsity=0.9), base, SHAPE, **settings)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (count_text(6247.3), "6,250"),
        (count_text(0), "0"),
        (count_text(12.345), "12.3"),
        (joules_text(1.8), "1.8 J"),
        (joules_text(0.0215), "21.5 mJ"),
        (grams_text(0.000242), "0.242 mg"),
        (grams_text(0.0000028), "2.8 µg"),
        (grams_text(0), "0 g"),
    ],
)
def test_amounts_have_three_digits_and_a_fitting_unit(text, expected):
    assert text == expected


def test_every_reason_says_where_its_numbers_come_from(instruments):
    assert {reason.name for reason in made().reasons} == set(BADGES)


def test_each_cost_stands_beside_that_of_the_base_with_its_badge(instruments):
    rows = cost_rows(made(batch=64, rates=Rates(watts=12, grams_per_kwh=360)))
    assert [(row.what, row.base, row.now, row.badge) for row in rows] == [
        ("Time of a run", "1.00 ms", "1.00 ms", "measured"),
        ("Images a second", "64,000", "64,000", "measured"),
        ("Peak memory, computed", "26.2 kB", "26.2 kB", "computed"),  # 911 weights; 64 x (64 + 12 + 12)
        ("Peak memory, measured", "12.0 kB", "12.0 kB", "measured"),
        ("Energy of 1,000 images", "0.188 J", "0.188 J", "estimated"),
        ("CO2 of 1,000 images", "18.8 µg", "18.8 µg", "estimated"),
    ]
    assert "12 W a core" in rows[4].source
    assert "360 g for a kilowatt-hour (your own number)" in rows[5].source


def test_memory_that_was_not_measured_has_no_number_and_no_badge(instruments):
    def fail(piece):
        if piece == "memory":
            raise MemoryUnknownError("not told")

    instruments.before = fail
    row = cost_rows(made())[3]
    assert (row.now, row.badge) == ("not measured", "")


def test_the_sentence_says_batch_times_verdict_and_which_reasons_hold(instruments):
    assert diagnosis_sentence(made()) == (
        "At batch 1 a run takes 1.00 ms before, 1.00 ms now, no measurable difference; 2 of 10 reasons hold: "
        "zeros are not removed, overhead of the call."
    )


def test_the_rest_says_what_the_call_takes_and_which_layer_takes_most_of_what_is_left(instruments):
    found = made()
    nodes = tuple(NodeTime(name, "Gemm", name, (), ms, 9) for name, ms in (("hidden1", 0.3), ("hidden2", 0.1)))
    times = LayerTimes(nodes, 0.5, 0.001, 1, 1, 0.0, "a machine")
    macs = {layer.name: layer.macs for layer in found.now.work.layers}
    share = round(100 * macs["hidden1"] / found.now.work.macs)
    text = rest_text(replace(found, now=replace(found.now, times=times)))
    assert text == (
        "While the layers were timed, a run took 0.500 ms, the base 1.00 ms: 2.0x less, with 1.0x fewer MACs. Without "
        "the call (0.100 ms) it would take 0.400 ms, 2.5x less than the base. The largest rest is hidden1: 0.300 ms, "
        f"60 % of the time and {share} % of the MACs."
    )


def test_where_no_reason_holds_the_rest_says_so_and_names_the_largest_share(instruments):
    found = made()
    none = tuple(replace(reason, holds=False) for reason in found.reasons)
    text = rest_text(replace(found, reasons=none))
    assert text.endswith("None of the 10 reasons holds, so this list has no reason for it.")
    assert "The largest share of the time is the call itself: 0.400 ms, 40 % of the time." in text


def test_the_caption_names_batch_threads_machine_and_a_busy_moment(instruments):
    instruments.contention = 0.5
    found = made(batch=64, threads=2)
    text = f"Batch 64, 2 threads, on {found.machine.sentence}; other programs were running, so times are rough"
    assert caption(found) == text
