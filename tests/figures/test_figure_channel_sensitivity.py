"""Each group cut alone: what the MACs promise, what the clock says, and what is left of the score."""

from dataclasses import replace

import pytest
import support

from efflab.data import Classification
from efflab.figures import channel_sensitivity
from efflab.figures.channel_sensitivity import N_ROWS
from efflab.lab.channels import ChannelPoint

LOWER = Classification(score_name="error", higher_is_better=False)


@pytest.fixture
def point(evaluation):
    """Make the point of a group; `macs` of 1000, and `ms` where the base takes 1."""

    def make(group, n_right, macs, ms, *, layers=None, ratio=0.5, **options):
        speed = support.product(0.5, ms, **options).speed
        return ChannelPoint(group, layers or (group,), ratio, 8, evaluation(n_right), macs, 1000, speed)

    return make


@pytest.fixture
def points(point):
    return [point("stem", 102, 750, 0.9, layers=("stem", "join")), point("wide", 828, 800, 0.75)]


def test_a_circle_is_what_the_macs_save_and_a_diamond_what_the_clock_says(points, baseline):
    _, saved, measured, _ = channel_sensitivity(points, baseline).figure.data
    assert list(saved.x) == pytest.approx([25, 20])
    assert list(measured.x) == pytest.approx([10, 25])
    assert (saved.name, measured.name) == ("MACs saved (computed)", "time saved (measured)")


def test_a_line_goes_from_the_promise_to_what_was_measured(points, baseline):
    link = channel_sensitivity(points, baseline).figure.data[0]
    assert list(link.x) == [pytest.approx(25), pytest.approx(10), None, pytest.approx(20), pytest.approx(25), None]
    assert list(link.y) == [0, 0, None, 1, 1, None]


def test_the_interval_of_the_time_is_the_right_way_round(point, baseline):
    one = point("stem", 900, 500, 0.9)
    one = replace(one, speed=replace(one.speed, ratio_low=0.85, ratio_high=0.92))
    error = channel_sensitivity([one], baseline).figure.data[2].error_x
    assert (error.array[0], error.arrayminus[0]) == pytest.approx((5, 2))  # from 8 to 15 % saved


def test_a_time_that_does_not_differ_measurably_is_open_and_says_so(point, baseline):
    measured = channel_sensitivity([point("stem", 900, 500, 0.995)], baseline).figure.data[2]
    assert measured.marker.symbol == ("diamond-open",)
    assert measured.hovertext == ("stem: no measurable difference",)
    faster = channel_sensitivity([point("stem", 900, 500, 0.5)], baseline).figure.data[2]
    assert (faster.marker.symbol, faster.hovertext) == (("diamond",), ("stem: 2.0x faster",))


def test_what_is_left_of_the_score_stands_in_a_column_below_its_name(points, baseline):
    scores = channel_sensitivity(points, baseline).figure.data[3]
    assert list(scores.text) == ["accuracy<br>left", "10.2 %", "82.8 %"]
    assert list(scores.y) == [-1, 0, 1]
    assert scores.xaxis == "x2"


def test_a_group_is_called_by_the_layers_that_make_its_channels(point, points, baseline):
    many = point("stem", 900, 500, 0.9, layers=("stem", "b", "c", "d"))
    picture = channel_sensitivity([*points, many], baseline)
    assert list(picture.figure.layout.yaxis.ticktext) == ["stem<br>+ join ", "wide ", "stem<br>+ 3 more "]
    assert list(picture.figure.data[1].hovertext) == ["stem + join", "wide", "stem + b + c + d"]


def test_many_groups_have_one_line_each(point, baseline):
    points = [point(f"g{i}", 900, 500, 0.9, layers=(f"g{i}", "join")) for i in range(9)]
    names = channel_sensitivity(points, baseline).figure.layout.yaxis.ticktext
    assert list(names)[:2] == ["g0 + join ", "g1 + join "]


