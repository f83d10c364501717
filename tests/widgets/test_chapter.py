"""A chapter ties questions, journal and benches together, and a cell of it returns at once."""

import json
from threading import Event

import pytest

from efflab import Budget, Lab, distill_predictions, fine_tune, prune_weights, start_student, step
from efflab.budget import Serving, ServingBudget, TaughtBudget
from efflab.journal import Journal
from efflab.prune import keep_largest
from efflab.training import Progress
from efflab.widgets import Chapter, llm_memory_calculator, training_calculator
from efflab.widgets.worker import worker

SECONDS = 120


@pytest.fixture(scope="module")
def lab():
    return Lab.open("mlp-digits")


@pytest.fixture
def chapter(tmp_path):
    return Chapter("03", journal=Journal(tmp_path / "journal.sqlite"))


def unwritten(weight, sparsity):
    raise NotImplementedError("write me")


def test_a_check_is_shown_and_written_down(chapter):
    checked = chapter.check("magnitude_mask", unwritten)
    assert not checked.verdict.passed
    assert "not written yet" in repr(checked).lower()
    assert chapter.journal.latest("check", "magnitude_mask", chapter="03").value["passed"] is False


def test_the_package_passes_its_own_exercise(chapter):
    mask = lambda weight, sparsity: keep_largest(weight.abs(), round(sparsity * weight.numel()))  # noqa: E731
    assert chapter.check("magnitude_mask", mask).verdict.passed


def test_a_budget_is_judged_on_the_worker_and_written_down_with_its_recipe(chapter, lab):
    judging = chapter.judge(lab, (step(prune_weights, sparsity=0.5),), Budget(kept=0.5, lost=0.5))
    worker().wait(SECONDS)
    assert judging.verdict.passed
    assert "Right." in judging._text.value
    assert "prune_weights" in chapter.journal.latest("check", "budget", chapter="03").value["recipe"]


def test_a_judged_training_that_is_stopped_is_not_judged_and_runs_anew_the_next_time(chapter, lab):
    recipe = (step(prune_weights, sparsity=0.9), step(fine_tune, epochs=2))
    judging = chapter.judge(lab, recipe, Budget(0.1, 1.0))
    judging.stop()
    worker().wait(SECONDS)
    assert judging.verdict is None
    assert "Nothing was judged" in judging._text.value
    again = chapter.judge(lab, recipe, Budget(0.1, 1.0))
    worker().wait(SECONDS)
    assert again.verdict.passed
    assert not lab.preview(recipe).is_partial


def test_a_training_that_had_ended_when_stop_was_pressed_is_judged(chapter, lab):
    class Pressing(Budget):
        """Presses Stop once the recipe is built, while the network is judged."""

        def judge_recipe(self, lab, recipe, progress=None):
            found = super().judge_recipe(lab, recipe, progress)
            progress.stop()
            return found

    recipe = (step(prune_weights, sparsity=0.9), step(fine_tune, epochs=1))
    judging = chapter.judge(lab, recipe, Pressing(0.1, 1.0))
    worker().wait(SECONDS)
    assert judging.verdict.passed
    assert chapter.journal.latest("check", "budget", chapter="03").value["passed"] is True


def test_what_another_panel_stopped_runs_to_its_end_before_it_is_judged(chapter, lab):
    recipe, stopped = (step(prune_weights, sparsity=0.8), step(fine_tune, epochs=1)), Progress()
    stopped.stop()
    lab.build(recipe, progress=stopped)
    assert lab.is_partial(recipe)
    judging = chapter.judge(lab, recipe, Budget(0.2, 1.0))
    worker().wait(SECONDS)
    assert judging.verdict is not None
    assert not lab.is_partial(recipe)


def test_a_budget_of_several_seeds_that_is_stopped_judges_nothing(chapter, lab):
    recipe = (step(start_student, kind="mlp", width=4), step(distill_predictions, epochs=2))
    judging = chapter.judge(lab, recipe, TaughtBudget(10**6, gained=0.5))
    judging.stop()
    worker().wait(SECONDS)
    assert judging.verdict is None
    assert "Nothing was judged" in judging._text.value
    assert judging.readout.error == ""


