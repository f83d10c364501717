"""Speed: what the rounds say, and a subprocess that is killed, hangs, is cancelled and is left alone."""

import math
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
from scipy import stats
from torch import nn

from efflab.measure import speed_process, stopwatch
from efflab.measure.clock import now
from efflab.measure.speed import MIN_FLOOR, Speed, SpeedError, Stopwatch, TorchStopwatch, median_interval, summarise
from efflab.runtime import Artefact, export, export_eager

SHAPE = (1, 16, 16)
KILL = signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM


def network(hidden: int) -> nn.Sequential:
    return nn.Sequential(nn.Flatten(), nn.Linear(256, hidden), nn.ReLU(), nn.Linear(hidden, 10))


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Artefact:
    return export(network(2000), SHAPE, tmp_path_factory.mktemp("large"))


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Artefact:
    return export(network(20), SHAPE, tmp_path_factory.mktemp("small"))


@pytest.fixture(scope="module")
def shared() -> Iterator[Stopwatch]:
    with Stopwatch() as stopwatch:
        yield stopwatch


def timed(stopwatch: Stopwatch, base: Artefact, candidate: Artefact) -> Speed:
    """A short comparison that must come to an end."""
    speed = stopwatch.compare(base, candidate, shape=SHAPE, seconds=0.05)
    assert speed is not None
    return speed


def after(looks: int, act: Callable[[], object]) -> Callable[[], bool]:
    """A `stale` that is never true, and acts once, when it has been asked so often."""
    count = iter(range(1, 10**9))

    def stale() -> bool:
        if next(count) == looks:
            act()
        return False

    return stale


def deaf(folder: Path) -> Path:
    """A program that says hello and then answers nothing."""
    program = folder / "program.py"
    program.write_text("""import sys; print('{"machine": "deaf"}', flush=True); sys.stdin.read()""")
    return program


def rounds(base: object, again: object, candidate: object) -> dict[str, object]:
    return {"rounds": np.column_stack([base, again, candidate]).tolist(), "wall_s": 1.0, "cpu_s": 0.95}


def summary(factor: float, *, noise: float = 0.0, n: int = 100) -> Speed:
    """A candidate that takes `factor` times as long as a base that is `noise` slower the second time."""
    base = np.linspace(0.001, 0.002, n)
    return summarise(rounds(base, base * (1 + noise), base * factor), batch=4, threads=2, machine="a machine")


# What the rounds say


@pytest.mark.parametrize("n", [6, 7, 8, 9, 17, 30, 101, 400, 1500])
def test_the_interval_of_a_median_is_scipys(n: int) -> None:
    values = np.random.default_rng(n).lognormal(size=n)
    wanted = stats.quantile_test(values, p=0.5).confidence_interval(0.95)

    median, low, high = median_interval(values)

    assert median == np.median(values)
    assert (low, high) == (wanted.low, wanted.high)


def test_with_too_few_values_the_interval_is_all_of_them() -> None:
    assert median_interval([3.0, 1.0, 2.0]) == (2.0, 1.0, 3.0)
    assert median_interval([5.0]) == (5.0, 5.0, 5.0)


@pytest.mark.parametrize(
    ("factor", "words"),
    [
        (0.05, "20x faster"),
        (0.55, "1.8x faster"),
        (0.95, "1.05x faster"),
        (1.0, "no measurable difference"),
        (1.01, "no measurable difference"),
        (0.99, "no measurable difference"),
        (1.05, "1.05x slower"),
        (1.2, "1.2x slower"),
        (12.4, "12x slower"),
    ],
)
def test_the_verdict_says_the_factor_and_the_direction(factor: float, words: str) -> None:
    assert summary(factor).verdict == words


