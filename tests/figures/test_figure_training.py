"""The training curve grows towards an end that does not move."""

import pytest

from efflab.data import Classification
from efflab.figures import training_curve
from efflab.training import Epoch

TASK = Classification()
RECORDS = [Epoch(1, 4, 0.9, 0.80), Epoch(2, 4, 0.5, 0.91), Epoch(3, 4, 0.3, 0.90)]


def test_the_line_has_a_point_for_each_epoch_and_none_before():
    *_, line = training_curve(RECORDS, 4, TASK, before=0.71).figure.data
    assert list(line.x) == [1, 2, 3]
    assert list(line.y) == pytest.approx([80, 91, 90])


def test_the_axes_do_not_move_while_records_arrive():
    layouts = [training_curve(RECORDS[:n], 4, TASK, before=0.71).figure.layout for n in range(4)]
    assert {layout.xaxis.range for layout in layouts} == {(-0.12, 4.12)}
    assert len({layout.yaxis.range for layout in layouts}) == 1


def test_the_score_before_is_a_line_across_for_the_training_may_begin_anew():
    before, _ = training_curve(RECORDS, 4, TASK, before=0.946).figure.data
    assert (before.name, list(before.x)) == ("before 94.6 %", [0, 4])
    assert list(before.y) == pytest.approx([94.6, 94.6])


def test_a_network_that_the_training_rounds_first_is_named_by_what_it_was():
    picture = training_curve(RECORDS, 4, TASK, before=0.946, before_name="float weights")
    assert picture.figure.data[0].name == "float weights 94.6 %"
    assert picture.sentence.endswith(" Before the training, with float weights, it was 94.6 %.")
    assert list(picture.table["epoch"]) == ["float weights", 1, 2, 3]


def test_the_sentence_says_where_it_is_and_what_was_best():
    assert training_curve(RECORDS, 4, TASK, before=0.71).sentence == (
        "Epoch 3 of 4: 90.0 % accuracy on validation, training loss 0.300 nats. "
        "Best so far: 91.0 % after epoch 2. Before the training it was 71.0 %."
    )


def test_the_best_is_the_lowest_where_lower_is_better():
    task = Classification("perplexity", unit="", per_unit=1.0, higher_is_better=False)
    assert "Best so far: 0.8 after epoch 1." in training_curve(RECORDS, 4, task).sentence


def test_a_training_that_has_just_begun_says_so():
    assert (
        training_curve([], 4, TASK, before=0.71).sentence
        == "Training: none of 4 epochs is done. Before the training it was 71.0 %."
    )


def test_the_loss_is_in_the_table():
    table = training_curve(RECORDS, 4, TASK, before=0.71).table
    assert list(table["epoch"]) == ["before", 1, 2, 3]
    assert list(table["training loss (nats)"][1:]) == [0.9, 0.5, 0.3]
    assert list(table["accuracy (%)"]) == [71, 80, 91, 90]


@pytest.mark.parametrize("n_epochs", [0, 2])
def test_an_end_before_the_last_record_is_refused(n_epochs):
    with pytest.raises(ValueError, match=f"not {n_epochs} with 3"):
        training_curve(RECORDS, n_epochs, TASK)
