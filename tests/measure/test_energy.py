"""Energy: synthetic counters, the stopwatch's real subprocess, and grams of CO2."""

import math
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from torch import nn

from efflab.measure import energy_counters, stopwatch
from efflab.measure.carbon import CarbonIntensity, carbon_grams, carbon_intensities
from efflab.measure.clock import now
from efflab.measure.energy import WATTS_PER_CORE, WATTS_SOURCE, EnergyUse, _energy_use, measure_energy
from efflab.measure.energy_counters import HIDDEN, MISSING, joules_between
from efflab.measure.speed import SpeedError, Stopwatch
from efflab.papers import table
from efflab.runtime import Artefact, export

SHAPE = (1, 16, 16)
KILL = signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Artefact:
    network = nn.Sequential(nn.Flatten(), nn.Linear(256, 200), nn.ReLU(), nn.Linear(200, 10))
    return export(network, SHAPE, tmp_path_factory.mktemp("small"))


@pytest.fixture(scope="module")
def shared() -> Iterator[Stopwatch]:
    with Stopwatch() as one:
        yield one


def zone(root: Path, name: str, energy_uj: object, *, kind: str = "package-0", range_uj: int = 262_143_328_850) -> None:
    """A domain of the power-capping framework."""
    folder = root / "sys/class/powercap" / name
    folder.mkdir(parents=True, exist_ok=True)
    files = {"name": kind, "energy_uj": energy_uj, "max_energy_range_uj": range_uj}
    for file, value in files.items():
        (folder / "new").write_text(f"{value}\n")
        os.replace(folder / "new", folder / file)  # at once: somebody may be reading


def read(root: Path) -> dict[str, object]:
    return energy_counters.read(str(root))


def used(stopwatch: Stopwatch, artefact: Artefact, root: Path, **options: object) -> EnergyUse:
    """A short measurement that must come to an end."""
    use = measure_energy(stopwatch, artefact, shape=SHAPE, seconds=0.1, root=root, **options)
    assert use is not None
    return use


# The counters


def test_packages_are_added_and_their_parts_and_the_board_are_not(tmp_path: Path) -> None:
    def count(first: int, second: int, part: int, board: int) -> dict[str, object]:
        zone(tmp_path, "intel-rapl:0", first, kind="package-0")
        zone(tmp_path, "intel-rapl:1", second, kind="package-1")
        zone(tmp_path, "intel-rapl:0:0", part, kind="core")
        zone(tmp_path, "intel-rapl:1:0", part, kind="dram")
        zone(tmp_path, "intel-rapl:2", board, kind="psys")
        zone(tmp_path, "intel-rapl-mmio:0", first, kind="package-0")
        return read(tmp_path)

    before, after = count(1_000_000, 5_000_000, 10, 20), count(3_000_000, 5_500_000, 9_000_010, 9_000_020)

    assert set(before["packages"]) == {"intel-rapl:0", "intel-rapl:1"}
    assert joules_between(before, after) == 2.5


def test_a_counter_that_began_again_at_zero_is_added_up(tmp_path: Path) -> None:
    zone(tmp_path, "intel-rapl:0", 9_500_000, range_uj=10_000_000)
    before = read(tmp_path)
    zone(tmp_path, "intel-rapl:0", 250_000, range_uj=10_000_000)

    assert joules_between(before, read(tmp_path)) == 0.75


def test_a_system_without_counters_says_so(tmp_path: Path) -> None:
    assert read(tmp_path) == {"packages": {}, "reason": MISSING}


def test_a_counter_for_the_administrator_only_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    zone(tmp_path, "intel-rapl:0", 1)
    plain = Path.read_text

    def refuse(path: Path, *arguments: object, **options: object) -> str:
        if path.name == "energy_uj":  # the administrator, who may run this test, is refused nothing by file modes
            raise PermissionError(13, "Permission denied")
        return plain(path, *arguments, **options)

    monkeypatch.setattr(Path, "read_text", refuse)

    assert read(tmp_path) == {"packages": {}, "reason": HIDDEN}


@pytest.mark.parametrize("content", ["", "many\n"])
def test_one_counter_that_cannot_be_read_spoils_the_sum(content: str, tmp_path: Path) -> None:
    zone(tmp_path, "intel-rapl:0", 1)
    zone(tmp_path, "intel-rapl:1", content, kind="package-1")
    found = read(tmp_path)

    assert found["packages"] == {}
    assert str(found["reason"]).startswith("the processor's energy counter cannot be read (")


def reading(**packages: int) -> dict[str, object]:
    return {"packages": {name: [energy_uj, 10**9] for name, energy_uj in packages.items()}, "reason": ""}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (reading(), reading()),
        (reading(a=1), reading(a=1, b=2)),
        (reading(a=1), reading()),
        (reading(a=7), reading(a=7)),
        (reading(a=7, b=7), reading(a=9, b=7)),
    ],
)
def test_readings_that_do_not_fit_or_stand_still_tell_nothing(
    before: dict[str, object], after: dict[str, object]
) -> None:
    assert joules_between(before, after) is None


