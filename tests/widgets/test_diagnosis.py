"""Where the time goes, without a browser: measured on a button only, stopped by anything newer, never stale."""

import re
import threading
from dataclasses import replace

import pytest

from efflab import prune_weights, questions, step
from efflab.journal import Journal
from efflab.lab import Lab
from efflab.measure.kept import Kept
from efflab.measure.memory import MemoryUnknownError
from efflab.measure.speed import SpeedError
from efflab.questions.kinds import Option, Prediction
from efflab.scoreboard import runs_of
from efflab.widgets import Bench, Chapter
from efflab.widgets.answers import main_reason
from efflab.widgets.asking import TOO_BUSY, Gate
from efflab.widgets.diagnosis import DiagnosisView
from efflab.widgets.diagnosis_panel import BEFORE, FAILED, STOPPED, STOPPED_AGAIN
from efflab.widgets.runs import COLUMNS, run_texts
from efflab.widgets.worker import worker
from tests.diagnosing import N_REASONS, ROOF, install
from tests.support import SHAPE, tiny_data, tiny_mlp

SECONDS = 120


@pytest.fixture
def instruments(monkeypatch):
    made = install(monkeypatch)
    yield made
    made.before = lambda piece: None
    worker().wait(SECONDS)


@pytest.fixture
def view(instruments):
    base = tiny_mlp()
    return DiagnosisView(prune_weights(base, sparsity=0.9), base, shape=SHAPE)


@pytest.fixture
def bench(instruments, tmp_path):
    made = Bench(Lab(tiny_mlp(), tiny_data()), prune_weights, journal=Journal(tmp_path / "journal.sqlite"))
    worker().wait(SECONDS)
    return made


def note(panel):
    return re.sub("<.*?>", "", panel.diagnosing.stage.note.value)


def is_empty(panel):
    """Whether no number is on the screen."""
    stage = panel.diagnosing.stage
    pictures = [stage.layers.layout.display, stage.roofline.layout.display, stage._assumed.layout.display]
    texts = [part.value for part in (stage.reasons, stage.compared, stage.rest, stage.roof_note, stage.costs)]
    return (texts, pictures, panel.diagnosis) == ([""] * 5, ["none"] * 3, None)


def look(panel):
    panel.diagnose()
    worker().wait(SECONDS)


# What is shown


def test_nothing_is_measured_before_the_button_is_pressed(view, instruments):
    assert instruments.asked == []
    assert is_empty(view)
    assert note(view) == BEFORE


def test_the_button_shows_reasons_layers_roofline_and_costs(view):
    view.diagnosing.button.click()
    worker().wait(SECONDS)
    stage = view.diagnosing.stage
    marks = re.findall(
        r"<li class='(\S+)'><span class='efflab-mark'>. ([a-z ]+)</span> <b>([^<]+)</b>", stage.reasons.value
    )
    assert [mark for _, mark, _ in marks] == ["holds"] * 2 + ["does not hold"] * (N_REASONS - 2)
    assert [look for look, *_ in marks] == ["efflab-holds"] * 2 + ["efflab-not"] * (N_REASONS - 2)
    assert marks[0][2] == "Zeros are not removed"
    assert "90 % of the weights&#x27; work is multiplying by zero" in stage.reasons.value
    assert "of the layers hidden1 took longest" in stage.layers.shown.sentence
    assert "3 of 3 layers are left of the ridge" in stage.roofline.shown.sentence
    assert view.readout.sentence.startswith("At batch 1 a run takes 1.00 ms before, 1.00 ms now")
    assert view.last_error is None


def test_every_reason_and_every_cost_has_a_badge_and_the_table_names_the_machine(view):
    look(view)
    stage = view.diagnosing.stage
    for item in stage.reasons.value.split("<li")[1:]:
        assert "efflab-badge" in item
    for row in stage.costs.value.split("<tr>")[2:]:
        assert "efflab-badge" in row
    assert f"Batch 1, 1 thread, on {view.diagnosis.machine.sentence}" in stage.costs.value


