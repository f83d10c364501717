"""The recipe bench without a browser: what a hand does, what waits for Run, and which order cannot be."""

import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest
import support

from efflab import Lab, fine_tune, prune_weights, quantize_weights, step, to_json, to_line
from efflab.journal import Journal
from efflab.lab.seeds import SeedRun
from efflab.recipe import TECHNIQUES
from efflab.runtime import ExportError
from efflab.scoreboard import opened_entry, runs_of
from efflab.widgets import Chapter, RecipeBench, recipe_runs
from efflab.widgets.recipe_desk import EMPTY as NO_STEP
from efflab.widgets.recipe_runs import EMPTY, NOTHING_OPENED
from efflab.widgets.tiles import optimism_text
from efflab.widgets.worker import worker

SECONDS = 120
CUT, TUNE = step(prune_weights, sparsity=0.5), step(fine_tune, epochs=1)


@pytest.fixture
def lab(stopwatch) -> Lab:
    return Lab(support.tiny_cnn(), support.tiny_data())


@pytest.fixture
def bench(lab, tmp_path) -> Iterator[RecipeBench]:
    made = RecipeBench(lab, journal=Journal(tmp_path / "journal.sqlite"))
    worker().wait(SECONDS)
    yield made
    made.stop()
    worker().wait(SECONDS)


def after(act, *arguments, **settings) -> None:
    """Do it, and wait until the worker is done."""
    act(*arguments, **settings)
    worker().wait(SECONDS)


def names(bench: RecipeBench) -> list[str]:
    return [one.technique.name for one in bench.recipe]


def test_an_empty_bench_shows_the_base_and_says_what_to_do(bench, lab):
    assert bench.recipe == ()
    assert bench.readout.sentence == EMPTY
    assert NO_STEP in bench.desk._none.value
    assert [one.recipe for one in bench.prefixes] == [()]
    assert bench.prefixes[0].preview.evaluation.value == lab.baseline.value
    assert bench.journal.entries(kind="run") == ()


def test_a_step_that_needs_no_training_is_shown_at_once_and_written_down(bench, lab):
    after(bench.add, prune_weights, sparsity=0.5)
    assert bench.recipe == (CUT,)
    assert bench.prefixes[-1].preview.evaluation.value == lab.preview((CUT,)).evaluation.value
    assert bench.prefixes[-1].report is not None
    (run,) = bench.journal.entries(kind="run")
    assert (run.value["recipe"], run.value["seed"], run.value["network"]) == (to_json((CUT,)), 0, lab.name)


def test_a_step_that_trains_waits_for_run_and_so_does_what_follows(bench, lab):
    after(bench.put, (CUT, TUNE, CUT))
    assert bench.readout.sentence.startswith("Step 2, fine tune, trains: press Run.")
    assert [one.recipe for one in bench.prefixes] == [(), (CUT,)]
    assert bench.journal.entries(kind="run") == ()  # half a recipe is no run
    after(bench.run)
    assert bench.prefixes[-1].recipe == (CUT, TUNE, CUT)
    assert all(one.report is not None for one in bench.prefixes)
    assert bench.stage.note.value == ""
    assert bench.stage.training.shown is not None
    alone = Lab(support.tiny_cnn(), support.tiny_data()).preview((CUT, TUNE, CUT))
    assert bench.prefixes[-1].preview.evaluation.value == alone.evaluation.value


def test_tuning_the_last_step_trains_the_first_no_second_time(bench, monkeypatch):
    after(bench.put, (TUNE, CUT))
    after(bench.run)
    monkeypatch.setattr(type(bench.lab._networks), "_take", lambda *_: pytest.fail("trained"), raising=True)
    after(bench.switch, 2, False)
    assert bench.prefixes[-1].recipe == (TUNE,)


def test_steps_are_moved_switched_off_tuned_and_removed(bench):
    after(bench.put, (CUT, step(quantize_weights, bits=4)))
    after(bench.move, 2, -1)
    assert names(bench) == ["quantize_weights", "prune_weights"]
    after(bench.move, 1, -1)  # at the end it stays
    assert names(bench) == ["quantize_weights", "prune_weights"]
    after(bench.move, 1, 1)
    after(bench.switch, 1, False)
    assert names(bench) == ["quantize_weights"]
    after(bench.set, 2, bits=3)
    assert bench.recipe == (step(quantize_weights, bits=3),)
    after(bench.switch, 1, True)
    after(bench.remove, 2)
    assert bench.recipe == (CUT,)
    assert [card.switch.description for card in bench.desk.cards] == ["1. prune weights"]
    assert (bench.desk.cards[0].up.disabled, bench.desk.cards[0].down.disabled) == (True, True)


