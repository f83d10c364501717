"""The roofs of this machine: what is asked and answered, beside numpy's own products, and kept by machine."""

import json
import os
import timeit
from pathlib import Path

import numpy as np
import pytest

from efflab.measure import roofline
from efflab.measure.roofline import (
    LimitsStopwatch,
    Roofline,
    best_rate,
    read_roofline,
    roofline_file,
    this_machine,
    write_roofline,
)
from efflab.measure.speed import SpeedError

ROOF = Roofline(peak_flops=80e9, bandwidth_bytes_per_s=10e9, threads=2, contention=0.0, machine="a machine")


@pytest.fixture(scope="module")
def measured() -> Roofline:
    with LimitsStopwatch() as stopwatch:
        found = stopwatch.measure(seconds=0.05)
    assert found is not None
    return found


def fastest(statement: str, **names: object) -> float:
    """Seconds of the fastest of some runs."""
    return min(timeit.repeat(statement, globals=names, number=1, repeat=12))


# What the two numbers say


def test_the_roof_rises_with_the_intensity_up_to_the_peak() -> None:
    assert [ROOF.attainable(x) for x in (0, 1, 8, 100)] == [0, 10e9, 80e9, 80e9]


def test_the_ridge_is_where_the_limit_changes() -> None:
    assert ROOF.ridge == 8
    assert [ROOF.limit(x) for x in (0, 7.99, 8, 1000)] == ["memory", "memory", "compute", "compute"]


@pytest.mark.parametrize("intensity", [-1.0, float("nan")])
def test_an_intensity_that_is_none_is_refused(intensity: float) -> None:
    with pytest.raises(ValueError, match="intensity must be FLOPs for each byte"):
        ROOF.attainable(intensity)


def test_the_best_rate_is_that_of_the_best_median() -> None:
    assert best_rate([[1.0, 2.0], [1.0, 2.0], [0.001, 0.001]], [10, 30]) == 15


# Measured


def test_the_peak_is_near_that_of_numpys_own_product(measured: Roofline) -> None:
    a = np.random.default_rng(0).random((512, 512), dtype=np.float32)
    numpys = 2 * 512**3 / fastest("a @ a", a=a)

    assert 0.1 < measured.peak_flops / numpys < 10  # two cores that others use too; a wrong factor is caught below


def test_the_bandwidth_is_near_that_of_numpys_own_copy(measured: Roofline) -> None:
    a = np.ones(2**24, np.float32)
    numpys = 2 * a.nbytes / fastest("np.copyto(b, a)", a=a, b=a.copy(), np=np)

    assert 0.1 < measured.bandwidth_bytes_per_s / numpys < 10


def test_rates_are_amounts_over_the_median_of_each_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, object]] = []

    def ask(self: LimitsStopwatch, request: dict[str, object], what: str, stale: object) -> dict[str, object]:
        asked.append(request)
        seconds = [0.01, 0.02, 0.1] if request["limit"] == "compute" else [0.02, 0.04, 0.02]
        return {"rounds": [seconds] * 6, "wall_s": 1.0, "cpu_s": 0.7, "machine": "a machine"}

    monkeypatch.setattr(LimitsStopwatch, "ask", ask)
    monkeypatch.setattr(roofline, "array_bytes", lambda: 10**8)
    found = LimitsStopwatch().measure(threads=2, seconds=0.1)

    assert found is not None
    assert found.peak_flops == pytest.approx(2 * 1024**3 / 0.1)  # 3.4, 13 and 21 GFLOP/s
    assert found.bandwidth_bytes_per_s == pytest.approx(3 * 10**8 / 0.02)  # 10, 5 and 15 GB/s
    assert (found.threads, found.busy) == (2, True)
    assert [(one["limit"], one["threads"], one["seconds"]) for one in asked] == [
        ("compute", 2, 0.1),
        ("memory", 2, 0.1),
    ]


def test_a_stale_measurement_has_no_answer() -> None:
    with LimitsStopwatch() as stopwatch:
        assert stopwatch.measure(stale=lambda: True) is None


@pytest.mark.parametrize("setting", [{"threads": 0}, {"seconds": 0.0}])
def test_a_number_out_of_range_is_named(setting: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(setting))} must be"):
        LimitsStopwatch().measure(**setting)  # type: ignore[arg-type]


# Kept


def test_a_roofline_is_read_as_it_was_written(measured: Roofline, tmp_path: Path) -> None:
    kept = read_roofline(path=write_roofline(measured, tmp_path / "roofline.json"))

    assert kept.content == measured
    assert kept.reason == ""
    assert measured.machine == this_machine()


def test_each_number_of_threads_has_a_file_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("EFFLAB_CACHE", str(tmp_path))

    assert write_roofline(ROOF) == roofline_file(2) == tmp_path / "roofline_2.json"
    assert read_roofline(1).reason == "nothing was measured on this machine yet"


def test_a_roofline_of_another_machine_is_not_used(tmp_path: Path) -> None:
    kept = read_roofline(path=write_roofline(ROOF, tmp_path / "roofline.json"))

    assert kept.content is None
    assert "was measured on a machine, and this is" in kept.reason


@pytest.mark.parametrize("text", ["", "{}", "[]"])
def test_a_damaged_file_is_not_used(text: str, tmp_path: Path) -> None:
    path = tmp_path / "roofline.json"
    path.write_text(text)

    assert "is damaged" in read_roofline(path=path).reason


def test_a_changed_number_is_noticed(measured: Roofline, tmp_path: Path) -> None:
    path = write_roofline(measured, tmp_path / "roofline.json")
    content = json.loads(path.read_text())
    content["kept"]["roofline"]["peak_flops"] *= 2
    path.write_text(json.dumps(content))

    assert "is damaged" in read_roofline(path=path).reason


def test_a_disk_that_is_full_keeps_the_old_one(
    measured: Roofline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_roofline(measured, tmp_path / "roofline.json")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        with pytest.raises(SpeedError, match=r"the roofline cannot be kept in .*No space left on device.*EFFLAB_CACHE"):
            write_roofline(ROOF, path)

    assert read_roofline(path=path).content == measured
    assert list(tmp_path.iterdir()) == [path]
