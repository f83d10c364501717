"""A row a layer: what its weights and what it gives lose, and what its bytes are."""

from dataclasses import replace

import pytest

from efflab.figures import bits_by_layer, grid_errors
from efflab.figures.grid_errors import N_ROWS
from tests.figures.grid_results import errors


def traces(picture):
    return {trace.name: trace for trace in picture.figure.data if trace.name}


# The errors


def test_weights_and_outputs_are_two_marks_of_different_shape_in_one_row():
    drawn = traces(grid_errors(errors()))
    weights, outputs, promise = (drawn[name] for name in ("weights", "what the layer gives", "6.02 dB a bit"))
    assert list(weights.x) == [None, None, 12.0]
    assert list(outputs.x) == [None, 20.0, 10.5]
    assert list(promise.x) == pytest.approx([48.16, None, 24.08], abs=0.01)
    assert list(outputs.y) == [0, 1, 2]
    assert len({one.marker.symbol for one in (weights, outputs, promise)}) == 3


def test_rows_are_named_with_their_bits_from_the_top():
    axis = grid_errors(errors()).figure.layout.yaxis
    assert list(axis.ticktext) == ["first, 8 bits ", "second, float ", "layer2, 4 bits "]
    assert axis.range[0] > axis.range[1]


def test_every_mark_lies_within_the_axis():
    low, high = grid_errors(errors()).figure.layout.xaxis.range
    assert low < 0
    assert high > 48.16


def test_the_sentence_names_the_layer_with_most_error_and_that_with_least():
    assert grid_errors(errors()).sentence == (
        "What each layer gives was compared with the float network on 100 calibration images (measured). layer2 has "
        "the most error: its signal is 10.5 dB above it, second the least: 20.0 dB. Each bit more brings about 6.02 dB."
    )


def test_a_network_without_an_error_says_so():
    assert grid_errors(errors(1)).sentence.endswith("(measured). No layer gives anything else than before.")


def test_the_table_has_words_where_there_is_no_number():
    table = grid_errors(errors()).table
    assert list(table["weights (dB)"]) == ["no error", "float", "12.0"]
    assert list(table["what it gives (dB)"]) == ["no error", "20.0", "10.5"]
    assert list(table["bits of weights"]) == [8, "float", 4]
    assert list(table["bits of what it reads"]) == [8, 8, 8]


def test_of_a_deep_network_the_first_layers_are_drawn_and_the_table_has_all():
    for draw in (grid_errors, bits_by_layer):
        picture = draw(errors(20))
        assert picture.sentence.endswith(f"The first {N_ROWS} of 20 layers are drawn.")
        assert len(picture.table) >= 20


def test_no_layer_at_all_is_refused():
    for draw in (grid_errors, bits_by_layer):
        with pytest.raises(ValueError, match="found must hold at least one layer"):
            draw(replace(errors(), layers=()))


# The bytes


def test_each_part_is_stacked_with_a_hatch_of_its_own():
    drawn = traces(bits_by_layer(errors()))
    assert list(drawn) == ["integers", "scales", "zero points", "biases", "floats"]
    assert [list(one.x) for one in drawn.values()] == [
        [100, 0, 400, 0],
        [8, 0, 32, 0],
        [0, 0, 4, 0],
        [8, 0, 12, 0],
        [0, 400, 0, 36],
    ]
    assert len({one.marker.pattern.shape for one in drawn.values()}) == 5
    assert bits_by_layer(errors()).figure.layout.barmode == "stack"


def test_a_part_that_nobody_has_is_not_in_the_legend():
    assert list(traces(bits_by_layer(errors(1)))) == ["integers", "scales", "biases", "floats"]


def test_many_bytes_are_told_in_thousands():
    few, many = errors(), errors(3)
    large = replace(many.layers[2], bytes=replace(many.layers[2].bytes, integers=40_000))
    many = replace(many, layers=(*many.layers[:2], large))
    titles = [bits_by_layer(one).figure.layout.xaxis.title.text for one in (few, many)]
    assert titles == ["packed bytes (B, computed)", "packed bytes (kB, computed)"]
    assert traces(bits_by_layer(many))["integers"].x[2] == 40


def test_the_bits_stand_behind_the_bars_and_all_other_layers_are_the_last():
    picture = bits_by_layer(errors())
    assert list(picture.figure.data[-1].text) == [" 8 bits, 116 B", " float, 400 B", " 4 bits, 448 B", " float, 36 B"]
    assert list(picture.figure.data[-1].x) == [116, 400, 448, 36]
    assert picture.figure.layout.yaxis.ticktext[-1] == "other layers "
    assert picture.figure.layout.xaxis.range[1] > 448


def test_the_sentence_of_the_bytes_has_the_share_of_each_part():
    assert bits_by_layer(errors()).sentence == (
        "1.00 kB packed (computed): integers 50.0 %, scales 4.0 %, zero points 0.4 %, biases 2.0 %, floats 43.6 %. "
        "The most are in layer2 (4 bits): 44.8 %."
    )


def test_the_table_of_the_bytes_adds_up():
    table = bits_by_layer(errors()).table
    parts = [name for name in table.columns if name.endswith("(bytes)") and not name.startswith("all")]
    assert list(table[parts].sum(axis=1)) == list(table["all (bytes)"]) == [116, 400, 448, 36]
    assert list(table["bits"]) == [8, "float", 4, "float"]
