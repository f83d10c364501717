"""Two trainings on the screen without a browser: what grows, what is kept, what is never mixed, and what goes wrong."""

import math
from collections.abc import Iterator

import pytest
import support
import torch

from efflab import Lab, distill_hints, distill_predictions, fine_tune, prune_weights, start_student, step
from efflab.distill.predictions import learn
from efflab.figures.text import bytes_text, difference_text, ms_text
from efflab.journal import Journal
from efflab.knobs import technique
from efflab.lab.side_by_side import HELPS, HURTS, SAME, side_by_side, verdict
from efflab.measure import compare
from efflab.questions.kinds import Option, Prediction
from efflab.recipe import to_json
from efflab.training import Epochs, LearningRate, copy_model, train
from efflab.widgets import Chapter, SideBySide
from efflab.widgets.answers_of_distillation import gain, verdict_of_teacher
from efflab.widgets.asking import PREDICT_FIRST, Gate
from efflab.widgets.worker import worker

SECONDS = 120
STUDENT = step(start_student, kind="mlp", width=4)
EPOCHS = {"epochs": 2, "learning_rate": 0.01}


@pytest.fixture(scope="module")
def teacher_and_data():
    teacher, data = support.tiny_mlp(), support.tiny_data(n=2500)
    for _ in train(teacher, data, epochs=6):
        pass
    return teacher, data


@pytest.fixture
def lab(teacher_and_data, stopwatch) -> Lab:
    return Lab(*teacher_and_data)


@pytest.fixture
def journal(tmp_path) -> Journal:
    return Journal(tmp_path / "journal.sqlite")


@pytest.fixture
def panel(lab, journal) -> Iterator[SideBySide]:
    made = SideBySide(lab, student=STUDENT, start=EPOCHS, journal=journal)
    worker().wait(SECONDS)
    yield made
    made.stop()
    worker().wait(SECONDS)


@pytest.fixture
def gate(journal) -> Gate:
    options = tuple(Option(key, key, f"It {key}.") for key in ("helps", "same", "hurts"))
    return Gate(Prediction("teacher", "Does it help?", "What did you see?", None, options), journal, chapter="08")


def trained(panel: SideBySide, n: int = 1) -> SideBySide:
    """The panel after `n` trainings of one seed, or of more."""
    panel.train() if n == 1 else panel.more_seeds()
    worker().wait(SECONDS)
    return panel


# What it does


def test_nothing_is_trained_before_the_button_and_the_teacher_is_there(panel, lab):
    assert panel.shown is None
    assert f"{100 * lab.baseline.value:.1f} %" in panel.stage.tiles.value
    assert panel.stage.tiles.value.count("not trained yet") == 2
    assert panel.readout.sentence == "Press Train both."


def test_both_are_trained_from_the_lab_s_own_seed_as_the_recipes_say(panel, lab, teacher_and_data):
    trained(panel)
    *_, expected = side_by_side(Lab(*teacher_and_data), *panel.recipes)
    (pair,) = panel.shown.pairs
    assert pair.difference == expected.difference
    assert panel.recipes == (
        (STUDENT, step(fine_tune, **EPOCHS)),
        (STUDENT, step(distill_predictions, **EPOCHS)),
    )
    assert panel.readout.sentence == f"{panel.stage.verdict} Press 3 more seeds for a verdict."
    assert difference_text(pair.difference.value, panel.lab.data.task) in panel.stage.told.value
    assert "a verdict needs at least 3" in panel.stage.told.value
    assert not any(word in panel.readout.sentence for word in (HELPS, SAME, HURTS))
    assert panel.desk.running.layout.display == "none"
    assert not panel.desk.buttons[0].disabled


def test_the_curves_are_drawn_after_each_record_of_either_and_the_first_is_the_untrained_student(panel):
    drawn = []
    draw = panel.stage.draw_training

    def watch(pair, before):
        drawn.append((len(pair.alone.records), len(pair.taught.records)))
        draw(pair, before)

    panel.stage.draw_training = watch
    trained(panel)
    assert drawn[0] == (1, 1)
    assert drawn[-1] == (3, 3)
    assert len(set(drawn)) >= 3
    first = panel.shown.pairs[0].alone.records[0]
    assert (first.number, first.score) == (0, panel.lab.preview((STUDENT,)).evaluation.value)