def test_an_order_that_cannot_be_names_its_step_and_says_which_one_works(bench):
    after(bench.put, (step(quantize_weights), TUNE))
    after(bench.run)
    assert bench.readout.error.startswith("step 2, fine_tune: ")
    assert "train first" in bench.readout.error
    assert bench.stage.note.value.count("Step 2 cannot act there") == 1
    refused = [card.problem.value for card in bench.desk.cards]
    assert refused[0] == ""
    assert "train first" in refused[1]
    assert "efflab-refused" in bench.desk.cards[1]._dom_classes
    assert [one.recipe for one in bench.prefixes] == [(), (step(quantize_weights),)]  # what worked stays
    assert not bench.desk.add_button.disabled
    after(bench.move, 2, -1)
    after(bench.run)
    assert bench.readout.error == ""
    assert [card.problem.value for card in bench.desk.cards] == ["", ""]
    assert not any("efflab-refused" in card._dom_classes for card in bench.desk.cards)
    assert names(bench) == ["fine_tune", "quantize_weights"]


def test_the_card_that_is_marked_is_that_of_the_step_also_where_others_are_switched_off(bench):
    after(bench.put, (CUT, step(quantize_weights), TUNE))
    after(bench.switch, 1, False)
    after(bench.run)
    assert bench.readout.error.startswith("step 2, fine_tune: ")
    assert [bool(card.problem.value) for card in bench.desk.cards] == [False, False, True]


def test_a_recipe_that_cannot_become_a_file_is_a_run_without_one_and_says_why(bench, lab, monkeypatch):
    def refuse(*_, **__):
        raise ExportError("fold the batch norms first")

    monkeypatch.setattr(lab, "measure", refuse)
    after(bench.put, (CUT,))
    assert "It counts as a run, but no file can be written" in bench.stage.note.value
    assert "no file can be written, and so nothing timed: fold the batch norms first" in bench.stage.tiles.value
    assert "leave the controls alone" not in bench.stage.tiles.value
    ((run,), _) = runs_of(bench.journal.entries(kind="run"))
    assert (run.recipe, run.score, run.file_bytes) == (
        to_json((CUT,)),
        round(bench.prefixes[-1].preview.evaluation.value, 4),
        None,
    )


def test_what_is_shown_turns_pale_until_it_belongs_to_the_steps_again(bench):
    after(bench.put, (CUT,))
    assert "efflab-stale" not in bench.stage._dom_classes
    held = threading.Event()

    def hold(stale) -> None:
        held.wait(SECONDS)

    worker().submit("hold", hold)
    bench.set(1, sparsity=0.7)  # which waits its turn
    assert "efflab-stale" in bench.stage._dom_classes
    held.set()
    worker().wait(SECONDS)
    assert "efflab-stale" not in bench.stage._dom_classes
    after(bench.put, (step(quantize_weights), TUNE))
    after(bench.run)
    assert bench.readout.error
    assert "efflab-stale" not in bench.stage._dom_classes
    assert "not measured: a step cannot act, see its card" in bench.stage.tiles.value


def test_what_did_not_run_to_its_end_opens_no_test_data_and_says_so(bench, lab):
    after(bench.put, (step(fine_tune, epochs=30),))
    after(bench.open_test)
    assert NOTHING_OPENED in bench.test_line.value
    drawn = bench.stage.draw_training

    def stop(records, *others):
        drawn(records, *others)
        bench.stop()

    bench.stage.draw_training = stop
    after(bench.run)
    assert bench.prefixes[-1].preview.is_partial
    after(bench.open_test)
    assert NOTHING_OPENED in bench.test_line.value
    assert lab.n_test_openings == 0
    assert bench.journal.entries(kind="test_opened") == ()


def test_what_cannot_be_pasted_is_told_below_its_box_until_something_else_is_done(bench):
    bench.pasted.value = "(step(prune_weights, sparsity=2),)"
    bench.take_pasted()
    assert "sparsity" in bench.paste_line.value
    assert bench.paste_line.value.count("efflab-failed") == 1
    bench.pasted.value = "(step(prune_weights, sparsity=0.5),)"
    after(bench.take_pasted)
    assert bench.paste_line.value == ""


