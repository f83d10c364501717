"""The bench without a browser: whatever a hand does, a line of Python does, and the screen says what was measured."""

import copy
import linecache
from typing import Annotated

import pytest
import support
import torch
from torch import nn

from efflab import (
    Lab,
    Range,
    fine_tune,
    prune_filters,
    prune_gradually,
    prune_iteratively,
    prune_weights,
    quantize_activations,
    quantize_weights,
    recalibrate,
    script,
    step,
    technique,
)
from efflab.data import Classification
from efflab.journal import Journal
from efflab.measure import Evaluation, by_class
from efflab.questions import load
from efflab.training import Progress
from efflab.widgets import Bench
from efflab.widgets.answers import macs_left, speed_class, steepest_layer
from efflab.widgets.asking import Gate
from efflab.widgets.tiles import change_text
from efflab.widgets.worker import worker

SECONDS = 120
TASK, N = Classification(), 10_000


@pytest.fixture(scope="module")
def lab():
    return Lab.open("mlp-digits")


@pytest.fixture
def journal(tmp_path):
    return Journal(tmp_path / "journal.sqlite")


@pytest.fixture
def bench(lab, journal):
    made = Bench(lab, prune_weights, controls=("sparsity", "scope"), journal=journal, chapter="03")
    worker().wait(SECONDS)
    yield made
    worker().wait(SECONDS)


def test_moving_a_control_shows_what_the_lab_says_of_the_same_recipe(bench, lab):
    bench.set(sparsity=0.8)
    worker().wait(SECONDS)
    expected = lab.preview(bench.recipe)
    assert bench.preview.evaluation.value == expected.evaluation.value
    assert bench.preview.size == expected.size
    assert bench.step.values["sparsity"] == 0.8
    assert f"{expected.evaluation.value * 100:.1f} %" in bench.stage.tiles.value
    assert "80 % of the weights removed" in bench.readout.sentence


def test_the_speed_is_measured_and_the_run_is_written_down(bench, journal):
    assert bench.report is not None
    assert bench.report.speed.verdict in bench.stage.tiles.value
    run = journal.entries(kind="run")[-1].value
    assert run["ms"] == pytest.approx(bench.report.speed.now.median_ms, abs=1e-4)
    assert run["file_bytes"] == bench.report.file_bytes


def test_a_tile_that_is_not_measured_yet_says_so_and_keeps_no_old_number(bench):
    bench.stage.draw(bench.preview)
    assert "not measured yet" in bench.stage.tiles.value
    assert " ms" not in bench.stage.tiles.value


def test_the_speed_tile_says_by_which_rule_it_judges(bench):
    speed = bench.report.speed
    assert f"takes {speed.ratio * 100:.0f} % of the time" in bench.stage.tiles.value
    assert f"noise floor {speed.noise_floor * 100:.1f} %" in bench.stage.tiles.value


@pytest.mark.parametrize(
    ("before", "now", "text"),
    [(0.957, 0.944, "-1.3 points"), (0.9564, 0.9446, "-1.18 points"), (0.946, 0.946, "0.0 points")],
)
def test_a_difference_never_contradicts_the_rounded_scores_beside_it(before, now, text):
    answers = torch.zeros(N, dtype=torch.int64)

    def evaluation(score):
        return Evaluation(answers, (torch.arange(N) < round(N * score)).float(), N, TASK)

    assert change_text(evaluation(before), evaluation(now), now - before) == text


def test_the_last_of_many_moves_is_the_one_that_is_shown(bench):
    for percent in range(30, 91):
        bench.set(sparsity=percent / 100)
    worker().wait(SECONDS)
    assert bench.preview.recipe[0].values["sparsity"] == 0.9
    assert bench.stage.trail[-1].recipe == bench.preview.recipe


@pytest.mark.parametrize("index", range(5))
def test_every_tab_draws_when_it_is_opened(bench, index):
    bench.stage.tabs.selected_index = index
    worker().wait(SECONDS)
    assert bench.last_error is None


def test_the_code_tab_shows_text_that_gives_the_same_weights(bench, lab):
    bench.set(sparsity=0.7, scope="per layer")
    bench.stage.tabs.selected_index = 3
    worker().wait(SECONDS)
    names = {"model": lab.build(()), "data": lab.data}
    exec(bench.stage.code.text, names)
    shown = lab.build(bench.recipe).state_dict()
    assert all(torch.equal(weights, shown[name]) for name, weights in names["model"].state_dict().items())
    assert bench.stage.code.text == script(bench.recipe, seed=lab.seed)


