"""The ways to run a network without a browser: what a batch shows and measures, and what goes wrong."""

import html
import re
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
import support
from kernels import FACTORS, kernel

from efflab import prune_weights, step
from efflab.journal import Journal
from efflab.lab import Lab
from efflab.lab.kernels import WAYS, NoKernel
from efflab.measure.speed import SpeedError
from efflab.questions.kinds import Number, Prediction
from efflab.widgets import Chapter, Kernels
from efflab.widgets.answers_in_bits import faster_in_integers
from efflab.widgets.asking import PREDICT_FIRST, Gate
from efflab.widgets.bench import STILL_SECONDS
from efflab.widgets.kernels import script
from efflab.widgets.worker import worker

SECONDS = 60


class StubLab(Lab):
    """A lab whose kernels need no stopwatch. `before` is called before each of them."""

    def __init__(self) -> None:
        super().__init__(support.tiny_mlp(), support.tiny_data())
        self.asked: list[tuple[object, int]] = []
        self.before: Callable[[int], object] = lambda number: None
        self.noise_floor = 0.02

    def kernels(self, recipe=(), *, batch=1, threads=1, ways=None, stale=None):
        self.asked.append((recipe, batch))
        for number, way in enumerate(WAYS):
            self.before(number)
            if stale is not None and stale():
                return
            made = kernel(way)
            yield replace(made, speed=replace(made.speed, noise_floor=self.noise_floor))


@pytest.fixture
def lab() -> StubLab:
    return StubLab()


@pytest.fixture
def panel(lab) -> Iterator[Kernels]:
    made = Kernels(lab)
    worker().wait(SECONDS)
    yield made
    worker().wait(SECONDS)


@pytest.fixture
def gate(tmp_path) -> Gate:
    number = Number(0, 10, 0.1, "x", 0.5, "low {measured}", "close {measured}", "high {measured}")
    question = Prediction("faster", "How many times faster?", "What did you see?", number)
    return Gate(question, Journal(tmp_path / "journal.sqlite"), chapter="05")


def times_faster(kernels) -> float:
    return 1 / next(row for row in kernels if row.way == "int8 static").speed.ratio


def test_all_ways_are_measured_at_once_with_the_first_batch(panel, lab):
    assert lab.asked == [((), 1)]
    assert [row.way for row in panel.kernels] == list(WAYS)
    assert panel.readout.sentence.startswith("batch 1: int8 weights 2.0x slower; int8 dynamic ")
    assert panel.times.shown.sentence.count("faster") == sum(factor < 1 for factor in FACTORS.values())
    assert "badge" in panel.note.value


def test_a_batch_that_was_measured_is_not_measured_again_unless_asked(panel, lab):
    for batch in ("64", "1", "64"):
        panel.set(batch=batch)
        worker().wait(SECONDS)
    assert [batch for _, batch in lab.asked] == [1, 64]
    panel.measure()
    worker().wait(SECONDS)
    assert [batch for _, batch in lab.asked] == [1, 64, 64]


def test_numbers_of_an_earlier_batch_are_gone_as_soon_as_the_hand_moves(panel, lab):
    shown = []
    lab.before = lambda number: shown.append((panel.times.shown.sentence, panel.note.value))
    panel.set(batch="8")
    worker().wait(SECONDS)
    assert shown[0][0].count("not measured yet") == len(WAYS)
    assert "measuring 1 of 6: float32" in shown[0][1]
    assert "badge" not in shown[0][1]
    assert shown[1][0].count("not measured yet") == len(WAYS) - 1


def test_it_waits_until_the_hand_is_still(panel, lab):
    lab.asked.clear()
    turns = panel._follow("8", lambda: False)
    assert next(turns) == STILL_SECONDS
    assert lab.asked == []


def test_a_newer_batch_ends_the_measurement_of_an_older_one(panel, lab):
    lab.before = lambda number: panel.set(batch="64") if lab.asked[-1][1] == 8 and number == 2 else None
    panel.set(batch="8")
    worker().wait(SECONDS)
    assert panel.batch == "64"
    assert len(panel.kernels) == len(WAYS)
    assert len(panel._measured["8"]) == 2


def test_what_comes_after_a_newer_batch_was_asked_for_is_not_drawn(panel, lab):
    def heedless(recipe=(), *, batch=1, stale=None):
        for number, way in enumerate(WAYS):
            if batch == 8 and number == 2:
                panel.set(batch="64")
            yield kernel(way)

    lab.kernels = heedless
    panel.set(batch="8")
    worker().wait(SECONDS)
    assert [len(panel._measured[batch]) for batch in ("8", "64")] == [2, len(WAYS)]


