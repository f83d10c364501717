"""The doctor: it finds what is broken, never breaks itself, and tells a teacher nothing personal."""

import gzip
import hashlib
import json
import os
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
import sklearn
import torch
from typer.testing import CliRunner

from efflab import models, runtime, shipped
from efflab.cli import app, doctor, findings
from efflab.cli.doctor import CHECKS, examine
from efflab.cli.findings import Check, Examination, Finding, TroubleError
from efflab.measure import clock, machine
from efflab.measure.machine import describe_machine

NAMES = [
    "network",
    "training",
    "processor",
    "clock",
    "memory",
    "disk",
    "journal",
    "checkpoints",
    "digits",
    "kernel",
    "widgets",
]


@pytest.fixture(autouse=True)
def own_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EFFLAB_JOURNAL", str(tmp_path / "journal" / "journal.sqlite"))
    monkeypatch.setenv("EFFLAB_CACHE", str(tmp_path / "cache"))


def check(name: str) -> Finding:
    (one,) = [one for one in CHECKS if one.name == name]
    return one()


def look(error: Exception) -> Check:
    def raises() -> str:
        raise error

    return Check("thing", "Mend it.", raises)


def test_the_doctor_looks_at_everything_a_chapter_needs() -> None:
    assert [one.name for one in CHECKS] == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_on_this_machine_it_is_well(name: str) -> None:
    finding = check(name)
    assert finding.ok, finding.sentence


def test_what_is_wrong_is_told_with_what_to_do() -> None:
    assert look(TroubleError("the thing is bent"))() == Finding("thing", False, "the thing is bent. Mend it.")


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (ImportError("no module\nmore lines"), "ImportError: no module. Mend it."),
        (OSError(28, "No space left on device"), "OSError: [Errno 28] No space left on device. Mend it."),
        (RuntimeError(), "RuntimeError. Mend it."),
        (RuntimeError("It ends."), "RuntimeError: It ends. Mend it."),
    ],
)
def test_a_check_that_raises_is_a_finding(error: Exception, sentence: str) -> None:
    assert look(error)() == Finding("thing", False, sentence)


def test_an_exported_network_that_answers_differently_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    right = runtime.parity
    other = models.build("mlp", shape=(1, 8, 8), sizes=(16,), seed=1)
    monkeypatch.setattr(runtime, "parity", lambda artefact, model, images: right(artefact, other, images))
    finding = check("network")
    assert not finding.ok
    assert "answers differently in ONNX Runtime" in finding.sentence


def test_an_optimizer_that_does_nothing_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.optim.AdamW, "step", lambda self, closure=None: None)
    finding = check("training")
    assert not finding.ok
    assert "mere guessing" in finding.sentence


def test_the_processor_is_told_as_captions_tell_it() -> None:
    assert check("processor").sentence == f"{describe_machine().sentence}."


def test_a_coarse_clock_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "smallest_step", lambda: 0.0156)
    assert check("clock").sentence.startswith("the clock moves in steps of 15.6 ms")


def test_too_little_memory_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    little = psutil.virtual_memory()._replace(available=300_000_000)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: little)
    assert check("memory").sentence.startswith("only 0.3 GB of memory are free; a lab wants 1 GB. Close")


@pytest.mark.parametrize(
    ("cache_bytes", "end"), [(32 * 2**20, "are free, and the largest cache holds 33.6 MB."), (None, "are free.")]
)
def test_the_largest_cache_is_told_where_the_system_tells_it(
    cache_bytes: int | None, end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = replace(describe_machine(), cache_bytes=cache_bytes)
    monkeypatch.setattr(machine, "describe_machine", lambda: found)
    monkeypatch.setattr(doctor, "MIN_MEMORY_BYTES", 0)
    assert check("memory").sentence.endswith(f" GB of memory {end}")


def test_a_full_disk_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "MIN_DISK_BYTES", 1 << 80)
    finding = check("disk")
    assert not finding.ok
    assert "EFFLAB_CACHE" in finding.sentence


