"""Where the files that come with efflab lie: checkpoints, questions, expected ranges, papers' tables.

A checkout keeps them in `data/` beside the package; a wheel carries them inside the package. Nothing else in
efflab knows the difference.
"""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def folder(name: str = "") -> Path:
    """The folder of shipped files, or one folder in it.

    Raises:
        FileNotFoundError: the folder does not exist, so the installation is incomplete.
    """
    return _find(_PACKAGE.parent / "data", _PACKAGE / "shipped_data", name)


def notebooks() -> Path:
    """The folder of student notebooks.

    Raises:
        FileNotFoundError: the folder does not exist, so the installation is incomplete.
    """
    return _find(_PACKAGE.parent / "notebooks", _PACKAGE / "shipped_notebooks", "")


def _find(checkout: Path, wheel: Path, name: str) -> Path:
    # The wheel's own copy comes first: a `data/` folder that happens to lie beside site-packages is not ours.
    root = wheel if wheel.is_dir() else checkout
    wanted = root / name
    if not wanted.is_dir():
        raise FileNotFoundError(
            f"{wanted} is missing: this installation of efflab is incomplete; install it again with "
            "pip install -e . -c constraints.txt from a full checkout"
        )
    return wanted