@pytest.mark.parametrize("noise", [0.1, 1 / 1.1 - 1])
@pytest.mark.parametrize("factor", [1.09, 1 / 1.09])
def test_a_difference_within_the_noise_of_the_base_against_itself_is_none(factor: float, noise: float) -> None:
    speed = summary(factor, noise=noise)

    assert speed.noise_floor == pytest.approx(0.1)
    assert not speed.is_different
    assert speed.verdict == "no measurable difference"


@pytest.mark.parametrize("factor", [1.12, 1 / 1.12])
def test_a_difference_beyond_that_noise_is_one(factor: float) -> None:
    assert summary(factor, noise=0.1).is_different


def test_the_floor_is_the_far_end_of_the_interval_of_base_against_base() -> None:
    rng = np.random.default_rng(0)
    base, again = rng.lognormal(sigma=0.2, size=(2, 60)) / 1000
    _, low, high = median_interval(again / base)

    speed = summarise(rounds(base, again, base), batch=1, threads=1, machine="")

    assert speed.noise_floor == max(high - 1, 1 / low - 1)


def test_the_floor_is_never_below_what_sessions_of_one_file_differ() -> None:
    assert summary(1.0).noise_floor == MIN_FLOOR == 0.02


def test_an_interval_that_reaches_into_the_floor_is_no_difference() -> None:
    """Half of the rounds say 1.5x slower and half say the same."""
    base = np.full(40, 0.001)
    candidate = base * np.tile([1.0, 1.5], 20)

    speed = summarise(rounds(base, base, candidate), batch=1, threads=1, machine="")

    assert (speed.ratio, speed.ratio_low, speed.ratio_high) == pytest.approx((1.25, 1.0, 1.5))
    assert not speed.is_different


def test_times_are_medians_and_quartiles_in_milliseconds() -> None:
    speed = summary(2.0, n=5)

    assert (speed.base.q1_ms, speed.base.median_ms, speed.base.q3_ms) == pytest.approx((1.25, 1.5, 1.75))
    assert (speed.now.q1_ms, speed.now.median_ms, speed.now.q3_ms) == pytest.approx((2.5, 3.0, 3.5))
    assert speed.base.n == speed.now.n == 5


def test_throughput_counts_all_images_of_the_batch() -> None:
    assert summary(2.0, n=5).throughput == pytest.approx(4 / 0.003)


@pytest.mark.parametrize(("cpu_s", "contention", "busy"), [(0.95, 0.05, False), (0.8, 0.2, True), (1.5, 0.0, False)])
def test_the_machine_is_busy_when_the_stopwatch_waited_for_it(cpu_s: float, contention: float, busy: bool) -> None:
    answer = rounds([0.001] * 6, [0.001] * 6, [0.001] * 6) | {"cpu_s": cpu_s}

    speed = summarise(answer, batch=1, threads=1, machine="")

    assert speed.contention == pytest.approx(contention)
    assert speed.busy is busy


# How a round is timed


def test_every_session_goes_first_and_follows_each_other_equally_often() -> None:
    turns = stopwatch.turns()
    six = [next(turns) for _ in range(6)]

    assert len(set(six)) == 6
    assert next(turns) == six[0]
    assert all([order[0] for order in six].count(i) == 2 for i in range(3))


def test_a_block_is_the_median_of_the_runs_after_the_untimed_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter([0.0, 9.0, 10.0, 11.0, 20.0, 25.0])  # runs of 9, 1 and 5 seconds
    monkeypatch.setattr(stopwatch.time, "perf_counter", lambda: next(ticks))
    runs: list[None] = []

    assert stopwatch.block(lambda: runs.append(None), 3, 2) == 5.0
    assert len(runs) == 5


