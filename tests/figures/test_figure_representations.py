"""Layers of teacher and student: the map of similarity with its chosen pair, and the pair as points."""

import numpy as np
import pandas as pd
import pytest
import torch

from efflab.distill import aligned_pca
from efflab.figures import aligned_points, cka_map

ROWS, COLUMNS = ["block1", "block2", "block3"], ["relu1", "relu2"]
CKA = pd.DataFrame([[0.91, 0.2], [0.4, 0.83], [0.3, 0.5]], index=ROWS, columns=COLUMNS)
LABELS = torch.arange(60) % 3


@pytest.fixture(scope="module")
def points():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(60, 5, generator=generator) + 3 * torch.nn.functional.one_hot(LABELS, 5)
    return aligned_pca(x, x @ torch.randn(5, 4, generator=generator))


def numbers(picture) -> list[str]:
    return list(picture.figure.data[1].text)


def test_the_heat_map_holds_the_numbers_with_the_teacher_downwards():
    picture = cka_map(CKA, "block2", "relu2")
    heat = picture.figure.data[0]
    assert np.asarray(heat.z).tolist() == CKA.to_numpy().tolist()
    assert (heat.zmin, heat.zmax) == (0, 1)
    assert list(picture.figure.layout.yaxis.ticktext) == ["block1", "block2", "block3"]
    assert list(picture.figure.layout.yaxis.range) == [2.5, -0.5]
    assert picture.figure.layout.title.text == "CKA, from 0 to 1 (measured)"


def test_the_numbers_stand_in_their_cells_and_the_chosen_one_in_brackets_and_a_frame():
    picture = cka_map(CKA, "block3", "relu1")
    assert numbers(picture) == ["0.91", "0.20", "0.40", "0.83", "<b>[0.30]</b>", "0.50"]
    texts = picture.figure.data[1]
    assert (texts.x[4], texts.y[4]) == (0, 2)
    frames = [(shape.x0, shape.x1, shape.y0, shape.y1) for shape in picture.figure.layout.shapes]
    assert frames == [(-0.5, 0.5, 1.5, 2.5)] * 2


def test_numbers_are_black_on_bright_cells_and_white_on_dark_ones():
    colours = list(cka_map(CKA, "block1", "relu1").figure.data[1].textfont.color)
    assert colours == ["#000000", "#FFFFFF", "#FFFFFF", "#000000", "#FFFFFF", "#000000"]


def test_the_sentence_names_the_most_alike_layer_and_the_chosen_pair():
    assert cka_map(CKA, "block2", "relu2").sentence == (
        "The student's relu2 is most like the teacher's block2: CKA 0.83 (measured). This pair is chosen."
    )
    assert cka_map(CKA, "block3", "relu2").sentence == (
        "The student's relu2 is most like the teacher's block2: CKA 0.83 (measured). "
        "The chosen pair, with the teacher's block3, has 0.50."
    )


def test_the_table_of_the_map_has_a_row_for_each_layer_of_the_teacher():
    table = cka_map(CKA, "block1", "relu1").table
    assert list(table["teacher / student"]) == ["block1", "block2", "block3"]
    assert list(table["relu2"]) == ["0.200", "0.830", "0.500"]


def test_every_image_is_a_point_of_its_class_on_both_planes(points):
    picture = aligned_points(points, LABELS, ("a", "b", "c"), "block1", "relu1")
    clouds = [trace for trace in picture.figure.data if trace.mode == "markers"]
    assert [trace.name for trace in clouds] == ["a", "b", "c"] * 2
    assert [trace.xaxis for trace in clouds] == ["x"] * 3 + ["x2"] * 3
    for trace, side in ((clouds[1], points.x), (clouds[4], points.y)):
        expected = side[LABELS == 1]
        assert torch.allclose(torch.tensor([trace.x, trace.y]).double().T, expected)


def test_a_class_has_the_same_look_on_both_planes_and_one_entry_in_the_legend(points):
    clouds = [t for t in aligned_points(points, LABELS, ("a", "b", "c"), "l", "m").figure.data if t.mode == "markers"]
    looks = [(trace.marker.color, trace.marker.symbol) for trace in clouds]
    assert looks[:3] == looks[3:]
    assert len({symbol for _, symbol in looks}) == 3
    assert [trace.showlegend for trace in clouds] == [True] * 3 + [False] * 3


def test_ten_classes_differ_in_colour_or_marker():
    labels, noise = torch.arange(60) % 10, torch.randn(60, 5, generator=torch.Generator().manual_seed(1))
    picture = aligned_points(aligned_pca(noise, noise), labels, tuple("0123456789"), "l", "m")
    looks = {(t.marker.color, t.marker.symbol) for t in picture.figure.data if t.mode == "markers" and t.xaxis == "x"}
    assert len(looks) == 10


def test_the_name_of_each_class_stands_in_the_middle_of_its_points(points):
    names = [t for t in aligned_points(points, LABELS, ("a", "b", "c"), "l", "m").figure.data if t.mode == "text"]
    assert [list(trace.text) for trace in names] == [["<b>a</b>", "<b>b</b>", "<b>c</b>"]] * 2
    middle = points.y[LABELS == 2].mean(dim=0)
    assert (names[1].x[2], names[1].y[2]) == pytest.approx(tuple(middle.tolist()))


def test_a_class_without_an_image_is_left_out(points):
    picture = aligned_points(points, LABELS, ("a", "b", "c", "d"), "l", "m")
    assert "d" not in {trace.name for trace in picture.figure.data}
    assert list(picture.table["class"]) == ["a", "b", "c"]


def test_titles_and_sentence_say_how_much_of_the_variance_is_seen(points):
    picture = aligned_points(points, LABELS, ("a", "b", "c"), "block1", "relu1")
    x, y = (f"{100 * share:.0f} %" for share in (points.x_explained, points.y_explained))
    assert [title.text for title in picture.figure.layout.annotations] == [
        f"<b>teacher</b> block1<br>variance {x}",
        f"<b>student</b> relu1<br>variance {y}",
    ]
    assert picture.sentence.startswith(f"60 images on two main directions, which keep {x} of the variance of the ")
    assert f"and {y} of that of the student's relu1" in picture.sentence


def test_both_planes_have_the_same_scale_and_hold_every_point(points):
    layout = aligned_points(points, LABELS, ("a", "b", "c"), "l", "m").figure.layout
    assert layout.xaxis.range == layout.xaxis2.range == layout.yaxis.range == layout.yaxis2.range
    assert layout.xaxis.range[1] > float(torch.cat([points.x, points.y]).abs().max())
    assert (layout.yaxis.scaleanchor, layout.yaxis2.scaleanchor) == ("x", "x2")
