"""The main picture shows the trail, the base, the curve and the prediction, each where it belongs."""

from dataclasses import replace

import pytest

from efflab import fine_tune, quantize_weights, step
from efflab.data.task import wilson
from efflab.figures import theme, tradeoff


def trace(picture, name):
    (found,) = [one for one in picture.figure.data if (one.name or "").startswith(name)]
    return found


def test_the_last_visit_is_large_and_has_its_interval(visit, baseline):
    now = trace(tradeoff([visit(0.5, 940), visit(0.8, 901)], "sparsity", baseline=baseline), "now 90.1 %")
    low, high = wilson(901, 1000)
    assert (now.x[0], now.y[0]) == pytest.approx((80, 90.1))
    assert now.error_y.array[0] == pytest.approx(100 * high - 90.1, abs=1e-4)
    assert now.error_y.arrayminus[0] == pytest.approx(90.1 - 100 * low, abs=1e-4)
    assert now.marker.size > theme.templates()["projector"]["data"]["scatter"][0]["marker"]["size"]


@pytest.mark.parametrize(("sparsity", "side"), [(0.05, "bottom right"), (0.9, "bottom left")])
def test_the_score_stands_on_the_side_of_its_point_where_there_is_room(visit, baseline, sparsity, side):
    now = trace(tradeoff([visit(sparsity, 901)], "sparsity", baseline=baseline), "now 90.1 %")
    assert now.textposition == side


@pytest.mark.parametrize(("bits", "side", "word"), [(8, "bottom left", "8 bits"), (1, "bottom right", "1 bit")])
def test_of_a_knob_with_few_values_the_ends_are_its_own(visit, baseline, bits, side, word):
    preview = replace(visit(0.5, 901), recipe=(step(quantize_weights, bits=bits),))
    picture = tradeoff([preview], "bits", baseline=baseline)
    assert trace(picture, "now 90.1 %").textposition == side
    assert picture.sentence.startswith(f"At {word}: ")


def test_older_visits_are_fainter(visit, baseline):
    picture = tradeoff([visit(s / 10, 900) for s in range(6)], "sparsity", baseline=baseline)
    visited = trace(picture, "visited")
    assert list(visited.x) == pytest.approx([40, 30, 20, 10, 0])
    assert list(visited.marker.opacity) == sorted(visited.marker.opacity, reverse=True)
    assert visited.marker.opacity[0] > visited.marker.opacity[-1]


def test_a_setting_visited_twice_counts_by_its_last_visit(visit, baseline):
    trail = [visit(0.8, 880), visit(0.5, 940), visit(0.8, 901)]
    picture = tradeoff(trail, "sparsity", baseline=baseline)
    assert list(trace(picture, "visited").x) == [50]
    assert trace(picture, "now").y[0] == pytest.approx(90.1)


def test_the_base_is_a_dashed_line_with_the_band_of_its_interval(visit, baseline):
    picture = tradeoff([visit(0.8, 901)], "sparsity", baseline=baseline)
    base, band = trace(picture, "base 94.6 %"), picture.figure.data[0]
    low, high = wilson(946, 1000)
    assert list(base.y) == pytest.approx([94.6, 94.6])
    assert (base.line.dash, base.line.color) == ("dash", theme.BASE)
    assert (min(band.y), max(band.y)) == pytest.approx((100 * low, 100 * high))


def test_the_curve_is_drawn_from_left_to_right_with_its_band(visit, baseline):
    curve = [visit(s, n) for s, n in ((0.9, 500), (0.0, 946), (0.5, 930))]
    picture = tradeoff([visit(0.8, 901)], "sparsity", baseline=baseline, curve=curve)
    line, low = trace(picture, "whole curve"), 100 * wilson(500, 1000)[0]
    assert list(line.x) == [0, 50, 90]
    assert list(line.y) == pytest.approx([94.6, 93, 50])
    band = next(one for one in picture.figure.data if one.fill == "toself" and len(one.x) == 6)
    assert min(band.y) == pytest.approx(low)


