"""The wheel is enough: installed somewhere else, without the checkout, it opens a lab."""

import subprocess
import sys
import sysconfig
import venv
from pathlib import Path
from zipfile import ZipFile

import pytest

pytestmark = pytest.mark.slow

OPEN_A_LAB = """
import efflab
from efflab import shipped
lab = efflab.Lab.open("mlp-digits")
score = lab.preview((efflab.step(efflab.prune_weights, sparsity=0.5),)).evaluation.value
print(efflab.__file__, shipped.folder(), shipped.notebooks(), score, sep="\\n")
"""


def run(*command: str | Path, folder: Path) -> str:
    """What a command prints; a failure shows what it said."""
    done = subprocess.run([str(part) for part in command], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, folder=repository)
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def carried(wheel: Path) -> set[str]:
    with ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if ".dist-info/" not in name}


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment: the wheel, and the libraries of the one that runs the tests, but not its efflab."""
    root = tmp_path_factory.mktemp("environment")
    venv.create(root, symlinks=sys.platform != "win32")
    python = Path(sysconfig.get_path("scripts", "venv", {"base": str(root)})) / Path(sys.executable).name
    packages = Path(sysconfig.get_path("purelib", "venv", {"base": str(root), "platbase": str(root)}))
    # Python follows this line, but not the .pth files in the folder that it names: the checkout stays out.
    (packages / "libraries.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--no-index", "--no-deps"]
    run(*pip, "--force-reinstall", wheel, folder=root)
    return python


def files(folder: Path, pattern: str = "**/*") -> set[str]:
    """The files of a folder of the checkout, relative to it; there must be some."""
    paths = {file.relative_to(folder).as_posix() for file in folder.glob(pattern) if file.is_file()}
    paths = {path for path in paths if "__pycache__" not in path and ".ipynb_checkpoints" not in path}
    assert paths, f"no file was found in {folder}"
    return paths


def test_the_wheel_carries_every_file_of_the_package(carried: set[str], repository: Path) -> None:
    assert {f"efflab/{path}" for path in files(repository / "efflab")} <= carried


def test_the_wheel_carries_every_shipped_file(carried: set[str], repository: Path) -> None:
    shipped = {path for path in carried if path.startswith("efflab/shipped_data/")}
    assert shipped == {f"efflab/shipped_data/{path}" for path in files(repository / "data")}


def test_the_wheel_carries_the_student_notebooks_and_no_solution(carried: set[str], repository: Path) -> None:
    notebooks = {path for path in carried if path.startswith("efflab/shipped_notebooks/")}
    student = files(repository / "notebooks", "*") | files(repository / "notebooks", "pictures/*")
    assert notebooks == {f"efflab/shipped_notebooks/{path}" for path in student}


def test_the_wheel_carries_nothing_outside_the_package(carried: set[str]) -> None:
    assert {path.split("/")[0] for path in carried} == {"efflab"}


def test_an_installed_wheel_opens_a_lab_from_another_folder(environment: Path, tmp_path: Path) -> None:
    package, data, notebooks, score = run(environment, "-I", "-c", OPEN_A_LAB, folder=tmp_path).split("\n", 3)
    inside = environment.parent.parent
    assert all(Path(place).is_relative_to(inside) for place in (package, data, notebooks))
    assert 0.8 < float(score) <= 1


def test_an_installed_wheel_brings_the_command(environment: Path, tmp_path: Path) -> None:
    assert "doctor" in run(environment.parent / "efflab", "--help", folder=tmp_path)