def test_training_shows_a_curve_and_ends_with_the_tuned_recipe(bench):
    bench.set(sparsity=0.95)
    worker().wait(SECONDS)
    before = bench.preview.evaluation.value
    bench.tune()
    worker().wait(SECONDS)
    assert [one.technique for one in bench.recipe] == [prune_weights, fine_tune]
    assert bench.preview.evaluation.value > before
    assert bench.stage.training.shown is not None
    assert bench.desk.running.layout.display == "none"


def test_stop_ends_the_training_and_what_is_shown_says_so(lab, journal):
    bench = Bench(lab, prune_gradually, controls=("sparsity", "epochs"), recover=None, journal=journal)
    worker().wait(SECONDS)
    bench.set(epochs=30)
    stopping = lambda *args: bench.stop()  # noqa: E731
    bench.stage.draw_training = stopping  # after the first epoch's record
    bench.run()
    worker().wait(SECONDS)
    assert bench.preview.is_partial
    assert "training stopped early" in bench.stage.tiles.value
    bench.open_test()
    worker().wait(SECONDS)
    assert "the test data stay closed" in bench.readout.error
    assert lab.n_test_openings == 0
    assert journal.entries(kind="test_opened") == ()


def test_a_technique_that_trains_shows_no_numbers_until_it_was_run_with_these_settings(lab, journal):
    bench = Bench(lab, prune_gradually, controls=("sparsity", "epochs"), recover=None, journal=journal)
    bench.set(sparsity=0.6, epochs=1)
    worker().wait(SECONDS)
    assert bench.preview is None
    assert "press Run" in bench.stage.tiles.value
    bench.run()
    worker().wait(SECONDS)
    assert bench.preview.recipe == (bench.step,)
    bench.set(sparsity=0.7)
    assert bench.preview is None
    bench.set(sparsity=0.6)
    worker().wait(SECONDS)
    assert bench.preview.recipe == (bench.step,)
    with pytest.raises(ValueError, match="prune_gradually trains at every point"):
        bench.reveal()


def test_while_a_first_training_runs_the_screen_says_so(lab, journal):
    bench = Bench(lab, prune_iteratively, start={"sparsity": 0.42, "rounds": 1, "epochs": 1}, journal=journal)
    worker().wait(SECONDS)
    assert "press Run" in bench.stage.tiles.value
    seen = []
    bench.stage.draw_training = lambda *args: seen.append((bench.stage.tiles.value, bench.readout.sentence))
    bench.run()
    worker().wait(SECONDS)
    assert all("Training with these settings" in told for told in seen[0])


def test_of_several_techniques_that_recover_each_has_a_button_and_the_first_is_the_usual_one(journal):
    lab = Lab(support.tiny_cnn(), support.tiny_data())
    bench = Bench(lab, prune_filters, controls=("ratio",), recover=(recalibrate, fine_tune), journal=journal)
    worker().wait(SECONDS)
    named = {one.description: one for one in bench.desk.buttons}
    assert list(named)[:2] == ["Recalibrate", "Fine tune"]
    named["Fine tune"].click()
    worker().wait(SECONDS)
    assert [one.technique for one in bench.recipe] == [prune_filters, fine_tune]
    bench.tune()
    worker().wait(SECONDS)
    assert [one.technique for one in bench.recipe] == [prune_filters, recalibrate]
    assert bench.preview.evaluation.value == lab.preview(bench.recipe).evaluation.value
    assert bench.last_error is None


def test_without_a_technique_that_recovers_there_is_nothing_to_train_with(lab, journal):
    bench = Bench(lab, prune_weights, controls=("sparsity",), recover=None, journal=journal)
    with pytest.raises(ValueError, match="recover=None, so there is nothing to train with"):
        bench.tune()
    worker().wait(SECONDS)


def test_steps_that_follow_the_controls_are_in_all_that_is_shown(lab, journal):
    then = (step(quantize_activations, bits=4),)
    bench = Bench(lab, quantize_weights, controls=("bits",), then=then, recover=None, journal=journal)
    worker().wait(SECONDS)
    bench.set(bits=3)
    worker().wait(SECONDS)
    assert bench.last_error is None
    assert bench.recipe == bench.report.preview.recipe == (bench.step, *then)
    bench.reveal()
    worker().wait(SECONDS)
    assert {one.recipe[1:] for one in bench.stage.curve} == {then}


def test_what_follows_the_controls_must_be_a_recipe(lab, journal):
    with pytest.raises(TypeError, match="a recipe is a tuple of steps"):
        Bench(lab, quantize_weights, then=step(quantize_activations), journal=journal)