def test_the_tiles_say_score_size_and_time_of_the_three_networks_and_where_each_comes_from(panel, lab):
    trained(panel)
    tiles = panel.stage.tiles.value
    for recipe in panel.recipes:
        assert f"{100 * lab.preview(recipe).evaluation.value:.1f} %" in tiles
    assert f"{bytes_text(lab.preview(panel.recipes[1]).size.packed_bytes)} packed" in tiles
    (report,) = panel.shown.reports
    assert tiles.count(f"{ms_text(report.speed.now.median_ms)} an image; timed once: same network, same time ") == 2
    assert tiles.count(">measured<") == 6
    assert tiles.count(">computed<") == 3
    assert tiles.count("seed 0") == 2


def test_the_first_epoch_of_both_does_not_tell_how_long_the_rest_will_take(panel, monkeypatch):
    slow, watch = [], panel.desk.running.watch

    def note(fractions, **said):
        slow.append(said["slow"])
        return watch(fractions, **said)

    monkeypatch.setattr(panel.desk.running, "watch", note)
    trained(trained(panel), 3)
    assert slow == [1 / 2, 1 / 6]  # of 2 epochs, and of 3 seeds of 2


def test_more_seeds_are_the_next_ones_and_the_verdict_is_that_of_all(panel):
    trained(trained(panel), 3)
    assert [pair.seed for pair in panel.shown.whole] == [0, 1, 2, 3]
    assert "4 seeds." in panel.readout.sentence
    assert len({pair.alone.records[0].score for pair in panel.shown.pairs}) > 1
    found = verdict(panel.shown.whole)
    assert f"{difference_text(found.value, panel.lab.data.task)} on average" in panel.readout.sentence
    assert list(panel.stage.seeds.shown.table["seed"]) == ["0", "1", "2", "3", "mean"]


def test_more_seeds_begin_with_the_lab_s_own_and_time_it(panel):
    trained(panel, 3)
    assert [pair.seed for pair in panel.shown.whole] == [0, 1, 2]
    assert panel.shown.reports is not None


# Settings are never mixed


def test_a_moved_control_trains_nothing_and_names_the_settings_that_are_shown(panel):
    trained(panel)
    before = panel.shown
    panel.set(temperature=8.0)
    worker().wait(SECONDS)
    assert panel.shown is before
    said = "The pictures show temperature 4, soft 0.9, epochs 2. Press Train both for the settings of the controls."
    assert panel.readout.sentence == said
    assert said in panel.stage.note.value
    panel.set(temperature=4.0)
    worker().wait(SECONDS)
    assert ">Press 3 more seeds for a verdict.<" in panel.stage.note.value
    trained(panel, 3)
    assert panel.stage.note.value == ""


def test_pairs_of_other_settings_are_not_averaged_and_come_back_with_their_settings(panel):
    trained(panel, 3)
    first = panel.shown
    panel.set(temperature=8.0)
    trained(panel)
    assert [pair.seed for pair in panel.shown.pairs] == [0]
    assert "one seed" in panel.readout.sentence
    assert "Thin lines" not in panel.stage.curves.shown.sentence
    panel.set(temperature=4.0)
    worker().wait(SECONDS)
    assert panel.shown is first
    assert "3 seeds" in panel.readout.sentence
    assert panel.stage.seeds.shown.sentence.endswith("3 seeds.")


def test_while_other_settings_train_nothing_of_the_earlier_ones_stands_beside_them(panel):
    trained(panel)
    panel.set(soft=0.5)
    worker().wait(SECONDS)
    seen, draw = [], panel.stage.draw_training

    def watch(pair, before):
        hidden = (
            panel.stage.seeds.layout.display,
            panel.stage.told.value,
            "not trained yet" in panel.stage.tiles.value,
        )
        seen.append((hidden, len(before)))
        draw(pair, before)

    panel.stage.draw_training = watch
    trained(panel)
    assert set(seen[:-1]) == {(("none", "", True), 0)}


def test_a_control_of_the_student_makes_another_student(lab, journal):
    panel = SideBySide(lab, student=STUDENT, student_controls=("width",), start=EPOCHS, journal=journal)
    panel.set(width=6, epochs=1)
    assert [recipe[0].values["width"] for recipe in panel.recipes] == [6, 6]
    assert [recipe[-1].values["epochs"] for recipe in panel.recipes] == [1, 1]
    assert list(panel.controls) == ["temperature", "soft", "epochs", "width"]
    worker().wait(SECONDS)