def test_an_error_is_a_sentence_and_the_next_batch_works(panel, lab):
    def fail(number: int) -> None:
        raise SpeedError("the stopwatch's subprocess died")

    lab.before = fail
    panel.set(batch="8")
    worker().wait(SECONDS)
    assert str(panel.last_error) == "the stopwatch's subprocess died"
    assert "not measured: see the message below" in panel.note.value
    lab.before = lambda number: None
    panel.set(batch="64")
    worker().wait(SECONDS)
    assert panel.last_error is None
    assert len(panel.kernels) == len(WAYS)


def test_why_a_way_is_missing_stands_beside_the_machine(panel, lab):
    rows = [*map(kernel, WAYS[:-1]), NoKernel(WAYS[-1], "no chain")]
    lab.kernels = lambda recipe, **_: iter(rows)
    panel.set(batch="8")
    worker().wait(SECONDS)
    assert "a machine. int8 by ONNX Runtime: no chain." in panel.note.value


@pytest.mark.parametrize("recipe", [(), (step(prune_weights, sparsity=0.25),)])
def test_running_the_code_that_is_shown_makes_the_same_call(recipe, lab, capsys):
    panel = Kernels(lab, recipe, batch="8")
    worker().wait(SECONDS)
    shown = html.unescape(re.search("<pre>(.*)</pre>", panel.code.value, re.DOTALL).group(1))
    assert shown.startswith(f"# lab: {lab.name}\n")
    lab.asked.clear()
    exec(shown, {"lab": lab})
    assert lab.asked == [(recipe, 8)]
    assert capsys.readouterr().out.startswith("float32 400000 0.9 no measurable difference")


def test_the_code_says_which_lab_it_means_in_one_line(lab):
    lab.name = "mine,\nthen fold batch norms"
    assert script((), "8", lab.name).splitlines()[:2] == [
        "# lab: mine, then fold batch norms",
        "for kernel in lab.kernels(batch=8):",
    ]


def test_the_control_waits_for_the_prediction_and_the_answer_comes_with_its_batch(lab, gate):
    panel = Kernels(lab, batch="64", gate=gate, answer=times_faster)
    worker().wait(SECONDS)
    assert lab.asked == []
    assert PREDICT_FIRST in panel.note.value
    gate.lock_in(2.0)
    worker().wait(SECONDS)
    assert lab.asked == [((), 64)]
    assert gate.measured == pytest.approx(2.5)
    assert panel.readout.sentence.endswith("Your prediction has its answer now, above.")


def test_times_that_are_lost_in_the_noise_leave_the_prediction_open_and_say_what_to_do(lab, gate):
    lab.noise_floor = 0.3
    panel = Kernels(lab, batch="64", gate=gate, answer=faster_in_integers)
    gate.lock_in(2.0)
    worker().wait(SECONDS)
    assert gate.measured is None
    told = "The machine was too busy to answer your prediction: close other programs, and press Measure again."
    assert panel.readout.sentence.endswith(told)
    lab.noise_floor = 0.02
    panel.measure()
    worker().wait(SECONDS)
    assert gate.measured == pytest.approx(2.5)
    assert told not in panel.readout.sentence


def test_another_batch_than_that_of_the_prediction_gives_no_answer(lab, gate):
    panel = Kernels(lab, batch="64", gate=gate, answer=times_faster)
    gate.lock_in(2.0)
    panel.set(batch="1")
    worker().wait(SECONDS)
    assert lab.asked == [((), 1)]
    assert gate.measured is None
    panel.set(batch="64")
    worker().wait(SECONDS)
    assert gate.measured == pytest.approx(2.5)


def test_what_is_no_recipe_and_no_batch_is_named(lab):
    with pytest.raises(TypeError, match="a recipe is a tuple of steps"):
        Kernels(lab, step(prune_weights))
    with pytest.raises(ValueError, match=r"batch .* must be one of '1', '8', '64', not '2'"):
        Kernels(lab, batch="2")


def test_a_chapter_makes_one(lab, tmp_path):
    panel = Chapter("03", journal=Journal(tmp_path / "journal.sqlite")).kernels(lab, batch="8")
    worker().wait(SECONDS)
    assert isinstance(panel, Kernels)
    assert lab.asked == [((), 8)]


def test_a_projector_makes_both_pictures_larger(panel):
    panel.project(True)
    assert (panel.times.projector, panel.sizes.projector) == (True, True)