def test_a_budget_that_is_stopped_in_its_second_seed_keeps_what_the_first_one_learned(chapter, lab, monkeypatch):
    recipe = (step(start_student, kind="mlp", width=5), step(distill_predictions, epochs=1))
    is_there, trained = Event(), []
    with_seed = lab.with_seed

    def stop_first(seed):
        assert is_there.wait(SECONDS)
        judging.stop()
        return with_seed(seed)

    monkeypatch.setattr(lab, "with_seed", stop_first)
    judging = chapter.judge(lab, recipe, TaughtBudget(10**6, gained=0.5))
    is_there.set()
    worker().wait(SECONDS)
    assert judging.verdict is None
    lab.build(recipe, progress=Progress(on_batch=trained.append))
    assert trained == []
    assert not lab.is_partial(recipe)


def test_an_error_in_a_recipe_is_seen(chapter, lab):
    judging = chapter.judge(lab, (step(prune_weights, sparsity={"conv9": 0.5}),), Budget(0.5, 0.5))
    worker().wait(SECONDS)
    assert "sparsity names 'conv9'" in judging.readout.error
    assert "Not yet." in judging._text.value
    assert "Working" not in judging._text.value


def test_the_source_that_is_shown_is_the_one_that_runs(chapter):
    assert "def keep_largest(" in chapter.source(keep_largest).data
    assert "def prune_weights(" in chapter.source(prune_weights).data


def test_the_papers_table_has_ones_own_row_once_a_bench_shows_a_recipe(chapter, lab):
    assert set(chapter.paper("han2015").data["kind"]) == {"cited"}
    bench = chapter.bench(lab, prune_weights, controls=("sparsity",))
    worker().wait(SECONDS)
    assert list(chapter.paper("han2015", bench).data["kind"])[-1] == "measured"
    assert (chapter.paper("han2015").caption, chapter.paper("han2015", bench).caption) == (None, None)


def test_a_papers_table_without_the_row_that_was_asked_for_says_that_it_is_not_ready(chapter, lab):
    asked = "accuracy_at_80"  # nothing is measured before the prediction is made
    bench = chapter.bench(lab, prune_weights, controls=("sparsity",), prediction=asked)
    explorer, file = chapter.break_even(prediction=asked), chapter.encoded(lab, (), prediction=asked)
    for name, yours in (("han2015", bench), ("eie2016", explorer), ("han2016", file)):
        assert "Yours is not ready yet" in chapter.paper(name, yours).to_html()


def test_the_papers_table_is_written_for_reading_and_its_numbers_stay_numbers(chapter):
    shown = chapter.paper("han2015")
    heading, first = (line.split("|") for line in shown.to_string(delimiter="|").splitlines()[:2])
    assert heading[2:6] == ["reference error (%)", "pruned error (%)", "parameters", "kept"]
    assert first[2:6] == ["1.64", "1.59", "267,000", "22,000"]
    assert shown.data.iloc[0, 2:6].tolist() == [1.64, 1.59, 267_000, 22_000]


def test_counts_are_written_whole_also_where_a_row_has_none(chapter):
    heading, *rows = (line.split("|") for line in chapter.paper("hinton2015").to_string(delimiter="|").splitlines())
    column = heading.index("errors on 3")
    assert [row[column] for row in rows if len(row) > 1] == ["–", "–", "–", "133", "14"]
    assert rows[3][heading.index("raised bias") :][:4] == ["0.00", "10,000", "206", "2.06"]


ASK = {"prediction": "weights_in_16_bits", "at": {"bits": 16}, "answer": lambda memory: memory.weight_bytes / 1e9}


@pytest.fixture
def costs(tmp_path):
    return Chapter("01", journal=Journal(tmp_path / "journal.sqlite"))


def asked(costs, **options):
    return costs.calculator(llm_memory_calculator(start={"bits": 32}, **options), **ASK)


def test_a_calculator_behind_a_prediction_shows_no_number_before_it(costs):
    calculator = asked(costs)
    worker().wait(SECONDS)
    assert "GB" not in calculator._tiles.value + calculator.readout.sentence
    assert calculator.view.layout.display == calculator.fold.layout.display == "none"
    assert all(control._whole.disabled for control in calculator.controls.values())
    assert all(chooser.disabled for chooser in calculator._choosers.values())
    calculator.set(bits=16)
    worker().wait(SECONDS)
    assert "GB" not in calculator._tiles.value + calculator.readout.sentence
    assert (calculator.view.layout.display, calculator.gate.measured) == ("none", None)