def test_the_epochs_of_the_student_s_own_steps_stay_when_those_of_the_teaching_move(lab, journal):
    student = (STUDENT, step(fine_tune, epochs=1), step(prune_weights, sparsity=0.5))
    panel = SideBySide(lab, student=student, journal=journal)
    panel.set(epochs=3)
    assert [one.values.get("epochs") for one in panel.recipes[1]] == [None, 1, None, 3]
    worker().wait(SECONDS)


def test_hints_are_compared_with_as_many_epochs_of_plain_training(lab, journal):
    panel = SideBySide(lab, distill_hints, controls=("epochs",), start={"hint_epochs": 2, "epochs": 3}, journal=journal)
    assert panel.recipes[0][-1] == step(fine_tune, epochs=5, learning_rate=0.01)
    worker().wait(SECONDS)


def test_other_steps_can_stand_for_the_training_alone(lab, journal):
    alone = (step(fine_tune, epochs=7),)
    assert SideBySide(lab, student=STUDENT, alone=alone, journal=journal).recipes[0] == (STUDENT, *alone)
    worker().wait(SECONDS)


# Stop, and what goes wrong


def test_stop_shows_what_was_learned_and_does_not_count(panel):
    trained(panel)
    panel.set(epochs=30)
    draw = panel.stage.draw_training

    def stop_after_the_first_epoch(pair, before):
        draw(pair, before)
        if len(pair.taught.records) == 2:
            panel.stop()

    panel.stage.draw_training = stop_after_the_first_epoch
    trained(panel, 3)
    (pair,) = panel.shown.pairs  # the other seeds were not begun
    assert pair.is_partial
    assert panel.shown.whole == ()
    assert "stopped early" in panel.readout.sentence
    assert panel.stage.tiles.value.count("training stopped early") == 2
    assert "stopped early" in panel.stage.curves.shown.sentence
    assert not panel.desk.buttons[0].disabled


def test_controls_are_locked_while_it_trains(panel):
    locked, draw = [], panel.stage.draw_training

    def watch(pair, before):
        locked.append(panel.desk.buttons[0].disabled)
        draw(pair, before)

    panel.stage.draw_training = watch
    trained(panel)
    assert locked[:-1]
    assert all(locked[:-1])


@technique
def diverge(model, *, data, teacher, epochs: Epochs = 2, learning_rate: LearningRate = 0.005, seed=0, progress=None):
    """A training whose loss is no number."""
    student = copy_model(model)
    nowhere = lambda student, batch: student(batch.images).sum() * math.nan  # noqa: E731
    learn(student, data, nowhere, epochs=epochs, learning_rate=learning_rate, seed=seed, progress=progress)


def test_a_training_that_fails_says_why_and_gives_the_controls_free(lab, journal):
    panel = trained(SideBySide(lab, diverge, controls=("epochs",), student=STUDENT, journal=journal))
    assert panel.readout.error == "the loss became nan in epoch 1: lower the learning rate"
    assert panel.shown is None
    assert panel.stage.curves.shown is None
    assert "see the message below" in panel.stage.note.value
    assert not panel.desk.buttons[0].disabled


def test_a_teacher_that_cannot_be_judged_is_one_sentence(stopwatch, journal):
    broken = support.tiny_mlp()
    broken.output.weight.data.fill_(torch.nan)
    panel = trained(SideBySide(Lab(broken, support.tiny_data()), student=STUDENT, start=EPOCHS, journal=journal))
    assert "the model's outputs are NaN" in panel.readout.error
    assert not panel.desk.buttons[0].disabled


def test_a_later_failure_leaves_the_earlier_pictures(panel, monkeypatch):
    trained(panel)
    before = panel.shown
    monkeypatch.setattr(panel.lab, "with_seed", lambda seed: (_ for _ in ()).throw(ValueError(f"no seed {seed}")))
    trained(panel, 3)
    assert panel.readout.error == "no seed 1"
    assert panel.shown is before
    assert panel.stage.curves.shown.sentence.startswith("Seed 0")
    assert "see the message below" in panel.stage.note.value


def test_what_cannot_be_trained_as_long_is_told(lab, journal):
    panel = SideBySide(lab, distill_hints, controls=("epochs", "hint_epochs"), student=STUDENT, journal=journal)
    panel.set(epochs=30, hint_epochs=10)
    trained(panel)
    assert "distill_hints trains for 40 epochs by its knobs, and plain training takes 1 to 30" in panel.readout.error
    assert panel.shown is None


