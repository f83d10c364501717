"""Make `.venv` ready for efflab: run `python tools/setup_env.py` on any system; `make` runs it too.

A second run finds that nothing changed and ends at once. Only the standard library is used, and nothing newer
than Python 3.7, so that an old Python gets as far as the sentence that says which one to take.

On Linux the package index serves a torch with several GB of CUDA libraries, so the CPU build is asked for by
name. A torch that already works in `.venv` is kept, whichever build it is.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import venv
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
STAMP = VENV / "efflab-setup.txt"
PYTHON = VENV / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
PYTHONS = ((3, 11), (3, 14))  # oldest and newest with a wheel for every pin of constraints.txt
CPU_INDEX = "https://download.pytorch.org/whl/cpu"


def main() -> None:
    """Create `.venv` if it is missing, install efflab with its tools, and remember what was installed."""
    if not PYTHON.exists():
        create_venv()
    if STAMP.exists() and STAMP.read_text(encoding="utf-8") == fingerprint():
        return
    refuse_python(tuple(int(part) for part in ask("import sys; print(*sys.version_info[:3])").split()), str(PYTHON))
    if not ask("import pip; print(pip.__version__)"):
        run(str(PYTHON), "-m", "ensurepip")
    constraints = constraints_for(install_torch())
    if not pip("install", "-e", ".[dev]", "-c", str(constraints)):
        sys.exit("The installation stopped; pip's message above says why. Run the same command again to continue.")
    STAMP.write_text(fingerprint(), encoding="utf-8")
    print(f"efflab is installed in {VENV}.")


def create_venv() -> None:
    """Make an empty `.venv`, or say what this Python lacks for it."""
    refuse_python(sys.version_info[:3], sys.executable)
    if find_spec("ensurepip") is None:
        package = "python{}.{}-venv".format(*sys.version_info)
        sys.exit(
            f"{sys.executable} cannot make a virtual environment, because it lacks ensurepip. "
            f"On Debian and Ubuntu: sudo apt-get install {package}"
        )
    if VENV.exists() and any(VENV.iterdir()):
        sys.exit(f"{VENV} holds no Python that works on this system. Remove it, then run the same command again.")
    print(f"Creating {VENV} ...", flush=True)
    venv.create(VENV, with_pip=True, symlinks=sys.platform != "win32")


def refuse_python(version: tuple[int, ...], name: str) -> None:
    """Exit with a sentence unless the version is one that efflab's pins can be installed on."""
    oldest, newest = PYTHONS
    if oldest <= tuple(version[:2]) <= newest:
        return
    span = "{}.{} to {}.{}".format(*oldest, *newest)
    found = ".".join(map(str, version)) or "no working Python"
    sys.exit(
        f"efflab needs Python {span}, and {name} is {found}. Install one of these, remove .venv if it is "
        "there, and name it: make setup PYTHON=python3.12 (or: python3.12 tools/setup_env.py)"
    )


def install_torch() -> str:
    """The version of the torch in `.venv`, installed now if none can be imported."""
    version, pinned = torch_version(), pin("torch")
    if version:
        print(f"torch {version} is in .venv and is kept.", flush=True)
        return version
    if not (pip_cpu_torch(pinned) if sys.platform == "linux" else pip("install", f"torch=={pinned}")):
        sys.exit(
            f"torch {pinned} could not be installed; pip's message above says why. PyTorch has no builds for "
            f"Intel Macs and 32-bit systems. A torch that you install into {VENV} by hand is kept."
        )
    return torch_version()


def pip_cpu_torch(version: str) -> bool:
    """Install the CPU build from where pip looks by itself, else from PyTorch's index; whether it worked."""
    build = f"torch=={version}+cpu"
    if pip("install", build):
        return True
    print(f"pip does not see {build}, so PyTorch's own index is asked for it.", flush=True)
    return pip("install", "--no-deps", "--index-url", CPU_INDEX, build)


def torch_version() -> str:
    """The version of torch in `.venv`, or nothing if it cannot be imported."""
    return ask("import torch; print(torch.__version__)")


def pin(name: str) -> str:
    """The version that constraints.txt gives to a package."""
    text = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    return str(re.findall(rf"(?m)^{name}==(\S+)", text)[0])


def constraints_for(torch: str) -> Path:
    """constraints.txt; or, where another torch is kept, a copy that pins that one."""
    public = torch.split("+")[0]
    if public == pin("torch"):
        return ROOT / "constraints.txt"
    text = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    copy = VENV / "efflab-constraints.txt"
    copy.write_text(re.sub(r"(?m)^torch==.*$", f"torch=={public}", text), encoding="utf-8")
    return copy


def fingerprint() -> str:
    """A text that changes when the installation has to be made again."""
    files = [ROOT / "pyproject.toml", ROOT / "constraints.txt", Path(__file__)]
    digests = [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]
    return "\n".join([str(ROOT), *digests, ""])


def ask(code: str) -> str:
    """What one line of Python prints in `.venv`, or nothing if it fails."""
    try:
        done = subprocess.run([str(PYTHON), "-c", code], cwd=VENV, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.strip()


def pip(*arguments: str) -> bool:
    """Run pip in `.venv`, showing what it says; whether it succeeded."""
    return run(str(PYTHON), "-m", "pip", *arguments)


def run(*command: str) -> bool:
    """Run a command in the checkout, showing what it says; whether it succeeded."""
    return subprocess.run(command, cwd=ROOT, check=False).returncode == 0


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("Stopped. Run the same command again to continue.")