def test_every_technique_is_in_the_menu_of_its_topic(bench):
    found = {}
    for topic in (value for _, value in bench.desk.topic.options):
        bench.desk.topic.value = topic
        found |= {name: topic for _, name in bench.desk.choice.options}
    assert set(found) == set(TECHNIQUES)
    assert [found[name] for name in ("prune_filters", "share_weights", "distill_hints")] == [
        "prune",
        "quantize",
        "distill",
    ]
    bench.desk.topic.value = "quantize"
    after(bench.desk.add_button.click)
    assert names(bench) == ["fold_batch_norms"]  # the first of the topic


def test_a_training_that_is_stopped_is_shown_and_not_written_down_and_run_trains_it_to_its_end(bench):
    after(bench.put, (step(fine_tune, epochs=30),))
    drawn = bench.stage.draw_training

    def stop(records, before):
        drawn(records, before)
        bench.stop()

    bench.stage.draw_training = stop
    after(bench.run)
    assert "stopped early" in bench.stage.note.value
    assert bench.prefixes[-1].preview.is_partial
    assert bench.journal.entries(kind="run") == ()
    bench.stage.draw_training = drawn
    after(bench.run)
    assert not bench.prefixes[-1].preview.is_partial
    assert len(bench.journal.entries(kind="run")) == 1


@pytest.mark.parametrize("form", [to_json, to_line, lambda recipe: f"recipe = {to_line(recipe)}"])
def test_a_pasted_recipe_takes_the_place_of_the_steps(bench, form):
    bench.pasted.value = form((CUT, TUNE))
    after(bench.take_pasted)
    assert bench.recipe == (CUT, TUNE)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "empty text"),
        ('{"version": 2, "steps": []}', "newer"),
        ("(step(prune_weights, sparsity=7.0),)", "sparsity"),
        ("(step(explode),)", "explode"),
        ("__import__('os')", "step"),
    ],
)
def test_what_cannot_be_read_is_one_sentence_and_changes_nothing(bench, text, told):
    after(bench.put, (CUT,))
    after(bench.take, text)
    assert told in bench.readout.error
    assert bench.recipe == (CUT,)


def test_seeds_of_a_recipe_without_chance_are_told_to_be_one_network(bench):
    after(bench.put, (CUT,))
    after(bench.run_seeds)
    assert "3 seeds give one and the same network" in bench.stage.seeds_said.value
    after(bench.set, 1, sparsity=0.6)
    assert bench.stage.seeds_said.value == ""  # it was about another recipe


def test_the_journal_of_a_recipe_bench_draws_the_runs_over_their_bytes(bench):
    after(bench.put, (CUT,))
    bench.stage.tabs.selected_index = 2
    worker().wait(SECONDS)
    picture = bench.stage.journal._front.shown
    assert picture.figure.layout.xaxis.title.text == "size, packed (bytes, computed)"
    assert picture.sentence.startswith("Of 1 run, 1 not beaten in both")
    assert "The newest: " in picture.sentence


def test_a_seed_whose_training_was_cut_short_is_not_written_down(bench, lab, monkeypatch):
    after(bench.put, (TUNE,))
    after(bench.run)
    other = lab.with_seed(1)
    whole = other.preview((TUNE,))
    found = [SeedRun(other, replace(whole, is_partial=True), False), SeedRun(lab.with_seed(2), whole, False)]
    monkeypatch.setattr(recipe_runs, "over_seeds", lambda *_, **__: iter(found))
    after(bench.run_seeds)
    runs, _ = runs_of(bench.journal.entries(kind="run"))
    assert 1 not in {run.seed for run in runs}
    assert 2 in {run.seed for run in runs}


def test_several_seeds_are_points_with_a_mean(bench):
    after(bench.put, (TUNE,))
    after(bench.run_seeds)
    table = bench.stage.seeds.shown.table
    assert list(table["seed"]) == ["0", "1", "2", "mean"]
    assert bench.prefixes[-1].recipe == (TUNE,)


def test_as_many_seeds_run_as_the_control_says_and_each_is_written_down_once(bench, lab):
    bench.seeds.set(4)
    assert bench._run_seeds.description == "Run with 4 seeds"
    after(bench.put, (TUNE,))
    after(bench.run_seeds)
    assert len(bench.stage.seeds.shown.table) == 5  # four and their mean
    runs, _ = runs_of(bench.journal.entries(kind="run"))
    found = {run.seed: run.score for run in runs}
    assert [run.seed for run in runs] == [1, 2, 3, 0]  # that of the lab comes last, for it is timed, too
    for seed in (0, 3):
        alone = lab.with_seed(seed).preview((TUNE,)).evaluation.value
        assert found[seed] == pytest.approx(alone, abs=1e-4)