def test_a_newer_training_takes_the_place_of_an_older_one(panel):
    draw, n_calls = panel.stage.draw_training, []

    def again(pair, before):
        draw(pair, before)
        n_calls.append(pair)
        if len(n_calls) == 2:
            panel.train()

    panel.stage.draw_training = again
    trained(panel)
    assert [pair.seed for pair in panel.shown.whole] == [0]
    assert panel.last_error is None


# Journal, test data, tabs


def test_both_networks_of_each_seed_are_written_down_once(panel, journal):
    trained(trained(panel), 3)
    runs = [entry.value for entry in journal.entries(chapter="side by side", kind="run")]
    assert [run["seed"] for run in runs] == [0, 0, 1, 1, 2, 2, 3, 3]
    assert [("ms" in run) for run in runs] == [True] * 2 + [False] * 6
    scores = [round(arm.evaluation.value, 4) for pair in panel.shown.pairs for arm in (pair.alone, pair.taught)]
    assert [run["score"] for run in runs] == scores
    assert len({(run["ms"], run["base_ms"]) for run in runs[:2]}) == 1  # same network, same time
    assert [run["recipe"] for run in runs[:2]] == [to_json(recipe) for recipe in panel.recipes]


def test_students_of_other_layers_are_both_timed_and_their_spread_is_told(lab, journal):
    wider = (step(start_student, kind="mlp", width=6), step(fine_tune, **EPOCHS))
    panel = trained(SideBySide(lab, student=(), alone=wider, start=EPOCHS, controls=("epochs",), journal=journal))
    assert [report.preview.recipe for report in panel.shown.reports] == list(panel.recipes)
    tiles = panel.stage.tiles.value
    assert "same time" not in tiles
    assert tiles.count(" an image; middle half of the runs ") == 3


def test_the_test_data_is_opened_for_both_and_written_down(panel, lab, journal):
    panel.open_test()
    worker().wait(SECONDS)
    assert lab.n_test_openings == 0
    trained(panel).open_test()
    worker().wait(SECONDS)
    alone, taught = (entry.value for entry in journal.entries(chapter="side by side", kind="test_opened"))
    assert (alone["seed"], lab.n_test_openings) == (0, 2)
    assert f"alone {100 * alone['score']:.1f} %" in panel.desk.test_line.value
    assert f"with teacher {100 * taught['score']:.1f} %" in panel.desk.test_line.value
    assert "), one seed; " in panel.desk.test_line.value
    points = 100 * (taught["validation"] - taught["score"])
    assert f"with teacher {points:+.1f} points (95 % interval " in panel.desk.test_line.value.split("minus test:")[1]
    assert "opened before" not in panel.desk.test_line.value
    panel.open_test()
    worker().wait(SECONDS)
    assert "It was opened before" in panel.desk.test_line.value
    panel.set(soft=0.5)
    trained(panel)
    assert panel.desk.test_line.value == ""  # it was about other networks


def test_the_code_tab_gives_the_same_weights(panel, lab):
    trained(panel)
    panel.stage.tabs.selected_index = 2
    worker().wait(SECONDS)
    for text, recipe in zip(panel.stage.code.texts, panel.recipes, strict=True):
        names = {"model": lab.build(()), "data": lab.data}
        exec(text, names)
        assert support.bits(names["model"]) == support.bits(lab.build(recipe))


def test_the_tabs_show_changed_images_agreement_and_runs(panel):
    trained(panel)
    (pair,) = panel.shown.pairs
    alone, taught = pair.alone.evaluation, pair.taught.evaluation
    n_gained, n_lost = int((taught.scores > alone.scores).sum()), int((taught.scores < alone.scores).sum())
    assert f"{n_gained} images are gained and {n_lost} lost, of {alone.n} " in panel.stage.images.note.value
    n_changed = int((alone.answers != taught.answers).sum())
    assert panel.stage.images.view.shown.sentence.startswith(f"{n_changed} image")
    panel.stage.tabs.selected_index = 1
    worker().wait(SECONDS)
    text = panel.stage.agreement.text.value
    assert (
        f"<th scope='row'>student alone and student with teacher</th><td>{100 * (1 - n_changed / alone.n):.1f} %</td>"
        in text
    )
    panel.stage.tabs.selected_index = 3
    worker().wait(SECONDS)
    runs = panel.stage.journal._table.value.replace("<wbr>", "")  # where a line may break
    assert "distill_predictions(temperature=4.0, epochs=2, learning_rate=0.01), seed 0" in runs
    assert panel.last_error is None