def test_a_batch_that_is_chosen_is_the_one_that_is_measured_and_takes_the_older_away(view, instruments):
    look(view)
    view.set_batch(64)
    assert is_empty(view)
    assert (note(view), view.readout.sentence) == (BEFORE, "")
    look(view)
    assert view.diagnosis.speed.batch == 64
    assert "Batch 64" in view.diagnosing.stage.costs.value
    with pytest.raises(ValueError, match=r"batch .* must be one of '1', '64', not '7'"):
        view.set_batch(7)


def test_going_back_to_a_batch_shows_what_was_measured_of_it_and_measures_nothing(view, instruments):
    look(view)
    found, said, n_asked = view.diagnosis, view.readout.sentence, len(instruments.asked)
    view.set_batch(64)
    view.set_batch(1)
    assert (view.diagnosis, view.readout.sentence) == (found, said)
    assert len(instruments.asked) == n_asked
    look(view)
    assert len(instruments.asked) == 2 * n_asked


def test_once_both_batches_were_measured_each_reason_stands_for_both_with_a_busy_moment_named(view, instruments):
    look(view)
    assert view.diagnosing.stage.compared.value == ""
    instruments.contention = 0.5
    view.set_batch(64)
    look(view)
    table = view.diagnosing.stage.compared.value
    assert re.findall("<th scope='col'>(.*?)</th>", table) == ["Reason", "batch 1", "batch 64, machine busy"]
    rows = dict(re.findall("<tr><th scope='row'>(.*?)</th>(.*?)</tr>", table))
    assert rows["Zeros are not removed"] == "<td>● holds</td>" * 2
    assert rows["The machine was busy"] == "<td>○ does not hold</td><td>● holds</td>"
    assert len(rows) == N_REASONS
    view.set_batch(1)
    assert view.diagnosing.stage.compared.value == table


def test_a_look_that_was_stopped_leaves_what_was_measured_before(view, instruments):
    look(view)
    found = view.diagnosis
    instruments.before = lambda piece: view.stop_diagnosis()
    look(view)
    assert view.diagnosis == found
    assert note(view) == STOPPED_AGAIN


def test_beside_the_reasons_stand_what_is_left_of_the_time_the_words_and_a_point_above_the_roof(view, instruments):
    instruments.kept = Kept(replace(ROOF, bandwidth_bytes_per_s=1e6))
    look(view)
    stage = view.diagnosing.stage
    assert "Without the call (0.400 ms)" in stage.rest.value
    for word in ("MAC", "FLOP", "Node", "Ridge"):
        assert f"<b>{word}</b>" in stage.rest.value
    assert "the sloped roof is that of the memory" in stage.roof_note.value


def test_what_could_not_be_had_is_told(view, instruments):
    def fail(piece):
        if piece == "memory":
            raise MemoryUnknownError("this system is silent")

    instruments.before = fail
    look(view)
    assert note(view) == "This system is silent."
    assert "not measured" in view.diagnosing.stage.costs.value


# What is assumed


def test_watts_and_grid_can_be_changed_and_nothing_is_measured_again(view, instruments):
    look(view)
    n_asked, stage = len(instruments.asked), view.diagnosing.stage
    stage.assume(watts=24)
    assert "24 J" in stage.costs.value
    stage.assume(country="France")
    assert view.diagnosis.rates.country == "France"
    stage.assume(grams_per_kwh=3600)
    assert "24 mg" in stage.costs.value  # 24 J / 3.6 MJ x 3600 g
    assert stage._country.value == "your own number"
    assert len(instruments.asked) == n_asked


def test_a_hand_that_types_them_does_the_same_and_a_wrong_number_is_a_sentence(view):
    look(view)
    stage = view.diagnosing.stage
    stage._watts.value = 6.0
    stage._country.value = "Poland"
    assert (view.diagnosis.rates.watts, view.diagnosis.rates.country) == (6.0, "Poland")
    stage._watts.value = 0.0
    assert "watts must be more than 0" in view.readout.error
    assert (stage._watts.value, view.diagnosis.rates.watts) == (6.0, 6.0)


def test_what_was_assumed_is_kept_for_the_next_look(view):
    look(view)
    view.diagnosing.stage.assume(watts=5, country="Norway")
    look(view)
    assert (view.diagnosis.rates.watts, view.diagnosis.rates.country) == (5, "Norway")


