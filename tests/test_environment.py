"""The four files that say what to install agree with each other, and nothing names a package registry."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

LINUX = {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix"}


@pytest.fixture(scope="module")
def project(repository: Path) -> dict[str, Any]:
    return tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture(scope="module")
def pins(repository: Path) -> dict[str, str]:
    lines = (repository / "constraints.txt").read_text(encoding="utf-8").splitlines()
    rows = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(name): version for name, version in rows}


@pytest.fixture(scope="module")
def conda(repository: Path) -> dict[str, Any]:
    return yaml.safe_load((repository / "environment.yml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def setup_env(tool: Callable[[str], ModuleType]) -> ModuleType:
    return tool("setup_env")


def imported(folder: Path) -> dict[str, str]:
    """The top-level packages of others that a folder's code imports, anywhere in it, each with a file that does."""
    found: dict[str, str] = {}
    for path in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names = [node.module]
            found |= {name.split(".")[0]: str(path.relative_to(folder)) for name in names}
    return {name: path for name, path in found.items() if name not in sys.stdlib_module_names and name != folder.name}


def required(project: dict[str, Any]) -> list[Requirement]:
    return [Requirement(text) for text in [*project["dependencies"], *project["optional-dependencies"]["dev"]]]


def closure(project: dict[str, Any]) -> set[str]:
    """The names of all that an install with the dev extra brings on Linux, read from what is installed."""
    seen, waiting = (
        set(),
        {(canonicalize_name(r.name), extra) for r in required(project) for extra in extras(r)},
    )
    while waiting:
        name, extra = wanted = waiting.pop()
        seen.add(wanted)
        found = [Requirement(text) for text in metadata.requires(name) or []]
        found = [r for r in found if r.marker is None or r.marker.evaluate({**LINUX, "extra": extra})]
        waiting |= {(canonicalize_name(r.name), extra) for r in found for extra in extras(r)} - seen
    return {name for name, _ in seen}


def extras(requirement: Requirement) -> set[str]:
    return {"", *requirement.extras}


def test_every_range_contains_the_version_that_was_tested(project: dict[str, Any], pins: dict[str, str]) -> None:
    outside = [str(r) for r in required(project) if pins.get(canonicalize_name(r.name)) not in r.specifier]
    assert outside == []


@pytest.mark.skipif(sys.platform != "linux", reason="constraints.txt is made on Linux: run this test there")
def test_every_package_that_an_install_brings_is_pinned_and_no_other(
    project: dict[str, Any], pins: dict[str, str]
) -> None:
    assert closure(project) == set(pins)


def test_every_pin_installs_on_the_first_release_of_the_oldest_python(pins: dict[str, str]) -> None:
    # Debian 12 has 3.11.2, and packages exist that ask for 3.11.5.
    checked = [metadata.metadata(name) for name in pins if installed(name) == pins[name]]
    too_new = [m["Name"] for m in checked if "3.11.0" not in SpecifierSet(m.get("Requires-Python") or "")]
    assert checked
    assert too_new == []


def installed(name: str) -> str:
    try:
        return metadata.version(name).split("+")[0]
    except metadata.PackageNotFoundError:
        return ""


def test_the_kernel_is_pinned_to_the_line_whose_callbacks_were_tested(pins: dict[str, str]) -> None:
    assert pins["ipykernel"].startswith("6.31.")


def test_the_kernel_that_leaves_sliders_dead_is_excluded(project: dict[str, Any]) -> None:
    (kernel,) = [r for r in required(project) if r.name == "ipykernel"]
    assert "7.4.0" not in kernel.specifier
    assert "7.3.0" in kernel.specifier


def test_torch_is_pinned_without_naming_a_build(pins: dict[str, str]) -> None:
    assert pins["torch"] == "2.13.0"


def test_conda_installs_a_supported_python_and_the_same_pins(conda: dict[str, Any], project: dict[str, Any]) -> None:
    python, pip, section = conda["dependencies"]
    assert python.split("=")[1] in SpecifierSet(project["requires-python"])
    assert pip == "pip"
    assert {"-c constraints.txt", "-e ."} < set(section["pip"])


def test_conda_takes_the_pinned_cpu_torch_for_its_own_python(conda: dict[str, Any], pins: dict[str, str]) -> None:
    python = conda["dependencies"][0].split("=")[1]
    (torch,) = [Requirement(line) for line in conda["dependencies"][2]["pip"] if line.startswith("torch")]
    tag = "cp" + python.replace(".", "")
    host = "https://download.pytorch.org/whl/cpu/"
    assert torch.url == f"{host}torch-{pins['torch']}%2Bcpu-{tag}-{tag}-manylinux_2_28_x86_64.whl"
    assert torch.marker
    assert torch.marker.evaluate({**LINUX, "platform_machine": "x86_64"})
    assert not torch.marker.evaluate({"sys_platform": "darwin", "platform_machine": "x86_64"})


