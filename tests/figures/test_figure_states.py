"""The picture of the four states: left of the base is faster, the noise floor is there, and no row is missing."""

import math

import pytest
import support

from efflab.figures.states import state_sizes, state_speeds
from efflab.lab.states import ROWS, NoState


def bars_of(picture, name):
    return next(trace for trace in picture.figure.data if trace.name == name)


def test_a_bar_goes_from_the_base_to_the_time_in_percent():
    drawn = bars_of(state_speeds(support.four_states(masked=3.0, removed=0.25)), "torch")
    assert [start + length for start, length in zip(drawn.base, drawn.x, strict=True)] == [300, 100, 100, 25]
    assert set(drawn.base) == {100}


def test_the_axis_is_logarithmic_and_holds_every_bar():
    layout = state_speeds(support.four_states(masked=12.0, removed=0.05)).figure.layout
    low, high = layout.xaxis.range
    assert layout.xaxis.type == "log"
    assert low < math.log10(5)
    assert high > math.log10(1200)
    assert all(low <= math.log10(tick) <= high for tick in layout.xaxis.tickvals)


def test_the_noise_floor_is_a_band_behind_each_row_that_was_measured():
    states = support.four_states()
    bands = [shape for shape in state_speeds(states[:2]).figure.layout.shapes if shape.type == "rect"]
    assert [round(band.x1) for band in bands] == [102, 102]
    assert [(band.y0 + band.y1) / 2 for band in bands] == [0, 1]


def test_within_the_noise_it_says_that_nothing_was_measured_to_differ():
    words = state_speeds(support.four_states(removed=0.5)).figure.data[-1].text
    assert words[1] == " no measurable<br> difference"
    assert words[3] == " 2.0x faster<br> 1 → 0.5 ms"


def test_rows_of_onnx_runtime_are_told_from_those_of_torch_by_name():
    labels = state_speeds(support.four_states()).figure.layout.yaxis.ticktext
    assert list(labels) == ["masked", "zeroed", "encoded", "removed", "zeroed<br>(ONNX)", "removed<br>(ONNX)"]


def test_the_table_has_the_ratio_and_its_interval():
    row = state_speeds(support.four_states(masked=3.0)).table.iloc[0]
    assert (row["base (ms)"], row["now (ms)"], row["takes"], row["95 % interval"]) == (
        "1",
        "3",
        "300 %",
        "300 % to 300 %",
    )


@pytest.mark.parametrize("draw", [state_speeds, state_sizes])
def test_what_is_not_measured_yet_has_its_row_and_says_so(draw):
    picture = draw(support.four_states()[:1])
    words = [word for trace in picture.figure.data for word in trace.text or ()]
    assert any("not measured yet" in word for word in words)
    assert len(picture.figure.layout.yaxis.tickvals) in (len(ROWS), 5)


@pytest.mark.parametrize("draw", [state_speeds, state_sizes])
def test_nothing_measured_at_all_is_a_picture_too(draw):
    assert draw(()).sentence.strip()


def test_a_state_that_cannot_be_has_its_reason_in_the_table():
    states = [NoState("encoded", "torch", "it has no linear layer")]
    picture = state_speeds(states)
    assert "not possible for this network" in picture.sentence
    assert picture.table.loc[picture.table.state == "encoded", "difference"].tolist() == ["it has no linear layer"]


def test_the_sizes_begin_with_the_base_and_are_in_megabytes():
    picture = state_sizes(support.four_states())
    assert list(bars_of(picture, "file").x) == [1.0, 0.4, 0.4, 0.4, 0.4]
    assert list(bars_of(picture, "zipped").x) == [0.1, 0.04, 0.04, 0.04, 0.04]
    assert list(picture.figure.layout.yaxis.ticktext) == ["base", "masked", "zeroed", "encoded", "removed"]
    assert picture.sentence.startswith("The files: base 1.00 MB, zipped 100 kB; masked 400 kB")


def test_the_sentence_names_batch_threads_and_machine_and_a_busy_one():
    states = [support.state("masked", "torch", 2.0, busy=True)]
    sentence = state_speeds(states).sentence
    assert sentence.startswith("Batches of 1 on 1 thread of a machine. masked in torch: 2.00 ms, 2.0x slower")
    assert sentence.endswith("The machine was busy, so the times are rough.")