def test_the_sentence_names_the_dearest_and_the_fastest_group(points, baseline):
    assert channel_sensitivity(points, baseline).sentence == (
        "Of groups that lose 50 % of their channels alone, stem + join costs most (10.2 % accuracy left), and wide "
        "saves most time: 25.0 % (measured), with 20.0 % of the MACs (computed). The base has 94.6 % accuracy."
    )


def test_the_sentence_and_the_table_say_the_same(points, baseline):
    table = channel_sensitivity(points, baseline).table
    assert list(table["group"]) == ["stem + join", "wide"]
    assert list(table["MACs saved (%), computed"]) == [25.0, 20.0]
    assert list(table["time saved (%), measured"]) == [10.0, 25.0]
    assert list(table["accuracy left (%), measured"]) == [10.2, 82.8]
    assert list(table["verdict"]) == ["1.1x faster", "1.3x faster"]


def test_no_group_is_called_fast_that_was_not_measured_to_be(point, baseline):
    sentence = channel_sensitivity([point("stem", 900, 500, 0.995), point("wide", 950, 500, 1.5)], baseline).sentence
    assert "and none saves time measurably." in sentence


def test_where_a_low_score_is_better_the_highest_one_costs_most(point, evaluation):
    worse, better = (replace(evaluation(n), task=LOWER) for n in (300, 20))
    low, high = (replace(point(name, 0, 500, 0.5), evaluation=e) for name, e in (("low", better), ("high", worse)))
    sentence = channel_sensitivity([low, high], better).sentence
    assert "high costs most (30.0 % error left)" in sentence


def test_one_ratio_is_drawn_and_the_table_has_all(point, baseline):
    points = [point("stem", 900, 600, 0.9, ratio=ratio) for ratio in (0.25, 0.5, 0.75)]
    just_begun = point("wide", 900, 900, 0.9, ratio=0.25)
    picture = channel_sensitivity([*points, just_begun], baseline)
    assert list(picture.figure.layout.yaxis.ticktext) == ["stem "]  # a quarter of "wide" would not compare
    assert list(picture.table["cut (%)"]) == [25, 50, 75, 25]


@pytest.mark.parametrize(("ratios", "drawn"), [((0.1, 0.6), "60 %"), ((0.3, 0.75), "30 %"), ((0.9,), "90 %")])
def test_without_a_half_the_nearest_ratio_is_drawn(point, baseline, ratios, drawn):
    points = [point("stem", 900, 500, 0.9, ratio=ratio) for ratio in ratios]
    picture = channel_sensitivity(points, baseline)
    assert f"by a cut of {drawn}, batch 1" in picture.figure.layout.xaxis.title.text
    assert picture.sentence.startswith(f"Of groups that lose {drawn} of their channels")


def test_a_scan_that_has_just_begun_says_so(baseline):
    picture = channel_sensitivity([], baseline)
    assert picture.sentence == "No group has been cut yet. The base has 94.6 % accuracy."
    assert len(picture.figure.data) == 0
    assert picture.table.empty


def test_of_many_groups_the_first_are_drawn_and_the_table_has_all(point, baseline):
    points = [point(f"g{i}", 900, 500, 0.9) for i in range(20)]
    picture = channel_sensitivity(points, baseline)
    assert len(picture.figure.data[1].x) == N_ROWS
    assert len(picture.table) == 20
    assert picture.sentence.endswith(f"The first {N_ROWS} of 20 groups are drawn.")


def test_a_busy_machine_is_admitted(point, baseline):
    sentence = channel_sensitivity([point("stem", 900, 500, 0.9, busy=True)], baseline).sentence
    assert sentence.endswith("The machine was busy: the times are rough.")


def test_the_axis_has_its_unit_and_its_batch_and_holds_what_became_slower(point, baseline):
    picture = channel_sensitivity([point("stem", 900, 400, 1.2, batch=64)], baseline)
    axis = picture.figure.layout.xaxis
    assert axis.title.text == "saved of the network (%)<br>by a cut of 50 %, batch 64"
    assert axis.range[0] < -20
    assert axis.range[1] > 60
