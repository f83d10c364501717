"""Three networks and some seeds: what may be averaged, who agrees with whom, and what each weighs."""

import pytest
import support
import torch

from efflab import Lab, distill_predictions, fine_tune, start_student, step
from efflab.data import Classification
from efflab.lab import measuring
from efflab.lab.comparison import Comparison, agreement, measure_students, three_rows
from efflab.lab.side_by_side import ALONE, TAUGHT, Arm, Pair, side_by_side
from efflab.measure import Evaluation, compute_size

START = step(start_student, kind="mlp", width=4)
RECIPES = (START, step(fine_tune, epochs=1)), (START, step(distill_predictions, epochs=1))


@pytest.fixture
def lab() -> Lab:
    return Lab(support.tiny_cnn(), support.tiny_data())


def evaluation(answers: list[int], labels: list[int]) -> Evaluation:
    given, truth = torch.tensor(answers), torch.tensor(labels)
    return Evaluation(given, (given == truth).float(), len(answers), Classification())


def pair_of(seed: int, *, is_partial: bool = False, recipes=RECIPES) -> Pair:
    judged = evaluation([0, 1], [0, 0])
    arms = (Arm(name, recipe, (), judged, is_partial) for name, recipe in zip((ALONE, TAUGHT), recipes, strict=True))
    return Pair(seed, *arms, 1.0)


def test_agreement_counts_the_same_answers_right_or_wrong_and_names_gained_and_lost_images():
    labels = [0, 0, 0, 1, 1, 2]
    one, other = evaluation([0, 1, 1, 1, 0, 0], labels), evaluation([0, 0, 1, 2, 1, 1], labels)
    found = agreement(one, other)
    assert (found.share, found.n) == (2 / 6, 6)
    assert (found.gained.tolist(), found.lost.tolist(), found.changed.tolist()) == ([1, 4], [3], [1, 3, 4, 5])
    assert (found.low, found.high) == pytest.approx((0.0968, 0.7000), abs=1e-3)  # Wilson's interval of 2 out of 6


def test_agreement_with_oneself_is_whole():
    one = evaluation([0, 1, 2], [0, 0, 0])
    assert agreement(one, one).share == 1
    assert len(agreement(one, one).changed) == 0


def test_networks_judged_on_other_images_are_not_compared():
    with pytest.raises(ValueError, match=r"^both networks must be judged on the same images, not on 2 and on 1$"):
        agreement(evaluation([0, 1], [0, 0]), evaluation([0], [0]))


def test_a_pair_that_was_stopped_is_kept_and_not_averaged():
    comparison = Comparison(*RECIPES).with_pair(pair_of(0, is_partial=True)).with_pair(pair_of(1))
    assert [pair.seed for pair in comparison.pairs] == [0, 1]
    assert [pair.seed for pair in comparison.whole] == [1]
    assert comparison.of_seed(0).is_partial
    assert comparison.of_seed(2) is None


def test_pairs_of_other_settings_are_refused():
    other = (RECIPES[0], (START, step(distill_predictions, epochs=1, temperature=8.0)))
    with pytest.raises(ValueError, match=r"differences of other settings are not averaged$"):
        Comparison(*RECIPES).with_pair(pair_of(0, recipes=other))


def test_a_seed_trained_again_takes_the_place_of_the_earlier_one_and_of_its_times():
    comparison = Comparison(*RECIPES, (pair_of(0), pair_of(1)), reports=("one", "two"))
    assert comparison.with_pair(pair_of(2)).reports == ("one", "two")
    again = comparison.with_pair(newer := pair_of(0))
    assert again.pairs[-1] is newer
    assert [pair.seed for pair in again.pairs] == [1, 0]
    assert again.reports is None


def test_the_seeds_to_come_are_those_that_were_not_trained_to_their_end():
    comparison = Comparison(*RECIPES, (pair_of(5), pair_of(6, is_partial=True), pair_of(7)))
    assert comparison.seeds_to_come(5, 3) == (6, 8, 9)
    assert Comparison(*RECIPES).seeds_to_come(0, 2) == (0, 1)


def test_before_a_training_only_the_teacher_has_numbers(lab):
    teacher, alone, taught = three_rows(lab, None)
    assert teacher.evaluation is lab.baseline
    assert teacher.size is lab.base_size
    assert (teacher.time, alone.evaluation, taught.size) == (None, None, None)
    assert (alone.name, taught.name) == (ALONE, TAUGHT)


def test_each_row_has_the_score_and_the_size_of_its_own_network_and_its_measured_time(lab, stopwatch):
    *_, pair = side_by_side(lab, *RECIPES)
    comparison = Comparison(*RECIPES).with_pair(pair)
    assert [row.time for row in three_rows(lab, comparison)] == [None] * 3
    reports = tuple(measure_students(lab, comparison))
    assert [report.preview.recipe for report in reports] == [RECIPES[1]]  # the layers are the same, and so is the time
    assert [batch for *_, batch, _ in stopwatch.asked] == [1]
    _, *students = three_rows(lab, Comparison(*RECIPES, comparison.pairs, reports))
    for row, recipe in zip(students, RECIPES, strict=True):
        assert row.evaluation.value == lab.preview(recipe).evaluation.value
        assert row.size.packed_bytes == compute_size(lab.build(recipe)).packed_bytes
        assert row.time is reports[0].speed.now
        assert row.is_time_of_both


def test_students_of_other_layers_have_times_of_their_own(lab, monkeypatch):
    monkeypatch.setattr(measuring, "stopwatch", support.AnsweringStopwatch)
    recipes = (step(start_student, kind="mlp", width=3), step(fine_tune, epochs=1)), RECIPES[1]
    *_, pair = side_by_side(lab, *recipes)
    comparison = Comparison(*recipes).with_pair(pair)
    reports = tuple(measure_students(lab, comparison))
    assert [report.preview.recipe for report in reports] == list(recipes)
    teacher, *students = three_rows(lab, Comparison(*recipes, comparison.pairs, reports))
    assert teacher.time is reports[1].speed.base
    for row, report in zip(students, reports, strict=True):
        assert row.time is report.speed.now
        assert not row.is_time_of_both


def test_students_of_another_seed_are_not_shown_as_those_of_the_lab(lab):
    other = Comparison(*RECIPES, (pair_of(lab.seed + 1),))
    assert [row.evaluation for row in three_rows(lab, other)[1:]] == [None, None]


def test_a_teacher_that_is_not_the_base_has_a_score_and_a_size_of_its_own_and_no_time():
    own = Lab(support.tiny_cnn(), support.tiny_data(), teacher=support.tiny_mlp())
    teacher, *_ = three_rows(own, None)
    assert teacher.evaluation is own.teaching is not own.baseline
    assert teacher.size.n_parameters == compute_size(support.tiny_mlp()).n_parameters
    assert teacher.time is None
