"""The two pictures of sparse speed: every number is where it was measured, and the words agree with it."""

import numpy as np
import plotly.graph_objects as go
import pytest

from efflab.figures import Picture, frontier_map, sparse_speed, theme
from efflab.figures.frontier import needed_text, turning_text
from efflab.measure.break_even import frontier
from efflab.measure.speed import summarise
from tests.support import product

LINE = (product(0.5, 3.0), product(0.8, 1.2), product(0.9, 0.5), product(0.99, 0.1))
BLOCKS = tuple(product(s, f, layout="bsr", block=4) for s, f in ((0.5, 4.0), (0.9, 2.0), (0.99, 1.5)))
OTHERS = (product(0.5, 0.4, rows=128), product(0.9, 0.2, rows=128), product(0.5, 9.0, batch=64))
HERE = {"rows": 64, "columns": 32, "batch": 1}


def trace(picture: Picture, name: str):
    (found,) = [one for one in picture.figure.data if one.name == name and one.showlegend is not False]
    return found


def speed(points=(*LINE, *BLOCKS, *OTHERS), **changes):
    return sparse_speed(points, **(HERE | changes))


@pytest.mark.parametrize("picture", [speed(), speed(()), frontier_map((*LINE, *OTHERS)), frontier_map(())])
def test_plotly_finds_the_figure_valid_and_its_axes_have_titles(picture):
    checked = go.Figure(picture.figure.to_dict())
    assert len(checked.data) == len(picture.figure.data)
    assert checked.layout.xaxis.title.text
    assert checked.layout.yaxis.title.text


def test_each_layout_of_the_chosen_matrix_and_batch_is_a_line_of_ratios():
    picture = speed()
    csr, bsr = trace(picture, "CSR"), trace(picture, "BSR 4x4")
    assert list(csr.x) == pytest.approx([50, 80, 90, 99])
    assert list(csr.y) == pytest.approx([3.0, 1.2, 0.5, 0.1])
    assert list(bsr.y) == pytest.approx([4.0, 2.0, 1.5])
    assert picture.figure.layout.yaxis.type == "log"


def test_layouts_differ_in_colour_dash_and_marker():
    csr, bsr = (trace(speed(), name) for name in ("CSR", "BSR 4x4"))
    assert csr.line.color != bsr.line.color
    assert csr.line.dash != bsr.line.dash
    assert csr.marker.symbol != bsr.marker.symbol


def test_a_point_has_the_interval_of_its_ratio():
    rounds = [[0.001, 0.001, 0.001 * factor] for factor in (0.4, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.8)]
    answer = {"rounds": rounds, "wall_s": 1.0, "cpu_s": 1.0}
    wide = product(0.9, 1.0, speed=summarise(answer, batch=1, threads=1, machine=""))
    bars = trace(speed([wide]), "CSR").error_y
    assert (0.5 - bars.arrayminus[0], 0.5 + bars.array[0]) == pytest.approx(
        (wide.speed.ratio_low, wide.speed.ratio_high)
    )
    assert bars.arrayminus[0] + bars.array[0] > 0


def test_other_sizes_and_batches_are_faint_with_gaps_between_them():
    others = trace(speed(), "other sizes")
    assert others.opacity < 0.6
    ys = np.asarray(others.y)
    assert sorted(ys[~np.isnan(ys)]) == pytest.approx([0.2, 0.4, 9.0])
    assert np.isnan(ys).sum() == 2


def test_the_line_at_one_is_dense_and_the_band_around_it_the_noise_floor():
    dense, band = trace(speed(), "dense"), trace(speed(), "noise floor")
    floor = LINE[0].speed.noise_floor
    assert list(dense.y) == [1, 1]
    assert max(band.y) == pytest.approx(1 + floor)
    assert min(band.y) == pytest.approx(1 / (1 + floor))


def test_faster_and_slower_stand_on_the_right_side():
    slower, faster = speed().figure.layout.annotations
    assert (slower.text, faster.text) == ("↑ slower than dense", "↓ faster than dense")
    assert slower.y > 0.5 > faster.y