def test_a_bench_can_begin_with_the_large_batch(lab, journal):
    bench = Bench(lab, prune_weights, controls=("sparsity",), batch=64, recover=None, journal=journal)
    worker().wait(SECONDS)
    assert bench.report.speed.batch == 64
    assert bench.stage.reports == [bench.report]
    with pytest.raises(ValueError, match="32"):
        Bench(lab, prune_weights, batch=32, journal=journal)


def test_controls_wait_while_a_network_trains(bench):
    seen = []
    slider = bench.controls["sparsity"].children[1]
    bench.stage.draw_training = lambda *args: seen.append(slider.disabled)
    bench.set(sparsity=0.8)
    worker().wait(SECONDS)
    bench.lab.forget((bench.step,))
    bench.tune()
    worker().wait(SECONDS)
    assert seen == [True, True, True]
    assert not slider.disabled


def test_the_whole_curve_is_drawn_on_demand(bench):
    bench.reveal()
    worker().wait(SECONDS)
    assert len(bench.stage.curve) == 21
    assert "whole curve" in [trace.name for trace in bench.stage.main.shown.figure.data]
    assert [p.recipe[0].values["sparsity"] for p in bench.stage.curve][::20] == [0.0, 1.0]


def test_the_test_set_is_opened_by_its_own_method_only_and_counted(bench, lab, journal):
    before = lab.n_test_openings
    bench.set(sparsity=0.5)
    worker().wait(SECONDS)
    assert lab.n_test_openings == before
    bench.open_test()
    worker().wait(SECONDS)
    assert lab.n_test_openings == before + 1
    assert journal.entries(kind="test_opened")
    assert "Test accuracy" in bench.desk.test_line.value
    validation = lab.preview(bench.preview.recipe).evaluation
    assert f"Validation {100 * validation.value:.1f} %, minus test: " in bench.desk.test_line.value


def test_an_error_of_the_worker_is_seen_in_the_error_line_and_the_next_setting_works(lab, journal):
    @technique
    def fail(model: nn.Module, *, x: Annotated[float, Range(0.0, 1.0, 0.1, "x")] = 0.5) -> nn.Module:
        if x > 0.7:
            raise ValueError("prune before you quantize")
        return copy.deepcopy(model)

    bench = Bench(lab, fail, recover=None, journal=journal)
    worker().wait(SECONDS)
    bench.set(x=0.9)
    worker().wait(SECONDS)
    assert bench.readout.error == "prune before you quantize"
    assert isinstance(bench.last_error, ValueError)
    bench.set(x=0.2)
    worker().wait(SECONDS)
    assert bench.readout.error == ""
    assert bench.preview.recipe[0].values["x"] == 0.2


def test_a_training_that_fails_says_why_and_no_longer_that_it_trains(lab, journal):
    @technique
    def fail(
        model: nn.Module, *, x: Annotated[float, Range(0.0, 1.0, 0.1, "x")] = 0.5, progress: Progress | None = None
    ) -> nn.Module:
        raise ValueError("the loss became nan")

    bench = Bench(lab, fail, recover=None, journal=journal)
    worker().wait(SECONDS)
    bench.run()
    worker().wait(SECONDS)
    assert bench.readout.error == "the loss became nan"
    assert bench.readout.sentence == "Not run with these settings yet: press Run."
    assert "Training" not in bench.stage.tiles.value
    assert not bench.controls["x"].children[1].disabled


LEARNERS = """
@technique
def halve(model: nn.Module, *, share: Annotated[float, Range(0.0, 1.0, 0.1, "share kept")] = 0.5) -> nn.Module:
    halved = copy.deepcopy(model)
    for weight in halved.parameters():
        weight.data *= share
    return halved
"""


def test_a_technique_of_a_notebook_cell_gets_its_slider_its_picture_and_its_code(lab, journal):
    scope = {
        "__name__": "__main__",
        "technique": technique,
        "nn": nn,
        "Annotated": Annotated,
        "Range": Range,
        "copy": copy,
    }
    linecache.cache["<cell 7>"] = (len(LEARNERS), None, LEARNERS.splitlines(keepends=True), "<cell 7>")
    exec(compile(LEARNERS, "<cell 7>", "exec"), scope)
    bench = Bench(lab, scope["halve"], recover=None, journal=journal)
    bench.stage.tabs.selected_index = 3
    bench.set(share=0.0)
    worker().wait(SECONDS)
    assert bench.last_error is None
    assert bench.preview.size.n_nonzero == 0
    assert "weight.data *= share" in bench.stage.code.text
    assert bench.stage.main.shown is not None


