"""The recorded ranges hold here: what pruning does to the reference network, and what a checkpoint made anew scores."""

import json
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from scipy import stats

from efflab import Lab, from_json, models, shipped, step, train_quantized
from efflab.data import wilson
from efflab.lab.side_by_side import HELPS, HURTS, SAME
from efflab.models.make_checkpoints import make
from efflab.runtime import export_integers
from efflab.runtime.session import session

N_SEEDS = 5


@pytest.fixture(scope="module")
def maker(tool: Callable[[str], ModuleType]) -> ModuleType:
    return tool("make_expected")


@pytest.fixture(scope="module")
def expected() -> dict[str, Any]:
    recorded: dict[str, Any] = json.loads((shipped.folder("expected") / "pruning_scattered.json").read_text("utf-8"))
    return recorded


@pytest.fixture(scope="module")
def lab(maker: ModuleType) -> Lab:
    return Lab.open(maker.NETWORK)


def test_every_range_stands_on_five_seeds_and_holds_all_of_their_scores(expected):
    rows = [*expected["random"], *expected["fine_tuned"]]
    assert len(expected["random"]) >= 4
    assert len(expected["fine_tuned"]) >= 3
    for row in rows:
        assert len(row["scores"]) == len(expected["seeds"]) == N_SEEDS, row
        assert row["low"] <= min(row["scores"]) <= max(row["scores"]) <= row["high"], row


def test_the_record_is_of_the_checkpoint_that_is_shipped(expected):
    assert expected["weights_sha256"] == models.card(expected["network"]).sha256


def test_the_record_tells_pruning_by_magnitude_from_chance_and_training_from_none(expected):
    curve = {point["sparsity"]: point["score"] for point in expected["curve"]}
    tuned = {(row["criterion"], row["sparsity"]): row for row in expected["fine_tuned"]}
    assert all(row["high"] < curve[row["sparsity"]] for row in expected["random"] if 0.2 < row["sparsity"] <= 0.9)
    assert all(row["low"] > curve[sparsity] for (criterion, sparsity), row in tuned.items() if criterion == "magnitude")
    assert tuned["random", 0.9]["high"] < tuned["magnitude", 0.9]["low"]


@pytest.mark.slow
def test_the_curve_of_the_reference_network_is_the_one_recorded(maker, expected, lab):
    points = {point["sparsity"]: point["score"] for point in expected["curve"]}
    assert set(points) >= {0.0, 0.5, 0.9, 0.95, 0.98}
    found = {sparsity: maker.pruned(lab, sparsity).value for sparsity in points}
    assert found == pytest.approx(points, abs=expected["curve_tolerance"])


@pytest.mark.slow
def test_pruning_by_chance_stays_in_the_recorded_range(maker, expected, lab):
    for row in expected["random"]:
        assert row["low"] <= maker.pruned(lab, row["sparsity"], "random").value <= row["high"], row


@pytest.mark.slow
def test_a_fine_tuned_network_lands_in_the_recorded_range(maker, expected, lab):
    row = next(row for row in expected["fine_tuned"] if (row["criterion"], row["sparsity"]) == ("magnitude", 0.9))
    assert row["epochs"] == maker.EPOCHS
    assert row["low"] <= maker.fine_tuned(lab, 0.9).value <= row["high"]


# Filters


@pytest.fixture(scope="module")
def structure() -> dict[str, Any]:
    recorded: dict[str, Any] = json.loads((shipped.folder("expected") / "structure_scattered.json").read_text("utf-8"))
    return recorded


def test_the_record_of_cuts_is_of_the_checkpoints_that_are_shipped_and_of_five_seeds(maker, structure):
    assert [one["network"] for one in structure["networks"]] == list(maker.CUT_NETWORKS)
    for one in structure["networks"]:
        assert one["weights_sha256"] == models.card(one["network"]).sha256
        (row,) = one["fine_tuned"]
        assert (row["ratio"], row["epochs"]) == (0.5, 3)
        assert len(row["scores"]) == len(structure["seeds"]) == N_SEEDS
        assert row["low"] <= min(row["scores"]) <= max(row["scores"]) <= row["high"]


