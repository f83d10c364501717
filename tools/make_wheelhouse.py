"""Gather efflab and all that it needs in one folder, for a room without internet.

    python tools/make_wheelhouse.py [FOLDER]        `make wheelhouse` runs it with the folder wheelhouse/

The folder fits machines with the same system and the same Python as this one, for wheels are made for one of each. It
holds the versions of constraints.txt and efflab itself, with its data and notebooks; it is all that a learner's machine
needs besides Python. Only the standard library is used, and pip.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import setup_env

ROOT = setup_env.ROOT


def main(arguments: list[str]) -> None:
    """Fill the folder that was named, or wheelhouse/, and say how to install from it."""
    if len(arguments) > 1 or any(one.startswith("-") for one in arguments):
        sys.exit(f"one folder may be named, and this was: {' '.join(arguments)}. For example: {sys.argv[0]} wheelhouse")
    setup_env.refuse_python(sys.version_info[:3], sys.executable)
    folder = Path(arguments[0] if arguments else ROOT / "wheelhouse").resolve()
    if folder.exists() and not folder.is_dir():
        sys.exit(f"{folder} is a file; name a folder, or a place where one can be made.")
    folder.mkdir(parents=True, exist_ok=True)
    if sys.platform == "linux" and not fetch_cpu_torch(folder):
        sys.exit(f"torch was not fetched into {folder}; pip's message above says why. Run the same command again.")
    if not gather(build(ROOT, folder), folder, ROOT / "constraints.txt"):
        sys.exit(f"Something was not fetched into {folder}; pip's message above says why. Run the same command again.")
    print(how_to_install(folder))


def fetch_cpu_torch(folder: Path) -> bool:
    """Fetch the CPU build of torch, as `setup_env` does: from where pip looks, else from PyTorch's own index."""
    build = f"torch=={setup_env.pin('torch')}+cpu"
    wanted = ("download", "--no-deps", "--only-binary", ":all:", "--dest", str(folder))
    return pip(*wanted, build) or pip(*wanted, "--index-url", setup_env.CPU_INDEX, build)


def build(project: Path, folder: Path) -> Path:
    """The wheel of a project, made now and moved into the folder."""
    with tempfile.TemporaryDirectory() as passing:
        if not pip("wheel", "--no-deps", "--wheel-dir", passing, str(project)):
            sys.exit(f"{project} was not built; pip's message above says why.")
        (wheel,) = Path(passing).glob("*.whl")
        target = folder / wheel.name
        target.write_bytes(wheel.read_bytes())
    return target


def gather(wheel: Path, folder: Path, pins: Path, *more: str) -> bool:
    """Fetch what a wheel needs, in the versions of `pins`; whether all of it is there.

    The wheel is named by its path: a package that somebody else published under its name is never taken.

    Args:
        wheel: lies in the folder already.
        folder: is looked into before anything is fetched, so that a torch that lies there is taken.
        pins: a file of constraints.
        more: for pip, such as `--no-index`.
    """
    look = ("--only-binary", ":all:", "--find-links", str(folder), "--constraint", str(pins))
    return pip("download", *look, "--dest", str(folder), *more, str(wheel))


def how_to_install(folder: Path) -> str:
    """What a learner does with the folder, once it is on their machine."""
    wheels = sorted(folder.glob("*.whl"))
    if not wheels:
        raise ValueError(f"{folder} holds no wheel; gather some first")
    size = sum(wheel.stat().st_size for wheel in wheels) / 1e6
    python, bin_folder = ("py", ".venv\\Scripts\\") if sys.platform == "win32" else ("python3", ".venv/bin/")
    return (
        f"\n{folder} holds {len(wheels)} wheels, {size:,.0f} MB, for {sys.platform} and Python "
        f"{sys.version_info.major}.{sys.version_info.minor}.\n"
        "Copy it to each machine, for instance with a memory stick. There, beside the copied folder and offline:\n\n"
        f"    {python} -m venv .venv\n"
        f"    {bin_folder}pip install --no-index --find-links {folder.name} efflab\n"
        f"    {bin_folder}efflab doctor\n"
        f"    {bin_folder}efflab lab\n"
    )


def pip(*arguments: str) -> bool:
    """Run the pip of this Python, showing what it says; whether it succeeded."""
    return subprocess.run([sys.executable, "-m", "pip", *arguments], cwd=ROOT, check=False).returncode == 0


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit("Stopped. Run the same command again to continue.")