# What is said of an answer


def answer(*, before: dict[str, object], after: dict[str, object]) -> dict[str, object]:
    return {"n_runs": 100, "wall_s": 2.0, "cpu_s": 1.5, "before": before, "after": after, "machine": "a machine"}


def test_what_was_counted_is_divided_by_runs_and_by_images() -> None:
    use = _energy_use(answer(before=reading(a=0), after=reading(a=30_000_000)), 4, 12.0)

    assert (use.joules_per_run, use.joules_per_thousand, use.watts) == (0.3, 75.0, 15.0)
    assert (use.badge, use.reason, use.cpu_s_per_run) == ("measured", "", 0.015)
    assert use.source == (
        "Counted by the processor over 100 runs, 15.0 W on average: the whole package, with its idle power and "
        "everything else that ran."
    )


def test_without_a_counter_the_time_of_the_cores_is_multiplied_by_watts() -> None:
    use = _energy_use(answer(before={"packages": {}, "reason": HIDDEN}, after=reading(a=1)), 1, 8.0)

    assert (use.joules_per_run, use.joules_per_thousand, use.watts) == (0.12, 120.0, 8.0)
    assert use.badge == "estimated"
    assert use.source == (
        "Estimated: 15 ms of processor time a run x 8 W a core. Not measured, because only the administrator may read "
        "the processor's energy counter (since CVE-2020-8694)."
    )


def test_a_counter_that_stood_still_is_not_zero_joules() -> None:
    use = _energy_use(answer(before=reading(a=5), after=reading(a=5)), 1, 10.0)

    assert (use.joules_per_run, use.is_measured) == (0.15, False)
    assert use.reason == "the processor's energy counter did not move"


def test_the_default_watts_stand_in_their_source() -> None:
    assert WATTS_SOURCE.startswith(f"{WATTS_PER_CORE:g} W a core")


# One run after the other


def test_runs_go_on_until_the_time_is_over_and_the_counters_enclose_them(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(stopwatch.time, "perf_counter", lambda: clock[0])
    monkeypatch.setattr(stopwatch.time, "process_time", lambda: clock[0] * 2)

    def run() -> None:
        clock[0] += 0.5

    found = stopwatch.keep_running(run, 3.25, lambda: None, lambda: clock[0])

    assert found == {"n_runs": 7, "wall_s": 3.5, "cpu_s": 7.0, "before": 1.0, "after": 4.5}


# The subprocess


def test_an_estimate_is_the_processor_time_of_the_subprocess_times_the_watts(
    shared: Stopwatch, small: Artefact, tmp_path: Path
) -> None:
    used(shared, small, tmp_path)  # starts the subprocess
    child = psutil.Process(shared.pid)
    before = child.cpu_times()
    use = used(shared, small, tmp_path, watts=5.0, batch=2)
    after = child.cpu_times()
    spent = after.user + after.system - before.user - before.system

    assert use.joules_per_run == pytest.approx(use.cpu_s_per_run * 5.0)
    assert (use.watts, use.batch, use.badge, use.reason) == (5.0, 2, "estimated", MISSING)
    assert use.joules_per_thousand == pytest.approx(500 * use.joules_per_run)
    assert 0.01 < use.n_runs * use.cpu_s_per_run <= spent + 0.02  # the system counts in steps of 10 ms


def test_the_counters_are_read_in_the_subprocess_before_and_after(
    shared: Stopwatch, small: Artefact, tmp_path: Path
) -> None:
    drawn = iter(range(10**6))

    def draw() -> bool:
        """Whoever is asked whether the answer is still wanted turns the counter on by one joule."""
        zone(tmp_path, "intel-rapl:0", next(drawn) * 1_000_000)
        return False

    use = used(shared, small, tmp_path, stale=draw)
    joules = use.joules_per_run * use.n_runs

    assert use.is_measured
    assert joules == pytest.approx(round(joules))
    assert 1 <= round(joules) <= next(drawn)


def test_more_images_in_a_run_cost_more(shared: Stopwatch, small: Artefact, tmp_path: Path) -> None:
    one, many = (used(shared, small, tmp_path, batch=batch) for batch in (1, 256))

    assert many.joules_per_run > 5 * one.joules_per_run
    assert many.n_runs < one.n_runs


def test_the_same_subprocess_times_before_and_after(shared: Stopwatch, small: Artefact, tmp_path: Path) -> None:
    used(shared, small, tmp_path)
    pid = shared.pid
    speed = shared.compare(small, small, shape=SHAPE, seconds=0.05)

    assert speed is not None
    assert used(shared, small, tmp_path).n_runs > 0
    assert shared.pid == pid


def test_a_stale_measurement_returns_within_100_ms_and_keeps_the_subprocess(
    shared: Stopwatch, small: Artefact, tmp_path: Path
) -> None:
    used(shared, small, tmp_path)
    pid = shared.pid

    def cancelled_in() -> float:
        moments: list[float] = []
        looks = iter(range(10**6))

        def stale() -> bool:
            if next(looks) == 5:
                moments.append(now())
            return bool(moments)

        assert measure_energy(shared, small, shape=SHAPE, seconds=30, root=tmp_path, stale=stale) is None
        return now() - moments[0]

    assert min(cancelled_in() for _ in range(3)) < 0.1
    assert used(shared, small, tmp_path).n_runs > 0
    assert shared.pid == pid


def killing(shared: Stopwatch) -> Callable[[], bool]:
    looks = iter(range(10**6))

    def stale() -> bool:
        if next(looks) == 3:
            os.kill(shared.pid, KILL)
        return False

    return stale


def test_a_kill_is_told_and_the_next_measurement_works(shared: Stopwatch, small: Artefact, tmp_path: Path) -> None:
    used(shared, small, tmp_path)

    with pytest.raises(SpeedError, match=r"died with exit code -?\d+; the next measurement starts a new one"):
        measure_energy(shared, small, shape=SHAPE, seconds=30, root=tmp_path, stale=killing(shared))

    assert used(shared, small, tmp_path).n_runs > 0


def test_a_damaged_file_is_told(shared: Stopwatch, tmp_path: Path) -> None:
    (tmp_path / "damaged.onnx").write_bytes(b"no graph")

    with pytest.raises(SpeedError, match=r"damaged\.onnx cannot be timed: .*[Pp]rotobuf"):
        used(shared, Artefact(tmp_path / "damaged.onnx", "onnx", "onnxruntime"), tmp_path)


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"watts": 0}, r"watts must be more than 0 \(processors have 4 to 24 a core\), not 0"),
        ({"watts": -3.5}, r"watts must be more than 0 .*, not -3\.5"),
        ({"watts": math.nan}, "watts must be more than 0 .*, not nan"),
        ({"watts": math.inf}, "watts must be more than 0 .*, not inf"),
        ({"batch": 0}, "batch must be a whole number from 1 up, not 0"),
        ({"seconds": 0}, "seconds must be more than 0, not 0"),
    ],
)
def test_a_number_out_of_range_is_refused_before_anything_starts(
    numbers: dict[str, float], message: str, small: Artefact
) -> None:
    with Stopwatch() as idle:
        with pytest.raises(ValueError, match=message):
            measure_energy(idle, small, shape=SHAPE, **numbers)
        assert idle.pid is None