def test_the_classes_are_shown_with_their_own_scores(bench, lab):
    bench.stage.tabs.selected_index = 2
    bench.set(sparsity=0.9)
    worker().wait(SECONDS)
    table = bench.stage.images.children[1].value
    of_seven = by_class(bench.preview.evaluation, lab.data)["score"][7]
    assert f"{of_seven * 100:.1f} %" in table


def test_a_prediction_of_something_else_than_the_score_is_not_drawn_among_scores(journal):
    lab = Lab(support.tiny_cnn(), support.tiny_data())
    gate = Gate(load("04").prediction("macs_at_50"), journal, chapter="04")
    asked = {"gate": gate, "at": {"ratio": 0.5}, "answer": macs_left, "journal": journal}
    bench = Bench(lab, prune_filters, controls=("ratio",), recover=None, **asked)
    gate.lock_in(30.0)
    worker().wait(SECONDS)
    assert bench.stage.predicted is None
    assert gate.measured == macs_left(bench) == 100 * lab.macs(bench.recipe) / lab.macs(())


def test_controls_are_locked_until_the_prediction_is_made_and_it_is_marked_in_the_picture(lab, journal):
    gate = Gate(load("03").prediction("accuracy_at_80"), journal, chapter="03")
    bench = Bench(lab, prune_weights, controls=("sparsity",), gate=gate, at={"sparsity": 0.8}, journal=journal)
    worker().wait(SECONDS)
    assert bench.controls["sparsity"].children[1].disabled
    assert all(button.disabled for button in bench.desk.buttons if button)
    assert bench.preview is None  # or the answer would stand below the question
    assert "Predict first" in bench.stage.tiles.value
    gate.lock_in(71.0)
    worker().wait(SECONDS)
    assert bench.preview is not None
    assert not bench.controls["sparsity"].children[1].disabled
    assert bench.stage.predicted == (0.8, 0.71)
    assert gate.measured is None
    bench.set(sparsity=0.8)
    worker().wait(SECONDS)
    assert gate.measured == pytest.approx(bench.preview.evaluation.value * 100)


def test_a_hand_that_predicts_while_the_base_is_evaluated_is_not_held_up(lab, journal, monkeypatch):
    gate = Gate(load("03").prediction("accuracy_at_80"), journal, chapter="03")
    whole = lab.baseline

    def predicted_meanwhile(_):
        if not gate.is_open:
            gate.lock_in(50.0)
        return whole

    monkeypatch.setattr(Lab, "baseline", property(predicted_meanwhile))
    bench = Bench(lab, prune_weights, controls=("sparsity",), gate=gate, at={"sparsity": 0.8}, journal=journal)
    worker().wait(SECONDS)
    assert bench.preview is not None
    assert "Predict first" not in bench.stage.tiles.value


def test_before_the_prediction_the_screen_says_what_the_network_can_do(lab, journal):
    gate = Gate(load("03").prediction("accuracy_at_80"), journal, chapter="03")
    bench = Bench(lab, prune_weights, controls=("sparsity",), gate=gate, journal=journal)
    worker().wait(SECONDS)
    assert (
        f"As it is, the network has {lab.baseline.value * 100:.1f} % accuracy. Predict first" in bench.stage.tiles.value
    )


def test_a_question_about_speed_is_answered_by_the_measured_speed(bench):
    assert speed_class(bench) in {"same", "tenth", "little_less", "more"}
    bench.stage.report = None
    assert speed_class(bench) is None


def test_a_question_about_layers_is_answered_by_the_scan_once_it_is_whole(bench):
    assert steepest_layer(bench) is None
    bench.scan_layers()
    worker().wait(SECONDS)
    assert steepest_layer(bench) in {"first", "middle", "last", "equal"}
    assert len(bench.stage.points) == 3 * 7


def test_a_control_that_is_no_knob_is_refused_with_the_names_of_the_knobs(lab, journal):
    with pytest.raises(ValueError, match="prune_weights has no knob 'bits'; its knobs are: sparsity"):
        Bench(lab, prune_weights, controls=("bits",), journal=journal)
    with pytest.raises(ValueError, match="needs a control that is a number"):
        Bench(lab, prune_weights, controls=("scope",), journal=journal)


def test_the_projector_switch_reaches_every_picture(bench):
    bench.project(True)
    assert "efflab-projector" in bench._dom_classes
    assert bench.stage.main.projector
    assert bench.stage.weights.children[1].projector
    bench.project(False)
    assert not bench.stage.main.projector