def test_setup_supports_pythons_that_the_project_accepts(setup_env: ModuleType, project: dict[str, Any]) -> None:
    oldest, newest = ("{}.{}".format(*version) for version in setup_env.PYTHONS)
    assert project["requires-python"] == f">={oldest}"
    assert newest in SpecifierSet(project["requires-python"])


@pytest.mark.parametrize("version", [(3, 10, 13), (3, 15, 0), ()])
def test_setup_refuses_another_python_and_says_which_to_take(setup_env: ModuleType, version: tuple[int, ...]) -> None:
    with pytest.raises(SystemExit, match=r"needs Python 3\.11 to 3\.14.*PYTHON=") as refusal:
        setup_env.refuse_python(version, "this one")
    assert (".".join(map(str, version)) or "no working Python") in str(refusal.value)


def test_setup_keeps_another_torch_by_pinning_that_one(
    setup_env: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, pins: dict[str, str]
) -> None:
    monkeypatch.setattr(setup_env, "VENV", tmp_path)
    lines = setup_env.constraints_for("2.12.1+cu126").read_text(encoding="utf-8").splitlines()
    assert "torch==2.12.1" in lines
    assert f"torch=={pins['torch']}" not in lines
    assert f"numpy=={pins['numpy']}" in lines


def test_setup_uses_the_pins_themselves_for_any_build_of_the_pinned_torch(
    setup_env: ModuleType, repository: Path, pins: dict[str, str]
) -> None:
    assert setup_env.constraints_for(f"{pins['torch']}+cu130") == repository / "constraints.txt"


def test_setup_asks_pytorch_for_torch_only_after_pip_saw_none(
    setup_env: ModuleType, monkeypatch: pytest.MonkeyPatch, pins: dict[str, str]
) -> None:
    calls: list[tuple[str, ...]] = []
    monkeypatch.setattr(setup_env, "pip", lambda *arguments: calls.append(arguments) or len(calls) == 2)
    build = f"torch=={pins['torch']}+cpu"
    assert setup_env.pip_cpu_torch(pins["torch"])
    assert calls == [
        ("install", build),
        ("install", "--no-deps", "--index-url", "https://download.pytorch.org/whl/cpu", build),
    ]


def test_setup_never_builds_over_an_environment_of_another_system(
    setup_env: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "Scripts").mkdir()
    monkeypatch.setattr(setup_env, "VENV", tmp_path)
    with pytest.raises(SystemExit, match=r"holds no Python that works.*Remove it"):
        setup_env.create_venv()
    assert [path.name for path in tmp_path.iterdir()] == ["Scripts"]


def registry_hosts(text: str) -> list[str]:
    """The package registries' hosts that a text names; put together here, so that this file names none."""
    hosts = [
        ("py", "pi.org"),
        ("pythonhosted", ".org"),
        ("npm", "js.org"),
        ("npm", "js.com"),
        ("yarn", "pkg.com"),
    ]
    hosts += [
        ("ana", "conda.org"),
        ("ana", "conda.com"),
        ("un", "pkg.com"),
        ("js", "delivr.net"),
        ("cdn", "js.com"),
    ]
    return re.findall("|".join(re.escape(a + b) for a, b in hosts), text, re.IGNORECASE)


def test_a_registry_host_is_recognised() -> None:
    assert registry_hosts("see files.python" + "hosted.org/packages") == ["python" + "hosted.org"]


def test_no_file_of_the_repository_names_a_registry_host(repository: Path) -> None:
    if not (repository / ".git").exists():
        pytest.skip("which files belong to the repository is known in a git clone only: run this test in one")
    listing = ["git", "-C", str(repository), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listing, capture_output=True, text=True, check=True).stdout.split("\0")
    texts = {name: (repository / name).read_bytes() for name in names if name and (repository / name).is_file()}
    assert "pyproject.toml" in texts
    assert {n: h for n, raw in texts.items() if (h := registry_hosts(raw.decode("utf-8", "replace")))} == {}


def test_every_package_that_efflab_imports_is_one_of_its_own_dependencies(repository, project):
    declared = {canonicalize_name(Requirement(text).name) for text in project["dependencies"]}
    brought_by = metadata.packages_distributions()
    found = imported(repository / "efflab")
    assert {"torch", "yaml", "IPython"} <= set(found)  # it did look, and names may differ from those on the index
    missing = {
        name: path
        for name, path in found.items()
        if not {canonicalize_name(one) for one in brought_by[name]} & declared
    }
    assert missing == {}
