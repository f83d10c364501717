"""Calculators: controls from a formula's knobs, presets with their sources, the result as one moves."""

import dataclasses
import re

import pytest

from efflab.costs import decoding_speed, llm_memory, presets, serving_cost, training_cost
from efflab.knobs import knobs_of
from efflab.lab import Lab
from efflab.measure.speed import Speed, Timing
from efflab.widgets.calculator import OWN
from efflab.widgets.calculator_serving import NOT_YET, ServingCalculator, serving_calculator
from efflab.widgets.calculators import (
    decoding_calculator,
    llm_memory_calculator,
    training_calculator,
)
from efflab.widgets.worker import worker

MAKERS = {
    llm_memory: llm_memory_calculator,
    decoding_speed: decoding_calculator,
    training_cost: training_calculator,
    serving_cost: lambda: serving_calculator(speed()),
}
SECONDS = 30


def speed(median_ms=0.42, batch=1, threads=1):
    timing = Timing(median_ms, median_ms, median_ms, 30)
    return Speed(
        timing, timing, 1.0, 0.9, 1.1, 0.02, batch=batch, threads=threads, contention=0.0, machine="a fast laptop"
    )


@pytest.fixture(params=MAKERS, ids=lambda formula: formula.__name__)
def formula(request):
    return request.param


@pytest.fixture
def calculator(formula):
    return MAKERS[formula]()


@pytest.fixture
def memory():
    return llm_memory_calculator()


def test_every_knob_of_the_formula_has_a_control_and_the_result_is_the_formulas(calculator, formula):
    assert list(calculator.controls) == list(knobs_of(formula))
    assert calculator.result == formula(**calculator.settings)


def test_the_line_of_python_that_is_shown_gives_the_same_result(calculator, formula):
    names = {formula.__name__: formula}
    assert eval(calculator.call, names) == calculator.result
    assert calculator.call.split("(")[0] in calculator.fold.html


def test_it_begins_at_presets_and_every_preset_of_every_chooser_can_be_chosen(calculator):
    assert None not in calculator.chosen.values()
    for title, choices in calculator.subject.choosers.items():
        for preset in choices:
            calculator.choose(title, preset.name)
            assert calculator._choosers[title].value == preset.name
            assert {name: calculator.settings[name] for name in preset.settings} == preset.settings
            assert calculator.result == calculator.subject.formula(**calculator.settings)


def test_every_preset_names_its_source(calculator):
    assert calculator.subject.choosers
    for choices in calculator.subject.choosers.values():
        for preset in choices:
            assert preset.source
            assert re.search("cited|computed|measured", preset.badge)


def test_every_number_in_a_tile_has_a_badge_and_the_working_is_behind_the_fold(calculator):
    tiles = calculator._tiles.value.split("<div class='efflab-tile'>")[1:]
    assert len(tiles) >= 2
    for one in tiles:
        assert re.search("computed|measured|estimated|cited", one), one
    for line in calculator.result.working:
        assert line.replace("<", "&lt;") in calculator.fold.html


def test_the_sentence_is_the_pictures_and_the_newest_picture_is_drawn(calculator):
    name = next(iter(calculator.controls))
    for end in calculator.controls[name].knob.ends:
        calculator.set(**{name: end})
    worker().wait(SECONDS)
    assert calculator.readout.sentence.startswith(calculator.view.shown.sentence)
    assert calculator.last_error is None


@pytest.mark.parametrize("maker", [llm_memory_calculator, decoding_calculator])
def test_a_hand_can_set_every_batch_up_to_64_and_no_context_beyond_the_longest_trained(maker):
    controls = maker().controls
    slider = controls["batch"].children[1]
    assert (slider.min, slider.max, slider.step) == (1, 64, 1)
    longest = max(model.context for model in presets().models)
    assert controls["context"].knob.ends[1] == longest


def test_moving_a_control_by_hand_updates_the_result(memory):
    memory.controls["bits"].children[1].value = 4
    assert memory.result.weight_bytes == pytest.approx(3.37e9)
    assert "3.37 GB" in memory._tiles.value
    assert memory.chosen["Model"].name == "Llama-2-7B"


