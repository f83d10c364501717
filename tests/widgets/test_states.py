"""The four states without a browser: what a move shows and measures, and what goes wrong."""

import html
import re
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
import support

from efflab import questions
from efflab.journal import Journal
from efflab.lab import Lab
from efflab.lab.states import ROWS, NoState
from efflab.measure.speed import SpeedError
from efflab.questions.kinds import Number, Prediction
from efflab.widgets import FourStates
from efflab.widgets.answers import encoded_class
from efflab.widgets.asking import PREDICT_FIRST, TOO_BUSY, Gate
from efflab.widgets.bench import STILL_SECONDS
from efflab.widgets.worker import worker

SECONDS = 60


class StubLab(Lab):
    """A lab whose states need no stopwatch. `before` is called before each of them."""

    def __init__(self) -> None:
        super().__init__(support.tiny_mlp(), support.tiny_data())
        self.asked: list[tuple[float, int]] = []
        self.before: Callable[[int], object] = lambda number: None

    def states(self, recipe, *, batch=1, threads=1, stale=None):
        self.asked.append((recipe[0].values["ratio"], batch))
        for number, made in enumerate(support.four_states(removed=0.5)):
            self.before(number)
            if stale is not None and stale():
                return
            yield made


@pytest.fixture
def lab() -> StubLab:
    return StubLab()


@pytest.fixture
def panel(lab) -> Iterator[FourStates]:
    made = FourStates(lab)
    worker().wait(SECONDS)
    yield made
    worker().wait(SECONDS)


@pytest.fixture
def gate(tmp_path) -> Gate:
    number = Number(0, 100, 1, "%", 5, "low {measured}", "close {measured}", "high {measured}")
    question = Prediction("removed", "How long does it take, in percent?", "What did you see?", number)
    return Gate(question, Journal(tmp_path / "journal.sqlite"), chapter="02")


def percent_of_removed(states) -> float:
    return 100 * next(state for state in states if state.name == "removed").speed.ratio


def test_a_move_measures_all_states_of_the_settings_that_are_shown(panel, lab):
    panel.set(ratio=0.75, batch="64")
    worker().wait(SECONDS)
    assert lab.asked[-1] == (0.75, 64)
    assert len(panel.states) == len(ROWS)
    assert panel.stage.speeds.shown.sentence.count("faster") == 2
    assert panel.readout.sentence.startswith("ratio 0.75, batch 64: masked in torch no measurable difference;")


def test_of_many_moves_only_the_last_is_measured(panel, lab):
    n_before = len(lab.asked)
    for percent in range(10, 60):
        panel.set(ratio=percent / 100)
    worker().wait(SECONDS)
    assert [ratio for ratio, _ in lab.asked[n_before:]] == [0.59]


def test_accuracy_and_work_are_shown_before_anything_is_timed(panel, lab):
    n_before = len(lab.asked)
    panel.set(ratio=0.0)
    worker().wait(SECONDS)
    turns = panel._follow({"ratio": 0.5, "batch": "1"}, panel.recipe, lambda: False)
    lab.asked.clear()
    assert next(turns) == STILL_SECONDS
    assert lab.asked == []
    assert "Multiplications of one image" in panel.stage.tiles.value
    assert n_before == 1


def test_the_work_says_what_is_left_without_zeros_and_without_neurons(panel):
    panel.set(ratio=0.5)
    worker().wait(SECONDS)
    left = 64 * 6 + 6 * 4 + 4 * 3
    assert "888" in panel.stage.tiles.value
    assert f"without the zeros {left}" in panel.stage.tiles.value
    assert f"with the neurons removed {left}" in panel.stage.tiles.value


def test_a_setting_that_was_measured_is_not_measured_again_unless_asked(panel, lab):
    panel.set(ratio=0.6)
    worker().wait(SECONDS)
    panel.set(ratio=0.7)
    worker().wait(SECONDS)
    n_before = len(lab.asked)
    panel.set(ratio=0.6)
    worker().wait(SECONDS)
    assert len(lab.asked) == n_before
    assert len(panel.states) == len(ROWS)
    panel.measure()
    worker().wait(SECONDS)
    assert lab.asked[n_before:] == [(0.6, 1)]


def test_numbers_of_an_earlier_setting_are_gone_as_soon_as_the_hand_moves(panel, lab):
    shown = []
    lab.before = lambda number: shown.append(panel.stage.speeds.shown.sentence)
    panel.set(ratio=0.2)
    worker().wait(SECONDS)
    assert shown[0].count("not measured yet") == len(ROWS)
    assert shown[1].count("not measured yet") == len(ROWS) - 1


