"""Blocks say what is left of each layer, and which layers lose the same channels."""

from dataclasses import replace

import pytest

from efflab.figures import blocks, theme
from efflab.figures.blocks import N_ROWS, PALE, group_letters
from efflab.lab.blocks import Block

ANSWER = "they are the network's answer"
TIED = ("stem", "norm", "join", "out")
FOUND = (
    Block("stem", "Conv2d", 16, 8, "stem", TIED, "", 1000, 500),
    Block("wide", "Conv2d", 32, 20, "wide", ("wide", "join"), "", 4000, 600),
    Block("join", "Conv2d", 16, 8, "stem", TIED, "", 2200, 500),
    Block("out", "Linear", 10, 10, "out", ("out",), ANSWER, 800, 400),
)


def many(n: int) -> list[Block]:
    """As many layers, each a group of its own."""
    return [Block(f"layer{i}", "Conv2d", 8, 4, f"layer{i}", (f"layer{i}",), "", 100, 25) for i in range(n)]


def bars(found, **options):
    """The filled bars, the outlines and the texts of a picture."""
    return blocks(found, **options).figure.data


def test_filled_is_what_is_left_and_the_outline_is_the_base_around_the_same_middle():
    now, base, _ = bars(FOUND)
    assert list(now.x) == [8, 20, 8, 10]
    assert list(now.base) == [-4, -10, -4, -5]
    assert list(base.x) == [16, 32, 16, 10]
    assert list(base.base) == [-8, -16, -8, -5]
    assert base.marker.color == "rgba(0,0,0,0)"
    assert base.marker.line.color == theme.BASE


def test_the_layers_stand_from_the_first_to_the_last_with_the_letter_of_their_group():
    axis = blocks(FOUND).figure.layout.yaxis
    assert list(axis.ticktext) == ["stem  <b>A</b> ", "wide  <b>B</b> ", "join  <b>A</b> ", "out  <b>–</b> "]
    assert list(axis.range) == [3.5, -0.5]  # the first is at the top


def test_each_count_is_written_with_its_base_and_alone_where_nothing_went():
    assert list(bars(FOUND)[2].text) == ["16 → 8", "32 → 20", "16 → 8", "10"]


def test_layers_of_one_group_look_alike_and_others_do_not():
    now = bars(FOUND)[0]
    looks = list(zip(now.marker.color, now.marker.pattern.shape, strict=True))
    assert looks[0] == looks[2] == (theme.NOW, "")
    assert looks[1] == (theme.PREDICTED, "")


def test_the_fifth_group_has_the_first_colour_and_a_hatch():
    now = bars(many(6))[0]
    assert now.marker.color[4] == now.marker.color[0]
    assert list(now.marker.pattern.shape) == ["", "", "", "", "/", "/"]
    assert now.marker.pattern.fillmode == "overlay"  # what is hatched is as full as what is not


def test_a_frozen_layer_is_grey_has_no_letter_and_the_pointer_is_told_why():
    now = bars(FOUND)[0]
    assert now.marker.color[3] == theme.BASE
    assert "out" not in group_letters(FOUND)
    assert now.hovertext[3] == f"out: 10 of 10 channels<br>must stay: {ANSWER}"


def test_the_pointer_is_told_what_goes_together():
    now = bars(FOUND)[0]
    assert now.hovertext[0] == "stem: 8 of 16 channels<br>goes together with: norm, join, out"
    assert bars(many(1))[0].hovertext[0].endswith("goes together with: nothing")


def test_the_group_that_is_picked_out_stays_strong_and_the_others_turn_pale():
    assert list(bars(FOUND, highlight="stem")[0].marker.opacity) == [1, PALE, 1, PALE]
    assert list(bars(FOUND)[0].marker.opacity) == [1, 1, 1, 1]


def test_the_page_is_told_which_blocks_belong_together():
    assert list(bars(FOUND)[0].customdata) == ["stem", "wide", "stem", "out"]
    assert blocks(FOUND).figure.layout.meta == {"together": True}
    assert bars(FOUND)[1].customdata is None


def test_the_sentence_says_what_is_left_and_what_is_tied():
    assert blocks(FOUND).sentence == (
        "46 of 74 channels are left, and 25 % of the multiplications (computed). "
        "These lose the same channels: A: stem and join."
    )


def test_the_sentence_says_the_sums_of_the_table():
    table = blocks(FOUND).table
    assert (table["now"].sum(), table["channels, base"].sum()) == (46, 74)
    assert table["MACs, now"].sum() / table["MACs, base"].sum() == 0.25


def test_the_table_says_what_goes_with_a_layer_or_why_it_stays():
    table = blocks(FOUND).table
    assert list(table["group"]) == ["A", "B", "A", "–"]
    assert list(table.iloc[:, -1]) == ["norm, join, out", "join", "stem, norm, out", ANSWER]


def test_of_a_deep_network_the_first_layers_are_drawn_and_the_table_has_all():
    picture = blocks(many(20))
    assert [len(trace.x) for trace in picture.figure.data] == [N_ROWS] * 3
    assert len(picture.table) == 20
    assert picture.sentence == (
        "80 of 160 channels are left, and 25 % of the multiplications (computed). "
        f"The first {N_ROWS} of 20 layers are drawn."
    )


def test_after_z_the_letters_begin_again_with_a_number():
    letters = list(group_letters(many(53)).values())
    assert (letters[25], letters[26], letters[51], letters[52]) == ("Z", "A2", "Z2", "A3")


def test_the_axis_says_what_is_counted_and_holds_the_widest_block():
    axis = blocks(FOUND).figure.layout.xaxis
    assert axis.title.text == "channels (outline: base)"
    assert axis.range[0] < -16
    assert axis.range[1] > 16


def test_layers_without_work_leave_none_of_it():
    idle = [replace(block, macs_base=0, macs_now=0) for block in FOUND]
    assert "and none of the multiplications (computed)" in blocks(idle).sentence


def test_no_layer_at_all_is_refused():
    with pytest.raises(ValueError, match="found must hold at least one block"):
        blocks([])