def test_the_record_of_cuts_shows_a_collapse_that_statistics_soften_and_training_repairs(structure):
    for one in structure["networks"]:
        base, half = one["curve"][0], one["curve"][-1]
        assert (base["ratio"], half["ratio"]) == (0.0, 0.5)
        assert half["score"] < 0.2 < half["recalibrated"] < one["fine_tuned"][0]["low"] < base["score"]


@pytest.mark.slow
@pytest.mark.parametrize("place", [0, 1])
def test_cuts_and_fresh_statistics_give_the_recorded_scores(maker, structure, place):
    one = structure["networks"][place]
    lab, within = Lab.open(one["network"]), structure["curve_tolerance"]
    assert len(one["curve"]) >= 6
    for point in one["curve"]:
        assert maker.cut(lab, point["ratio"]).value == pytest.approx(point["score"], abs=within), point
        assert maker.recalibrated(lab, point["ratio"]).value == pytest.approx(point["recalibrated"], abs=within), point


@pytest.mark.slow
def test_half_of_the_filters_recalibrated_and_tuned_land_in_the_recorded_range(maker, structure):
    one = structure["networks"][0]
    (row,) = one["fine_tuned"]
    assert row["low"] <= maker.cut_and_tuned(Lab.open(one["network"]), row["ratio"]).value <= row["high"]


# Few bits


@pytest.fixture(scope="module")
def quantization() -> dict[str, Any]:
    file = shipped.folder("expected") / "quantization_scattered.json"
    recorded: dict[str, Any] = json.loads(file.read_text("utf-8"))
    return recorded


def test_the_record_of_few_bits_is_of_the_checkpoint_that_is_shipped_and_of_five_seeds(maker, quantization):
    assert quantization["weights_sha256"] == models.card(quantization["network"]).sha256
    found = [(row["bits"], row["method"]) for row in quantization["trained"]]
    assert found == [(bits, method) for bits in maker.TRAINED_BITS for method in maker.METHODS]
    for row in quantization["trained"]:
        assert len(row["scores"]) == len(quantization["seeds"]) == N_SEEDS, row
        assert row["low"] <= min(row["scores"]) <= max(row["scores"]) <= row["high"], row


def test_the_record_of_few_bits_shows_what_is_free_what_breaks_and_what_training_repairs(quantization):
    score = quantization["score"]
    curve = {(point["bits"], point["observer"]): point["score"] for point in quantization["curve"]}
    trained = {(row["bits"], row["method"]): row["scores"] for row in quantization["trained"]}
    assert curve[8, "min-max"] >= score - 0.003
    assert curve[2, "min-max"] < 0.2 < curve[2, "MSE"] < 0.7
    for method in ("straight-through", "LSQ"):
        assert min(trained[4, method]) >= score - 0.01
        assert min(trained[2, method]) >= 0.9 * score


@pytest.mark.slow
def test_few_bits_without_training_give_the_recorded_scores(maker, quantization):
    lab, within = Lab.open(quantization["network"]), quantization["curve_tolerance"]
    assert len(quantization["curve"]) == len(maker.BITS) * len(maker.OBSERVERS) >= 8
    for point in quantization["curve"]:
        found = maker.quantized(lab, point["bits"], point["observer"]).value
        assert found == pytest.approx(point["score"], abs=within), point


@pytest.mark.slow
def test_two_bits_trained_land_in_the_recorded_range_and_integer_kernels_answer_as_well(maker, quantization, tmp_path):
    lab, row = Lab.open(quantization["network"]), quantization["trained"][-1]
    score = maker.trained_on_grids(lab, row["bits"], row["method"]).value
    assert (row["bits"], row["epochs"]) == (2, train_quantized.defaults["epochs"])
    assert row["low"] <= score <= row["high"]
    made = lab.build((step(train_quantized, bits=row["bits"], method=row["method"]),))
    runner = session(export_integers(made, lab.data.shape, tmp_path))
    (scores,) = runner.run(None, {"images": lab.data.validation.images.numpy()})
    right = scores.argmax(1) == lab.data.validation.labels.numpy()
    assert right.mean() == pytest.approx(score, abs=0.002)


