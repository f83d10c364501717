"""Sweeps: the values that a knob takes from end to end, and the table of their previews."""

import pytest

from efflab.knobs import Choice, Range
from efflab.lab.sweeps import spread
from efflab.prune import prune_weights
from efflab.recipe import step


def test_a_sweep_is_a_table_of_previews(lab):
    table = lab.sweep(prune_weights, "sparsity", [0.2, 0.8], scope="per layer")
    assert list(table.columns) == ["sparsity", "score", "low", "high", "n_nonzero", "packed_bytes"]
    assert table["sparsity"].tolist() == [0.2, 0.8]
    for row in table.itertuples():
        one = lab.preview((step(prune_weights, sparsity=row.sparsity, scope="per layer"),))
        assert (row.score, row.low, row.high) == (one.evaluation.value, *one.evaluation.interval)
        assert (row.n_nonzero, row.packed_bytes) == (one.size.n_nonzero, one.size.packed_bytes)


def test_a_sweep_goes_from_end_to_end_by_default(lab):
    values = lab.sweep(prune_weights, "sparsity")["sparsity"].tolist()
    assert values == [number / 20 for number in range(21)]


def test_a_sweep_of_a_choice_takes_every_option(lab):
    assert lab.sweep(prune_weights, "scope")["scope"].tolist() == ["global", "per layer"]


@pytest.mark.parametrize(
    ("knob", "expected"),
    [
        (Range(1, 5, 1, "a"), [1, 2, 3, 4, 5]),
        (Range(1, 8, 2, "the step does not fit"), [1, 3, 5, 7, 8]),
        (Range(0.0, 1.0, 0.6, "nor here"), [0.0, 0.6, 1.0]),
        (Range(0.0, 0.3, 0.1, "0.1 * 3 is more than 0.3"), [0.0, 0.1, 0.2, 0.3]),
        (Range(1 / 3, 2 / 3, 1 / 3, "no round ends"), [1 / 3, 2 / 3]),
        (Choice(("x", "y"), "b"), ["x", "y"]),
    ],
)
def test_swept_values_lie_on_the_grid_and_include_both_ends(knob, expected):
    values = spread(knob)
    assert values == expected
    for value in values:
        knob.check("value", value)


def test_long_ranges_are_thinned_out_to_21_values_of_the_grid():
    values = spread(Range(0, 1000, 1, "a"))
    assert len(values) == 21
    assert (values[0], values[-1]) == (0, 1000)
    assert all(isinstance(value, int) for value in values)


def test_the_previews_of_a_sweep_come_one_by_one(lab, counted, calls):
    sweep = lab.sweep_previews(step(counted), "factor")
    next(sweep)
    assert calls == ["scale 0.5"]
    assert len(list(sweep)) == 6


def test_an_unknown_knob_is_refused_with_the_known_ones(lab):
    with pytest.raises(
        ValueError, match="prune_weights has no knob 'sparsety'; its knobs are: sparsity, scope, criterion"
    ):
        lab.sweep(prune_weights, "sparsety")


def test_a_swept_value_out_of_range_is_refused(lab):
    with pytest.raises(ValueError, match=r"sparsity .* must be a number from 0.0 to 1.0, not 1.5"):
        lab.sweep(prune_weights, "sparsity", [0.5, 1.5])
