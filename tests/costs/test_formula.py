"""A formula checks its knobs, and a plain function's knobs can be read."""

from typing import Annotated

import pytest

from efflab.costs import (
    decoding_speed,
    kv_cache_bytes,
    llm_memory,
    serving_cost,
    training_cost,
    training_flops,
    weight_bytes,
)
from efflab.costs.formula import formula
from efflab.costs.texts import power, size, three
from efflab.knobs import Range, defaults_of, knobs_of

FORMULAS = [weight_bytes, kv_cache_bytes, llm_memory, decoding_speed, training_flops, training_cost, serving_cost]
KNOBS = [(one, name) for one in FORMULAS for name in knobs_of(one)]


def test_there_are_knobs_to_check():
    assert len(KNOBS) > 30


@pytest.mark.parametrize(("one", "name"), KNOBS, ids=lambda value: getattr(value, "__name__", value))
def test_every_knob_has_a_good_default_and_refuses_bad_values_by_name(one, name):
    knob = knobs_of(one)[name]
    knob.check(name, defaults_of(one)[name])
    for bad in knob.bad_values():
        with pytest.raises((TypeError, ValueError), match=name):
            one(**{name: bad})


@pytest.mark.parametrize(("one", "name"), KNOBS, ids=lambda value: getattr(value, "__name__", value))
def test_every_formula_has_a_finite_answer_at_both_ends_of_every_knob(one, name):
    for end in knobs_of(one)[name].ends:
        assert one(**{name: end}) is not None


def test_the_knobs_of_a_plain_function_are_its_annotated_keywords_in_order():
    def area(scale: float, *, width: Annotated[float, Range(0.0, 9.0, 1.0, "m")] = 2.0, name: str = "") -> float:
        return scale * width

    assert list(knobs_of(area)) == ["width"]
    assert defaults_of(area) == {"width": 2.0}


def test_a_knob_without_a_default_is_named():
    def area(*, width: Annotated[float, Range(0.0, 9.0, 1.0, "m")]) -> float:
        return width

    with pytest.raises(TypeError, match="area: width has no default"):
        defaults_of(area)


def test_a_formula_without_knobs_is_refused():
    with pytest.raises(TypeError, match="plain declares no knob"):

        @formula
        def plain(x: float) -> float:
            return x


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.01234, "0.0123"), (6.74, "6.74"), (99.96, "100"), (184320, "184,000"), (3.14e23, "3.14 x 10^23")],
)
def test_workings_write_three_digits_and_no_exponent(value, text):
    assert three(value) == text


def test_workings_write_a_size_in_the_unit_that_a_tile_writes_it_in():
    sizes = (13.48e9, 999.9e6, 248e6, 524288, 12)
    assert [size(one) for one in sizes] == ["13.5 GB", "1 GB", "248 MB", "524 kB", "12 B"]
    assert (size(26.04e9, 4), power(8.0879e22)) == ("26.04 GB", "8.09 x 10^22")
