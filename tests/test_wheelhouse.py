"""The wheelhouse: a folder of wheels from which a machine without internet is set up."""

import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="module")
def maker(tool: Callable[[str], ModuleType]) -> ModuleType:
    return tool("make_wheelhouse")


def wheel(folder: Path, name: str, version: str, *needs: str) -> Path:
    """A wheel of one module, written as the specification of the format says."""
    folder.mkdir(exist_ok=True)
    path, info = folder / f"{name}-{version}-py3-none-any.whl", f"{name}-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(f"{name}.py", f"version = {version!r}\n")
        lines = [f"Name: {name}", f"Version: {version}", *(f"Requires-Dist: {need}" for need in needs)]
        file.writestr(f"{info}/METADATA", "\n".join(["Metadata-Version: 2.1", *lines, ""]))
        file.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        file.writestr(f"{info}/RECORD", "")
    return path


def test_what_a_wheel_needs_is_gathered_in_the_pinned_version_and_installs_without_an_index(
    maker: ModuleType, tmp_path: Path
) -> None:
    elsewhere, folder, pins = tmp_path / "elsewhere", tmp_path / "house", tmp_path / "pins.txt"
    for version in ("1.0", "1.1", "2.0"):
        wheel(elsewhere, "tinyneed", version)
    pins.write_text("tinyneed==1.1\n", encoding="utf-8")
    project = wheel(folder, "tinyproject", "0.1", "tinyneed>=1")

    assert maker.gather(project, folder, pins, "--no-index", "--find-links", str(elsewhere))
    assert sorted(path.name for path in folder.iterdir()) == [
        "tinyneed-1.1-py3-none-any.whl",
        "tinyproject-0.1-py3-none-any.whl",
    ]
    line = next(line for line in maker.how_to_install(folder).splitlines() if "--no-index" in line)
    options = line.split(" install ")[1].replace("efflab", "tinyproject").split()
    command = [sys.executable, "-m", "pip", "install", "--target", str(tmp_path / "there"), *options]
    subprocess.run(command, cwd=tmp_path, check=True)
    assert (tmp_path / "there" / "tinyneed.py").read_text(encoding="utf-8") == "version = '1.1'\n"


def test_what_cannot_be_had_is_told_and_not_taken_in_another_version(maker: ModuleType, tmp_path: Path) -> None:
    wheel(tmp_path / "elsewhere", "tinyneed", "2.0")
    (tmp_path / "pins.txt").write_text("tinyneed==1.1\n", encoding="utf-8")
    project = wheel(tmp_path / "house", "tinyproject", "0.1", "tinyneed>=1")
    more = ("--no-index", "--find-links", str(tmp_path / "elsewhere"))
    assert not maker.gather(project, tmp_path / "house", tmp_path / "pins.txt", *more)
    assert [path.name for path in (tmp_path / "house").iterdir()] == [project.name]


def test_on_linux_the_cpu_build_comes_first_so_that_pip_does_not_bring_the_gpu_libraries(
    maker: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    calls: list[tuple[str, ...]] = []
    monkeypatch.setattr(maker, "pip", lambda *arguments: calls.append(arguments) or len(calls) != 1)
    monkeypatch.setattr(maker, "build", lambda project, folder: wheel(folder, "efflab", "0.1.0"))
    monkeypatch.setattr(sys, "platform", "linux")
    maker.main([str(tmp_path / "house")])
    seen, asked, gathered = calls
    assert seen[-1] == asked[-1] == f"torch=={maker.setup_env.pin('torch')}+cpu"
    assert ("--index-url" in seen, "--index-url" in asked) == (False, True)
    assert gathered[-1] == str(tmp_path / "house" / "efflab-0.1.0-py3-none-any.whl")
    assert str(maker.ROOT / "constraints.txt") in gathered


@pytest.mark.parametrize("arguments", [["one", "two"], ["--help"]])
def test_anything_but_one_folder_is_refused_in_a_sentence(maker: ModuleType, arguments: list[str]) -> None:
    with pytest.raises(SystemExit, match="one folder may be named"):
        maker.main(arguments)


def test_a_file_is_no_wheelhouse(maker: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "house").write_text("", encoding="utf-8")
    with pytest.raises(SystemExit, match="is a file; name a folder"):
        maker.main([str(tmp_path / "house")])