def test_a_long_curve_is_thinned_to_500_points_with_both_ends(visit, baseline):
    curve = [visit(s / 1000, 900) for s in range(1001)]
    line = trace(tradeoff([], "sparsity", baseline=baseline, curve=curve), "whole curve")
    assert len(line.x) == 500
    assert (line.x[0], line.x[-1]) == (0, 100)


def test_the_prediction_has_its_own_marker(visit, baseline):
    picture = tradeoff([visit(0.8, 901)], "sparsity", baseline=baseline, predicted=(0.8, 0.71))
    predicted = trace(picture, "you predicted 71 %")
    assert (predicted.x[0], predicted.y[0]) == pytest.approx((80, 71))
    assert predicted.marker.symbol != trace(picture, "now").marker.symbol
    assert predicted.marker.color == theme.PREDICTED


def looks(trail, baseline, knob="sparsity"):
    """The markers of a picture, by the names in its legend."""
    picture = tradeoff(trail, knob, baseline=baseline)
    return {one.name: one.marker for one in picture.figure.data if one.mode == "markers"}


def test_fine_tuned_random_and_per_layer_visits_differ_in_marker_and_name(visit, baseline):
    trail = [
        visit(0.5, 900),
        visit(0.5, 930, tuned=True),
        visit(0.5, 300, criterion="random"),
        visit(0.5, 890, scope="per layer"),
        visit(0.8, 850),
    ]
    series = looks(trail, baseline)
    usual, tuned, random, other = (
        "global, magnitude",
        "global, magnitude, then fine tune",
        "global, random",
        "per layer, magnitude",
    )
    assert set(series) == {usual, tuned, random, other}
    assert len({marker.symbol for marker in series.values()}) == 4
    assert series[tuned].color == theme.TUNED
    assert series[random].color == theme.CONTROL
    assert series[usual].color == series[other].color == theme.NOW


def test_of_an_option_that_differs_each_value_is_named_the_usual_one_too(visit, baseline):
    grids = [
        replace(visit(0.5, 900), recipe=(step(quantize_weights, bits=bits, observer=observer),))
        for bits, observer in ((4, "min-max"), (4, "MSE"), (3, "MSE"), (3, "min-max"))
    ]
    assert set(looks(grids, baseline, "bits")) == {"min-max", "MSE"}
    assert set(looks([*grids[:1], *grids[3:]], baseline, "bits")) == {"visited"}
    assert set(looks(grids[1:3], baseline, "bits")) == {"MSE"}


def test_each_of_nine_series_has_a_marker_of_its_own_and_keeps_it_when_it_is_visited_again(visit, baseline):
    grids = [
        replace(visit(0.5, 900), recipe=(step(quantize_weights, granularity=granularity, observer=observer), *then))
        for granularity in ("per tensor", "per channel", "per group")
        for observer in ("min-max", "percentile", "MSE")
        for then in ((), (step(fine_tune),))
    ]
    last = replace(visit(0.5, 900), recipe=(step(quantize_weights, bits=2),))
    series = looks([*grids, last], baseline, "bits")
    assert len({(marker.color, marker.symbol) for marker in series.values()}) == len({*series}) == 18
    again = looks([*reversed(grids), last], baseline, "bits")
    assert {name: marker.symbol for name, marker in again.items()} == {n: m.symbol for n, m in series.items()}


def test_the_axes_carry_units_and_do_not_move(visit, baseline):
    layouts = [
        tradeoff([visit(s, n)], "sparsity", baseline=baseline).figure.layout for s, n in ((0.0, 946), (1.0, 100))
    ]
    for layout in layouts:
        assert layout.xaxis.title.text == "weights removed (%)"
        assert layout.yaxis.title.text == "accuracy (%)"
    assert layouts[0].xaxis.range == layouts[1].xaxis.range == (-3, 103)
    assert layouts[0].yaxis.range == layouts[1].yaxis.range


