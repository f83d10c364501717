from http.client import IncompleteRead
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
from sklearn import datasets

from efflab.data import DataError, load
from efflab.data import sources as sources_module
from efflab.data.download import download, fetch_openml
from efflab.data.published import Published, has_files, read_published

TINY = Published(
    name="tiny", shape=(1, 3, 4), n_validation=10, classes=("no", "yes"), openml="Tiny_1", test_counts=(15, 5)
)
LABELS = np.array([0, 1] * 20 + [0] * 15 + [1] * 5)


def rows() -> tuple[np.ndarray, np.ndarray]:
    """As openml.org gives them: float rows, labels as text."""
    images = np.random.default_rng(0).integers(0, 256, (60, 12)).astype(np.float64)
    return images, LABELS.astype(str).astype(object)


class Fetched:
    """Stands in for the network: gives rows, and remembers what it was asked for."""

    def __init__(self, images: np.ndarray, labels: np.ndarray) -> None:
        self.rows, self.asked = (images, labels), [("", Path())][:0]

    def __call__(self, name: str, folder: Path) -> tuple[np.ndarray, np.ndarray]:
        self.asked.append((name, folder))
        return self.rows


def test_what_was_downloaded_is_read_back_with_its_images_and_labels(tmp_path: Path, cache: Path) -> None:
    fetch = Fetched(*rows())
    path = download(TINY, tmp_path / "tiny", fetch=fetch)
    assert fetch.asked == [("Tiny_1", cache / "openml")]
    assert sorted(p.name for p in path.parent.iterdir()) == ["tiny.npz", "tiny.npz.sha256"]
    with np.load(path) as kept:
        np.testing.assert_array_equal(np.concatenate([kept["x_train"], kept["x_test"]]).reshape(60, 12), rows()[0])
        np.testing.assert_array_equal(np.concatenate([kept["y_train"], kept["y_test"]]), LABELS)
        assert kept["x_test"].shape == (20, 1, 3, 4)
    assert len(read_published(TINY, path.parent).train) == 30


def test_each_stage_is_told(tmp_path: Path) -> None:
    told: list[str] = []
    download(TINY, tmp_path, fetch=Fetched(*rows()), on_progress=told.append)
    assert [sentence.split()[0] for sentence in told] == ["Fetching", "Checking", "Writing"]


@pytest.mark.parametrize(
    "error",
    [URLError("no route to host"), TimeoutError("timed out"), IncompleteRead(b"", 9), ValueError("no such data set")],
)
def test_a_transfer_that_fails_is_answered_with_what_to_put_where(tmp_path: Path, error: Exception) -> None:
    def fail(name: str, folder: Path) -> tuple[np.ndarray, np.ndarray]:
        raise error

    with pytest.raises(DataError, match=r"tiny could not be fetched \(.*put tiny\.npz there, or train-images"):
        download(TINY, tmp_path / "tiny", fetch=fail)
    assert not (tmp_path / "tiny").exists()


SPOILT = {
    "columns are missing": (rows()[0][:, :-1], LABELS, "60, 11"),
    "rows are missing": (rows()[0][:20], LABELS[:20], "20, 12"),
    "values are too large": (rows()[0] + 200, LABELS, "whole numbers from 0 to 255"),
    "values are not whole": (rows()[0] / 2, LABELS, "whole numbers from 0 to 255"),
    "values are below zero": (rows()[0] - 1, LABELS, "whole numbers from 0 to 255"),
    "the order is another": (rows()[0], LABELS[::-1], "in another order than the published one"),
}


@pytest.mark.parametrize(("images", "labels", "sentence"), SPOILT.values(), ids=SPOILT.keys())
def test_rows_that_are_not_the_published_ones_are_not_kept(
    tmp_path: Path, images: np.ndarray, labels: np.ndarray, sentence: str
) -> None:
    with pytest.raises(DataError, match=f"{sentence}.*nothing was kept"):
        download(TINY, tmp_path / "tiny", fetch=Fetched(images, labels))
    assert not (tmp_path / "tiny").exists()


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "tiny").write_text("a file where the folder should be")
    with pytest.raises(DataError, match=r"tiny\.npz cannot be written .* set EFFLAB_DATA"):
        download(TINY, tmp_path / "tiny", fetch=Fetched(*rows()))


def test_scikit_learn_is_asked_for_arrays_of_version_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {}

    def record(name: str, **options: object) -> tuple[np.ndarray, np.ndarray]:
        asked.update(options, name=name)
        return rows()

    monkeypatch.setattr(datasets, "fetch_openml", record)
    fetch_openml("mnist_784", tmp_path)
    assert asked == {
        "name": "mnist_784", "version": 1, "data_home": tmp_path, "as_frame": False, "return_X_y": True
    }  # fmt: skip


def test_load_fetches_only_when_asked_and_only_when_nothing_is_there(
    data_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched: list[Path] = []

    def fake(known: Published, folder: Path, *, on_progress: object) -> Path:
        fetched.append(folder)
        return download(known, folder, fetch=Fetched(*rows()))

    monkeypatch.setattr(sources_module, "fetch_files", fake)
    monkeypatch.setattr(sources_module, "SOURCES", {"tiny": TINY})
    with pytest.raises(DataError, match="tiny is not in"):
        load("tiny")
    assert not has_files(TINY, data_home / "tiny")
    for _ in range(2):
        assert load("tiny", download=True).name == "tiny"
    assert fetched == [data_home / "tiny"]
