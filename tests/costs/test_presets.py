"""Cited numbers: every row has a source, and what can be recomputed agrees."""

import csv

import pytest

from efflab import shipped
from efflab.costs import decoding_speed, llm_memory, presets, serving_cost, training_cost
from efflab.costs.presets import LanguageModel
from efflab.knobs import defaults_of

TABLES = {"language_models": 12, "devices": 3, "training_runs": 5}


@pytest.mark.parametrize("table", TABLES)
def test_every_row_of_every_table_has_a_source_with_a_year_or_a_paper(table):
    with (shipped.folder("papers") / f"{table}.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) >= TABLES[table]
    for row in rows:
        assert "arXiv" in row["source"] or "20" in row["source"], row
        assert None not in row, f"{row} has more cells than the table has columns"


@pytest.mark.parametrize("model", presets().models, ids=lambda model: model.name)
def test_the_parameters_that_a_shape_implies_are_the_cited_ones_within_three_per_cent(model: LanguageModel):
    assert model.n_parameters_of_shape == pytest.approx(model.n_parameters, rel=0.03)
    assert model.heads % model.kv_heads == 0


def test_llama_2_7b_has_the_parameters_of_its_checkpoint():
    # `model.num_parameters()` of the released checkpoint says 6,738,415,616; 65 norms have 4,096 of them each
    assert presets().model("Llama-2-7B").n_parameters_of_shape == 6_738_415_616 - 65 * 4096


def test_models_go_from_small_to_large():
    sizes = [model.n_parameters for model in presets().models]
    assert sizes == sorted(sizes)


@pytest.mark.parametrize("model", presets().models, ids=lambda model: model.name)
def test_every_model_can_be_put_into_the_formulas(model: LanguageModel):
    assert llm_memory(**model.shape, bits=8).weight_bytes == pytest.approx(model.n_parameters)
    assert decoding_speed(**model.shape, context=model.context).tokens_per_second > 0


def test_the_defaults_of_the_formulas_are_the_cited_llama_2_7b_and_the_cited_world():
    llama, world = presets().model("Llama-2-7B"), presets().countries[0]
    (run,) = (run for run in presets().runs if run.model == "Llama 2 7B")
    memory, training, serving = (defaults_of(one) for one in (llm_memory, training_cost, serving_cost))
    assert {name: memory[name] for name in llama.shape} == llama.shape
    assert (memory["context"], world.country) == (llama.context, "World")
    assert training["billion_parameters"] * 1e9 == run.n_parameters
    assert training["billion_tokens"] * 1e9 == run.n_tokens
    assert training["grams_per_kwh"] == serving["grams_per_kwh"] == world.grams_per_kwh
    a100 = presets().device(run.gpu)
    assert (training["peak_tflops"], training["watts"]) == (a100.peak_tflops, a100.watts)
    assert training["pue"] == serving["pue"]


def test_a_bandwidth_that_nobody_published_is_called_computed():
    badges = {device.name: device.bandwidth_badge for device in presets().devices}
    assert badges.pop("Galaxy S24 Ultra") == "computed"
    assert set(badges.values()) == {"cited"}


def test_a_gpu_has_the_same_peak_in_the_table_of_trainings_as_in_that_of_devices():
    peaks = {device.name.split()[0]: device.peak_tflops for device in presets().devices}
    known = [run for run in presets().runs if run.peak_tflops is not None]
    assert len(known) > 5
    for run in known:
        assert run.peak_tflops == peaks[run.gpu.split()[0]]


def test_the_credit_that_the_licence_asks_for_stands_in_every_row():
    assert all("Ember" in one.source and "CC BY-SA 4.0" in one.source for one in presets().countries)


def test_a_phone_a_laptop_and_a_gpu_are_there():
    assert {device.kind for device in presets().devices} == {"phone", "laptop", "GPU"}
    assert presets().device("A100 80GB").memory_bytes == 80e9


def test_what_nobody_published_is_absent():
    runs = {run.model: run for run in presets().runs}
    assert (runs["GPT-3 175B"].gpu_hours, runs["TinyLlama 1.1B"].co2_kg) == (None, None)
    assert runs["TinyLlama 1.1B"].energy_kwh is None


@pytest.mark.parametrize("find", ["model", "device"])
def test_an_unknown_name_is_answered_with_those_that_exist(find):
    with pytest.raises(ValueError, match=rf"there is no {find} called 'X'; there are: .*,"):
        getattr(presets(), find)("X")