def test_numbers_of_ones_own_are_no_preset_and_no_longer_cited(memory):
    memory.set(layers=40)
    assert memory._choosers["Model"].value == OWN
    assert "your own numbers" in memory._tiles.value
    memory.choose("Model", OWN)
    assert memory.settings["layers"] == 40


def test_own_numbers_can_be_chosen_only_while_they_are_there(memory):
    chooser = memory._choosers["Model"]
    assert OWN not in chooser.options
    memory.set(layers=40)
    assert (chooser.value, chooser.options[-1]) == (OWN, OWN)
    memory.set(layers=32)
    assert (chooser.value, OWN in chooser.options) == ("Llama-2-7B", False)


def test_what_the_device_has_no_room_for_is_said_and_drawn_pale():
    calculator = decoding_calculator(start={"batch": 16})
    for shown in (calculator._tiles.value, calculator.readout.sentence):
        assert "This does not fit: it takes 37.7 GB, and the MacBook Air M2 has 16 GB." in shown
    worker().wait(SECONDS)
    assert any("does not fit" in (trace.name or "") for trace in calculator.view.shown.figure.data)
    calculator.set(batch=5)
    assert "does not fit" not in calculator._tiles.value
    calculator.set(batch=16, bandwidth_gb_per_s=123.0)  # of no device that we know
    assert "does not fit" not in calculator._tiles.value


def test_the_cache_of_one_token_is_not_told_and_tight_is_explained():
    calculator = llm_memory_calculator(start={"context": 1})
    assert "KV cache" not in calculator._tiles.value + calculator.readout.sentence
    assert "tight: above 90 %" in calculator._tiles.value
    calculator.set(context=4096)
    assert "KV cache 2.15 GB" in calculator._tiles.value


def test_a_long_training_is_told_in_years_too_and_one_device_is_not_all():
    calculator = training_calculator(start={"devices": 1})
    assert "7,500 days (20.5 years) with one device" in calculator._tiles.value
    calculator.set(devices=1024)
    assert "7.33 days with all 1,024 devices at work" in calculator._tiles.value


def test_choosing_a_model_in_the_list_is_one_move_to_its_published_shape(memory):
    results = []
    memory.controls["bits"].on_change(lambda: results.append("moved"))
    memory._choosers["Model"].value = "Llama-2-70B"
    assert memory.settings["kv_heads"] == 8
    assert memory.result.weight_bytes == pytest.approx(2 * 68.98e9)
    assert results == []


def test_all_controls_set_together_are_one_picture(memory, monkeypatch):
    drawn = []
    monkeypatch.setattr(memory.view, "show_picture", drawn.append)
    worker().wait(SECONDS)
    drawn.clear()
    memory.set(bits=4, batch=8, context=8192)
    worker().wait(SECONDS)
    assert len(drawn) == 1
    assert "4 bits" in drawn[0].sentence


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"bits": 0}, "bits .* must be a whole number from 1 to 32, not 0"),
        ({"bits": 4, "batch": "many"}, "batch .* must be a whole number"),
        ({"speed": 1}, "no control 'speed'; it has: billion_parameters"),
    ],
)
def test_a_bad_value_is_refused_by_name_and_nothing_moves(memory, wrong, sentence):
    before = memory.settings
    with pytest.raises((TypeError, ValueError), match=sentence):
        memory.set(**wrong)
    assert memory.settings == before


@pytest.mark.parametrize(
    ("title", "name", "sentence"),
    [("Model", "Llama-9", "Model has no preset 'Llama-9'; it has: GPT-2"), ("Colour", "red", "no choice of 'Colour'")],
)
def test_an_unknown_preset_is_answered_with_those_that_exist(memory, title, name, sentence):
    with pytest.raises(ValueError, match=sentence):
        memory.choose(title, name)


def test_an_error_of_the_formula_is_seen_and_the_next_move_clears_it(memory):
    def broken(**_: object) -> None:
        raise ValueError("the formula cannot do that")

    shown = memory.subject
    memory.subject = dataclasses.replace(shown, formula=broken)
    memory.set(bits=8)
    assert memory.readout.error == "the formula cannot do that"
    memory.subject = shown
    memory.set(bits=4)
    assert (memory.readout.error, memory.last_error) == ("", None)


