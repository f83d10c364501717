"""The roofline and the times of layers: where the points lie, what is said, and names that do not cover each other."""

import itertools

import pytest
from torch import nn

from efflab.figures import layer_times, roofline
from efflab.figures.roofline import _along, _box, _name, _span
from efflab.figures.theme import MARKERS
from efflab.measure import count_work
from efflab.measure.layer_speed import LayerPoint, LayerTimes, NodeTime
from efflab.measure.roofline import Roofline

ROOF = Roofline(peak_flops=80e9, bandwidth_bytes_per_s=20e9, threads=1, contention=0.0, machine="a machine")
CONV = LayerPoint("conv", 20.0, 60e9, 0.5)
POOL = LayerPoint("pool", 0.25, 1e9, 0.1)
HIDDEN = LayerPoint("hidden", 0.5, 15e9, 0.9)


def test_a_layer_stands_at_its_intensity_and_its_speed():
    memory, compute = roofline([CONV, POOL], ROOF).figure.data[2:]

    assert (list(memory.x), list(memory.y)) == ([0.25], [1.0])
    assert (list(compute.x), list(compute.y)) == ([20.0], [60.0])


def test_the_roof_rises_to_the_ridge_and_is_flat_after_it():
    roof, ridge = roofline([CONV, POOL], ROOF).figure.data[:2]

    (x0, x1, x2), (y0, y1, y2) = roof.x, roof.y
    assert (x1, y1, y2) == (4, 80, 80)
    assert y0 / x0 == pytest.approx(20)
    assert x0 < 0.25
    assert x2 > 20
    assert list(ridge.x) == [4, 4]


def test_both_axes_are_logarithmic_and_hold_all_points():
    layout = roofline([CONV, POOL], ROOF).figure.layout

    for axis, values in ((layout.xaxis, (0.25, 20)), (layout.yaxis, (1, 80))):
        assert axis.type == "log"
        assert 10 ** axis.range[0] < min(values)
        assert max(values) < 10 ** axis.range[1]


def test_what_limits_a_layer_is_told_by_colour_and_marker():
    memory, compute = roofline([CONV, POOL], ROOF).figure.data[2:]

    assert memory.marker.color != compute.marker.color
    assert {memory.marker.symbol, compute.marker.symbol} <= set(MARKERS)
    assert memory.marker.symbol != compute.marker.symbol


def test_the_sentence_names_the_fastest_the_longest_and_what_lies_above():
    assert roofline([CONV, POOL, HIDDEN], ROOF).sentence == (
        "2 of 3 layers are left of the ridge, 4 FLOPs for each byte, on 1 thread of a machine. conv is the fastest "
        "with 60 GFLOP/s; hidden takes longest, 0.900 ms, at 150 % of its roof. hidden lies above it: the sloped roof "
        "is that of the memory, and what is faster takes its numbers from the cache."
    )


def test_weights_that_fit_into_the_cache_explain_a_layer_above_the_memorys_roof():
    above = LayerPoint("hidden1", 0.5, 13e9, 0.9)  # the memory allows 10

    assert "hidden1 lies above it: the sloped roof is that of the memory, and the weights fit into the cache." in (
        roofline([above], ROOF, in_cache=True).sentence
    )
    assert "hidden1 lies a little above it: it mostly reads, and the memory was timed with writing" in (
        roofline([above], ROOF).sentence
    )


def test_the_legend_says_whose_the_roofs_are_and_not_what_limits_a_layer():
    assert [trace.name for trace in roofline([CONV, POOL], ROOF).figure.data] == [
        "roof: memory 20 GB/s, then arithmetic 80 GFLOP/s",
        "ridge: 4 FLOPs a byte",
        "layers left of the ridge",
        "layers right of the ridge",
    ]


def test_the_sentence_says_when_the_roof_may_be_wrong():
    busy = Roofline(50e9, 20e9, 1, 0.3, "a machine")

    assert roofline([CONV], busy).sentence.endswith(
        "Above the flat roof, which was measured in a slower moment: conv. The machine was busy while the roof was "
        "measured, so it may be too low."
    )