def fake_clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that only the runs move: add to its one number."""
    clock = [0.0]
    monkeypatch.setattr(stopwatch.time, "perf_counter", lambda: clock[0])
    monkeypatch.setattr(stopwatch.time, "process_time", lambda: clock[0] / 2)
    return clock


def taking(clock: list[float], seconds: float) -> Callable[[], None]:
    """A run that moves the clock."""

    def run() -> None:
        clock[0] += seconds

    return run


def test_each_round_holds_base_base_again_and_now_whatever_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = fake_clock(monkeypatch)
    runs = [taking(clock, seconds) for seconds in (1.0, 2.0, 4.0)]

    answer = stopwatch.compare(runs, 50.0, lambda: None)

    assert answer["rounds"] == [[1.0, 2.0, 4.0]] * 8  # 7 seconds a round, until 50 have passed
    assert (answer["wall_s"], answer["cpu_s"]) == (56.0, 28.0)


def test_runs_are_made_one_by_one_and_whoever_waits_is_asked_between(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = fake_clock(monkeypatch)
    made: list[int] = []

    def make() -> Iterator[Callable[[], None]]:
        for number in range(3):
            made.append(number)
            yield taking(clock, 1.0)

    def check() -> None:
        if len(made) == 2:
            raise stopwatch.StoppedError

    with pytest.raises(stopwatch.StoppedError):
        stopwatch.compare(make(), 1.0, check)
    assert made == [0, 1]


def test_short_runs_are_timed_several_at_a_time_after_one_that_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """The slowest takes 0.1 ms: five fill a block of 0.5 ms. Ticks of 1/8192 s keep the sums exact."""
    clock, counts = fake_clock(monkeypatch), [0, 0, 0]

    def run(i: int) -> None:
        counts[i] += 1
        clock[0] += 2.0**-13

    runs = [lambda i=i: run(i) for i in range(3)]
    warm_up = stopwatch.WARM_UP_RUNS

    answer = stopwatch.compare(runs, 1e-9, lambda: None)

    n_runs = int(stopwatch.BLOCK_S / 2.0**-13) | 1
    assert answer["rounds"] == [[2.0**-13] * 3] * stopwatch.MIN_ROUNDS
    assert counts == [warm_up + stopwatch.MIN_ROUNDS * (1 + n_runs)] * 3


# The subprocess


def test_a_network_with_a_hundredth_of_the_units_is_faster(shared: Stopwatch, large: Artefact, small: Artefact) -> None:
    speed = timed(shared, large, small)

    assert speed.verdict.endswith("x faster")
    assert speed.ratio_low <= speed.ratio <= speed.ratio_high < 1
    assert speed.now.median_ms < speed.base.median_ms
    assert timed(shared, small, large).verdict.endswith("x slower")


def test_batch_and_threads_reach_the_runtime_and_the_result(shared: Stopwatch, large: Artefact) -> None:
    one, many = (
        shared.compare(large, large, shape=SHAPE, batch=batch, threads=batch // 32 + 1, seconds=0.05)
        for batch in (1, 32)
    )

    assert one is not None
    assert many is not None
    assert (one.batch, one.threads, many.batch, many.threads) == (1, 1, 32, 2)
    assert many.now.median_ms > 2 * one.now.median_ms


def test_the_machine_is_named_with_its_cores_and_the_runtime(shared: Stopwatch, small: Artefact) -> None:
    import onnxruntime

    machine = timed(shared, small, small).machine

    assert f"{os.cpu_count()} cores, ONNX Runtime {onnxruntime.__version__}" in machine


def test_there_are_at_least_the_rounds_that_an_interval_needs(shared: Stopwatch, large: Artefact) -> None:
    speed = shared.compare(large, large, shape=SHAPE, batch=512, seconds=1e-9)

    assert speed is not None
    assert speed.base.n == stopwatch.MIN_ROUNDS == 6


def test_nothing_starts_before_the_first_use_and_close_ends_it(small: Artefact) -> None:
    with Stopwatch() as stopwatch:
        assert stopwatch.pid is None
        timed(stopwatch, small, small)
        child = psutil.Process(stopwatch.pid)

    assert stopwatch.pid is None
    assert not child.is_running()


def test_the_subprocess_stays_up_between_measurements(shared: Stopwatch, small: Artefact) -> None:
    timed(shared, small, small)
    pid = shared.pid
    timed(shared, small, small)

    assert shared.pid == pid is not None


def test_a_forgotten_stopwatch_takes_its_subprocess_with_it(small: Artefact) -> None:
    stopwatch = Stopwatch()
    timed(stopwatch, small, small)
    child = psutil.Process(stopwatch.pid)

    del stopwatch

    assert not child.is_running()


def test_after_a_kill_the_next_measurement_starts_a_new_one(shared: Stopwatch, small: Artefact) -> None:
    timed(shared, small, small)
    pid = shared.pid
    os.kill(pid, KILL)
    psutil.Process(pid).wait(timeout=10)

    assert timed(shared, small, small).now.n > 0
    assert shared.pid not in (None, pid)


def test_a_kill_during_a_measurement_is_told_and_the_next_one_works(shared: Stopwatch, small: Artefact) -> None:
    timed(shared, small, small)
    kill = after(3, lambda: os.kill(shared.pid, KILL))

    with pytest.raises(SpeedError, match=r"died with exit code -?\d+; the next measurement starts a new one"):
        shared.compare(small, small, shape=SHAPE, seconds=30, stale=kill)

    assert timed(shared, small, small).now.n > 0


def test_the_last_words_of_a_dead_subprocess_are_told(
    small: Artefact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "program.py"
    program.write_text("import sys; sys.exit('first line\\nno memory left')")
    monkeypatch.setattr(speed_process, "PROGRAM", program)

    with pytest.raises(SpeedError, match="died with exit code 1 and its last words: no memory left; the next"):
        Stopwatch().compare(small, small, shape=SHAPE)


def test_a_subprocess_that_hangs_is_ended_and_the_next_measurement_works(
    small: Artefact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Stopwatch(patience_s=0.2) as stopwatch, monkeypatch.context() as patch:
        patch.setattr(speed_process, "PROGRAM", deaf(tmp_path))
        pids = []
        note = after(1, lambda: pids.append(stopwatch.pid))
        with pytest.raises(SpeedError, match=r"gave no answer within 0\.2 s, so it was ended; the next measurement"):
            stopwatch.compare(small, small, shape=SHAPE, stale=note)
        patch.undo()

        assert not psutil.pid_exists(pids[0])
        stopwatch._patience_s = 30.0
        assert timed(stopwatch, small, small).now.n > 0


def test_a_program_that_cannot_be_started_is_told(small: Artefact, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/no/such/python")

    with pytest.raises(SpeedError, match=r"the stopwatch process cannot be started \(.*no/such/python"):
        Stopwatch().compare(small, small, shape=SHAPE)


def test_a_missing_onnx_runtime_says_how_to_get_it(
    small: Artefact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "onnxruntime.py").write_text("raise ImportError('no wheel for this machine')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    with pytest.raises(SpeedError, match=r"cannot be loaded \(no wheel for this machine\): `pip install onnxruntime`"):
        Stopwatch().compare(small, small, shape=SHAPE)


def test_a_damaged_file_is_told_and_the_subprocess_lives(shared: Stopwatch, small: Artefact, tmp_path: Path) -> None:
    timed(shared, small, small)
    pid = shared.pid
    (tmp_path / "damaged.onnx").write_bytes(b"no graph")
    damaged = Artefact(tmp_path / "damaged.onnx", "onnx", "onnxruntime")

    with pytest.raises(SpeedError, match=r"model\.onnx and damaged\.onnx cannot be timed: .*[Pp]rotobuf"):
        shared.compare(small, damaged, shape=SHAPE)

    assert timed(shared, small, small).now.n > 0
    assert shared.pid == pid


def test_an_image_of_another_shape_is_told(shared: Stopwatch, small: Artefact) -> None:
    with pytest.raises(SpeedError, match="cannot be timed: "):
        shared.compare(small, small, shape=(1, 3, 3))


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"batch": 0}, "batch must be a whole number from 1 up, not 0"),
        ({"batch": 1.5}, r"batch must be a whole number from 1 up, not 1\.5"),
        ({"threads": -1}, "threads must be a whole number from 1 up, not -1"),
        ({"seconds": 0}, "seconds must be more than 0, not 0"),
        ({"seconds": math.nan}, "seconds must be more than 0, not nan"),
    ],
)
def test_a_number_out_of_range_is_refused_before_anything_starts(
    numbers: dict[str, int], message: str, small: Artefact
) -> None:
    with Stopwatch() as stopwatch:
        with pytest.raises(ValueError, match=message):
            stopwatch.compare(small, small, shape=SHAPE, **numbers)
        assert stopwatch.pid is None


def test_an_artefact_for_another_runtime_is_refused(small: Artefact) -> None:
    with pytest.raises(ValueError, match=r"model\.bin is for the runtime 'sparse'; only 'onnxruntime' is known here"):
        Stopwatch().compare(small, Artefact(Path("model.bin"), "csr", "sparse"), shape=SHAPE)


def test_torch_itself_is_timed_beside_onnx_runtime(large: Artefact, tmp_path: Path) -> None:
    eager = export_eager(network(2000), SHAPE, tmp_path)

    with TorchStopwatch() as stopwatch:
        speed = timed(stopwatch, large, eager)

    assert "torch" in speed.machine
    assert 0.1 < speed.ratio < 10  # the same arithmetic in both


def test_in_torch_a_network_with_a_hundred_times_fewer_weights_is_faster(tmp_path: Path) -> None:
    wide, narrow = (export_eager(network(n), SHAPE, tmp_path, f"{n}") for n in (8000, 80))

    with TorchStopwatch() as stopwatch:
        speed = timed(stopwatch, wide, narrow)

    assert speed.ratio < 0.5


# Not wanted any more


def cancelled_in(stopwatch: Stopwatch, artefact: Artefact) -> float:
    """Seconds from the moment when a measurement of 30 s is no longer wanted to its return."""
    moments: list[float] = []
    count = iter(range(10**9))

    def stale() -> bool:
        if next(count) == 5 and not moments:
            moments.append(now())
        return bool(moments)

    assert stopwatch.compare(artefact, artefact, shape=SHAPE, seconds=30, stale=stale) is None
    return now() - moments[0]


def test_a_stale_measurement_returns_within_100_ms_and_keeps_the_subprocess(shared: Stopwatch, small: Artefact) -> None:
    timed(shared, small, small)
    pid = shared.pid

    assert min(cancelled_in(shared, small) for _ in range(3)) < 0.1
    assert timed(shared, small, small).now.n > 0
    assert shared.pid == pid


def test_a_stale_measurement_that_does_not_stop_is_killed_within_100_ms(
    small: Artefact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(speed_process, "PROGRAM", deaf(tmp_path))
    with Stopwatch() as stopwatch:
        seconds = []
        for _ in range(3):
            seconds.append(cancelled_in(stopwatch, small))
            assert stopwatch.pid is None

    assert min(seconds) < 0.1


def test_what_is_stale_from_the_start_is_not_begun(shared: Stopwatch, small: Artefact) -> None:
    timed(shared, small, small)

    assert shared.compare(small, small, shape=SHAPE, stale=lambda: True) is None
    assert timed(shared, small, small).now.n > 0


def test_what_turns_stale_while_the_subprocess_starts_leaves_it_starting(small: Artefact) -> None:
    with Stopwatch() as stopwatch:
        assert stopwatch.compare(small, small, shape=SHAPE, stale=lambda: True) is None
        pid = stopwatch.pid
        timed(stopwatch, small, small)

        assert stopwatch.pid == pid is not None


def test_an_interrupt_ends_the_subprocess_and_the_next_measurement_gets_its_own_answer(
    shared: Stopwatch, small: Artefact, large: Artefact
) -> None:
    timed(shared, small, small)

    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        shared.compare(large, large, shape=SHAPE, seconds=30, stale=after(3, interrupt))

    assert timed(shared, large, small).verdict.endswith("x faster")


def test_close_from_another_thread_ends_a_measurement(small: Artefact) -> None:
    with Stopwatch() as stopwatch:
        timed(stopwatch, small, small)
        closer = threading.Thread(target=stopwatch.close)

        assert stopwatch.compare(small, small, shape=SHAPE, seconds=30, stale=after(3, closer.start)) is None

        closer.join()
        assert stopwatch.pid is None
        assert timed(stopwatch, small, small).now.n > 0


def test_two_threads_take_turns(shared: Stopwatch, small: Artefact, large: Artefact) -> None:
    found: dict[str, Speed] = {}

    def work(name: str, base: Artefact, candidate: Artefact) -> None:
        found[name] = timed(shared, base, candidate)

    threads = [
        threading.Thread(target=work, args=("faster", large, small)),
        threading.Thread(target=work, args=("slower", small, large)),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert all(found[name].verdict.endswith(name) for name in ("faster", "slower"))


# Alone in its process


def test_the_subprocess_loads_no_torch_and_none_of_efflab_and_ends_with_its_input() -> None:
    command = [sys.executable, "-P", "-X", "importtime", str(speed_process.PROGRAM), str(speed_process.SESSION)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as child:
        hello = child.stdout.readline()
        _, errors = child.communicate()
    loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in errors.splitlines() if "|" in line}

    assert "machine" in hello
    assert child.returncode == 0
    assert {"numpy", "onnxruntime"} <= loaded
    assert not {"torch", "efflab", "onnx"} & loaded


def test_the_subprocess_makes_no_socket(small: Artefact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    watch = "import os, sys; sys.addaudithook(lambda event, _: event.startswith('socket.') and os._exit(3)); "
    seen = subprocess.run([sys.executable, "-c", watch + "import socket; socket.socket()"])
    program = tmp_path / "program.py"
    program.write_text(f"{watch}import runpy; runpy.run_path({str(speed_process.PROGRAM)!r}, run_name='__main__')")
    monkeypatch.setattr(speed_process, "PROGRAM", program)

    assert seen.returncode == 3
    with Stopwatch() as stopwatch:
        assert timed(stopwatch, small, small).now.n > 0


def test_the_subprocess_does_not_outlive_a_parent_that_was_killed_in_the_middle(small: Artefact) -> None:
    code = (
        "import sys; from pathlib import Path; from efflab.measure.speed import Stopwatch; "
        "from efflab.runtime import Artefact; a = Artefact(Path(sys.argv[1]), 'onnx', 'onnxruntime'); s = Stopwatch(); "
        f"s.compare(a, a, shape={SHAPE}, seconds=0.01); "
        f"s.compare(a, a, shape={SHAPE}, seconds=600, stale=lambda: print(s.pid, flush=True))"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", code, str(small.path)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as parent:
        pids = {int(parent.stdout.readline()) for _ in range(5)}
        (child,) = (psutil.Process(pid) for pid in pids)
        parent.kill()

    child.wait(timeout=10)
    assert not child.is_running()


# The decision


@pytest.mark.slow
def test_of_40_comparisons_of_a_network_with_itself_at_most_4_are_called_different(
    shared: Stopwatch, large: Artefact
) -> None:
    verdicts = [shared.compare(large, large, shape=SHAPE, seconds=0.2).is_different for _ in range(40)]

    assert len(verdicts) == 40
    assert sum(verdicts) <= 4


@pytest.mark.slow
def test_of_10_comparisons_with_half_the_units_all_are_called_faster(shared: Stopwatch, large: Artefact) -> None:
    half = export(network(1000), SHAPE, large.path.parent, "half")

    assert [shared.compare(large, half, shape=SHAPE).verdict[-6:] for _ in range(10)] == ["faster"] * 10