def test_an_artefact_for_another_runtime_is_refused() -> None:
    with pytest.raises(ValueError, match=r"model\.bin is for the runtime 'sparse'"):
        measure_energy(Stopwatch(), Artefact(Path("model.bin"), "csr", "sparse"), shape=SHAPE)


# Carbon


def test_a_kilowatt_hour_emits_what_the_grid_says() -> None:
    assert carbon_grams(3_600_000, 473.05) == 473.05
    assert carbon_grams(1, 3600) == 0.001
    assert carbon_grams(0, 400) == 0


@pytest.mark.parametrize(("joules", "grams", "name"), [(-1, 400, "joules"), (1, math.nan, "grams_per_kwh")])
def test_what_is_no_amount_is_refused(joules: float, grams: float, name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} must be 0 or more, not "):
        carbon_grams(joules, grams)


def test_the_intensities_are_cited_and_begin_with_the_world() -> None:
    found = carbon_intensities()

    assert next(iter(found)) == "World"
    assert len(found) == len({one.code for one in found.values()}) >= 12
    assert all(one.source.startswith("Ember, Yearly electricity data, 2024") for one in found.values())
    assert all(20 < one.grams_per_kwh < 1000 and one.year == 2024 for one in found.values())
    assert isinstance(found["Norway"], CarbonIntensity)


@pytest.mark.parametrize(
    ("country", "grams"),
    [("World", 471.08), ("Australia", 553.83), ("United Kingdom", 216.5), ("United States", 383.78)],
)
def test_a_later_revision_of_the_same_data_differs_little(country: str, grams: float) -> None:
    """The values for 2024 that Our World in Data (Carbon intensity of electricity generation) gave in 2026."""
    assert carbon_intensities()[country].grams_per_kwh == pytest.approx(grams, rel=0.03)


def test_water_emits_least_and_coal_most() -> None:
    found = carbon_intensities()

    assert min(found, key=lambda name: found[name].grams_per_kwh) == "Norway"
    assert max(found, key=lambda name: found[name].grams_per_kwh) == "South Africa"


def test_the_table_is_the_one_that_a_chapter_shows() -> None:
    shown = table("carbon_intensity").set_index("country")["grams_per_kwh"]

    assert dict(shown) == {name: one.grams_per_kwh for name, one in carbon_intensities().items()}
