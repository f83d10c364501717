"""The pictures of the ways to run a network: milliseconds with quartiles, bytes with scores, and no row missing."""

import pytest
from kernels import all_kernels, kernel

from efflab.figures.kernels import LOOKS, kernel_sizes, kernel_times
from efflab.lab.kernels import WAYS, NoKernel

DRAW = [kernel_times, kernel_sizes]
FLOATS, INTEGERS = LOOKS


def bars_of(picture, name):
    return next(trace for trace in picture.figure.data if trace.name == name)


def words_of(picture):
    pairs = [pair for trace in picture.figure.data for pair in zip(trace.y, trace.text, strict=True)]
    return {y: word.strip() for y, word in pairs if word.strip()}


def test_the_words_stand_behind_the_quartiles():
    rows = all_kernels()
    assert list(kernel_times(rows).figure.data[-1].x) == [row.speed.now.q3_ms for row in rows]


def test_bars_are_milliseconds_and_hatched_where_floats_are_multiplied():
    picture = kernel_times(all_kernels())
    assert list(bars_of(picture, FLOATS).x) == [1.0, 2.0]
    assert list(bars_of(picture, FLOATS).y) == [0, 1]
    assert list(bars_of(picture, INTEGERS).x) == pytest.approx([0.8, 0.9, 0.4, 0.5])
    assert bars_of(picture, FLOATS).marker.pattern.shape == "/"
    assert list(picture.figure.layout.yaxis.ticktext) == list(WAYS)


def test_the_quartiles_are_drawn():
    rows = [kernel("float32")]
    time = rows[0].speed.now
    drawn = bars_of(kernel_times(rows), FLOATS).error_x
    assert drawn.array[0] == pytest.approx(time.q3_ms - time.median_ms)
    assert drawn.arrayminus[0] == pytest.approx(time.median_ms - time.q1_ms)


def test_each_is_compared_with_the_float_file_which_is_not_compared_with_itself():
    words = words_of(kernel_times(all_kernels()))
    assert words[0] == "1.00 ms"
    assert words[1] == "2.00 ms<br> 2.0x slower"
    assert words[4] == "0.400 ms<br> 2.5x faster"


def test_the_size_stands_beside_the_score_of_the_file():
    picture = kernel_sizes([kernel("int8 static", n_bytes=386_000)])
    assert words_of(picture)[4] == "386 kB, 90.0 %"
    assert list(bars_of(picture, INTEGERS).x) == [0.386]
    assert "int8 static 386 kB, 90.0 %" in picture.sentence


@pytest.mark.parametrize("draw", DRAW)
def test_what_is_not_measured_yet_has_its_row_and_says_so(draw):
    picture = draw(all_kernels()[:1])
    assert sorted(words_of(picture)) == list(range(len(WAYS)))
    assert list(words_of(picture).values()).count("not measured yet") == len(WAYS) - 1


@pytest.mark.parametrize("draw", DRAW)
def test_nothing_measured_at_all_is_a_picture_too(draw):
    picture = draw(())
    assert picture.sentence.count("not measured yet") == len(WAYS)
    assert len(picture.table) == len(WAYS)


@pytest.mark.parametrize("draw", DRAW)
def test_a_way_that_cannot_be_has_its_reason_in_the_table(draw):
    picture = draw([NoKernel("int4 blocks", "it has no linear layer")])
    assert words_of(picture)[3] == "not possible for this network"
    assert picture.table.loc[picture.table.way == "int4 blocks", "difference"].tolist() == ["it has no linear layer"]


def test_the_table_says_how_many_layers_multiply_integers_and_what_it_costs():
    row = kernel_times(all_kernels()).table.iloc[2]
    assert row["layers in integers"] == "1 of 2"
    assert (row["file"], row["zipped"], row["now (ms)"], row["takes"]) == ("400 kB", "40.0 kB", "0.8", "80 %")
    assert (row["score"], row["to float"]) == ("90.0 %", "-1.25 points")


def test_the_sentence_names_batch_threads_and_machine_and_a_busy_one():
    sentence = kernel_times([kernel("float32", busy=True)]).sentence
    assert sentence.startswith("Batches of 1 on 1 thread of a machine. float32 1.00 ms; int8 weights not measured yet")
    assert sentence.endswith("The machine was busy, so the times are rough.")