def test_the_chosen_point_is_large_and_the_newest_of_its_settings():
    picture = speed(chosen=product(0.9, 0.7))
    now = trace(picture, "now 0.70x")
    assert (now.x[0], now.y[0]) == pytest.approx((90, 0.7))
    assert now.marker.size > theme.templates()["projector"]["data"]["scatter"][0]["marker"]["size"]
    assert list(trace(picture, "CSR").y) == pytest.approx([3.0, 1.2, 0.7, 0.1])


def test_the_prediction_is_a_line_at_its_sparsity():
    picture = speed(predicted=0.7)
    assert list(trace(picture, "you predicted 70 %").x) == pytest.approx([70, 70])
    assert picture.sentence.endswith("You predicted 70 %.")


def test_every_point_lies_within_the_axes():
    low, high = speed([product(0.5, 400), product(0.9, 0.001)]).figure.layout.yaxis.range
    assert 10**low < 0.001 < 400 < 10**high


def test_the_sentence_says_where_each_layout_turns_and_on_what():
    assert speed(chosen=LINE[2]).sentence == (
        "64x32, batch 1, 1 thread; a machine: CSR with 90 % zeros takes 0.50x the time of dense, 2.0x faster. "
        "CSR: not faster at 80 % zeros, faster from 90 % on. "
        "BSR 4x4: not faster at any measured sparsity, up to 99 % zeros."
    )


def test_without_points_the_sentence_says_so():
    assert speed(()).sentence == "Nothing was measured of 64x32, batch 1 yet."
    assert frontier_map(()).sentence == "The break-even of this machine was not measured yet."


def test_the_table_has_times_ratio_interval_and_verdict():
    table = speed().table
    assert list(table["ratio"])[:4] == [3.0, 1.2, 0.5, 0.1]
    assert list(table["sparse (ms)"])[:4] == [3.0, 1.2, 0.5, 0.1]
    assert list(table["verdict"])[:3] == ["3.0x slower", "1.2x slower", "2.0x faster"]
    assert len(table) == len(LINE) + len(BLOCKS)


def test_a_mark_stands_at_the_break_even_and_its_bar_reaches_to_the_last_that_is_not_faster():
    mark = trace(frontier_map(LINE), "CSR, batch 1")
    assert list(mark.y) == pytest.approx([90])
    assert list(mark.error_y.arrayminus) == pytest.approx([10])
    assert list(mark.error_y.array) == [0]


def test_where_all_are_faster_the_bar_reaches_to_zero():
    mark = trace(frontier_map([product(0.5, 0.4), product(0.9, 0.2)]), "CSR, batch 1")
    assert list(mark.y) == pytest.approx([50])
    assert list(mark.error_y.arrayminus) == pytest.approx([50])


def test_where_none_is_faster_an_open_mark_stands_at_the_level_that_says_none():
    figure = frontier_map(BLOCKS).figure
    (mark,) = figure.data
    level = dict(zip(figure.layout.yaxis.ticktext, figure.layout.yaxis.tickvals, strict=True))["none"]
    assert (list(mark.y), mark.marker.symbol[-5:]) == ([level], "-open")
    assert level > 100


def test_where_the_machine_was_too_busy_no_mark_stands():
    picture = frontier_map([product(0.9, 1.0, busy=True)])
    assert len(picture.figure.data) == 0
    assert len(picture.table) == 1


def test_matrices_stand_from_small_to_large():
    axis = frontier_map([*OTHERS, *LINE]).figure.layout.xaxis
    assert list(axis.ticktext) == ["64x32", "128x32"]


def test_series_differ_in_marker_and_do_not_hide_each_other():
    figure = frontier_map([*LINE, *BLOCKS, *OTHERS]).figure
    assert len({one.marker.symbol for one in figure.data}) == len(figure.data) == 3
    assert len({x % 1 for one in figure.data for x in one.x}) == 3


