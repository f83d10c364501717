"""The histogram of what was float stands above the values of the grid, from which hang the numbers that sit on them."""

from dataclasses import replace

import numpy as np
import pytest

from efflab.figures import activations, number_line
from efflab.figures.counts import LOGARITHM, SQUARE_ROOT
from tests.figures.grid_results import FINE, FOUND, LINE, READ, STEPS


def by_name(picture):
    return {trace.name: trace for trace in picture.figure.data}


def test_counts_stand_above_and_hang_below_as_square_roots():
    stairs, _, stems = number_line(FOUND).figure.data
    assert (stairs.name, stems.name) == ("float weights", "on the grid of 2 bits")
    np.testing.assert_allclose(stairs.x, LINE.edges)
    np.testing.assert_allclose(stairs.y, np.sqrt([1, 0, 4, 9, 100, 4, 0, 1, 1]))
    np.testing.assert_allclose(stems.x, LINE.values)
    np.testing.assert_allclose(stems.y, np.sqrt(LINE.held))
    np.testing.assert_allclose(stems.error_y.arrayminus, stems.y)
    layout = number_line(FOUND).figure.layout
    assert layout.yaxis.range[0] < layout.yaxis.range[1]
    assert layout.yaxis2.range[0] > layout.yaxis2.range[1] == 0
    assert layout.yaxis.domain[0] > layout.yaxis2.domain[1]


def test_bins_more_than_half_a_step_beyond_the_grid_are_hatched():
    clipped = number_line(FOUND).figure.data[1]
    assert clipped.name == "clipped: 1.68 %"
    np.testing.assert_allclose(clipped.x, [-1.75, 1.25, 1.75])
    np.testing.assert_allclose(clipped.y, [1, 0, 1])
    assert clipped.width == 0.5
    assert clipped.marker.pattern.shape == "x"


def test_where_nothing_is_clipped_nothing_is_hatched():
    names = list(by_name(number_line(replace(FOUND, line=replace(LINE, clipped=0.0)))))
    assert names == ["float weights", "on the grid of 2 bits"]


def test_a_value_on_which_nothing_sits_has_an_open_head():
    stems = number_line(FOUND).figure.data[-1]
    assert list(stems.marker.symbol) == ["circle", "circle-open", "circle", "circle"]


def test_of_many_values_the_stems_are_enough():
    stems = number_line(replace(FOUND, bits=8, line=FINE)).figure.data[-1]
    assert (stems.marker.symbol, len(stems.x)) == ("line-ew-open", 255)


def test_dotted_lines_stand_at_the_ends_of_the_grid():
    shapes = number_line(FOUND).figure.layout.shapes
    assert [(one.x0, one.x1) for one in shapes] == [(-1, -1), (0.5, 0.5)]
    assert {one.line.dash for one in shapes} == {"dot"}


def test_the_title_says_in_which_unit_the_line_is():
    titles = [
        number_line(one).figure.layout.xaxis.title.text for one in (FOUND, STEPS, replace(STEPS, zero_points=(0, 0)))
    ]
    assert titles == [
        "weight of channel 2 of conv",
        "weights of conv as integers<br>(weight / scale + zero point)",
        "weights of conv as integers<br>(weight / scale)",
    ]


def test_the_sentence_says_what_lies_where_and_what_was_lost():
    assert number_line(FOUND).sentence == (
        "channel 2 of conv: 119 weights on 4 values of 2 bits, 1 of them unused, with the scale 0.5. "
        "The signal is 12.3 dB above the error, the largest error is 3.00 steps, and 1.68 % of them are clipped."
    )
    assert "with 8 scales from 0.25 to 0.5." in number_line(STEPS).sentence


def test_without_an_error_or_anything_clipped_the_sentence_says_so():
    exact = replace(LINE, clipped=0.0, signal_to_noise_db=float("inf"))
    assert number_line(replace(FOUND, line=exact)).sentence.endswith("There is no error, and no weight is clipped.")


def test_the_table_counts_what_sits_on_each_value():
    table = number_line(FOUND).table
    assert list(table["from (weight)"]) == list(table["to (weight)"]) == ["-1", "-0.5", "0", "0.5"]
    assert list(table["weights (count)"]) == [1, 0, 113, 5]
    assert next(iter(number_line(STEPS).table)) == "from (integer)"


def test_of_more_values_than_a_table_has_rows_neighbours_are_counted_together():
    table = number_line(replace(FOUND, bits=8, line=FINE)).table
    assert len(table) == 128
    assert table.iloc[0].tolist() == ["-127", "-126", 0 + 1]
    assert table.iloc[-1].tolist() == ["127", "127", 254]
    assert table["weights (count)"].sum() == FINE.held.sum()


def test_what_a_layer_reads_is_drawn_in_the_same_way_with_logarithms():
    stairs, clipped, stems = activations(READ).figure.data
    assert (stairs.name, clipped.name, stems.name) == (
        "read (before the grid)",
        "clipped: 1.68 %",
        "on the grid of 2 bits",
    )
    np.testing.assert_allclose(stems.y, np.log1p(LINE.held))
    np.testing.assert_allclose(stairs.y[:-1], np.log1p(LINE.counts))
    assert activations(READ).figure.layout.xaxis.title.text == "what conv reads (steps of 0.5)"


def test_the_sentence_of_what_is_read_has_both_ranges_and_the_dead_values():
    assert activations(READ).sentence == (
        "On 100 calibration images conv reads 119 numbers from -2 to 2; its grid of 2 bits goes from -1 to 0.5, and "
        "1 of its 4 values are dead: no number sits on them. The signal is 12.3 dB above the error, the largest error "
        "is 3.00 steps, and 1.68 % of them are clipped."
    )
    used = replace(READ, line=replace(LINE, held=np.ones(4, dtype=np.int64)))
    assert "and all of its 4 values are used." in activations(used).sentence


# The axes of counts


@pytest.mark.parametrize(
    ("squeeze", "most", "texts"),
    [
        (SQUARE_ROOT, 1500, ["0", "100", "400", "1k"]),
        (SQUARE_ROOT, 5, ["0", "1", "4"]),
        (SQUARE_ROOT, 0, ["0"]),
        (LOGARITHM, 1_500_000, ["0", "100", "10k", "1M"]),
    ],
)
def test_round_counts_are_marked_where_there_is_room(squeeze, most, texts):
    axis = squeeze.axis("weights", most)
    assert axis["ticktext"] == texts
    values = [int(text.replace("k", "000").replace("M", "000000")) for text in texts]
    np.testing.assert_allclose(axis["tickvals"], squeeze.of(np.array(values)))


def test_the_axis_says_how_its_counts_are_squeezed():
    assert SQUARE_ROOT.axis("weights in a bin", 9)["title"]["text"] == "weights in a bin<br>(square roots)"
    assert LOGARITHM.axis("numbers", 9)["title"]["text"] == "numbers<br>(logarithms)"
