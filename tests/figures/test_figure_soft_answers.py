"""Softened answers: the bars of one image before those at temperature 1, and what the teacher thinks alike."""

import math

import numpy as np
import pytest
import torch

from efflab.figures.dark_knowledge import HIGH, LOW, dark_knowledge
from efflab.figures.soft_answer import N_ROWS, fine_percent, soft_answer
from efflab.lab.soft_answers import SoftAnswer

CLASSES = ("zero", "one", "two")
PLAIN = torch.tensor([0.009, 0.99, 0.001], dtype=torch.float64)
SOFT = torch.tensor([0.2, 0.7, 0.1], dtype=torch.float64)
FOUND = SoftAnswer(torch.eye(8)[None], 0, 7, 50, 4.0, SOFT, PLAIN)
ALIKE = torch.tensor([[0.9, 0.08, 0.02], [0.3, 0.6, 0.1], [0.000002, 0.999998, 0.0]], dtype=torch.float64)


def traces(picture):
    return {trace.name: trace for trace in picture.figure.data if trace.name}


def test_bars_are_percent_and_behind_them_wider_outlines_are_those_at_temperature_1():
    drawn = traces(soft_answer(FOUND, CLASSES))
    bars, outlines = drawn["temperature 4"], drawn["temperature 1"]
    assert list(bars.x) == pytest.approx([20, 70, 10])
    assert list(outlines.x) == pytest.approx([0.9, 99, 0.1])
    assert outlines.width > bars.width
    assert outlines.marker.color == "rgba(0,0,0,0)"
    assert list(drawn) == ["temperature 1", "temperature 4"]  # what comes first lies behind
    assert soft_answer(FOUND, CLASSES).figure.layout.barmode == "overlay"


def test_the_words_stand_behind_the_longer_of_bar_and_outline():
    words = soft_answer(FOUND, CLASSES).figure.data[2]
    assert list(words.x) == pytest.approx([20, 99, 10])
    assert [text.strip() for text in words.text] == ["20.0 %", "70.0 %", "10.0 %"]


def test_a_logarithmic_scale_reaches_down_to_what_is_hardly_there():
    tiny = SoftAnswer(torch.eye(8)[None], 1, 1, 50, 1.0, ALIKE[2], ALIKE[2])
    picture = soft_answer(tiny, CLASSES, "logarithmic")
    axis, words = picture.figure.layout.xaxis, picture.figure.data[2]
    assert axis.type == "log"
    assert axis.range[0] == math.log10(0.0001)
    assert [text.strip() for text in words.text] == ["0.0002 %", "100.0 %", "below 0.0001 %"]
    assert words.x[2] == 0.0001


def test_the_label_is_named_and_the_image_stands_beside():
    picture = soft_answer(FOUND, CLASSES)
    assert [text.strip() for text in picture.figure.layout.yaxis.ticktext] == ["zero (label)", "one", "two"]
    image = picture.figure.data[3]
    assert (image.type, image.xaxis) == ("image", "x2")
    assert image.source.startswith("data:image/png;base64,")
    assert picture.figure.layout.xaxis.domain[1] < picture.figure.layout.xaxis2.domain[0]


def test_the_sentence_has_both_answers_and_the_doubt_before_and_now():
    bits = [-(p * np.log2(p)).sum() for p in (SOFT.numpy(), PLAIN.numpy())]
    assert soft_answer(FOUND, CLASSES).sentence == (
        "Image 7 of 50 in the order of doubt. At temperature 4 the teacher says one with 70.0 % (wrong, for it is "
        f"zero), then zero with 20.0 %. Its doubt is {bits[0]:.2f} bits in place of {bits[1]:.2f} at temperature 1; "
        "all 3 classes alike would be 1.58."
    )