def test_the_frontiers_sentence_names_the_ends_and_those_without_one():
    assert frontier_map([*LINE, *BLOCKS, *OTHERS]).sentence == (
        "The break-even on 1 thread; a machine. "
        "It comes earliest for CSR 128x32 at batch 1: at most 50 % zeros, nothing below was measured. "
        "It comes latest for CSR 64x32 at batch 1: not faster at 80 % zeros, faster from 90 % on. "
        "Sparse was never faster for BSR 4x4 64x32 at batch 1, CSR 64x32 at batch 64."
    )


@pytest.mark.parametrize(
    ("points", "turning", "needed"),
    [
        ([(0.9, 0.5)], "at most 90 % zeros, nothing below was measured", "a point below 90 %"),
        ([(0.9, 0.5), (0.75, None)], "at most 90 % zeros, 75 % was too noisy to tell", "a point below 90 %"),
        (
            [(0.74, 2.0), (0.85, 0.5), (0.8, None), (0.99, None)],
            "not faster at 74 % zeros, faster from 85 % on, 80 % was too noisy to tell",
            "a point between 75 and 84 %",
        ),
        ([(0.7, 2.0), (0.9, 0.5)], "not faster at 70 % zeros, faster from 90 % on", "a point at 80 %"),
        ([(0.8, 2.0)], "not faster at any measured sparsity, up to 80 % zeros", "a point above 80 %"),
        ([(0.78, 2.0), (0.85, 0.5)], "not faster at 78 % zeros, faster from 85 % on", ""),
    ],
)
def test_the_words_say_what_is_known_and_what_is_missing(points, turning, needed):
    (one,) = frontier(product(sparsity, factor or 1.0, busy=factor is None) for sparsity, factor in points)
    assert (turning_text(one), needed_text(one)) == (turning, needed)


def test_the_map_does_not_say_that_dense_is_faster_where_nothing_was_measured():
    (words,) = frontier_map([product(0.9, 0.5)]).figure.layout.annotations
    assert words.text == "from a mark on sparse is faster; along its bar it is not known"


def test_the_level_without_a_break_even_stands_clear_of_100_in_large_type():
    axis = frontier_map(BLOCKS).figure.layout.yaxis
    low, high = axis.range
    assert (axis.tickvals[-1] - axis.tickvals[-2]) / (high - low) > 0.1  # a tenth of 250 pixels is a line of 24


def test_what_is_faint_can_be_seen_on_a_dark_page():
    """WCAG 2.1, 1.4.11 asks for 3:1 for what must be seen; what is faint on purpose has at least half of that."""
    picture = speed()
    for name, share in (("other sizes", None), ("noise floor", 0.4)):
        one = trace(picture, name)
        if share is None:
            assert contrast(one.line.color, theme.DARK, one.opacity) > 1.5
        else:
            assert one.fillcolor == theme.translucent(theme.BASE, share)
            assert contrast(theme.BASE, theme.DARK, share) > 1.5


def contrast(colour: str, ground: str, opacity: float) -> float:
    """WCAG's contrast ratio of a colour, laid over a ground with this opacity, and the ground."""

    def light(hexes):
        linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in hexes]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    ink, paper = ([int(text[i : i + 2], 16) / 255 for i in (1, 3, 5)] for text in (colour, ground))
    mixed = [opacity * a + (1 - opacity) * b for a, b in zip(ink, paper, strict=True)]
    one, other = sorted((light(mixed), light(paper)))
    return (other + 0.05) / (one + 0.05)


def test_a_long_name_of_a_machine_is_broken_into_lines():
    name = "Intel(R) Core(TM) i7-8565U CPU @ 1.80GHz, 8 cores, torch 2.13.0"
    answer = {"rounds": [[0.001, 0.001, 0.002]] * 8, "wall_s": 1.0, "cpu_s": 1.0}
    point = product(0.9, 1.0, speed=summarise(answer, batch=1, threads=2, machine=name))
    for picture in (speed([point]), frontier_map([point])):
        _, *caption = picture.figure.layout.xaxis.title.text.split("<br>")
        assert " ".join(caption) == f"2 threads; {name}"
        assert max(map(len, caption)) <= 36
