"""Students of one's own beside those of the papers, in the same columns."""

from dataclasses import replace

import pytest
import support

from efflab import Lab, distill_predictions, fine_tune, papers, start_student, step
from efflab.lab.comparison import Comparison
from efflab.lab.side_by_side import side_by_side

START = step(start_student, kind="mlp", width=4)
RECIPES = (START, step(fine_tune, epochs=1)), (START, step(distill_predictions, epochs=1))


@pytest.fixture(scope="module")
def lab() -> Lab:
    return Lab(support.tiny_cnn(), support.tiny_data())


@pytest.fixture(scope="module")
def comparison(lab) -> Comparison:
    *_, pair = side_by_side(lab, *RECIPES)
    return Comparison(*RECIPES).with_pair(pair)


def test_errors_of_ones_own_networks_are_counted_on_validation_images(lab, comparison):
    cited = papers.table("hinton2015")
    table = papers.beside_students(cited, lab, comparison)
    own = table.iloc[len(cited) :]
    assert own["network"].tolist() == ["yours: teacher", "yours: alone", "yours: with teacher"]
    scores = [lab.baseline.value, *(lab.preview(recipe).evaluation.value for recipe in RECIPES)]
    assert own["errors"].tolist() == [round(50 * (1 - score)) for score in scores]
    assert own["images"].tolist() == [50] * 3
    assert own["error_percent"].tolist() == [round(100 * (1 - score), 2) for score in scores]
    assert own["data"].str.contains("(validation, 50 images)", regex=False).all()
    assert list(table.columns) == list(cited.columns)


def test_the_rows_of_ones_own_say_how_they_were_made(lab, comparison):
    cited = papers.table("hinton2015")
    teacher, alone, taught = papers.beside_students(cited, lab, comparison)["source"].iloc[len(cited) :]
    start = "this notebook: start student (kind mlp, width 4), then"
    assert teacher == f"this notebook: {lab.name}"
    assert alone.startswith(f"{start} fine tune (epochs 1, learning rate 0.")
    assert alone.endswith("); seed 0")
    assert taught.startswith(f"{start} distill predictions (temperature 4, soft 0.9, epochs 1, learning rate 0.")
    assert taught.endswith(f"); seed 0; taught by {lab.name}")


def test_a_teacher_that_is_not_the_base_and_a_training_that_was_stopped_are_named(lab, comparison):
    cited = papers.table("hinton2015")
    (pair,) = comparison.pairs
    stopped = Comparison(*RECIPES).with_pair(replace(pair, taught=replace(pair.taught, is_partial=True)))
    own = papers.beside_students(cited, lab, stopped).iloc[len(cited) :]
    assert own["network"].tolist() == ["yours: teacher", "yours: alone", "yours: with teacher, stopped early"]
    other = Lab(support.tiny_cnn(), support.tiny_data(), name="mine", teacher=support.tiny_cnn())
    *_, pair = side_by_side(other, *RECIPES)
    table = papers.beside_students(cited, other, Comparison(*RECIPES).with_pair(pair))
    assert table["source"].iloc[-1].endswith("; taught by the teacher of mine")


def test_sizes_are_those_beside_the_teacher_and_times_wait_until_they_are_measured(lab, comparison):
    cited = papers.table("fitnets2015")
    own = papers.beside_students(cited, lab, comparison).iloc[len(cited) :]
    sizes = [lab.base_size.n_parameters, *(lab.preview(recipe).size.n_parameters for recipe in RECIPES)]
    assert own["parameters"].tolist() == sizes
    assert own["times_smaller"].tolist() == [round(sizes[0] / size, 2) for size in sizes]
    assert own["times_faster"].isna().all()


def test_before_both_trainings_are_over_there_is_no_row(lab):
    cited = papers.table("hinton2015")
    assert papers.beside_students(cited, lab, None) is cited
    assert papers.beside_students(cited, lab, Comparison(*RECIPES)) is cited


def test_the_table_of_fitnets_is_that_of_the_paper():
    table = papers.table("fitnets2015").set_index("network")
    assert table["accuracy_percent"].tolist() == [90.18, 89.01, 91.06, 91.10, 91.61]
    assert table.loc["FitNet 1", ["parameters", "times_faster", "times_smaller"]].tolist() == [250_000, 13.36, 36.0]
    assert table["source"].str.contains("1412.6550").all()
