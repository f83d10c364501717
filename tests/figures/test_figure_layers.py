"""Bars say what is kept of each layer; lines say what each layer bears."""

import pytest
from torch import nn

from efflab.figures import layers, sensitivity, theme
from efflab.measure import compute_size
from efflab.prune import Point, prune_weights

BASE = (
    ("conv.weight", 300, 300),
    ("conv.bias", 10, 10),
    ("norm.weight", 8, 8),
    ("norm.bias", 8, 8),
    ("fc.weight", 100, 100),
)
NOW = (
    ("conv.weight", 300, 114),
    ("conv.bias", 10, 10),
    ("norm.weight", 8, 8),
    ("norm.bias", 8, 8),
    ("fc.weight", 100, 90),
)


def test_the_outline_is_the_share_of_a_layer_and_the_filled_part_is_what_is_kept(size):
    kept, whole, _ = layers(size(*NOW), size(*BASE)).figure.data
    assert list(whole.x) == [75, 25]
    assert list(kept.x) == [28.5, 22.5]
    assert whole.marker.color == "rgba(0,0,0,0)"
    assert (whole.marker.line.color, kept.marker.color) == (theme.BASE, theme.NOW)


def test_each_layer_says_what_was_removed_how_many_are_kept_and_what_they_pack_into(size):
    figure = layers(size(*NOW), size(*BASE)).figure
    assert list(figure.layout.yaxis.ticktext) == ["conv", "fc"]
    assert list(figure.data[2].text) == [
        " 62 % removed, 114 of 300 kept<br> 493 B packed (bitmask)",
        " 10 % removed, 90 of 100 kept<br> 372 B packed (bitmask)",
    ]


def test_a_layer_whose_bar_is_too_narrow_to_see_has_its_counts_in_the_picture(size):
    figure = layers(
        size(("conv.weight", 1000, 3), ("fc.weight", 999_000, 40_000)),
        size(("conv.weight", 1000, 1000), ("fc.weight", 999_000, 999_000)),
    ).figure
    assert figure.data[1].x[0] == pytest.approx(0.1)  # percent of the weights: less than a pixel
    assert " 99.7 % removed, 3 of 1,000 kept" in figure.data[2].text[0]


def test_many_layers_have_one_line_of_text_each_and_the_bytes_in_the_table(size):
    six = size(*((f"l{i}.weight", 100, 50) for i in range(6)))
    picture = layers(six, six)
    assert list(picture.figure.data[2].text) == [" 50 % removed, 50 of 100 kept"] * 6
    assert list(picture.table["packed (bytes)"]) == [212] * 6


def test_biases_and_normalisation_of_a_real_network_are_left_out():
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, 5))
    table = layers(compute_size(prune_weights(model, sparsity=0.5)), compute_size(model)).table
    assert list(table["layer"]) == ["0", "3"]
    assert list(table["weights"]) == [36, 80]
    assert table["kept"].sum() == 58


def test_a_layer_that_is_gone_counts_as_removed(size):
    table = layers(size(("a.weight", 60, 60)), size(("a.weight", 60, 60), ("b.weight", 40, 40))).table
    assert list(table["removed (%)"]) == [0, 100]


def test_the_smallest_of_many_layers_share_one_bar(size):
    many = [(f"l{i}.weight", 100 + i, 50) for i in range(20)]
    picture = layers(size(*many), size(*((name, n, n) for name, n, _ in many)))
    names = list(picture.figure.layout.yaxis.ticktext)
    assert names == [f"l{i}" for i in range(9, 20)] + ["9 smaller layers"]
    assert sum(picture.figure.data[1].x) == pytest.approx(100)
    assert len(picture.table) == 20


def test_the_sentence_says_the_whole_and_the_extremes(size):
    assert layers(size(*NOW), size(*BASE)).sentence == (
        "49.0 % of 400 weights are removed in all. The most in conv (62.0 %), the least in fc (10.0 %)."
    )


def test_a_network_without_weights_is_refused(size):
    with pytest.raises(ValueError, match="base has no weight"):
        layers(size(("a.bias", 3, 3)), size(("a.bias", 3, 3)))


@pytest.fixture
def points(evaluation):
    scores = {"conv": (940, 400), "fc": (945, 930), "out": (930, 800)}
    return [
        Point(layer, sparsity, evaluation(n))
        for layer, pair in scores.items()
        for sparsity, n in zip((0.5, 0.9), pair, strict=True)
    ]


def test_each_layer_is_a_line_of_its_own_look(points, baseline):
    lines = sensitivity(points, baseline).figure.data[2:]
    assert [line.name for line in lines] == ["conv", "fc", "out"]
    assert list(lines[0].x) == [50, 90]
    assert list(lines[0].y) == pytest.approx([94, 40])
    assert len({line.line.dash for line in lines}) == len({line.marker.symbol for line in lines}) == 3


def test_the_sentence_names_the_layers_that_hurt_most_and_least(points, baseline):
    assert sensitivity(points, baseline).sentence == (
        "With 90 % removed from one layer alone, conv (40.0 %) hurts most and fc (93.0 %) least. "
        "The base has 94.6 % accuracy."
    )


def test_a_scan_that_has_just_begun_says_so(points, baseline):
    assert sensitivity([], baseline).sentence.startswith("No layer has been scanned yet.")
    assert sensitivity(points[:1], baseline).sentence.startswith(
        "With 50 % removed from one layer alone: conv (94.0 %)."
    )


def test_the_table_has_a_row_for_each_point(points, baseline):
    table = sensitivity(points, baseline).table
    assert list(table.columns) == ["layer", "removed (%)", "accuracy (%)", "95 % from (%)", "to (%)"]
    assert list(table["accuracy (%)"]) == [94.0, 40.0, 94.5, 93.0, 93.0, 80.0]
