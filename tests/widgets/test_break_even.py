"""The break-even explorer without a browser: what a move measures, what is kept, and what goes wrong."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace

import psutil
import pytest

from efflab.journal import Journal
from efflab.measure.grid import Grid
from efflab.measure.kept_points import points_file, read_points, write_points
from efflab.measure.kernel_speed import KernelSpeed, KernelStopwatch, kernel_stopwatch
from efflab.measure.speed import SpeedError
from efflab.questions.kinds import Number, Prediction
from efflab.widgets import BreakEvenExplorer, Chapter
from efflab.widgets.asking import Gate
from efflab.widgets.bench import STILL_SECONDS
from efflab.widgets.worker import worker
from tests.support import product

SECONDS = 120
KILL = signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM
GRID = Grid(sizes=((64, 32), (128, 64)), batches=(1, 4), sparsities=(0.8, 0.9), seconds=0.02)
TINY = replace(GRID, sizes=((64, 64),), batches=(1,))
OLD = "2026-01-02T03:04:05+00:00"


class Stub:
    """A stopwatch that answers at once: sparse is faster beyond 85 % zeros. `before` is called with each request."""

    def __init__(self, before: Callable[[dict[str, object]], object] = lambda request: None) -> None:
        self.asked: list[dict[str, object]] = []
        self.before, self.is_deaf = before, False

    def compare(self, layout: str, *, stale: Callable[[], bool], **settings: object) -> KernelSpeed | None:
        self.asked.append({"layout": layout} | settings)
        self.before(self.asked[-1])
        if stale() and not self.is_deaf:
            return None
        names = ("rows", "columns", "batch", "threads")
        factor = 2.0 if settings["sparsity"] < 0.85 else 0.5
        block = settings["block"] if layout == "bsr" else 1
        changes = {name: settings[name] for name in names} | {"layout": layout, "block": block}
        return product(settings["sparsity"], factor, **changes, date=OLD)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("EFFLAB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def stub() -> Stub:
    return Stub()


@pytest.fixture
def explorer(stub) -> Iterator[BreakEvenExplorer]:
    made = BreakEvenExplorer(grid=GRID, stopwatch=stub)
    worker().wait(SECONDS)
    yield made
    made.stop()
    worker().wait(SECONDS)


@pytest.fixture
def gate(tmp_path) -> Gate:
    number = Number(0, 100, 1, "%", 5, "low {measured}", "close {measured}", "high {measured}")
    question = Prediction("break_even", "From which sparsity on is CSR faster?", "What did you see?", number)
    return Gate(question, Journal(tmp_path / "journal.sqlite"), chapter="02")


def settings_of(asked: dict[str, object]) -> tuple[object, ...]:
    return tuple(asked[name] for name in ("layout", "rows", "columns", "batch", "sparsity"))


# One point, live


def test_a_move_measures_the_point_that_is_asked_for(explorer, stub):
    explorer.set(layout="bsr", size="128x64", batch="4", sparsity=0.7)
    worker().wait(SECONDS)
    assert settings_of(stub.asked[-1]) == ("bsr", 128, 64, 4, 0.7)
    assert (stub.asked[-1]["block"], stub.asked[-1]["threads"], stub.asked[-1]["seconds"]) == (4, 1, 0.02)
    assert (explorer.point.layout, explorer.point.rows, explorer.point.sparsity) == ("bsr", 128, 0.7)


def test_of_many_moves_only_the_last_is_measured(explorer, stub):
    n_before = len(stub.asked)
    for percent in range(20, 80):
        explorer.set(sparsity=percent / 100)
    worker().wait(SECONDS)
    assert [asked["sparsity"] for asked in stub.asked[n_before:]] == [0.79]


def test_a_hand_rests_before_anything_is_measured(explorer, stub):
    n_before = len(stub.asked)
    turns = explorer._follow(explorer.asked, lambda: False)
    assert next(turns) == STILL_SECONDS
    assert len(stub.asked) == n_before
    assert list(turns) == []
    assert len(stub.asked) == n_before + 1


def test_a_newer_setting_makes_a_running_measurement_stale(explorer, stub):
    began, moved = threading.Event(), threading.Event()

    def slow(request: dict[str, object]) -> None:
        if request["sparsity"] == 0.5:
            began.set()
            assert moved.wait(SECONDS)

    stub.before, stub.is_deaf = slow, True  # it answers all the same
    explorer.set(sparsity=0.5)
    assert began.wait(SECONDS)
    explorer.set(sparsity=0.6)
    moved.set()
    worker().wait(SECONDS)
    assert 0.5 not in {point.sparsity for point in explorer.points}
    assert explorer.point.sparsity == 0.6


def test_the_tiles_say_times_ratio_verdict_noise_floor_bytes_and_badges(explorer):
    tiles = explorer.stage.tiles.value
    assert "1.00 ms → 0.500 ms" in tiles
    assert "takes 50 % of the time; 95 % interval 50 % to 50 %" in tiles
    assert "2.0x faster" in tiles
    assert "noise floor 2.0 %" in tiles
    assert "8.19 kB → 1.90 kB" in tiles  # 64 x 32 floats; 205 values and columns, 65 starts
    assert tiles.count("measured</summary>") == 1
    assert tiles.count("computed</summary>") == 1
    assert "measured just now" in tiles
    assert explorer.readout.sentence == ("CSR with 90 % zeros, 64x32, batch 1: 0.500 ms, dense 1.00 ms, 2.0x faster.")


def test_a_busy_machine_is_told(explorer, stub, monkeypatch):
    busy = product(0.9, 0.5, busy=True)
    monkeypatch.setattr(stub, "compare", lambda *_, **__: busy)
    explorer.measure()
    worker().wait(SECONDS)
    assert "other programs were running" in explorer.stage.tiles.value


def test_a_setting_that_is_not_measured_yet_shows_no_old_number(explorer, stub):
    shown = []
    stub.before = lambda request: shown.append(explorer.stage.tiles.value)
    explorer.set(sparsity=0.4)
    worker().wait(SECONDS)
    assert "not measured yet; measuring" in shown[0]
    assert "1.00 ms" not in shown[0]


def test_the_pictures_show_what_the_tiles_say(explorer):
    assert "CSR with 90 % zeros takes 0.50x the time of dense" in explorer.stage.speed.shown.sentence
    assert "CSR 64x32 at batch 1: at most 90 % zeros" in explorer.stage.map.shown.sentence


def test_the_last_sparsities_can_be_asked_for(explorer, stub):
    for sparsity in (0.0, 1.0):
        explorer.set(sparsity=sparsity)
        worker().wait(SECONDS)
        assert explorer.point.sparsity == sparsity
        assert explorer.last_error is None


@pytest.mark.parametrize("name", ["start", "at"])
def test_a_setting_that_the_grid_has_not_got_is_refused(name, stub):
    with pytest.raises(ValueError, match=r"size .* must be one of '64x32', '128x64', not '1x1'"):
        BreakEvenExplorer(grid=GRID, stopwatch=stub, **{name: {"size": "1x1"}})
    with pytest.raises(ValueError, match="there is no setting 'bits'"):
        BreakEvenExplorer(grid=GRID, stopwatch=stub, **{name: {"bits": 4}})


# The whole grid


def test_the_button_measures_the_whole_grid_and_keeps_it(explorer):
    explorer.measure_all()
    worker().wait(SECONDS)
    wanted = {(x, y, b, s) for x, y in GRID.sizes for b in GRID.batches for s in GRID.sparsities}
    kept = read_points().content
    for layout in ("csr", "bsr"):
        found = {(p.rows, p.columns, p.speed.batch, p.sparsity) for p in kept if p.layout == layout}
        assert found == wanted
    assert len(explorer.points) == len(kept) == GRID.n_points
    assert explorer.desk.running.layout.display == "none"


def test_while_the_grid_runs_the_controls_are_locked_and_the_pictures_grow(explorer, stub):
    seen = []

    def look(_: dict[str, object]) -> None:
        locked = explorer.controls["sparsity"].children[1].disabled and all(b.disabled for b in explorer.desk.buttons)
        seen.append((locked, explorer.desk.running.layout.display, len(explorer.stage.map.shown.table)))

    stub.before = look
    explorer.measure_all()
    worker().wait(SECONDS)
    assert {(locked, display) for locked, display, _ in seen} == {(True, "")}
    assert (seen[0][2], seen[-1][2]) == (1, 8)
    assert not explorer.controls["sparsity"].children[1].disabled


def test_stop_keeps_what_was_measured(explorer, stub):
    n_before = len(stub.asked)
    stub.before = lambda request: explorer.stop() if len(stub.asked) == n_before + 4 else None
    explorer.measure_all()
    worker().wait(SECONDS)
    assert len(stub.asked) == n_before + 4
    assert len(read_points().content) == 4  # 3 new ones; that which the explorer began with comes last
    assert explorer.last_error is None


def test_after_stop_the_button_goes_on_with_what_is_missing(explorer, stub):
    n_before = len(stub.asked)
    stub.before = lambda request: explorer.stop() if len(stub.asked) == n_before + 4 else None
    explorer.measure_all()
    worker().wait(SECONDS)
    stub.before = lambda request: None
    explorer.measure_all()
    worker().wait(SECONDS)
    first, stopped, *_ = stub.asked[n_before + 3 : n_before + 5]
    assert settings_of(first) == settings_of(stopped)
    assert len(explorer.points) == GRID.n_points


def test_an_earlier_grid_is_not_lost_by_one_that_was_stopped(stub):
    other = product(0.8, 2.0, rows=4096, date=OLD)
    write_points([other])
    explorer = BreakEvenExplorer(grid=GRID, stopwatch=stub)
    worker().wait(SECONDS)
    stub.before = lambda request: explorer.stop()
    explorer.measure_all()
    worker().wait(SECONDS)
    assert other in read_points().content


def test_before_the_button_is_pressed_the_screen_says_how_long_it_takes_and_why_there_is_nothing(gate):
    explorer = BreakEvenExplorer(gate=gate)
    assert explorer.stage.note.value == (
        "<p>Nothing was measured on this machine yet. <b>Measure this CPU</b> times 128 products, which takes about "
        "60 s; Stop keeps what was measured, and the button goes on with what is missing.</p>"
    )


def test_the_panel_says_how_large_the_blocks_are(explorer):
    assert "in blocks of 4x4 (bsr)" in str(explorer.controls["layout"].children[0].value)


def test_a_damaged_file_is_told_and_replaced(stub, cache):
    cache.mkdir()
    points_file().write_text("{")
    explorer = BreakEvenExplorer(grid=GRID, stopwatch=Stub(lambda request: notes.append(explorer.stage.note.value)))
    notes: list[str] = []
    worker().wait(SECONDS)
    assert "is damaged or was not written by this efflab" in notes[0]
    assert len(read_points().content) == 1


# What was kept


def test_kept_points_are_shown_at_once_with_their_date(explorer):
    shown = []
    opened = BreakEvenExplorer(grid=GRID, stopwatch=Stub(lambda request: shown.append(opened.stage.tiles.value)))
    worker().wait(SECONDS)
    assert "1.00 ms → 0.500 ms" in shown[0]
    assert "measured 2026-01-0" in shown[0]
    assert "; measuring" in shown[0]


def test_the_break_even_is_known_once_the_points_around_it_are_close(explorer):
    assert explorer.break_even_percent is None  # 90 % is faster, and nobody knows what is below
    explorer.set(sparsity=0.8)
    worker().wait(SECONDS)
    assert explorer.break_even_percent == 90
    assert "between 80 and 90 % zeros" in explorer.stage.tiles.value
    explorer.set(batch="4")
    worker().wait(SECONDS)
    assert explorer.break_even_percent is None


# The prediction


def test_before_the_prediction_nothing_is_measured_or_shown(stub, gate):
    write_points([product(0.8, 2.0), product(0.9, 0.5)])
    explorer = BreakEvenExplorer(grid=GRID, stopwatch=stub, gate=gate)
    worker().wait(SECONDS)
    assert stub.asked == []
    assert explorer.stage.speed.shown is None
    assert explorer.stage.tiles.value == (
        "<div class='efflab-verdict'>Predict first: lock in what you expect, or skip.</div>"
    )
    assert explorer.controls["layout"].children[1].disabled
    assert all(button.disabled for button in explorer.desk.buttons)


def test_the_prediction_has_its_answer_once_the_break_even_it_is_about_is_known(stub, gate):
    explorer = BreakEvenExplorer(grid=GRID, stopwatch=stub, gate=gate, start={"size": "128x64"}, at={"size": "64x32"})
    gate.lock_in(70.0)
    worker().wait(SECONDS)
    assert gate.measured is None
    explorer.measure_all()
    worker().wait(SECONDS)
    assert gate.measured == 85  # the middle of 80 and 90, between which it lies
    assert "The break-even of CSR 64x32 at batch 1 lies between 80 and 90 % zeros" in explorer.readout.sentence
    explorer.set(size="64x32")
    worker().wait(SECONDS)
    assert "You predicted 70 %." in explorer.stage.speed.shown.sentence


def test_a_prediction_between_the_two_points_is_close(stub, gate):
    explorer = BreakEvenExplorer(grid=GRID, stopwatch=stub, gate=gate)
    gate.lock_in(81.0)
    worker().wait(SECONDS)
    explorer.set(sparsity=0.8)
    worker().wait(SECONDS)
    assert "close 85.0 %" in gate._feedback.value


def test_while_the_prediction_waits_the_screen_says_which_point_is_missing(stub, gate):
    explorer = BreakEvenExplorer(grid=GRID, stopwatch=stub, gate=gate)
    gate.lock_in(70.0)
    worker().wait(SECONDS)
    assert "at most 90 % zeros" in explorer.stage.tiles.value
    assert explorer.readout.sentence.endswith(
        "Your prediction waits for CSR 64x32 at batch 1; still needed: a point below 90 %."
    )
    explorer.set(sparsity=0.6)
    worker().wait(SECONDS)
    assert "still needed: a point between 60 and 90 %" in explorer.stage.tiles.value


def test_a_chapter_may_ask_for_another_answer(stub, gate):
    BreakEvenExplorer(grid=GRID, stopwatch=stub, gate=gate, answer=lambda explorer: float(len(explorer.points)) or None)
    gate.skip()
    worker().wait(SECONDS)
    assert gate.measured == 1


def test_a_chapter_opens_it_behind_its_own_question(tmp_path):
    chapter = Chapter("03", journal=Journal(tmp_path / "journal.sqlite"))
    explorer = chapter.break_even(prediction="accuracy_at_80", grid=GRID, stopwatch=Stub())
    assert explorer.gate.question.id == "accuracy_at_80"
    assert explorer.controls["layout"].children[1].disabled


# What goes wrong


def test_a_failure_is_one_sentence_and_the_next_setting_works(explorer, stub):
    def fail(_: dict[str, object]) -> None:
        raise SpeedError("the stopwatch process died; the next measurement starts a new one")

    stub.before = fail
    explorer.set(sparsity=0.5)
    worker().wait(SECONDS)
    assert explorer.readout.error == "the stopwatch process died; the next measurement starts a new one"
    assert "not measured: see the message below" in explorer.stage.tiles.value
    stub.before = lambda request: None
    explorer.set(sparsity=0.6)
    worker().wait(SECONDS)
    assert explorer.readout.error == ""
    assert explorer.point.sparsity == 0.6


def test_a_grid_in_which_a_layout_fails_keeps_the_other_and_says_so(explorer, stub):
    def fail(request: dict[str, object]) -> None:
        if request["layout"] == "csr":
            raise SpeedError("csr 64x32 at batch 1 cannot be timed: needs MKL")

    stub.before = fail
    explorer.measure_all()
    worker().wait(SECONDS)
    assert explorer.readout.error == "csr 64x32 at batch 1 cannot be timed: needs MKL"
    assert {p.layout for p in read_points().content if p.sparsity == 0.8} == {"bsr"}
    assert not explorer.controls["sparsity"].children[1].disabled


def test_a_cache_that_cannot_be_written_is_told_and_the_points_are_shown(stub, cache):
    cache.write_text("a file stands here")
    explorer = BreakEvenExplorer(grid=GRID, stopwatch=stub)
    worker().wait(SECONDS)
    assert "the break-even cannot be kept in" in explorer.readout.error
    explorer.measure_all()
    worker().wait(SECONDS)
    assert "set EFFLAB_CACHE to a folder that can be written" in explorer.readout.error
    assert len(explorer.points) == GRID.n_points
    assert "1.00 ms → 0.500 ms" in explorer.stage.tiles.value


def test_a_subprocess_that_hangs_is_told(monkeypatch):
    with KernelStopwatch(patience_s=0.2) as stopwatch:
        explorer = BreakEvenExplorer(grid=TINY, stopwatch=stopwatch)  # torch takes longer to load than that
        worker().wait(SECONDS)
    assert "gave no answer within 0.2 s" in explorer.readout.error


# For real


def test_a_real_point_and_a_real_grid_survive_a_kill_of_the_subprocess():
    with KernelStopwatch() as stopwatch:
        explorer = BreakEvenExplorer(grid=TINY, stopwatch=stopwatch)
        worker().wait(SECONDS)
        assert explorer.point.speed.now.n >= 6
        pid = stopwatch.pid
        os.kill(pid, KILL)
        psutil.Process(pid).wait(timeout=10)
        explorer.measure_all()
        worker().wait(SECONDS)
        assert explorer.last_error is None
        assert stopwatch.pid not in (None, pid)
    assert {(p.layout, p.sparsity) for p in read_points().content} == {
        (layout, sparsity) for layout in ("csr", "bsr") for sparsity in TINY.sparsities
    }


def test_the_python_that_is_shown_measures_and_keeps_the_same_points(explorer):
    opened = BreakEvenExplorer(grid=TINY, stopwatch=Stub())
    worker().wait(SECONDS)
    names: dict[str, object] = {}
    try:
        exec(opened.stage.script, names)
    finally:
        kernel_stopwatch().close()
    assert (names["point"].layout, names["point"].sparsity) == ("csr", 0.9)
    assert len(names["points"]) == TINY.n_points
    assert {one.layout for one in names["break_evens"]} == {"csr", "bsr"}
    assert set(names["points"]) <= set(read_points().content)
    assert "def multiply(" in opened.stage.code.value


def test_the_projector_switch_reaches_both_pictures(explorer):
    explorer.project(True)
    assert "efflab-projector" in explorer._dom_classes
    assert explorer.stage.speed.projector
    assert explorer.stage.map.projector
    explorer.project(False)
    assert not explorer.stage.map.projector