def test_while_it_measures_the_base_keeps_its_bytes_and_nothing_is_called_measured(panel, lab):
    seen = []
    lab.before = lambda number: seen.append((panel.stage.sizes.shown.sentence, panel.stage.note.value))
    panel.set(ratio=0.2)
    worker().wait(SECONDS)
    sizes, note = seen[0]
    assert "base 1.00 MB, zipped 100 kB; masked not measured yet" in sizes
    assert "badge" not in note
    assert "badge" in seen[1][1]


def test_a_newer_setting_ends_the_measurement_of_an_older_one(panel, lab):
    lab.before = lambda number: panel.set(ratio=0.3) if lab.asked[-1][0] == 0.2 and number == 2 else None
    panel.set(ratio=0.2)
    worker().wait(SECONDS)
    assert panel.settings["ratio"] == 0.3
    assert len(panel.states) == len(ROWS)
    panel.set(ratio=0.2)
    assert len(panel.states) == 2  # what came before the newer one was measured, and the rest will be


def test_an_error_is_a_sentence_and_the_next_setting_works(panel, lab):
    def fail(number: int) -> None:
        raise SpeedError("the stopwatch's subprocess died")

    lab.before = fail
    panel.set(ratio=0.8)
    worker().wait(SECONDS)
    assert str(panel.last_error) == "the stopwatch's subprocess died"
    assert "not measured: see the message below" in panel.stage.note.value
    lab.before = lambda number: None
    panel.set(ratio=0.9)
    worker().wait(SECONDS)
    assert panel.last_error is None
    assert len(panel.states) == len(ROWS)


def test_why_a_state_is_missing_stands_beside_the_machine(panel, lab):
    lab.states = lambda recipe, **_: iter([*support.four_states()[:-1], NoState("removed", "ONNX Runtime", "no chain")])
    panel.set(ratio=0.4)
    worker().wait(SECONDS)
    assert "a machine. removed in ONNX Runtime: no chain." in panel.stage.note.value


def test_running_the_code_that_is_shown_makes_the_same_call(panel, lab, capsys):
    panel.set(ratio=0.25, batch="8")
    worker().wait(SECONDS)
    shown = html.unescape(re.search("<pre>(.*)</pre>", panel.stage.code.value, re.DOTALL).group(1))
    assert shown.startswith(f"# lab: {lab.name}\n")
    lab.asked.clear()
    exec(shown, {"lab": lab})
    assert lab.asked == [(0.25, 8)]
    assert capsys.readouterr().out.startswith("masked torch 400000 no measurable difference")


def test_a_machine_too_busy_to_say_leaves_the_prediction_open_and_asks_to_measure_again(lab, tmp_path, monkeypatch):
    question, made = questions.load("02").prediction("encoded_at_batch_64"), support.four_states(removed=0.5)
    rough = [replace(state, speed=replace(state.speed, noise_floor=1.5)) for state in made]
    gate = Gate(question, Journal(tmp_path / "journal.sqlite"), chapter="02")
    gate.lock_in("slower")
    monkeypatch.setattr(lab, "states", lambda recipe, **_: iter(rough))
    panel = FourStates(lab, gate=gate, answer=encoded_class)
    worker().wait(SECONDS)
    assert gate.measured is None
    assert TOO_BUSY in gate._feedback.value
    assert panel.readout.sentence.endswith(f"{TOO_BUSY}: close other programs, and press Measure again.")
    monkeypatch.setattr(lab, "states", lambda recipe, **_: iter(made))
    panel.measure()
    worker().wait(SECONDS)
    assert gate.measured == "same"
    assert TOO_BUSY not in panel.readout.sentence + gate._feedback.value


def test_controls_wait_for_the_prediction_and_the_answer_comes_where_it_was_asked(lab, gate):
    panel = FourStates(lab, gate=gate, at={"ratio": 0.9}, answer=percent_of_removed)
    worker().wait(SECONDS)
    assert lab.asked == []
    assert PREDICT_FIRST in panel.stage.tiles.value
    gate.lock_in(50)
    worker().wait(SECONDS)
    assert gate.measured is None
    panel.set(ratio=0.9)
    worker().wait(SECONDS)
    assert gate.measured == pytest.approx(50)
    assert panel.readout.sentence.endswith("Your prediction has its answer now, above.")


def test_a_control_or_value_that_there_is_not_is_named(lab):
    with pytest.raises(ValueError, match="there is no control 'sparsity'; there are: ratio, batch"):
        FourStates(lab, controls=("sparsity",))
    with pytest.raises(ValueError, match=r"batch .* must be one of '1', '8', '64', not '2'"):
        FourStates(lab, start={"batch": "2"})


def test_a_control_that_is_not_shown_stays_where_it_starts(lab):
    panel = FourStates(lab, controls=("ratio",), start={"batch": "64"})
    worker().wait(SECONDS)
    assert list(panel.controls) == ["ratio"]
    assert lab.asked == [(0.5, 64)]
