"""What a training costs, against trainings that were published."""

import pytest

from efflab.costs import presets, training_cost, training_flops

RUNS = {run.model: run for run in presets().runs}


def test_six_operations_for_each_parameter_and_token_are_what_gpt_3_printed():
    run = RUNS["GPT-3 175B"]
    flops = training_flops(billion_parameters=run.n_parameters / 1e9, billion_tokens=run.n_tokens / 1e9)
    assert flops == pytest.approx(run.flops, rel=0.005)


@pytest.mark.parametrize("name", ["Llama 2 7B", "Llama 2 13B", "Llama 2 70B"])
def test_two_fifths_of_an_a100s_peak_explain_the_published_hours_of_llama_2_within_a_tenth(name):
    run = RUNS[name]
    cost = training_cost(billion_parameters=run.n_parameters / 1e9, billion_tokens=run.n_tokens / 1e9)
    assert cost.device_hours == pytest.approx(run.gpu_hours, rel=0.1)


@pytest.mark.parametrize("name", ["Llama 2 7B", "Llama 2 13B", "Llama 2 70B", "Llama 3 70B"])
def test_published_hours_watts_and_tonnes_belong_together(name):
    run = RUNS[name]
    assert 1000 * run.co2_kg / run.energy_kwh == pytest.approx(424, rel=0.01)  # g/kWh, the same in all of Meta's rows


def test_the_bloom_training_ran_on_french_electricity():
    run = RUNS["BLOOM 176B"]
    assert run.gpu_hours * run.watts / 1000 == pytest.approx(run.energy_kwh, rel=1e-4)  # 433,196 kWh
    assert 1000 * run.co2_kg / run.energy_kwh == pytest.approx(57, abs=0.5)  # g/kWh


def test_hours_electricity_and_carbon_follow_from_the_operations_by_hand():
    cost = training_cost(
        billion_parameters=1.0,
        billion_tokens=6.0,  # 3.6e19 operations
        peak_tflops=100.0,
        utilisation=0.5,
        watts=500.0,
        devices=2,
        pue=1.2,
        grams_per_kwh=250.0,
    )
    assert cost.flops == 3.6e19
    assert cost.device_hours == pytest.approx(200)  # 3.6e19 / 5e13 = 720,000 s
    assert cost.days == pytest.approx(200 / 2 / 24)
    assert cost.energy_kwh == pytest.approx(120)
    assert cost.co2_kg == pytest.approx(30)


def test_more_devices_shorten_the_days_and_save_nothing():
    few, many = (training_cost(devices=devices) for devices in (8, 1024))
    assert few.days == pytest.approx(128 * many.days)
    assert few.energy_kwh == many.energy_kwh
