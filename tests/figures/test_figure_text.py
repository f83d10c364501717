"""Numbers have one spelling, tested to the letter."""

import math

import pytest

from efflab.data import Classification
from efflab.figures.text import (
    bytes_text,
    difference_text,
    fixed,
    interval_text,
    ms_text,
    percent_text,
    ratio_text,
    score_text,
    short,
    signed_interval_text,
    signed_points_text,
)

PERPLEXITY = Classification("perplexity", unit="", per_unit=1.0, higher_is_better=False)


@pytest.mark.parametrize(
    ("n_bytes", "text"),
    [
        (0, "0 B"),
        (1, "1 B"),
        (999, "999 B"),
        (999.7, "1.00 kB"),
        (1000, "1.00 kB"),
        (12345, "12.3 kB"),
        (99_950, "100 kB"),
        (561_000, "561 kB"),
        (999_499, "999 kB"),
        (999_500, "1.00 MB"),
        (4_815_814, "4.82 MB"),
        (3e9, "3.00 GB"),
        (1.2e15, "1,200.0 TB"),
    ],
)
def test_bytes_have_three_digits_and_decimal_units(n_bytes, text):
    assert bytes_text(n_bytes) == text


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (0, "0.00 ms"),
        (0.0421, "0.0421 ms"),
        (0.42, "0.420 ms"),
        (9.999, "10.0 ms"),
        (12.34, "12.3 ms"),
        (999.4, "999 ms"),
        (999.5, "1.00 s"),
        (1234, "1.23 s"),
    ],
)
def test_durations_have_three_digits(milliseconds, text):
    assert ms_text(milliseconds) == text


@pytest.mark.parametrize(("fraction", "text"), [(0.9014, "90.1 %"), (0, "0.0 %"), (1, "100.0 %"), (-0.0001, "0.0 %")])
def test_a_fraction_is_shown_in_percent(fraction, text):
    assert percent_text(fraction) == text


@pytest.mark.parametrize(("fraction", "text"), [(0.8, "80 %"), (0.955, "95.5 %"), (0.29, "29 %"), (-0.0, "0 %")])
def test_a_setting_shows_a_decimal_only_where_it_has_one(fraction, text):
    assert percent_text(fraction, None) == text


@pytest.mark.parametrize(
    ("fraction", "text"),
    [
        (-0.045, "-4.5 points"),
        (0.003, "+0.3 points"),
        (0, "0.0 points"),
        (-0.0004, "0.0 points"),
        (0.0004, "0.0 points"),
    ],
)
def test_a_difference_has_a_sign_unless_it_rounds_to_zero(fraction, text):
    assert signed_points_text(fraction) == text


@pytest.mark.parametrize(
    ("ratio", "text"),
    [
        (4.27, "4.3x"),
        (9.94, "9.9x"),
        (9.96, "10x"),
        (12.4, "12x"),
        (1234, "1,234x"),
        (1, "1.0x"),
        (0.996, "1.0x"),
        (0.171, "0.17x"),
        (0, "0.00x"),
        (math.inf, "∞x"),
    ],
)
def test_a_ratio_has_as_many_digits_as_it_is_worth(ratio, text):
    assert ratio_text(ratio) == text


def test_an_interval_is_two_percentages():
    assert interval_text(0.887, 0.913) == "88.7 to 91.3"
    assert interval_text(-0.0004, 0.1) == "0.0 to 10.0"
    assert interval_text(5.47, 6.66, 2, per_unit=1) == "5.47 to 6.66"


def test_the_interval_of_a_difference_has_signs():
    assert signed_interval_text(-0.053, 0.002) == "-5.3 to +0.2"
    assert signed_interval_text(-0.0001, 0.0001) == "0.0 to 0.0"


def test_a_score_is_written_in_the_unit_of_its_task():
    assert score_text(0.901, Classification()) == "90.1 %"
    assert score_text(5.47, PERPLEXITY) == "5.5"


def test_a_difference_of_percentages_is_in_points_and_any_other_in_its_unit():
    assert difference_text(-0.045, Classification()) == "-4.5 points"
    assert difference_text(1.19, PERPLEXITY) == "+1.2"


def test_thousands_are_apart_and_zero_has_no_sign():
    assert fixed(1234.56, 1) == "1,234.6"
    assert fixed(-0.04, 1) == "0.0"
    assert short(-0.04) == "0"


@pytest.mark.parametrize("function", [bytes_text, ms_text, ratio_text])
@pytest.mark.parametrize("value", [-1.0, math.nan])
def test_what_cannot_be_is_refused(function, value):
    with pytest.raises(ValueError, match="must be a finite number that is not negative, not"):
        function(value)