def test_at_temperature_1_nothing_is_compared_with_itself():
    plain = SoftAnswer(torch.eye(8)[None], 1, 7, 50, 1.0, PLAIN, PLAIN)
    picture = soft_answer(plain, CLASSES)
    assert "in place of" not in picture.sentence
    assert [trace.showlegend for trace in picture.figure.data if trace.type == "bar"] == [False, None]
    assert "one with 99.0 % (right)" in picture.sentence
    assert list(picture.table.columns) == ["class", "at temperature 1"]


def test_the_table_has_both_answers_of_all_classes():
    table = soft_answer(FOUND, CLASSES).table
    assert list(table["class"]) == ["zero (label)", "one", "two"]
    assert list(table["at temperature 4"]) == ["20.0 %", "70.0 %", "10.0 %"]
    assert list(table["at temperature 1"]) == ["0.9 %", "99.0 %", "0.1 %"]


def test_of_many_classes_the_likeliest_are_drawn_and_the_table_has_all():
    many = torch.softmax(torch.arange(30, dtype=torch.float64) / 3, dim=0)
    names = [f"class {number}" for number in range(30)]
    picture = soft_answer(SoftAnswer(torch.eye(8)[None], 3, 7, 50, 1.0, many, many), names)
    assert [text.strip() for text in picture.figure.layout.yaxis.ticktext] == names[:13:-1]
    assert picture.sentence.endswith(f"The {N_ROWS} likeliest of 30 classes are drawn.")
    assert len(picture.table) == 30


@pytest.mark.parametrize(
    ("fraction", "text"),
    [(1.0, "100.0 %"), (0.412, "41.2 %"), (0.001, "0.1 %"), (0.00012, "0.012 %"), (1e-9, "below 0.0001 %")],
)
def test_a_small_fraction_keeps_two_digits(fraction, text):
    assert fine_percent(fraction) == text


# The map


def test_the_map_has_the_logarithm_of_the_percent_and_no_diagonal():
    drawn = dark_knowledge(ALIKE, CLASSES, 4.0).figure.data[0]
    assert np.isnan(np.diagonal(drawn.z)).all()
    assert drawn.z[0][1] == pytest.approx(math.log10(8))
    assert drawn.z[1][0] == pytest.approx(math.log10(30))
    assert drawn.z[2][0] == math.log10(LOW)
    assert drawn.z[2][1] == math.log10(HIGH)
    assert (drawn.zmin, drawn.zmax) == (math.log10(LOW), math.log10(HIGH))


def test_what_an_image_is_stands_at_the_left_and_the_first_class_on_top():
    layout = dark_knowledge(ALIKE, CLASSES, 4.0).figure.layout
    assert list(layout.yaxis.ticktext) == list(layout.xaxis.ticktext) == list(CLASSES)
    assert layout.yaxis.autorange == "reversed"
    assert layout.yaxis.title.text == "images of"


def test_its_sentence_names_the_largest_confusions():
    assert dark_knowledge(ALIKE, CLASSES, 4.0).sentence == (
        "Mean answers to the images of each class at temperature 4: images of two look 100.0 % like one, images of one "
        "look 30.0 % like zero, images of one look 10.0 % like two. The right class gets 50.0 % on average, and is "
        "left out of the picture."
    )


def test_a_class_without_images_is_a_gap():
    gap = ALIKE.clone()
    gap[1] = torch.nan
    picture = dark_knowledge(gap, CLASSES, 4.0)
    assert np.isnan(picture.figure.data[0].z[1]).all()
    assert "images of one" not in picture.sentence
    assert "nan" not in picture.sentence


def test_its_table_has_all_shares_with_the_right_ones():
    table = dark_knowledge(ALIKE, CLASSES, 4.0).table
    assert list(table["images of"]) == list(CLASSES)
    assert list(table["one (%)"]) == pytest.approx([8, 60, 99.9998])


def test_a_map_of_other_classes_is_refused():
    with pytest.raises(ValueError, match=r"a row and a column for each of 2 classes, not \(3, 3\)"):
        dark_knowledge(ALIKE, CLASSES[:2], 4.0)
