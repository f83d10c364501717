"""The missing digit: recalls with the class that was never shown marked, and what each bias would do."""

import dataclasses

import pytest
import support
import torch

from efflab.data import Split
from efflab.figures import bias_curve, missing_recalls
from efflab.lab.missing import MissingClass, Unshown

LABEL = 1
LABELS = torch.tensor([0, 0, 1, 1, 2, 2])


def student(class_1: list[float]) -> Unshown:
    """Right on the classes 0 and 2 by a margin of 4; `class_1` is the logit of class 1 of the six images."""
    logits = torch.full((6, 3), 0.0)
    logits[:2, 0] = logits[2:4, 2] = logits[4:, 2] = 4.0
    logits[:, 1] = torch.tensor(class_1)
    data = support.tiny_data()
    return Unshown(logits, dataclasses.replace(data, validation=Split(torch.zeros(6, *support.SHAPE), LABELS)), LABEL)


@pytest.fixture(scope="module")
def found() -> MissingClass:
    """Alone, class 1 is far too low everywhere; taught, its two images need 1.05 and 2.05 more, and class 0 5.05."""
    return MissingClass(LABEL, student([-20.0] * 6), student([-1.05, -5, 2.95, 1.95, -8, -8]))


def traces(picture):
    return {trace.name: trace for trace in picture.figure.data if trace.name}


def test_each_student_has_a_bar_of_its_recall_for_each_class(found):
    drawn = traces(missing_recalls(found, 1.5))
    assert [name for name in drawn if drawn[name].showlegend is not False] == [
        "alone",
        "with teacher",
        "before the bias moved",
    ]
    assert list(drawn["alone"].y) == [100, 0, 100]
    assert list(drawn["with teacher"].y) == [100, 50, 100]
    assert list(drawn["with teacher"].x) == [0.2, 1.2, 2.2]


def test_the_class_that_was_never_shown_is_marked_by_hatch_and_in_words(found):
    picture = missing_recalls(found, 0.0)
    drawn = traces(picture)
    assert list(drawn["alone"].marker.pattern.shape) == ["/", "x", "/"]
    assert list(drawn["with teacher"].marker.pattern.shape) == ["", "x", ""]
    assert list(picture.figure.layout.xaxis.ticktext) == ["dark", "<b>grey<br>never shown</b>", "light"]


def test_a_line_across_each_bar_stands_where_it_was_before(found):
    drawn = traces(missing_recalls(found, 2.5))
    bars, before = drawn["with teacher"], drawn["with teacher, before"]
    assert [low + high / 2 for low, high in zip(before.base, before.y, strict=True)] == [100, 0, 100]
    assert before.x == bars.x
    assert before.width > bars.width


def test_the_sentence_says_both_scores_of_both_before_and_now(found):
    assert missing_recalls(found, 2.5).sentence == (
        "grey was never shown. With +2.5 in its bias, the student alone recognises 0.0 % of the 2 validation images of "
        "grey, and is right on 66.7 % of all 6 (before 0.0 % and 66.7 %); the student with teacher recognises 100.0 %, "
        "and is right on 100.0 % (before 0.0 % and 66.7 %)."
    )
    assert missing_recalls(found, 0.0).sentence == (
        "grey was never shown. With its bias as it was learned, the student alone recognises 0.0 % of the 2 validation "
        "images of grey, and is right on 66.7 % of all 6; the student with teacher recognises 0.0 %, and is right on "
        "66.7 %."
    )


def test_the_table_has_the_recalls_with_their_intervals(found):
    row = missing_recalls(found, 1.5).table.iloc[1]
    assert row["class"] == "grey"
    assert row["images"] == 2
    assert (row["with teacher, before (%)"], row["with teacher (%)"]) == ("0.0", "50.0")
    assert missing_recalls(found, 1.5).table.iloc[1, -1] == "9.5 to 90.5"  # Wilson, 1 of 2


def test_a_class_without_images_has_no_bar_and_no_number():
    one = student([0.0] * 6)
    data = dataclasses.replace(one.data, validation=Split(torch.zeros(4, *support.SHAPE), LABELS[:4]))
    short = Unshown(one.logits[:4], data, LABEL)
    picture = missing_recalls(MissingClass(LABEL, short, short), 0.0)
    assert list(traces(picture)["alone"].y) == [100, 0, 0]
    assert traces(picture)["alone"].hovertext[2] == "light, alone: no image"
    assert list(picture.table.iloc[2])[2:] == ["-"] * 6


def test_the_curves_are_the_scores_at_every_bias(found):
    drawn = traces(bias_curve(found, 2.0))
    overall, recall = drawn["with teacher: all images"], drawn["with teacher: recall of grey"]
    at = {round(float(x), 1): i for i, x in enumerate(overall.x)}
    assert overall.y[at[0.0]] == pytest.approx(400 / 6)
    assert overall.y[at[1.1]] == pytest.approx(500 / 6)
    assert overall.y[at[2.1]] == 100
    assert (recall.y[at[1.0]], recall.y[at[1.1]], recall.y[at[2.1]]) == (0, 50, 100)
    assert (overall.line.dash, recall.line.dash) == ("solid", "dot")
    assert list(drawn["bias now +2.0"].x) == [2, 2]


def test_a_star_stands_at_the_best_bias_of_the_student_with_teacher(found):
    star = traces(bias_curve(found, 0.0))["best +2.1"]
    assert (list(star.x), list(star.y)) == ([2.1], [100.0])


def test_the_sentence_of_the_curve_says_what_the_best_bias_gives(found):
    assert bias_curve(found, 0.0).sentence == (
        "For the student with teacher +2.1 in the bias of grey is best, chosen on these validation images: 100.0 % "
        "right on all images in place of 66.7 %, and 100.0 % of the images of grey in place of 0.0 %."
    )


def test_the_table_of_the_curve_has_every_fifth_bias(found):
    table = bias_curve(found, 0.0).table
    assert len(table) == 41
    assert list(table["bias"][[0, 20, 25, 40]]) == ["-10.0", "+0.0", "+2.5", "+10.0"]
    assert table["with teacher: recall (%)"][25] == "100.0"