def test_a_measured_speed_is_measured_until_its_latency_is_moved():
    calculator = serving_calculator(speed(0.42))
    assert calculator.result.latency_ms == 0.42
    assert ">measured</summary>" in calculator._tiles.value
    assert "a fast laptop" in calculator._tiles.value
    calculator.set(latency_ms=0.21)
    assert ">measured</summary>" not in calculator._tiles.value
    assert "not measured" in calculator._tiles.value
    assert "0.5 times the price at the measured latency" in calculator.readout.sentence


def test_a_batch_is_shared_by_its_images_and_each_thread_is_a_busy_core():
    settings = serving_calculator(speed(8.0, batch=16, threads=2)).settings
    assert (settings["latency_ms"], settings["cores"]) == (0.5, 2)


@pytest.mark.parametrize("number", [0.42, 0, "fast"])
def test_a_number_that_nobody_measured_is_refused(number):
    with pytest.raises(TypeError, match=r"speed must be a Speed, such as lab\.measure"):
        serving_calculator(number)


def test_the_button_measures_the_network_of_the_lab_and_the_latency_becomes_measured():
    calculator = ServingCalculator(lab=Lab.open("mlp-digits"))
    assert "not measured" in calculator._tiles.value
    assert calculator.readout.sentence == NOT_YET
    calculator._button.click()
    worker().wait(SECONDS)
    assert calculator.last_error is None
    assert calculator.settings["latency_ms"] == pytest.approx(calculator.speed.now.median_ms, rel=1e-3)
    assert calculator.chosen["Latency"].kind == "measured"
    assert not calculator._button.disabled


def test_a_calculator_without_a_lab_has_nothing_to_time():
    with pytest.raises(ValueError, match="made without a lab"):
        serving_calculator(speed()).measure()


def test_a_bandwidth_that_was_computed_is_not_called_cited():
    calculator = decoding_calculator()
    calculator.choose("Device", "Galaxy S24 Ultra")
    line = calculator._tiles.value.split("at 76.8 GB/s")[1].split("</details>")[0]
    assert ">computed</summary>" in line


@pytest.mark.parametrize("maker", [llm_memory_calculator, decoding_calculator])
def test_a_context_beyond_the_trained_one_is_told_in_the_tiles_and_the_sentence(maker):
    calculator = maker()
    assert "trained for" not in calculator._tiles.value + calculator.readout.sentence
    calculator.set(context=8192)
    for shown in (calculator._tiles.value, calculator.readout.sentence):
        assert "Llama-2-7B was trained for at most 4,096 tokens of context" in shown
    calculator.choose("Model", "Llama-3-8B")
    assert "trained for" not in calculator._tiles.value


def test_a_lesson_may_show_few_controls_and_start_elsewhere():
    calculator = llm_memory_calculator(controls=("bits", "Model"), start={"bits": 32})
    shown = calculator._desk_box.children
    assert [one for one in shown if one in calculator.controls.values()] == [calculator.controls["bits"]]
    assert len(shown) == 3  # the chooser, the bits, the projector
    assert calculator.result.bits == 32
    calculator.set(context=1)
    assert calculator.result.kv_cache_bytes == 2 * 32 * 4096 * 2


@pytest.mark.parametrize(("option", "name"), [("controls", ("colour",)), ("start", {"colour": 1})])
def test_a_control_or_a_start_that_the_formula_does_not_know_is_refused(option, name):
    with pytest.raises(ValueError, match="'colour'; it has: "):
        llm_memory_calculator(**{option: name})


def test_the_credit_of_the_electricity_table_is_shown_beside_its_number():
    for calculator in (training_calculator(), serving_calculator(speed())):
        assert "Ember, CC BY-SA 4.0" in calculator._tiles.value


def test_the_electricity_of_a_country_is_the_cited_one():
    calculator = training_calculator()
    calculator.choose("Electricity of", "France")
    (france,) = (one for one in presets().countries if one.country == "France")
    assert calculator.settings["grams_per_kwh"] == france.grams_per_kwh
    assert france.source.split(",")[0] in calculator._tiles.value


def test_the_projector_reaches_the_picture(memory):
    memory.project(True)
    assert memory.view.projector
    memory.project(False)
    assert not memory.view.projector
