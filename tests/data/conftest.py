"""A cache folder and a data folder for each test, so that no test sees what another one left behind."""

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("EFFLAB_CACHE", str(folder))
    return folder


@pytest.fixture
def data_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A $EFFLAB_DATA without anything in it."""
    folder = tmp_path / "data"
    monkeypatch.setenv("EFFLAB_DATA", str(folder))
    return folder