@pytest.mark.parametrize(("name", "variable"), [("disk", "EFFLAB_CACHE"), ("journal", "EFFLAB_JOURNAL")])
def test_a_folder_that_cannot_be_written_is_found(
    name: str, variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv(variable, str(tmp_path / "file" / "below"))
    finding = check(name)
    assert not finding.ok
    assert variable in finding.sentence


def test_a_read_only_journal_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from efflab.journal import Journal

    Journal().record("answer", "mine", 1, chapter="00")
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert "is read-only" in check("journal").sentence


def test_looking_at_the_journal_leaves_it_as_it_was(tmp_path: Path) -> None:
    from efflab.journal import Journal

    Journal().record("answer", "mine", 1, chapter="00")
    finding = check("journal")
    assert "holds 1 entries" in finding.sentence
    assert [entry.name for entry in Journal().entries()] == ["mine"]
    assert [path.name for path in (tmp_path / "journal").iterdir()] == ["journal.sqlite"]


def test_a_damaged_checkpoint_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = models.names()
    assert names
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    for path in shipped.folder("checkpoints").glob(f"{names[0]}.*"):
        (folder / path.name).write_bytes(path.read_bytes())
    monkeypatch.setattr(shipped, "folder", lambda name="": tmp_path / name)
    assert check("checkpoints").sentence.startswith("1 trained networks load")
    weights = folder / f"{names[0]}.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    assert "damaged" in check("checkpoints").sentence


def test_missing_checkpoints_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "names", list)
    assert check("checkpoints").sentence.startswith("no trained network came along. Install")


def test_the_expected_digits_are_those_of_scikit_learns_own_file(repository: Path) -> None:
    file = Path(sklearn.__file__).parent / "datasets" / "data" / "digits.csv.gz"
    rows = np.loadtxt(gzip.decompress(file.read_bytes()).decode().splitlines(), delimiter=",").astype(np.uint8)
    digest = hashlib.sha256(rows[:, :-1].tobytes() + rows[:, -1].tobytes()).hexdigest()
    expected = json.loads((repository / "data" / "expected" / "digits.json").read_text(encoding="utf-8"))
    assert expected == {"n_images": 1797, "sha256": digest}


def test_other_digits_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "digits_fingerprint", lambda: {"n_images": 1797, "sha256": "0"})
    assert "not the ones that efflab was tested with" in check("digits").sentence


def test_the_kernel_that_leaves_sliders_dead_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "version_of", lambda name: "7.4.0")
    assert check("kernel").sentence.startswith("ipykernel 7.4.0 leaves sliders dead")


def test_a_missing_plotly_script_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Spec:
        origin = str(tmp_path / "__init__.py")

    monkeypatch.setattr(doctor, "find_spec", lambda name: Spec)
    assert check("widgets").sentence.startswith("plotly.min.js")


def test_the_line_holds_versions_and_the_verdict() -> None:
    found = Examination((Finding("clock", True, "fine."), Finding("disk", False, "full.")))
    version = r"[\w.+]+"
    pattern = (
        rf"efflab {version} \| py 3\.\d+\.\d+ \| torch {version} \| onnxruntime {version} "
        rf"\| jupyterlab {version} \| ipykernel {version} \| \w+ \w+, \d+ cores \| 1/2 ok, not disk"
    )
    assert re.fullmatch(pattern, found.line)
    assert not found.is_ok


def test_the_line_says_what_is_not_installed() -> None:
    assert findings.version_of("no-such-package") == "not installed"


def test_an_examination_of_nothing_is_not_ok() -> None:
    assert not Examination(()).is_ok


def test_a_notebook_shows_the_findings_as_a_table_with_words_and_not_only_colours() -> None:
    shown = Examination((Finding("clock", True, "a < b."), Finding("disk", False, "full.")))._repr_html_()
    assert shown.count("<tr>") == 2
    assert "a &lt; b." in shown
    assert "<b>not ok</b>" in shown
    assert "1/2 ok, not disk" in shown


def test_examine_runs_every_check(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "CHECKS", (look(ValueError("one")), look(ValueError("two"))))
    assert [finding.sentence for finding in examine().findings] == [
        "ValueError: one. Mend it.",
        "ValueError: two. Mend it.",
    ]


@pytest.mark.parametrize(("sentence", "code"), [(None, 0), ("bent", 1)])
def test_the_command_ends_with_the_line_and_tells_by_its_exit_code(
    sentence: str | None, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    well = Check("clock", "", lambda: "it ticks")
    checks = (well, look(TroubleError(sentence))) if sentence else (well,)
    monkeypatch.setattr(doctor, "CHECKS", checks)
    done = CliRunner().invoke(app, ["doctor"])
    lines = done.output.splitlines()
    assert done.exit_code == code
    assert lines[0] == "clock        ok: it ticks."
    assert lines[-1].endswith(f"| {1}/{len(checks)} ok" + (", not thing" if sentence else ""))