# Stopped, failed, newer


def test_stop_ends_it_and_says_that_there_is_nothing(view, instruments):
    instruments.before = lambda piece: view.stop_diagnosis()
    look(view)
    assert instruments.pieces == ["time"]
    assert is_empty(view)
    assert note(view) == STOPPED
    assert view.diagnosing.running.layout.display == "none"


def test_while_it_runs_the_bar_is_there_and_shows_how_far_it_is(view, instruments):
    seen = []
    bar = view.diagnosing.running
    instruments.before = lambda piece: seen.append((bar.layout.display, bar.children[1].value, note(view)))
    look(view)
    assert {(display, text) for display, _, text in seen} == {("", "Measuring.")}
    assert 0 < seen[0][1] < seen[-1][1] < 1


def test_a_failure_is_one_sentence_and_the_next_look_works(view, instruments):
    def fail(piece):
        raise SpeedError("the stopwatch process died")

    instruments.before = fail
    look(view)
    assert view.readout.error == "the stopwatch process died"
    assert is_empty(view)
    assert note(view) == FAILED
    instruments.before = lambda piece: None
    look(view)
    assert view.readout.error == ""
    assert view.diagnosis is not None


def slow(instruments):
    """The next timing waits until it is let go; an answer comes all the same."""
    began, go = threading.Event(), threading.Event()

    def wait(piece):
        instruments.before = lambda piece: None
        began.set()
        assert go.wait(SECONDS)

    instruments.before = wait
    return began, go


def test_a_newer_setting_ends_a_diagnosis_that_runs_and_nothing_of_it_is_shown(bench, instruments):
    began, go = slow(instruments)
    bench.diagnose()
    assert began.wait(SECONDS)
    bench.set(sparsity=0.7)
    go.set()
    worker().wait(SECONDS)
    assert instruments.pieces == ["time"]
    assert is_empty(bench)
    assert bench.preview.recipe[0].values["sparsity"] == 0.7
    look(bench)
    zeros = next(reason for reason in bench.diagnosis.reasons if reason.name == "zeros are not removed")
    assert "70 %" in zeros.sentence


def test_an_answer_that_comes_for_an_older_subject_is_not_shown(view):
    look(view)
    found = view.diagnosis

    def late(subject, **_):
        if subject == 1:
            view.set_batch(64)
        return found

    view.diagnosing._ask = late
    look(view)
    assert is_empty(view)
    assert view.readout.sentence == ""


# On the bench


def test_the_bench_diagnoses_what_it_shows_when_asked_and_not_before(bench, instruments):
    bench.stage.tabs.selected_index = bench.stage.tabs.titles.index("speed")
    worker().wait(SECONDS)
    assert instruments.asked == []
    look(bench)
    assert bench.diagnosis.now.work.macs_nonzero < bench.diagnosis.base.work.macs_nonzero
    assert "reasons hold" in bench.readout.sentence


def test_a_moved_control_takes_the_diagnosis_away_and_a_measurement_of_the_same_setting_does_not(bench):
    look(bench)
    bench.measure()
    assert bench.diagnosis is not None
    bench.set(sparsity=0.6)
    assert is_empty(bench)
    worker().wait(SECONDS)
    assert is_empty(bench)


def test_the_speed_tile_says_batch_throughput_and_machine_and_another_batch_is_timed_anew(bench):
    assert "Speed, batch 1<" in bench.stage.tiles.value
    assert bench.report.speed.batch == 1
    machine = re.search("class='efflab-tile' title='([^']+)'", bench.stage.tiles.value).group(1)
    assert "ONNX Runtime" in machine
    shown = []
    original = bench.stage.draw
    bench.stage.draw = lambda preview: (original(preview), shown.append(bench.stage.tiles.value))
    bench.set_batch(64)
    worker().wait(SECONDS)
    assert "not measured yet" in shown[0]
    assert "batch 1<" not in shown[0]
    assert bench.report.speed.batch == 64
    assert "Speed, batch 64<" in bench.stage.tiles.value
    n_images = float(re.search(r"([\d,.]+) images a second", bench.stage.tiles.value).group(1).replace(",", ""))
    assert n_images == pytest.approx(bench.report.speed.throughput, rel=0.01)


