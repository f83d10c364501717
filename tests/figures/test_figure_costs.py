"""Pictures of costs: what is computed beside what was published, never with the same marker."""

import math

import plotly.graph_objects as go
import pytest

from efflab.costs import decoding_speed, does_it_fit, estimated_cost, llm_memory, presets, serving_cost, training_cost
from efflab.figures import Picture, theme
from efflab.figures.cost_of_training import serving_price, training_beside_runs
from efflab.figures.costs import decade_axis, decoding_bound, memory_use

DEVICES = [presets().device(name) for name in ("Galaxy S24 Ultra", "MacBook Air M2", "RTX 4090", "A100 80GB")]
BATCHES = (1, 4, 16)


def memory(bits: int, **options: int) -> Picture:
    now = llm_memory(bits=bits, **options)
    others = [llm_memory(bits=other, **options) for other in (16, 8, 4) if other != bits]
    return memory_use(now, others, does_it_fit(now, DEVICES))


def decoding(bits: int, batch: int = 4) -> Picture:
    curve, base = ([decoding_speed(bits=b, batch=n) for n in BATCHES] for b in (bits, 16))
    return decoding_bound(decoding_speed(bits=bits, batch=batch), curve, base)


def training(**options: float) -> Picture:
    runs = presets().runs
    own = {"utilisation": 0.4, "pue": 1.1, "grams_per_kwh": 473.05}
    return training_beside_runs(training_cost(**options), runs, [estimated_cost(run, **own) for run in runs])


def serving(latency_ms: float = 0.5) -> Picture:
    return serving_price(serving_cost(latency_ms=latency_ms), serving_cost(latency_ms=1.0))


PICTURES = {"memory": memory(4), "decoding": decoding(4), "training": training(), "serving": serving()}


@pytest.mark.parametrize("picture", PICTURES.values(), ids=PICTURES)
def test_plotly_finds_every_figure_valid_and_the_projector_can_change_its_looks(picture):
    content = picture.figure.to_dict()
    assert len(go.Figure(content).data) == len(picture.figure.data) > 1
    content["layout"].pop("template")
    assert "font" not in str(content)
    assert {trace.get("line", {}).get("width", 0) for trace in content["data"]} == {0}


@pytest.mark.parametrize("picture", PICTURES.values(), ids=PICTURES)
def test_every_axis_of_numbers_has_a_title_and_every_sentence_ends(picture):
    assert picture.figure.layout.xaxis.title.text
    assert picture.figure.layout.yaxis.title.text or picture.figure.layout.yaxis.ticktext
    assert picture.sentence.endswith(".")
    assert len(picture.table) > 1


def test_weights_and_cache_are_stacked_in_gigabytes_and_the_setting_stands_out():
    weights, cache, *_ = memory(4).figure.data
    assert memory(4).figure.layout.barmode == "stack"
    assert list(weights.x) == pytest.approx([13.48, 6.74, 3.37])
    assert list(cache.x) == pytest.approx([2.147483648] * 3)
    assert list(memory(4).figure.layout.yaxis.ticktext) == [
        "16 bits: 15.6 GB",
        "8 bits: 8.89 GB",
        "<b>4 bits: 5.52 GB</b>",
    ]
    assert weights.marker.color[2] == theme.NOW != weights.marker.color[1]


def test_all_devices_are_lines_and_the_axis_does_not_move_with_the_bits():
    lines = [trace for trace in memory(16).figure.data if trace.type == "scatter"]
    assert [line.name for line in lines] == ["phone 12 GB", "laptop 16 GB", "GPU 24 GB", "GPU 80 GB"]
    assert [line.x[0] for line in lines] == [12, 16, 24, 80]
    assert len({line.line.dash for line in lines}) == 4
    ends = [memory(16, **options).figure.layout.xaxis.range[1] for options in ({}, {"batch": 8}, {"batch": 64})]
    assert ends == pytest.approx([88, 88, 176])
    assert memory(4).figure.layout.xaxis.range == memory(16).figure.layout.xaxis.range


def test_a_cache_too_small_to_be_seen_is_not_drawn():
    alone = memory(16, context=1)
    assert "KV cache" not in [trace.name for trace in alone.figure.data]
    assert "KV cache" not in f"{alone.sentence} {list(alone.table.columns)}"
    assert "the model takes 13.5 GB. Of each" in alone.sentence


def test_the_memory_sentence_says_what_fits():
    assert memory(16).sentence == (
        "With 16 bits for each weight the model takes 15.6 GB: 13.5 GB of weights and 2.15 GB of KV cache. Of each "
        "device's memory: Galaxy S24 Ultra too large (130.2 %), MacBook Air M2 tight (97.7 %), RTX 4090 fits (65.1 %), "
        "A100 80GB fits (19.5 %)."
    )