@pytest.mark.parametrize("decide", [lambda gate: gate.lock_in(20.0), lambda gate: gate.skip()])
def test_once_predicted_or_skipped_it_unlocks_and_the_answer_waits_for_its_settings(costs, decide):
    calculator = asked(costs)
    decide(calculator.gate)
    worker().wait(SECONDS)
    assert not calculator.controls["bits"]._whole.disabled
    assert "27.0 GB" in calculator._tiles.value
    assert (calculator.gate.measured, calculator.view.layout.display) == (None, "")
    calculator.set(bits=16)
    assert calculator.gate.measured == pytest.approx(13.48)
    assert "Your prediction has its answer now" in calculator.readout.sentence
    calculator.set(bits=8)
    assert calculator.gate.measured == pytest.approx(13.48)
    assert "Your prediction" not in calculator.readout.sentence


def test_a_prediction_that_was_made_before_a_restart_is_not_asked_again(costs):
    asked(costs).gate.lock_in(20.0)
    assert not asked(costs).controls["bits"]._whole.disabled


@pytest.mark.parametrize(
    ("start", "said"),
    [
        ({"bits": 32}, "Now set the bits to 16."),
        ({"bits": 32, "batch": 2}, "Now set the bits to 16 and the batch to 1."),
        ({"bits": 16}, "Now look below."),
    ],
)
def test_a_locked_prediction_says_what_to_set_to_see_its_answer(costs, start, said):
    at = {"bits": 16, "batch": 1}
    panel = costs.calculator(llm_memory_calculator(start=start), **{**ASK, "at": at})
    gate = panel.gate
    told = []
    gate._feedback.observe(lambda change: told.append(change["new"]), "value")
    gate.lock_in(20.0)
    assert f"Locked in. {said}" in told[0]


def test_a_fraction_to_set_is_said_in_percent_and_a_waiting_panel_says_predict_first_once(costs):
    ask = {"prediction": "years_on_one_gpu", "at": {"utilisation": 0.4}, "answer": lambda cost: 1.0}
    panel = costs.calculator(training_calculator(start={"utilisation": 1.0}), **ask)
    assert panel.readout.sentence.startswith("Predict first")
    assert panel._tiles.value == ""
    panel.gate.skip()
    assert "You skipped it. Now set the utilisation to 40 %." in panel.gate._feedback.value


@pytest.mark.parametrize("at", [{"colour": 1}, {"bits": 0}])
def test_a_prediction_about_a_setting_that_there_is_not_is_refused(costs, at):
    with pytest.raises(ValueError, match=r"'colour'; it has|bits .* not 0"):
        costs.calculator(llm_memory_calculator(), **{**ASK, "at": at})


def test_a_served_model_is_judged_and_written_down_with_its_choice(costs):
    budget = ServingBudget("MacBook Air M2", billion_parameters=7, context=8192, tokens_per_second=15)
    checked = costs.judge_serving(Serving("Qwen2.5-7B", bits=4, context=8192), budget)
    assert checked.verdict.passed
    value = costs.journal.latest("check", "budget", chapter="01").value
    assert value["passed"] is True
    assert json.loads(value["recipe"]) == {"model": "Qwen2.5-7B", "bits": 4, "context": 8192, "kv_bits": 16}


def test_the_table_of_trainings_takes_the_assumptions_of_a_calculator_and_names_its_badges(costs):
    calculator = training_calculator()
    calculator.set(utilisation=0.2)
    own, usual = costs.trainings(calculator), costs.trainings()
    row = own.data.set_index("training").loc["Llama 2 7B"]
    assert row["hours_estimated"] == pytest.approx(360_043, rel=1e-4)
    assert list(usual.data["hours_cited"].dropna()) == list(own.data["hours_cited"].dropna())
    text = own.to_string(delimiter="|")
    assert all(f"({badge})" in text for badge in ("cited", "computed", "estimated"))
    assert "184,000" in text
    assert "utilisation 20 %, PUE 1.1, electricity of 473 g/kWh (World)" in own.caption
    assert "nan" not in text
    assert "not known" in text
