"""What is asked of the loss and what is got: bars, the sweep over temperatures, and three maps of one image's loss."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from efflab.figures.loss_landscape import FALLING, LOWEST, STUDENT, loss_landscapes
from efflab.figures.loss_terms import loss_sweep, loss_weights, why
from efflab.lab.loss_landscape import Landscape, Landscapes, Place
from efflab.lab.loss_terms import RIGHT, VARIANTS, Term, Variant, Weighed

NOW = Weighed(4.0, 0.9, Variant(is_squared=False), Term(2.0, 0.8, 3.0), Term(0.1, 0.05, 0.3))
LOGITS, WEIGHTS = 100 * 0.045 / (0.045 + 0.08), 100 * 0.27 / (0.27 + 0.3)
AXIS = torch.arange(3, dtype=torch.float64)


def flat(name: str, *losses: float) -> Landscape:
    """A landscape of 3 by 3 whose student stands in the middle."""
    loss = torch.tensor(losses, dtype=torch.float64).view(3, 3)
    return Landscape(name, AXIS, AXIS + 10, loss, Place(1.0, 11.0, float(loss[1, 1])))


HARD = flat("hard", 2.0, 1.0, 0.0, 3.0, 2.0, 1.0, 4.0, 3.0, 2.0)
BOWL = flat("soft", 5.0, 5.0, 5.0, 5.0, 1.0, 5.0, 5.0, 5.0, 5.0)
FOUND = Landscapes(7, 0, 2, HARD, BOWL, flat("mixture", 4.0, 4.0, 4.0, 4.0, 1.5, 4.0, 4.0, 4.0, 4.0))
CLASSES = ("zero", "one", "two")


def swept() -> dict[Variant, tuple[Weighed, ...]]:
    """Each variant at the temperatures 1 and 20; the pull of the soft term is what its factor says."""
    pull = Term(1.0, 1.0, 1.0)
    return {
        variant: tuple(Weighed(t, 0.5, variant, pull, pull.times(variant.factor(t, 10))) for t in (1.0, 20.0))
        for variant in VARIANTS
    }


def traces(picture):
    return {trace.name: trace for trace in picture.figure.data if trace.name}


# What is asked, and what is got


def test_three_bars_share_soft_and_hard_out_of_100():
    drawn = traces(loss_weights(NOW, 10))
    assert list(drawn["soft"].x) == pytest.approx([90, LOGITS, WEIGHTS])
    assert list(np.add(drawn["soft"].x, drawn["hard"].x)) == pytest.approx([100, 100, 100])
    assert drawn["soft"].marker.pattern.shape != drawn["hard"].marker.pattern.shape
    layout = loss_weights(NOW, 10).figure.layout
    assert layout.barmode == "stack"
    assert [name.strip() for name in layout.yaxis.ticktext] == ["asked", "got, logits", "got, weights"]


def test_the_sentence_says_what_was_got_and_why():
    assert loss_weights(NOW, 10).sentence == (
        "At temperature 4, asked for 90 % soft, got 47 % at the weights and 36 % at the logits (measured). "
        "Here, T² = 16 is missing: the "
        "soft term pulls 16x less than it should."
    )


@pytest.mark.parametrize(
    ("variant", "temperature", "said"),
    [
        (RIGHT, 4.0, "The loss is written right. What is left of the difference is that the two gradients"),
        (Variant("mean"), 4.0, 'Here, reduction="mean" also divides by the 10 classes: the soft term pulls 10x less'),
        (
            Variant("mean", False),
            4.0,
            "divides by the 10 classes and T² = 16 is missing: the soft term pulls 160x less",
        ),
        (Variant(is_squared=False), 0.5, "Here, T² = 0.25 is missing: the soft term pulls 4.0x more than it should."),
        (Variant(is_squared=False), 1.0, "Here, T² = 1 is missing, which changes nothing at this temperature."),
    ],
    ids=lambda value: value.name if isinstance(value, Variant) else "",
)
def test_each_slip_has_its_reason(variant, temperature, said):
    assert said in why(replace(NOW, variant=variant, temperature=temperature), 10)


def test_the_table_has_losses_and_pulls_before_they_are_weighed():
    table = loss_weights(NOW, 10).table
    assert list(table["loss (nats)"]) == [0.1, 2.0]
    assert list(table["pull at the logits"]) == [0.05, 0.8]
    assert list(table["pull at the weights"]) == [0.3, 3.0]
    assert list(table["got at the weights"]) == ["47.4 %", "52.6 %"]
    assert list(table["asked for"]) == ["90 %", "10 %"]


# Over temperatures


def test_each_variant_is_a_line_of_its_own_dash_and_marker_and_a_ring_stands_where_the_controls_are():
    drawn = traces(loss_sweep(swept(), NOW))
    lines = [drawn[variant.name] for variant in VARIANTS]
    assert list(lines[0].y) == [50, 50]
    assert list(drawn["batchmean, without T²"].y) == pytest.approx([50, 100 / 401], abs=0.001)
    assert list(drawn["mean, with T²"].y) == pytest.approx([100 / 11] * 2, abs=0.001)
    assert len({(line.line.dash, line.marker.symbol) for line in lines}) == 4
    assert (drawn["now"].x, drawn["now"].y) == ((4.0,), pytest.approx((WEIGHTS,)))
    assert list(drawn["asked for: 90 %"].y) == [90, 90]


def test_a_temperature_below_the_sweep_is_still_on_the_axis():
    low, high = loss_sweep(swept(), replace(NOW, temperature=0.5)).figure.layout.xaxis.range
    assert low < 0.5
    assert high > 20


def test_the_sentence_of_the_sweep_has_the_ends_of_each_line():
    said = loss_sweep(swept(), NOW).sentence
    assert "from temperature 1 to 20, with 90 % asked for: batchmean, with T² from 50 % to 50 %;" in said
    assert "batchmean, without T² from 50 % to 0 %" in said


def test_a_sweep_of_nothing_is_refused():
    for nothing in ({}, {RIGHT: ()}):
        with pytest.raises(ValueError, match="swept must hold at least one variant"):
            loss_sweep(nothing, NOW)


# The landscape


def test_the_three_maps_have_one_scale_of_colours_which_ends_where_the_hard_term_does():
    maps = [trace for trace in loss_landscapes(FOUND, CLASSES, 0.9, 4.0).figure.data if trace.type == "contour"]
    assert [list(one.z[1]) for one in maps] == [[3, 2, 1], [5, 1, 5], [4, 1.5, 4]]
    assert {(one.zmin, one.zmax) for one in maps} == {(0, 4)}
    assert [(one.xaxis, one.yaxis) for one in maps] == [("x", "y"), ("x2", "y2"), ("x3", "y3")]
    assert [one.showscale for one in maps] == [True, False, False]


def test_the_student_stands_on_each_map_and_the_lowest_place_where_there_is_one():
    marks = [trace for trace in loss_landscapes(FOUND, CLASSES, 0.9, 4.0).figure.data if trace.type == "scatter"]
    looks = (STUDENT, LOWEST, FALLING)
    where = {look: [(one.xaxis, one.x[0], one.y[0]) for one in marks if one.name == look] for look in looks}
    assert where[STUDENT] == [("x", 1, 11), ("x2", 1, 11), ("x3", 1, 11)]
    assert where[LOWEST] == [("x2", 1, 11), ("x3", 1, 11)]
    assert where[FALLING] == [("x", 2, 10)]
    assert [one.name for one in marks if one.showlegend] == [STUDENT, LOWEST, FALLING]
    assert len({one.marker.symbol for one in marks}) == 3


def test_the_axes_are_named_by_the_classes():
    layout = loss_landscapes(FOUND, CLASSES, 0.9, 4.0).figure.layout
    assert layout.xaxis.title.text == "logit of zero (label)"
    assert layout.yaxis.title.text == "logit of two"
    assert [one.text for one in layout.annotations] == ["hard", "soft", "mixture"]


def test_the_sentence_of_the_maps_says_where_each_is_lowest():
    assert loss_landscapes(FOUND, CLASSES, 0.9, 4.0).sentence == (
        "The loss of training image 7, which is zero and next likely two to the teacher, over these two logits of the "
        "student, at temperature 4 (computed): the hard term falls on and on beyond the edge; the soft term is lowest "
        "at 1.0 and 11.0, "
        "0 nats below the student; the mixture (90 % soft) is lowest at 1.0 and 11.0, 0 nats below the student."
    )


def test_the_table_of_the_maps_has_each_mark():
    table = loss_landscapes(FOUND, CLASSES, 0.9, 4.0).table
    assert list(table["place"][:2]) == [f"hard, {STUDENT}", f"hard, {FALLING}"]
    assert list(table["logit of two"]) == [11, 10, 11, 11, 11, 11]
    assert list(table["loss (nats)"]) == [2, 0, 1, 1, 1.5, 1.5]
