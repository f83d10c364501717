"""The command line: quick to start, careful with a learner's files, and silent towards the world."""

import json
import os
import socket
import subprocess
import sys
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

import pytest
from typer.testing import CliRunner

from efflab import shipped
from efflab.cli import app, chapters, main
from efflab.journal import Journal
from efflab.scoreboard.report import report


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two chapters with a picture, and files that are not for learners; the working folder is an empty one."""
    root = tmp_path / "shipped"
    for name in (
        "00_start_here.ipynb",
        "03_weight_pruning.ipynb",
        "pictures/03.png",
        "src/03.py",
        "solutions/03.ipynb",
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(f"original {name}", encoding="utf-8")
    monkeypatch.setattr(shipped, "notebooks", lambda: root)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return root


def efflab(*arguments: str) -> str:
    """What a command says when it succeeds."""
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    return done.output


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def page(address: str, server: subprocess.Popen[bytes]) -> str:
    """A page of a server that is starting; it has two minutes, and must not end before."""
    opener = build_opener(ProxyHandler({}))
    for _ in range(600):
        try:
            with opener.open(address) as answer:
                return answer.read().decode()
        except URLError:
            with pytest.raises(subprocess.TimeoutExpired):
                server.wait(0.2)
    raise TimeoutError(f"{address} did not answer within two minutes")


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_help_names_every_command() -> None:
    assert [name in efflab("--help") for name in ("lab", "start", "report", "class", "doctor")] == [True] * 5


def test_the_command_line_itself_imports_nothing_heavy(repository: Path) -> None:
    code = (
        "import sys, efflab; before = set(sys.modules)\n"
        "from typer.testing import CliRunner; from efflab.cli import app\n"
        "assert CliRunner().invoke(app, ['--help']).exit_code == 0\n"
        "print(*{name.split('.')[0] for name in set(sys.modules) - before})"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=repository, capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "typer" in loaded
    assert (
        loaded & {"torch", "numpy", "pandas", "sklearn", "onnxruntime", "jupyterlab", "ipywidgets", "plotly"} == set()
    )


def test_start_copies_a_chapter_and_its_pictures(source: Path) -> None:
    assert "work/03_weight_pruning.ipynb is yours" in efflab("start", "03").replace("\\", "/")
    assert files(Path("work")) == {"03_weight_pruning.ipynb", "pictures/03.png"}
    assert Path("work/03_weight_pruning.ipynb").read_text() == "original 03_weight_pruning.ipynb"


def test_start_takes_a_folder_and_a_number_without_zero(source: Path) -> None:
    efflab("start", "3", "--to", "mine/deep")
    assert "03_weight_pruning.ipynb" in files(Path("mine/deep"))


def test_a_second_start_leaves_the_learners_file_and_says_so(source: Path) -> None:
    efflab("start", "03")
    Path("work/03_weight_pruning.ipynb").write_text("my work", encoding="utf-8")
    Path("work/pictures/03.png").write_text("my picture", encoding="utf-8")
    assert "is there already and was left as it is" in efflab("start", "03")
    assert Path("work/03_weight_pruning.ipynb").read_text() == "my work"
    assert Path("work/pictures/03.png").read_text() == "my picture"


def test_fresh_makes_one_more_copy_each_time(source: Path) -> None:
    efflab("start", "03")
    for path in ("work/03_weight_pruning.ipynb", "work/03_weight_pruning-2.ipynb"):
        Path(path).write_text("my work", encoding="utf-8")
    assert "03_weight_pruning-3.ipynb is yours" in efflab("start", "03", "--fresh")
    assert Path("work/03_weight_pruning-2.ipynb").read_text() == "my work"
    assert Path("work/03_weight_pruning-3.ipynb").read_text() == "original 03_weight_pruning.ipynb"


def test_fresh_without_a_copy_makes_the_first(source: Path) -> None:
    efflab("start", "03", "--fresh")
    assert files(Path("work")) == {"03_weight_pruning.ipynb", "pictures/03.png"}


@pytest.mark.parametrize("chapter", ["07", "weight", ""])
def test_an_unknown_chapter_is_answered_with_those_that_exist(
    chapter: str, source: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["efflab", "start", chapter])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 1
    sentence = f"efflab: there is no chapter {chapter!r}; there are: 00_start_here, 03_weight_pruning\n"
    assert capsys.readouterr() == ("", sentence)
    assert not Path("work").exists()


def test_a_folder_that_cannot_be_made_is_a_sentence(
    source: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("work").write_text("a file", encoding="utf-8")
    monkeypatch.setattr(sys, "argv", ["efflab", "start", "03"])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 1
    assert "work" in capsys.readouterr().err


def test_a_copy_that_breaks_off_leaves_no_half_file(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(original: object, copy: object) -> None:
        copy.write(b"half")  # type: ignore[attr-defined]
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(chapters.shutil, "copyfileobj", full)
    with pytest.raises(OSError, match="No space"):
        chapters.start("03", Path("work"))
    assert files(Path("work")) == set()


def test_notebooks_of_a_checkout_are_opened_where_they_lie(source: Path) -> None:
    assert chapters.prepare() == (source, 0)
    assert files(Path()) == set()


def test_notebooks_of_an_installed_efflab_are_copied_first(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shipped, "__file__", str(source.parent / "shipped.py"))  # the notebooks lie in the package
    place, n_copied = chapters.prepare()
    assert (place, n_copied) == (Path("efflab-notebooks").resolve(), 3)
    assert files(place) == {"00_start_here.ipynb", "03_weight_pruning.ipynb", "pictures/03.png"}


def test_a_named_folder_gets_what_it_lacks_and_keeps_what_it_has(source: Path) -> None:
    Path("mine").mkdir()
    Path("mine/00_start_here.ipynb").write_text("my work", encoding="utf-8")
    assert chapters.prepare(Path("mine")) == (Path("mine").resolve(), 2)
    assert Path("mine/00_start_here.ipynb").read_text() == "my work"
    assert chapters.prepare(Path("mine"))[1] == 0


def test_lab_hands_the_folder_to_jupyter_and_returns_its_exit_code(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    called = []
    monkeypatch.setattr(chapters, "open_jupyter", lambda folder, **how: called.append((folder, how)) or 3)
    done = CliRunner().invoke(app, ["lab", "mine", "--no-browser"])
    assert (done.exit_code, called) == (3, [(Path("mine").resolve(), {"browser": False, "teacher": False})])
    assert "3 new files were copied" in done.output
    CliRunner().invoke(app, ["lab", "mine", "--teacher"])
    assert called[1][1] == {"browser": True, "teacher": True}


@pytest.mark.parametrize(("teacher", "switch"), [(True, "1"), (False, None)])
def test_teacher_mode_reaches_every_notebook_by_the_environment(
    teacher: bool, switch: str | None, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Jupyter:
        def __init__(self, command: list[str], env: dict[str, str]) -> None:
            assert env.get("EFFLAB_TEACHER") == switch

        def wait(self) -> int:
            return 5

    monkeypatch.delenv("EFFLAB_TEACHER", raising=False)
    monkeypatch.setattr(chapters.subprocess, "Popen", Jupyter)
    assert chapters.open_jupyter(source, teacher=teacher) == 5


def test_jupyter_is_this_pythons_and_stays_on_this_machine(source: Path) -> None:
    command = chapters.jupyter_command(source)
    assert command[:4] == [sys.executable, "-m", "jupyterlab", str(source)]
    assert {
        "--ServerApp.ip=127.0.0.1",
        "--LabApp.news_url=",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
        "--LabApp.extension_manager=readonly",
    } <= set(command)


def test_an_interrupt_is_left_to_jupyter(monkeypatch: pytest.MonkeyPatch, source: Path) -> None:
    class Jupyter:
        answers = iter([KeyboardInterrupt, 0])

        def __init__(self, command: list[str], env: dict[str, str]) -> None:
            assert env["JUPYTER_PREFER_ENV_PATH"] == "1"

        def wait(self) -> int:
            answer = next(self.answers)
            if answer is KeyboardInterrupt:
                raise KeyboardInterrupt
            return answer

    monkeypatch.setattr(chapters.subprocess, "Popen", Jupyter)
    assert chapters.open_jupyter(source) == 0


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Journal:
    """An empty journal, which the commands find; the working folder is an empty one."""
    monkeypatch.setenv("EFFLAB_JOURNAL", str(tmp_path / "journal.sqlite"))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return Journal()


def refused(*arguments: str) -> str:
    """What the command says when it cannot."""
    with pytest.MonkeyPatch.context() as patch, redirect_stderr(StringIO()) as said:
        patch.setattr(sys, "argv", ["efflab", *arguments])
        with pytest.raises(SystemExit) as end:
            main()
    assert end.value.code == 1
    return said.getvalue()


def test_a_report_is_written_and_never_over_a_file_unless_told_to(journal: Journal) -> None:
    assert "nothing is in the journal" in refused("report")
    assert files(Path()) == set()
    journal.record("skip", "accuracy_at_80", None, chapter="03")
    assert "efflab-report-ada.html is written. Open it in a browser." in efflab("report", "--name", "Ada")
    assert "efflab-report-ada.html is there already" in refused("report", "--name", "Ada")
    to = ("--to", "efflab-report-ada.html")
    assert "efflab-report-ada.html is there already" in refused("report", "--name", "Eve", *to)
    assert "What Ada did in efflab" in Path("efflab-report-ada.html").read_text(encoding="utf-8")
    efflab("report", "--name", "Eve", "--force", *to)
    assert "What Eve did in efflab" in Path("efflab-report-ada.html").read_text(encoding="utf-8")
    efflab("report")
    assert files(Path()) == {"efflab-report-ada.html", "efflab-report.html"}


def test_a_report_of_a_damaged_journal_says_so_in_two_sentences(journal: Journal) -> None:
    journal.path.write_bytes(b"no database" * 1000)
    first, second = refused("report").splitlines()
    assert first.startswith("efflab: The journal")
    assert "was damaged: it is kept as" in first
    assert second.startswith("efflab: there is no report yet")


def test_a_class_is_summarised_as_text_or_json(journal: Journal) -> None:
    assert "there is no folder handed-in" in refused("class", "handed-in")
    journal.record("skip", "accuracy_at_80", None, chapter="03")
    Path("handed-in").mkdir()
    efflab("report", "--name", "Ada", "--to", "handed-in/a.html")
    Path("handed-in/b.html").write_text("<html>", encoding="utf-8")
    assert efflab("class", "handed-in").splitlines()[1].startswith("Ada")
    assert "Not read: b.html: it is no whole report" in efflab("class", "handed-in")
    found = json.loads(efflab("class", "handed-in", "--json", "--under", "500"))
    assert ([one["name"] for one in found["learners"]], found["under_bytes"]) == (["Ada"], 500)


def test_a_class_is_told_where_the_output_lacks_the_letters_of_a_name(journal: Journal) -> None:
    """As on Windows, when the output goes into a file; and a file may hold half of a pair of code units."""
    journal.record("skip", "accuracy_at_80", None, chapter="03")
    Path("handed-in").mkdir()
    for number, name in enumerate(("Łukasz", "李雷", "half \ud800")):
        path = Path(f"handed-in/{number}.html")
        path.write_text(report(journal.entries()).replace('"name": ""', f'"name": {json.dumps(name)}'), "utf-8")
    said = {}
    for form in ((), ("--json",)):
        command = [sys.executable, "-m", "efflab.cli", "class", "handed-in", *form]
        done = subprocess.run(command, capture_output=True, env=os.environ | {"PYTHONIOENCODING": "cp1252"})
        assert (done.returncode, done.stderr) == (0, b"")
        said[form] = done.stdout.decode("cp1252")
    assert all(name in said[()] for name in (r"\u0141ukasz", r"\u674e\u96f7", "half ?"))
    assert [one["name"] for one in json.loads(said["--json",])["learners"]] == ["half \ud800", "Łukasz", "李雷"]


@pytest.mark.slow
def test_the_command_really_serves_the_notebooks(source: Path, tmp_path: Path) -> None:
    folders = {f"JUPYTER_{kind}_DIR": str(tmp_path / kind.lower()) for kind in ("CONFIG", "DATA", "RUNTIME")}
    port = free_port()
    command = [*chapters.jupyter_command(source, browser=False), f"--ServerApp.port={port}"]
    server = subprocess.Popen(command, env=os.environ | folders | {"JUPYTER_TOKEN": "test"})
    try:
        text = page(f"http://127.0.0.1:{port}/api/contents?token=test", server)
    finally:
        server.kill()
        server.wait()
    assert "03_weight_pruning.ipynb" in text