def test_a_teacher_below_its_student_is_told(stopwatch, journal):
    lab = Lab(support.tiny_mlp(), support.tiny_data(n=1500))  # a teacher that was not trained
    panel = trained(SideBySide(lab, student=STUDENT, start={"epochs": 3, "learning_rate": 0.01}, journal=journal))
    teacher, alone = panel.lab.baseline, panel.shown.pairs[0].alone.evaluation
    assert compare(teacher, alone).value > 0
    assert "The teacher itself has" in panel.stage.verdict


# The prediction


def test_the_controls_wait_for_the_prediction_and_enough_seeds_answer_it(lab, gate, journal):
    panel = SideBySide(lab, student=STUDENT, start=EPOCHS, gate=gate, answer=verdict_of_teacher, journal=journal)
    worker().wait(SECONDS)
    assert panel.readout.sentence == PREDICT_FIRST
    assert panel.desk.buttons[0].disabled
    gate.lock_in("helps")
    trained(panel)
    assert (gate.measured, verdict_of_teacher(panel), gain(panel)) == (None, None, None)
    assert panel.readout.sentence.endswith("Press 3 more seeds: your prediction is answered then.")
    trained(panel, 3)
    assert "Press" not in panel.readout.sentence
    assert gate.measured == verdict_of_teacher(panel) in ("helps", "same", "hurts")
    assert "Your prediction has its answer now" in panel.readout.sentence


def test_other_settings_than_those_that_are_asked_give_no_answer(lab, gate, journal):
    options = {"student": STUDENT, "start": EPOCHS, "journal": journal}
    panel = SideBySide(lab, gate=gate, at={"temperature": 8.0}, answer=verdict_of_teacher, **options)
    gate.lock_in("helps")
    trained(panel)
    assert panel.readout.sentence.endswith("Press 3 more seeds for a verdict.")  # the prediction is about others
    trained(panel, 3)
    assert (gate.measured, verdict_of_teacher(panel), gain(panel)) == (None, None, None)
    panel.set(temperature=8.0)
    trained(panel, 3)
    assert gate.measured == verdict_of_teacher(panel) in ("helps", "same", "hurts")
    assert gain(panel) == pytest.approx(100 * verdict(panel.shown.whole).value)


def test_a_training_that_was_stopped_answers_nothing(panel):
    panel.stage.draw_training = lambda pair, before: panel.stop()
    for n in (1, 3, 3):
        trained(panel, n)
    assert panel.shown.pairs[0].is_partial
    assert verdict_of_teacher(panel) is None


# What is refused, and the chapter


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"controls": ("width",)}, "there is no control 'width'; there are: temperature, soft, epochs, learning_rate"),
        ({"student_controls": ("height",)}, "there is no control 'height'; there are: kind, width"),
        ({"controls": ("soft", "soft")}, "a control must be named once, but 'soft' is named twice"),
        ({"at": {"learning_rate": 0.001}}, "there is no control 'learning_rate'; there are: temperature, soft, epochs"),
        ({"at": {"soft": 2.0}}, "soft"),
        ({"start": {"soft": 2.0}}, "soft"),
        ({"taught": fine_tune, "controls": ("epochs",)}, "one step must learn from a teacher"),
    ],
)
def test_what_cannot_be_asked_is_refused_at_once(lab, options, sentence):
    with pytest.raises(ValueError, match=sentence):
        SideBySide(lab, student=STUDENT, **options)


def test_what_is_no_recipe_and_no_knob_is_refused(lab):
    with pytest.raises(TypeError, match="a recipe is a tuple of steps"):
        SideBySide(lab, student=start_student)
    with pytest.raises(TypeError, match="wrong"):
        SideBySide(lab, student=STUDENT, start={"wrong": 1})


def test_a_chapter_makes_one_that_writes_into_its_journal(lab, journal):
    panel = Chapter("03", journal=journal).side_by_side(lab, student=STUDENT, start=EPOCHS)
    trained(panel)
    assert len(journal.entries(chapter="03", kind="run")) == 2


def test_the_projector_makes_all_pictures_larger(panel):
    panel.project(True)
    assert (panel.stage.curves.projector, panel.stage.seeds.projector, panel.stage.images.view.projector) == (True,) * 3