def test_seeds_of_a_recipe_without_chance_are_one_run(bench):
    after(bench.put, (CUT,))
    n = len(bench.journal.entries(kind="run"))
    after(bench.run_seeds)
    assert {entry.value["seed"] for entry in bench.journal.entries(kind="run")[n:]} == {0}


def test_seeds_that_are_stopped_are_not_written_down(bench):
    after(bench.put, (step(fine_tune, epochs=20),))
    drawn = bench.stage.draw_seeds

    def stop_after_two(runs):
        drawn(runs)
        if len(runs) == 2:
            bench.stop()

    bench.stage.draw_seeds = stop_after_two
    after(bench.run_seeds)
    runs, _ = runs_of(bench.journal.entries(kind="run"))
    assert 1 in {run.seed for run in runs}
    assert 2 not in {run.seed for run in runs}


def test_the_three_texts_say_the_recipe_that_is_shown(bench, lab):
    after(bench.put, (CUT,))
    after(bench.redraw_tab)
    assert set(bench.stage.text.texts.values()) == {to_line((CUT,)), to_json((CUT,)), lab.script((CUT,))}


def test_a_recipe_that_waits_for_its_training_can_be_copied(bench, lab):
    after(bench.put, (CUT, TUNE))
    assert bench.readout.sentence.startswith("Step 2, fine tune, trains: press Run.")
    assert to_line((CUT, TUNE)) in bench.stage.text.texts.values()
    assert lab.script((CUT, TUNE)) in bench.stage.text.texts.values()


def test_opening_the_test_set_is_told_and_written_down_beside_the_validation(bench, lab):
    after(bench.put, (CUT,))
    after(bench.open_test)
    assert "Test accuracy" in bench.test_line.value
    validation, test = bench.prefixes[-1].preview.evaluation, lab.open_test((CUT,))
    assert f"minus test: {optimism_text(validation, test)}" in bench.test_line.value
    opened = bench.journal.latest("test_opened", "recipe").value
    assert opened == opened_entry((CUT,), lab.open_test((CUT,)), lab)
    after(bench.set, 1, sparsity=0.7)
    assert bench.test_line.value == ""


@pytest.mark.parametrize("number", [0, 2, True, "1"])
def test_a_step_that_is_not_there_is_named(bench, number):
    after(bench.put, (CUT,))
    with pytest.raises(ValueError, match=r"^number must be that of a step, from 1 to 1, not "):
        bench.move(number, 1)


def test_a_control_that_is_not_there_is_named(bench):
    after(bench.put, (CUT,))
    with pytest.raises(ValueError, match=r"^step 1 has no control 'bits'; it has: sparsity, scope, criterion$"):
        bench.set(1, bits=4)


def test_a_chapter_makes_one_with_its_journal(lab, tmp_path):
    chapter = Chapter("03", journal=Journal(tmp_path / "journal.sqlite"))
    after(lambda: chapter.recipe_bench(lab, (CUT,)))
    assert [entry.chapter for entry in chapter.journal.entries(kind="run")] == ["03"]
    with pytest.raises(TypeError, match=r"^a recipe is a tuple of steps"):
        chapter.recipe_bench(lab, CUT)


def test_a_prediction_locks_the_steps_and_the_recipe_that_it_is_about_answers_it(lab, tmp_path):
    chapter = Chapter("03", journal=Journal(tmp_path / "journal.sqlite"))
    bench = chapter.recipe_bench(lab, (CUT,), prediction="accuracy_at_80", at=(CUT, CUT))
    worker().wait(SECONDS)
    assert bench.desk.add_button.disabled
    assert bench.prefixes == []
    after(bench.gate.lock_in, 70.0)
    assert not bench.desk.add_button.disabled
    assert [one.recipe for one in bench.prefixes] == [(), (CUT,)]
    assert bench.gate.measured is None
    after(bench.add, prune_weights, sparsity=0.5)
    assert bench.gate.measured == 100 * lab.preview((CUT, CUT)).evaluation.value
    assert chapter.journal.latest("measured", "accuracy_at_80", chapter="03").value == bench.gate.measured
