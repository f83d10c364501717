"""Sparse products beside dense ones: what is asked, what is answered, and a subprocess that is killed or cancelled."""

import math
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest
import torch

from efflab.measure import speed_process
from efflab.measure.kept_points import this_machine
from efflab.measure.kernel_speed import KernelSpeed, KernelStopwatch, kernel_stopwatch, stored_bytes
from efflab.measure.speed import SpeedError
from efflab.runtime.kernels import random_weight, to_layout

KILL = signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM
SMALL = {"rows": 64, "columns": 64, "sparsity": 0.9}
ANSWER = {"rounds": [[0.004, 0.004, 0.001]] * 8, "wall_s": 1.0, "cpu_s": 0.95, "machine": "a machine"}


@pytest.fixture(scope="module")
def shared() -> Iterator[KernelStopwatch]:
    with KernelStopwatch() as stopwatch:
        yield stopwatch


def timed(stopwatch: KernelStopwatch, layout: str = "csr", **changes: object) -> KernelSpeed:
    """A short comparison that must come to an end."""
    point = stopwatch.compare(layout, **(SMALL | {"seconds": 0.02} | changes))
    assert point is not None
    return point


def recording(monkeypatch: pytest.MonkeyPatch, answer: object) -> list[tuple[dict[str, object], str]]:
    """What is asked of the program, which is not started: it gives this answer."""
    asked: list[tuple[dict[str, object], str]] = []

    def ask(self: KernelStopwatch, request: dict[str, object], what: str, stale: object) -> object:
        asked.append((request, what))
        return answer

    monkeypatch.setattr(KernelStopwatch, "ask", ask)
    return asked


# What is asked, and what the answer says


def test_all_settings_reach_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = recording(monkeypatch, ANSWER)
    settings = {"rows": 32, "columns": 16, "sparsity": 0.75, "batch": 7, "block": 8}
    settings |= {"threads": 2, "seconds": 0.1, "seed": 5}

    KernelStopwatch().compare("bsr", **settings)

    assert asked == [({"layout": "bsr"} | settings, "bsr 32x16 at batch 7")]


def test_the_point_holds_its_settings_and_dense_as_the_base(monkeypatch: pytest.MonkeyPatch) -> None:
    recording(monkeypatch, ANSWER)

    point = timed(KernelStopwatch(), "bsr", batch=7, block=8, threads=2)

    assert (point.layout, point.rows, point.columns, point.sparsity, point.block) == ("bsr", 64, 64, 0.9, 8)
    assert (point.speed.batch, point.speed.threads, point.speed.machine) == (7, 2, "a machine")
    assert (point.speed.base.median_ms, point.speed.now.median_ms, point.speed.ratio) == (4.0, 1.0, 0.25)


@pytest.mark.parametrize("layout", ["csr", "dense"])
def test_the_block_is_for_blocks_only(layout: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = recording(monkeypatch, ANSWER)

    assert timed(KernelStopwatch(), layout, block=16, rows=7).block == 1
    assert asked[0][0]["block"] == 1


@pytest.mark.parametrize(("now", "is_faster"), [(0.001, True), (0.00396, False), (0.004, False), (0.016, False)])
def test_faster_means_beyond_the_noise_floor(now: float, is_faster: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    recording(monkeypatch, ANSWER | {"rounds": [[0.004, 0.004, now]] * 8})

    assert timed(KernelStopwatch()).is_faster is is_faster


def test_an_answer_that_is_not_wanted_gives_no_point(monkeypatch: pytest.MonkeyPatch) -> None:
    recording(monkeypatch, None)

    assert KernelStopwatch().compare("csr", **SMALL) is None


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"layout": "coo"}, "layout must be one of dense, csr, bsr, not 'coo'"),
        ({"rows": 0}, "rows must be a whole number from 1 up, not 0"),
        ({"columns": 2.5}, r"columns must be a whole number from 1 up, not 2\.5"),
        ({"batch": 0}, "batch must be a whole number from 1 up, not 0"),
        ({"threads": 0}, "threads must be a whole number from 1 up, not 0"),
        ({"layout": "bsr", "block": 0}, "block must be a whole number from 1 up, not 0"),
        ({"sparsity": 90}, "sparsity must be a fraction from 0 to 1, not 90"),
        ({"sparsity": math.nan}, "sparsity must be a fraction from 0 to 1, not nan"),
        ({"seconds": 0}, "seconds must be more than 0, not 0"),
        ({"layout": "bsr", "block": 6}, "block must divide both sides of the 64x64 matrix, which 6 does not"),
        ({"layout": "bsr", "rows": 66}, "block must divide both sides of the 66x64 matrix, which 4 does not"),
    ],
)
def test_a_value_out_of_range_is_refused_before_anything_starts(changes: dict[str, object], sentence: str) -> None:
    settings = {"layout": "csr"} | SMALL | changes
    stopwatch = KernelStopwatch()

    with pytest.raises(ValueError, match=sentence):
        stopwatch.compare(settings.pop("layout"), **settings)
    assert stopwatch.pid is None