def test_the_journal_says_at_which_batch_a_run_was_timed(bench):
    bench.set_batch(64)
    worker().wait(SECONDS)
    runs, unread = runs_of(bench.journal.entries(kind="run"))
    assert unread == ()
    assert [run_texts(run)[COLUMNS.index("batch")] for run in runs] == ["1", "64"]


def test_while_a_network_trains_nothing_is_diagnosed(bench):
    seen = []
    bench.stage.draw_training = lambda *_: seen.append(bench.diagnosing.button.disabled)
    bench.tune()
    worker().wait(SECONDS)
    assert set(seen) == {True}
    assert not bench.diagnosing.button.disabled


def test_the_projector_reaches_the_pictures_of_the_tab(bench):
    bench.project(True)
    assert bench.stage.speed.diagnosing.stage.layers.projector
    bench.project(False)
    assert not bench.stage.speed.diagnosing.stage.roofline.projector


# In a chapter


def test_before_the_prediction_the_button_is_locked_and_afterwards_it_has_its_answer(instruments, tmp_path):
    options = tuple(Option(key, key, f"because of {key}") for key in ("zeros_are_not_removed", "few_channels", "none"))
    question = Prediction("why", "Why is it not faster?", "What did you see?", options=options)
    gate = Gate(question, Journal(tmp_path / "journal.sqlite"), chapter="02")
    base = tiny_mlp()
    view = DiagnosisView(prune_weights(base, sparsity=0.9), base, shape=SHAPE, gate=gate)
    assert view.diagnosing.button.disabled
    assert "Predict first" in note(view)
    gate.lock_in("few_channels")
    assert not view.diagnosing.button.disabled
    look(view)
    assert gate.measured == "zeros_are_not_removed"


def gated(tmp_path):
    """The view of chapter 02 with its question, for a network in which no zeros are left; and the question."""
    question = questions.load("02").prediction("why_not_13_times")
    gate = Gate(question, Journal(tmp_path / "journal.sqlite"), chapter="02")
    return DiagnosisView(tiny_mlp(), tiny_mlp(), shape=SHAPE, gate=gate, answer=main_reason), gate


@pytest.mark.parametrize("what", ["contention", "layer_contention"])
def test_a_machine_too_busy_to_say_counts_no_prediction_as_wrong_and_asks_to_look_again(instruments, tmp_path, what):
    view, gate = gated(tmp_path)
    gate.lock_in("call")
    setattr(instruments, what, 0.5)
    instruments.overhead_ms = 0.0
    look(view)
    assert view.diagnosis.busy
    assert gate.measured is None
    assert gate.journal.entries(kind="measured") == ()
    assert TOO_BUSY in gate._feedback.value
    assert view.readout.sentence.endswith(f"{TOO_BUSY}: close other programs, and look again.")
    setattr(instruments, what, 0.0)
    look(view)
    assert gate.measured == "other"
    assert "none of these three" in gate._feedback.value
    assert TOO_BUSY not in view.readout.sentence + gate._feedback.value


def test_a_busy_look_after_the_answer_leaves_it_as_it_is(instruments, tmp_path):
    view, gate = gated(tmp_path)
    gate.skip()
    look(view)
    told = gate._feedback.value
    instruments.contention, instruments.overhead_ms = 0.5, 0.0
    look(view)
    assert (gate.measured, gate._feedback.value) == ("call", told)
    assert TOO_BUSY not in view.readout.sentence


def test_a_chapter_opens_it_for_any_two_models_behind_its_question(instruments, tmp_path):
    chapter = Chapter("03", journal=Journal(tmp_path / "journal.sqlite"))
    lab = Lab(tiny_mlp(), tiny_data())
    pruned = lab.build((step(prune_weights, sparsity=0.5),))
    view = chapter.diagnosis(pruned, lab.build(()), shape=lab.data.shape, batch=64)
    look(view)
    assert view.diagnosis.speed.batch == 64
    gated = chapter.diagnosis(pruned, lab.build(()), shape=lab.data.shape, prediction="accuracy_at_80")
    assert gated.diagnosing.button.disabled
