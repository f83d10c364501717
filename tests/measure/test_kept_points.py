"""The points that are kept between sessions: read back as they were, and never believed when they are not ours."""

import json
import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from efflab.measure import kept_points
from efflab.measure.kept import Kept, checksum
from efflab.measure.kept_points import add_points, points_file, read_points, this_machine, write_points
from efflab.measure.kernel_speed import KernelSpeed
from efflab.measure.speed import SpeedError, summarise


def points() -> tuple[KernelSpeed, ...]:
    answer = {"rounds": [[1 / 3000, 0.0004, 0.0001 * i] for i in range(1, 9)], "wall_s": 1.0, "cpu_s": 0.7}
    speed = summarise(answer, batch=64, threads=2, machine="a machine")
    return (KernelSpeed("csr", 64, 32, 0.9, 1, speed), KernelSpeed("bsr", 64, 32, 1 / 3, 4, speed))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write_points(points(), tmp_path / "points.json")


def assert_damaged(path: Path) -> None:
    sentence = f"{path} is damaged or was not written by this efflab, so it is not used; measure again"
    assert read_points(path) == Kept(reason=sentence)


def test_points_are_read_as_they_were_written(path: Path) -> None:
    kept = read_points(path)

    assert kept.content == points()
    assert kept.reason == ""


def test_the_date_is_now_in_utc(path: Path) -> None:
    age = datetime.now(UTC) - datetime.fromisoformat(read_points(path).date)

    assert timedelta(0) <= age < timedelta(minutes=5)


def test_the_file_names_machine_and_torch(path: Path) -> None:
    assert json.loads(path.read_text())["kept"]["machine"] == this_machine()


def test_without_a_name_they_lie_in_the_cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EFFLAB_CACHE", str(tmp_path / "not" / "made yet"))

    assert write_points(points()) == points_file() == tmp_path / "not" / "made yet" / "break_even.json"
    assert read_points().content == points()


def test_later_points_take_the_place_of_earlier_ones(path: Path) -> None:
    write_points(points()[:1], path)

    assert read_points(path).content == points()[:1]
    assert list(path.parent.iterdir()) == [path]


def test_added_points_join_those_that_are_there_and_replace_equal_ones(path: Path) -> None:
    csr, bsr = points()
    again, new = replace(csr, date="2026-01-02T03:04:05+00:00"), replace(csr, sparsity=0.8)

    add_points([again, new], path)

    assert read_points(path).content == (again, bsr, new)


def test_points_are_added_in_the_place_of_a_damaged_file(path: Path) -> None:
    path.write_text("{}")

    add_points(points()[:1], path)

    assert read_points(path).content == points()[:1]


def test_before_the_first_measurement_there_are_none(tmp_path: Path) -> None:
    assert read_points(tmp_path / "none.json") == Kept(reason="nothing was measured on this machine yet")


def test_points_of_another_machine_are_not_used(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = this_machine()
    monkeypatch.setattr(kept_points, "this_machine", lambda: "another processor")

    kept = read_points(path)

    assert kept.content is None
    assert kept.reason == f"{path} was measured on {here}, and this is another processor; measure again"


def test_points_of_another_torch_are_not_used(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_points, "version", lambda: "torch 9.9")

    kept = read_points(path)

    assert kept.content is None
    assert kept.reason.endswith("cores, torch 9.9; measure again")


@pytest.mark.parametrize("n_bytes", [0, 1, 200, -2])
def test_a_file_that_was_cut_off_is_not_used(path: Path, n_bytes: int) -> None:
    path.write_bytes(path.read_bytes()[:n_bytes])

    assert_damaged(path)


def test_a_number_that_was_changed_is_noticed(path: Path) -> None:
    text = path.read_text()
    assert text.count('"rows": 64') == 2
    path.write_text(text.replace('"rows": 64', '"rows": 65'))

    assert_damaged(path)


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"[]", b"3", b"null", b"{}", b'{"kept": {}, "sha256": 1}'])
def test_a_foreign_file_is_not_used(path: Path, content: bytes) -> None:
    path.write_bytes(content)

    assert_damaged(path)


@pytest.mark.parametrize("change", ["more", "fewer"])
def test_points_of_another_form_are_not_used(path: Path, change: str) -> None:
    """As an older or newer efflab would write them, with a checksum that agrees."""
    kept = json.loads(path.read_text())["kept"]
    if change == "more":
        kept["points"][0]["colour"] = "red"
    else:
        del kept["points"][0]["speed"]["ratio"]
    path.write_text(json.dumps({"sha256": checksum(kept), "kept": kept}))

    assert_damaged(path)


def test_a_folder_in_its_place_is_not_used(tmp_path: Path) -> None:
    assert_damaged(tmp_path)


def test_a_folder_that_cannot_be_written_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file stands here")

    with pytest.raises(SpeedError, match=r"the break-even cannot be kept in .*taken \(.*\); set EFFLAB_CACHE to a"):
        write_points(points(), tmp_path / "taken" / "points.json")
    assert [each.name for each in tmp_path.iterdir()] == ["taken"]


def test_a_write_that_fails_keeps_the_old_points(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        with pytest.raises(SpeedError, match="No space left on device"):
            write_points([], path)

    assert read_points(path).content == points()
    assert list(path.parent.iterdir()) == [path]