@pytest.mark.parametrize("layout", ["dense", "csr", "bsr"])
@pytest.mark.parametrize("sparsity", [0.0, 0.3, 0.99, 1.0])
def test_the_computed_bytes_are_those_of_torchs_own_tensors(layout: str, sparsity: float) -> None:
    block = 4 if layout == "bsr" else 1
    weight = to_layout(random_weight(32, 64, sparsity=sparsity, block=block), layout, block)
    parts = [weight] if layout == "dense" else [weight.values(), weight.col_indices(), weight.crow_indices()]

    assert stored_bytes(layout, 32, 64, sparsity=sparsity, block=4) == sum(p.numel() * p.element_size() for p in parts)


def test_a_point_says_when_it_was_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    recording(monkeypatch, ANSWER)

    age = datetime.now(UTC) - datetime.fromisoformat(timed(KernelStopwatch()).date)

    assert timedelta(0) <= age < timedelta(minutes=5)


def test_no_difference_on_a_busy_machine_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    told = []
    for cpu_s, now in ((0.95, 0.004), (0.5, 0.004), (0.5, 0.001)):
        with monkeypatch.context() as patch:
            recording(patch, ANSWER | {"rounds": [[0.004, 0.004, now]] * 8, "cpu_s": cpu_s})
            told.append(timed(KernelStopwatch()).is_telling)

    assert told == [True, False, True]


def test_a_process_has_one_stopwatch_for_kernels() -> None:
    assert kernel_stopwatch() is kernel_stopwatch()


# The subprocess


@pytest.mark.parametrize("layout", ["dense", "csr", "bsr"])
def test_each_layout_is_timed_on_this_machine(layout: str, shared: KernelStopwatch) -> None:
    speed = timed(shared, layout).speed

    assert speed.base.n == speed.now.n >= 6
    assert 0 < speed.now.q1_ms <= speed.now.median_ms <= speed.now.q3_ms
    assert speed.machine == this_machine()
    assert speed.machine.endswith(f"{os.cpu_count()} cores, torch {torch.__version__}")


def test_after_a_kill_the_next_measurement_starts_a_new_one(shared: KernelStopwatch) -> None:
    timed(shared)
    pid = shared.pid
    os.kill(pid, KILL)
    psutil.Process(pid).wait(timeout=10)

    assert timed(shared).speed.now.n >= 6
    assert shared.pid not in (None, pid)


def test_a_kill_during_a_measurement_is_told_and_the_next_one_works(shared: KernelStopwatch) -> None:
    timed(shared)
    looks = iter(range(10**9))

    def stale() -> bool:
        if next(looks) == 3:
            os.kill(shared.pid, KILL)
        return False

    with pytest.raises(SpeedError, match=r"died with exit code -?\d+; the next measurement starts a new one"):
        shared.compare("csr", **SMALL, seconds=30, stale=stale)

    assert timed(shared).speed.now.n >= 6


def test_a_stale_measurement_ends_between_two_blocks_and_keeps_the_subprocess(shared: KernelStopwatch) -> None:
    timed(shared)
    pid = shared.pid
    looks = iter(range(10**9))

    assert shared.compare("csr", **SMALL, seconds=600, stale=lambda: next(looks) > 3) is None
    assert next(looks) < 100  # 20 ms each: the 600 seconds were not waited for
    assert timed(shared).speed.now.n >= 6
    assert shared.pid == pid


def test_close_from_another_thread_ends_a_measurement() -> None:
    with KernelStopwatch() as stopwatch:
        timed(stopwatch)
        closer = threading.Thread(target=stopwatch.close)
        looks = iter(range(10**9))

        def stale() -> bool:
            if next(looks) == 3:
                closer.start()
            return False

        assert stopwatch.compare("csr", **SMALL, seconds=600, stale=stale) is None
        closer.join()
        assert stopwatch.pid is None


def test_a_product_that_torch_refuses_is_told_and_the_subprocess_lives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusing = tmp_path / "kernels.py"
    refusing.write_text(
        "def version(): return 'torch'\n"
        "def runs(request):\n"
        "    yield from [int, int]\n"
        "    if request['layout'] == 'bsr': raise RuntimeError('needs MKL\\nmore')\n"
        "    yield int\n"
    )
    monkeypatch.setattr(KernelStopwatch, "runtime", refusing)
    with KernelStopwatch() as stopwatch:
        with pytest.raises(SpeedError, match=r"^bsr 64x64 at batch 1 cannot be timed: needs MKL$"):
            stopwatch.compare("bsr", **SMALL)
        assert timed(stopwatch, "csr").speed.now.n >= 6


def test_a_missing_torch_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "torch.py").write_text("raise ImportError('no wheel for this machine')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    with KernelStopwatch() as stopwatch, pytest.raises(SpeedError, match=r"speed cannot be measured here: .*no wheel"):
        stopwatch.compare("csr", **SMALL)


def test_the_subprocess_loads_torch_and_none_of_efflab_and_ends_with_its_input() -> None:
    command = [sys.executable, "-P", "-X", "importtime", str(speed_process.PROGRAM), str(KernelStopwatch.runtime)]
    pipe = subprocess.PIPE
    with tempfile.TemporaryFile("w+") as errors:
        with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=errors, text=True) as child:
            hello = child.stdout.readline()
            child.communicate()
        errors.seek(0)
        names = [line.rpartition("|")[2].strip() for line in errors if "|" in line]
    loaded = {name.partition(".")[0] for name in names}

    assert "machine" in hello
    assert child.returncode == 0
    assert "torch" in loaded
    assert not {"efflab", "onnxruntime", "sklearn"} & loaded
