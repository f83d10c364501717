"""Where a learner's notebooks lie, and how JupyterLab is opened on them.

A file that is there is never changed: copies are made by exclusive creation, so even two commands at once cannot
overwrite a learner's work. JupyterLab is told to listen on this machine only and to ask nobody for news, updates or
extensions.
"""

import os
import shutil
import subprocess
import sys
from itertools import count
from pathlib import Path

from efflab import shipped

OWN_FOLDER = Path("efflab-notebooks")
"""Where an installed efflab puts the chapters when no folder is named."""
_NOT_FOR_LEARNERS = {"src", "solutions", ".ipynb_checkpoints"}


class ChapterError(ValueError):
    """A chapter that cannot be given; one sentence says why and what there is."""


def chapters(folder: Path) -> dict[str, Path]:
    """The student notebooks in a folder, by the number of the chapter."""
    return {path.name[:2]: path for path in sorted(folder.glob("[0-9][0-9]_*.ipynb"))}


def prepare(folder: Path | None = None, *, source: Path | None = None) -> tuple[Path, int]:
    """The folder to open, and how many files were copied into it now.

    Without a folder: the notebooks of a checkout where they lie; those of an installed efflab in `OWN_FOLDER`.

    Raises:
        OSError: the folder cannot be written.
        FileNotFoundError: this installation has no notebooks.
    """
    source = source or shipped.notebooks()
    if folder is None and not _is_installed(source):
        return source.resolve(), 0
    target = (folder or OWN_FOLDER).resolve()
    return target, sum(_copy_new(path, target / path.relative_to(source)) for path in _files(source))


def start(chapter: str, folder: Path, *, fresh: bool = False, source: Path | None = None) -> tuple[Path, bool]:
    """The learner's copy of a chapter, made now unless it is there; and whether it was made.

    chapter: its number, "03" or "3". fresh: make one more copy, named like 03_weight_pruning-2.ipynb.

    Raises:
        ChapterError: there is no such chapter.
        OSError: the folder cannot be written.
    """
    source = source or shipped.notebooks()
    there = chapters(source)
    original = there.get(chapter.zfill(2) if chapter.isdigit() else chapter)
    if original is None:
        known = ", ".join(path.stem for path in there.values()) or "none"
        raise ChapterError(f"there is no chapter {chapter!r}; there are: {known}")
    for path in _files(source):
        if path.suffix != ".ipynb":  # the pictures that a chapter shows
            _copy_new(path, folder / path.relative_to(source))
    target = folder / original.name
    is_new = _copy_new(original, target)
    numbers = count(2)
    while fresh and not is_new:
        target = folder / f"{original.stem}-{next(numbers)}.ipynb"
        is_new = _copy_new(original, target)
    return target, is_new


def jupyter_command(folder: Path, *, browser: bool = True) -> list[str]:
    """The command that opens JupyterLab of this very Python on a folder, and keeps it on this machine."""
    return [
        *(sys.executable, "-m", "jupyterlab", str(folder)),
        "--ServerApp.ip=127.0.0.1",
        "--LabApp.news_url=",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
        "--LabApp.extension_manager=readonly",
        *(() if browser else ("--no-browser",)),
        *(("--allow-root",) if getattr(os, "geteuid", lambda: 1)() == 0 else ()),  # containers; Jupyter refuses else
    ]


def jupyter_environment() -> dict[str, str]:
    """What JupyterLab needs to be told besides its command.

    A kernel that the user registered under the same name for another Python must not win over this one, and JupyterLab
    must not ask, at its first start, whether it may fetch news.
    """
    ours = str(Path(__file__).parent / "jupyter")
    path = os.pathsep.join(filter(None, (os.environ.get("JUPYTER_CONFIG_PATH"), ours)))
    return {"JUPYTER_PREFER_ENV_PATH": "1", "JUPYTER_CONFIG_PATH": path}


def open_jupyter(folder: Path, *, browser: bool = True, teacher: bool = False) -> int:
    """Run JupyterLab until the learner closes it; its exit code. teacher: kernels are in teacher mode."""
    more = jupyter_environment() | ({"EFFLAB_TEACHER": "1"} if teacher else {})
    process = subprocess.Popen(jupyter_command(folder, browser=browser), env=os.environ | more)
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:  # Jupyter got it too, and asks whether to shut down
            continue


def _is_installed(source: Path) -> bool:
    """Whether the notebooks lie inside the package, which is no place to work in."""
    return source.resolve().is_relative_to(Path(shipped.__file__).resolve().parent)


def _files(source: Path) -> list[Path]:
    found = (path for path in sorted(source.rglob("*")) if path.is_file())
    return [path for path in found if not _NOT_FOR_LEARNERS & set(path.relative_to(source).parts[:-1])]


def _copy_new(source: Path, target: Path) -> bool:
    """Copy a file unless there is one of that name; whether it was copied."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        file = target.open("xb")
    except FileExistsError:
        return False
    try:
        with file, source.open("rb") as original:
            shutil.copyfileobj(original, file)
    except BaseException:
        target.unlink(missing_ok=True)  # half a notebook would be kept for a learner's work
        raise
    return True