def test_the_table_says_how_near_each_layer_comes():
    table = roofline([CONV, POOL], ROOF).table

    assert list(table["layer"]) == ["conv", "pool"]
    assert list(table["roof (GFLOP/s)"]) == [80, 5]
    assert list(table["of the roof (%)"]) == [75, 20]
    assert list(table["whose roof"]) == ["arithmetic", "memory"]


def test_no_two_names_cover_each_other():
    crowd = [LayerPoint(f"block{i}.conv", 10 * 1.05**i, 1e9 * (30 + i), 1 + i) for i in range(25)]
    figure = roofline(crowd, ROOF).figure

    xs = _span([*(point.intensity for point in crowd), ROOF.ridge])
    ys = _span([*(point.flops_per_s / 1e9 for point in crowd), ROOF.peak_flops / 1e9])
    boxes = [
        _box(_along(x, xs), _along(y, ys), text.strip(), place)
        for trace in figure.data[2:]
        for x, y, text, place in zip(trace.x, trace.y, trace.text, trace.textposition, strict=True)
        if text
    ]
    assert 2 <= len(boxes) < 25
    for one, other in itertools.combinations(boxes, 2):
        assert one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]


def test_the_layer_that_takes_longest_has_its_name():
    twins = [LayerPoint("short", 1.0, 5e9, 0.1), LayerPoint("long", 1.01, 5e9, 0.9)]
    texts = [text.strip() for trace in roofline(twins, ROOF).figure.data[2:] for text in trace.text]

    assert "long" in texts


def test_the_model_itself_has_a_name_to_read():
    assert _name(LayerPoint("", 1.0, 1e9, 0.1)) == "between layers"


def test_nothing_to_show_is_refused():
    with pytest.raises(ValueError, match="points is empty"):
        roofline([], ROOF)


# Times of layers


WORK = count_work(nn.Sequential(nn.Linear(30, 10), nn.ReLU(), nn.Linear(10, 10)), (30,))
TIMES = LayerTimes(
    (
        NodeTime("a", "Gemm", "0", ("1",), 0.5, 9),
        NodeTime("r", "ReorderInput", None, (), 0.1, 9),
        NodeTime("b", "Gemm", "2", (), 0.3, 9),
    ),
    whole_ms=1.0,
    profiler_ms=0.004,
    batch=1,
    threads=1,
    contention=0.0,
    machine="a machine",
)


def test_shares_of_time_and_of_work_stand_beside_each_other():
    figure = layer_times(WORK, TIMES).figure

    assert list(figure.layout.yaxis.ticktext) == ["0", "2", "added nodes", "the call itself"]
    assert list(figure.data[0].x) == pytest.approx([50, 30, 10, 10])
    assert list(figure.data[1].x) == pytest.approx([75, 25, 0, 0])


def test_time_and_work_differ_in_hatching_too():
    time, work = layer_times(WORK, TIMES).figure.data

    assert (time.marker.pattern.shape, work.marker.pattern.shape) == (None, "/")


def test_the_sentence_says_the_whole_the_longest_and_the_call():
    assert layer_times(WORK, TIMES).sentence == (
        "While the layers were timed, a batch of 1 took 1.00 ms on 1 thread of a machine; of the layers 0 took longest "
        "(0.500 ms), and the call itself took 10 %."
    )


def test_the_table_holds_both_and_their_shares():
    table = layer_times(WORK, TIMES).table

    assert list(table["time (ms)"]) == [0.5, 0.3, 0.1, 0.1]
    assert list(table["MACs"]) == [300, 100, 0, 0]


def test_only_the_longest_of_many_layers_have_bars():
    many = nn.Sequential(*[nn.Linear(4, 4) for _ in range(20)])
    nodes = tuple(NodeTime(f"n{i}", "Gemm", str(i), (), 0.01 + 0.001 * i, 9) for i in range(20))
    picture = layer_times(count_work(many, (4,)), LayerTimes(nodes, 1.0, 0.0, 1, 1, 0.0, "a machine"))

    assert list(picture.figure.layout.yaxis.ticktext) == [*(str(i) for i in range(9, 20)), "the call itself"]
    assert len(picture.table) == 21


def test_work_of_another_batch_is_refused():
    with pytest.raises(ValueError, match="work is of batch 2 and times are of batch 1"):
        layer_times(count_work(nn.Linear(3, 3), (3,), batch=2), TIMES)