def test_a_choice_is_an_axis_of_names(visit, baseline):
    picture = tradeoff([visit(0.8, 860, scope="per layer")], "scope", baseline=baseline)
    assert list(trace(picture, "now").x) == ["per layer"]
    assert list(picture.figure.layout.xaxis.categoryarray) == ["global", "per layer"]
    assert "At scope per layer: 86.0 % accuracy" in picture.sentence


def test_a_setting_per_layer_lies_at_its_mean_over_the_weights_and_says_so(visit, baseline):
    picture = tradeoff([visit({"a": 0.5, "b": 0.7}, 860)], "sparsity", baseline=baseline)
    assert trace(picture, "now").x[0] == pytest.approx(65)  # 100 weights in a, 300 in b
    assert "65 % sparsity on average over the weights" in picture.sentence


def test_a_layer_without_a_setting_of_its_own_keeps_all(visit, baseline):
    picture = tradeoff([visit({"b": 0.8}, 860)], "sparsity", baseline=baseline)
    assert trace(picture, "now").x[0] == pytest.approx(60)


def test_settings_per_layer_are_a_series_of_their_own(visit, baseline):
    trail = [visit(0.5, 900), visit({"a": 0.5, "b": 0.7}, 860), visit(0.6, 850)]
    own = trace(tradeoff(trail, "sparsity", baseline=baseline), "one for each layer")
    plain = trace(tradeoff(trail, "sparsity", baseline=baseline), "visited")
    assert own.marker.symbol != plain.marker.symbol


def test_a_curve_that_still_grows_says_so(visit, baseline):
    curve = [visit(0.1, 940), visit(0.2, 930)]
    growing = tradeoff([], "sparsity", baseline=baseline, curve=curve, is_whole=False)
    assert [line.name for line in growing.figure.data if line.name and "curve" in line.name] == ["curve so far"]


def test_the_sentence_says_the_score_its_interval_and_the_paired_difference(visit, baseline):
    picture = tradeoff([visit(0.8, 901)], "sparsity", baseline=baseline, predicted=(0.8, 0.71))
    low, high = wilson(901, 1000)
    assert picture.sentence.startswith(
        f"At 80 % sparsity: 90.1 % accuracy (95 % interval {100 * low:.1f} to {100 * high:.1f}), "
        "-4.5 points against the base ("
    )
    assert picture.sentence.endswith("The base has 94.6 % accuracy. You predicted 71.0 % at 80 %.")


def test_the_sentence_tells_an_answer_that_is_not_complete(visit, baseline):
    picture = tradeoff([visit(0.8, 200, n=250)], "sparsity", baseline=baseline)
    assert "so far on 250 of 1,000 images" in picture.sentence


def test_the_table_has_the_base_the_visits_and_the_curve(visit, baseline):
    trail, curve = [visit(0.5, 940), visit(0.8, 901)], [visit(0.0, 946), visit(1.0, 100)]
    table = tradeoff(trail, "sparsity", baseline=baseline, curve=curve).table
    assert list(table.columns) == ["point", "sparsity (%)", "accuracy (%)", "95 % from (%)", "to (%)", "images"]
    assert list(table["point"]) == ["base", "visited", "visited", "curve", "curve"]
    assert list(table["sparsity (%)"][1:]) == [50, 80, 0, 100]
    assert list(table["accuracy (%)"]) == [94.6, 94.0, 90.1, 94.6, 10.0]


def test_the_table_is_never_longer_than_200_rows(visit, baseline):
    everything = [visit(s / 1000, 900) for s in range(301)]
    assert len(tradeoff(everything, "sparsity", baseline=baseline, curve=everything).table) == 200


def test_before_the_first_visit_the_base_is_shown_alone(visit, baseline):
    picture = tradeoff([], "sparsity", baseline=baseline, curve=[visit(0.5, 940)])
    assert picture.sentence == "The base has 94.6 % accuracy."


def test_a_knob_that_no_preview_has_is_refused(visit, baseline):
    with pytest.raises(ValueError, match="no preview has a knob 'bits'"):
        tradeoff([visit(0.5, 940)], "bits", baseline=baseline)
