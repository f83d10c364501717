"""The scoreboard's picture: its axis has round numbers that can be read, and its sentence names the best runs."""

import math
from collections.abc import Sequence

import pytest

from efflab.data import Classification
from efflab.figures import scoreboard
from efflab.figures.axes import MAX_TICKS, log_axis
from efflab.scoreboard import Run

TASK = Classification()


def runs(*points: tuple[float, int]) -> list[Run]:
    not_timed = (None, None, None, None, "", "")
    return [Run(i, "", "03", "net", "x", "[]", 0, score, 0, 1, n, 5, *not_timed) for i, (score, n) in enumerate(points)]


def ticks(values: Sequence[float]) -> list[str]:
    return list(log_axis("bytes", values)["ticktext"])


def test_a_logarithmic_axis_has_round_numbers_written_out():
    assert ticks([6_000, 20_000]) == ["7k", "10k", "20k"]
    assert ticks([11_273, 43_000]) == ["10k", "20k", "30k"]
    assert ticks([1_000, 2_000_000]) == ["1k", "10k", "100k", "1M"]
    assert ticks([0.12, 0.31]) == ["0.15", "0.2", "0.25", "0.3", "0.35"]


@pytest.mark.parametrize("exponent", range(-3, 8))
@pytest.mark.parametrize("spread", [1.0, 1.2, 3.0, 40.0, 1e5])
def test_any_values_are_within_the_axis_and_it_has_at_least_one_number_and_not_too_many(exponent, spread):
    for digit in (1, 1.37, 2.4, 6.2, 9.9):
        low = digit * 10.0**exponent
        axis = log_axis("bytes", [low, low * spread])
        assert axis["range"][0] < math.log10(low)
        assert math.log10(low * spread) < axis["range"][1]
        assert 1 <= len(axis["tickvals"]) <= MAX_TICKS
        assert all(axis["range"][0] <= math.log10(tick) <= axis["range"][1] for tick in axis["tickvals"])


@pytest.mark.parametrize("values", [[], [0.0, 1.0], [-1.0]])
def test_a_logarithmic_axis_of_nothing_or_of_zero_is_refused(values):
    with pytest.raises(ValueError, match=r"^values of a logarithmic axis must be above 0"):
        log_axis("bytes", values)


def test_the_sentence_names_the_best_of_the_front_first():
    picture = scoreboard(
        runs((0.1, 1_000), (0.5, 2_000), (0.9, 4_000), (0.95, 5_000), (0.97, 6_000)), "packed_bytes", TASK
    )
    named = "97.0 % at 6,000 bytes; 95.0 % at 5,000 bytes; 90.0 % at 4,000 bytes; 50.0 % at 2,000 bytes; and 1 more."
    assert picture.sentence.endswith(named)


def test_a_run_that_costs_nothing_has_no_place_on_the_axis_and_is_left_out():
    picture = scoreboard(runs((0.1, 0), (0.5, 2_000)), "packed_bytes", TASK)
    assert picture.sentence.startswith("Of 1 run")
