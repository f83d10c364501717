"""Published trainings beside the formulas: what is cited stays as cited, and what explains it follows from both."""

import math

import pytest

from efflab.costs import estimated_cost, presets, published_trainings, training_cost


@pytest.fixture(scope="module")
def rows():
    return {row["training"]: row for row in published_trainings().to_dict("records")}


def test_every_published_training_has_a_row_with_its_cited_numbers_and_its_source(rows):
    assert list(rows) == [run.model for run in presets().runs]
    assert (rows["Llama 2 7B"]["hours_cited"], rows["Llama 2 7B"]["tonnes_cited"]) == (184320, 31.22)
    assert all(row["source"] for row in rows.values())


def test_the_operations_of_gpt_3_are_those_of_its_paper(rows):
    assert rows["GPT-3 175B"]["operations"] == pytest.approx(3.14e23, rel=0.002)


def test_the_utilisation_behind_the_hours_gives_the_hours_back(rows):
    row = rows["Llama 3 70B"]
    again = training_cost(
        billion_parameters=70.6, billion_tokens=15000.0, peak_tflops=989.0, utilisation=row["utilisation"]
    )
    assert again.device_hours == pytest.approx(row["hours_cited"])
    assert 0.2 < row["utilisation"] < 0.3


def test_the_grams_behind_the_tonnes_show_french_electricity(rows):
    france = next(one for one in presets().countries if one.country == "France")
    assert rows["BLOOM 176B"]["grams_per_kwh"] == pytest.approx(57, abs=0.1)
    assert rows["BLOOM 176B"]["grams_per_kwh"] < 2 * france.grams_per_kwh
    assert rows["GPT-3 175B"]["grams_per_kwh"] == pytest.approx(429, abs=0.5)


def test_the_energy_is_the_published_one_or_hours_times_watts(rows):
    assert rows["BLOOM 176B"]["mwh"] == 433.196
    assert rows["Llama 2 7B"]["mwh"] == pytest.approx(184320 * 400 / 1e6)


def test_each_estimate_takes_the_gpu_of_its_training(rows):
    row = rows["Llama 3 8B"]  # on H100s: 989 TFLOP/s, 700 W
    assert row["hours_estimated"] == pytest.approx(6 * 8.03e9 * 15e12 / (989e12 * 0.4) / 3600)
    assert row["tonnes_estimated"] == pytest.approx(row["hours_estimated"] * 700 / 1000 * 1.1 * 473.05 / 1e6)


def test_a_training_whose_gpu_is_not_cited_has_no_estimate_wherever_one_asks():
    own = {"utilisation": 0.4, "pue": 1.1, "grams_per_kwh": 473.05}
    known = {run.model for run in presets().runs if estimated_cost(run, **own)}
    shown = {row["training"] for row in published_trainings().to_dict("records") if row["tonnes_estimated"] > 0}
    assert known == shown == {run.model for run in presets().runs} - {"GPT-3 175B", "TinyLlama 1.1B"}


def test_what_nobody_published_stays_unknown(rows):
    for training, name in [
        ("GPT-3 175B", "hours_cited"),
        ("GPT-3 175B", "hours_estimated"),
        ("GPT-3 175B", "tonnes_estimated"),
        ("TinyLlama 1.1B", "tonnes_cited"),
        ("TinyLlama 1.1B", "tonnes_estimated"),
        ("TinyLlama 1.1B", "mwh"),
    ]:
        assert math.isnan(rows[training][name]), (training, name)


def test_ones_own_assumptions_move_the_estimates_and_nothing_that_was_cited(rows):
    own = published_trainings(utilisation=0.2, pue=1.0, grams_per_kwh=100.0).to_dict("records")[1]
    before = rows["Llama 2 7B"]
    assert own["hours_estimated"] == pytest.approx(2 * before["hours_estimated"])
    assert own["tonnes_estimated"] == pytest.approx(own["hours_estimated"] * 400 / 1000 * 100 / 1e6)
    for name in ("hours_cited", "tonnes_cited", "utilisation", "grams_per_kwh", "operations", "mwh"):
        assert own[name] == before[name]


def test_an_assumption_out_of_its_range_is_refused_by_name():
    with pytest.raises(ValueError, match="utilisation"):
        published_trainings(utilisation=0.0)