# Students


@pytest.fixture(scope="module")
def distillation() -> dict[str, Any]:
    file = shipped.folder("expected") / "distillation_scattered.json"
    recorded: dict[str, Any] = json.loads(file.read_text("utf-8"))
    return recorded


def test_the_record_of_students_is_of_the_teacher_that_is_shipped_and_of_five_seeds(maker, distillation):
    assert distillation["weights_sha256"] == models.card(distillation["network"]).sha256
    for setting, taught in zip(distillation["settings"], maker.TAUGHT.values(), strict=True):
        assert from_json(json.dumps(setting["recipe"])) == taught
        for arm in ("alone", "taught"):
            row = setting[arm]
            assert len(row["scores"]) == len(distillation["seeds"]) == N_SEEDS, row
            assert row["low"] <= min(row["scores"]) <= max(row["scores"]) <= row["high"], row


def test_a_teacher_helps_does_nothing_and_hurts_each_in_a_setting_of_the_record(maker, distillation):
    settings = {setting["verdict"]: setting["difference"] for setting in distillation["settings"]}
    assert list(settings) == list(maker.TAUGHT) == [HELPS, SAME, HURTS]
    assert settings[HELPS]["low"] > 0
    assert settings[SAME]["low"] <= 0 <= settings[SAME]["high"]
    assert settings[HURTS]["high"] < 0


def test_the_differences_of_the_record_are_those_of_its_scores(distillation):
    for setting in distillation["settings"]:
        pairs = zip(setting["taught"]["scores"], setting["alone"]["scores"], strict=True)
        differences = [taught - alone for taught, alone in pairs]
        interval = stats.ttest_1samp(differences, 0).confidence_interval(0.95)
        found = setting["difference"]
        assert found["mean"] == pytest.approx(sum(differences) / N_SEEDS, abs=2e-4)
        assert (found["low"], found["high"]) == pytest.approx((interval.low, interval.high), abs=4e-4)


def test_students_recognise_a_digit_that_they_were_never_shown_once_its_bias_is_raised(distillation):
    missing = distillation["missing"]
    assert len(missing["before"]) == len(missing["after"]) == len(distillation["seeds"]) == N_SEEDS
    assert max(missing["before"]) < 0.6
    assert min(missing["after"]) > 0.8
    assert all(by > 0 for by in missing["biases"])


@pytest.mark.slow
def test_a_student_made_anew_knows_the_missing_digit_as_the_recorded_ones_do(maker, distillation):
    missing = distillation["missing"]
    student = maker.unshown(Lab.open(missing["network"]))
    n = int((student.data.validation.labels == missing["label"]).sum())
    for row, recall in (("before", student.recall()), ("after", student.recall(student.curve.best))):
        ends = [wilson(round(share * n), n) for share in missing[row]]
        assert min(low for low, _ in ends) <= recall <= max(high for _, high in ends), row


@pytest.mark.slow
def test_students_alone_and_taught_land_in_the_recorded_ranges(maker, distillation):
    lab = Lab.open(distillation["network"])
    for setting, taught in zip(distillation["settings"], maker.TAUGHT.values(), strict=True):
        pair = maker.trained_twice(lab, taught, 0)
        for arm in ("alone", "taught"):
            assert setting[arm]["low"] <= getattr(pair, arm).evaluation.value <= setting[arm]["high"], (arm, taught)


@pytest.mark.slow
def test_a_checkpoint_made_anew_does_as_well_as_the_one_that_is_shipped(tmp_path):
    made, kept = make("mlp-digits", tmp_path), models.card("mlp-digits")
    for (score, *_), (_, low, high) in ((made.validation, kept.validation), (made.test, kept.test)):
        assert low <= score <= high
    again = Lab(models.load(tmp_path / "mlp-digits.safetensors"), Lab.open("mlp-digits").data)
    assert again.baseline.value == pytest.approx(made.validation[0], abs=1e-4)