def test_the_bound_is_drawn_over_the_batch_beside_sixteen_bits():
    base, curve, each, now = decoding(4).figure.data
    assert list(curve.x) == list(base.x) == list(BATCHES)
    assert list(curve.y) == pytest.approx([decoding_speed(bits=4, batch=n).tokens_per_second for n in BATCHES])
    assert list(each.y) == pytest.approx([y / n for y, n in zip(curve.y, BATCHES, strict=True)])
    assert (now.x[0], now.y[0]) == (4, pytest.approx(curve.y[1]))
    assert all(above > below for above, below in zip(curve.y, base.y, strict=True))


def test_what_does_not_fit_into_the_memory_is_pale_and_begins_where_the_rest_ends():
    curve, now = [decoding_speed(bits=16, batch=n) for n in BATCHES], decoding_speed(bits=16, batch=4)
    fits, pale, *_ = decoding_bound(now, curve, curve, memory_bytes=23e9).figure.data
    assert list(fits.x) == [1, 4]
    assert list(pale.x) == [4, 16]
    assert pale.opacity < 0.5
    assert "does not fit" in pale.name
    nothing = decoding_bound(now, curve, curve, memory_bytes=1e9).figure.data
    assert [list(trace.x) for trace in nothing[:2]] == [[], [1, 4, 16]]


def test_sixteen_bits_are_not_drawn_twice():
    assert [trace.name for trace in decoding(16).figure.data] == [
        "16 bits, now",
        "16 bits, each request",
        "this setting",
    ]
    assert list(decoding(16).table.columns) == ["batch", "at most, 16 bits (tokens/s)", "each request (tokens/s)"]


def test_the_speed_sentence_says_that_it_is_an_upper_bound():
    assert "This is an upper bound" in decoding(4).sentence
    assert "for each of 4 requests" in decoding(4).sentence
    assert "for each of" not in decoding(4, batch=1).sentence


def test_published_trainings_stand_beside_the_formula_with_another_marker():
    computed, published, yours = training(grams_per_kwh=100.0).figure.data
    runs = presets().runs
    assert list(published.x) == [run.co2_kg / 1000 for run in runs if run.co2_kg is not None]
    assert len(computed.x) == len(published.x) - 1 == len(runs) - 2  # no GPU of GPT-3, and nothing of TinyLlama
    assert yours.x[0] == pytest.approx(training_cost(grams_per_kwh=100.0).co2_kg / 1000)
    assert len({trace.marker.symbol for trace in (published, computed, yours)}) == 3
    rows = training().figure.layout.yaxis.ticktext
    assert "GPT-3 175B" not in [rows[row] for row in computed.y]
    assert "TinyLlama 1.1B" not in rows
    assert [rows[row] for row in published.y] == [run.model for run in runs if run.co2_kg is not None]


def test_what_was_not_published_is_a_gap_in_the_table():
    table = training().table.set_index("training")
    assert math.isnan(table.loc["TinyLlama 1.1B", "CO2 (t), cited"])
    assert math.isnan(table.loc["GPT-3 175B", "CO2 (t), estimated"])
    assert math.isnan(table.loc["TinyLlama 1.1B", "CO2 (t), estimated"])
    assert table.loc["GPT-3 175B", "energy (MWh), cited, or cited hours x watts"] == 1287


def test_a_price_without_a_measurement_has_no_measured_point():
    picture = serving_price(serving_cost(latency_ms=0.5), None)
    assert [trace.name for trace in picture.figure.data] == ["at this price of a core hour", "this setting"]
    assert "measured" not in picture.sentence
    assert len(picture.table) == 1


def test_the_price_grows_in_proportion_to_the_latency():
    line, measured, now = serving(0.5).figure.data
    assert measured.y[0] == pytest.approx(2 * now.y[0])
    assert line.y[1] / line.y[0] == pytest.approx(line.x[1] / line.x[0])
    assert "0.5 times the price at the measured latency" in serving(0.5).sentence
    assert "times the price" not in serving(1.0).sentence


def test_a_decade_axis_holds_its_values_and_does_not_jump_within_a_decade():
    assert decade_axis("t", [3.0, 70.0]) == decade_axis("t", [2.0, 90.0])
    assert decade_axis("t", [3.0, 70.0])["range"] == [0, 2]
    assert decade_axis("t", [1.0])["range"] == [-1, 1]  # a point on the edge would be cut
