from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from efflab.data import DataError, from_folder
from efflab.data.folder import _resize

N = 20


def fill(root: Path, *, size: tuple[int, ...] = (6, 8), classes: tuple[str, ...] = ("cat", "dog")) -> None:
    """One .npy file for each of N images of each class; image i of class k is filled with 10 * i + k."""
    for k, label in enumerate(classes):
        (root / label).mkdir(parents=True)
        for i in range(N):
            np.save(root / label / f"{i:02}.npy", np.full(size, 10 * i + k, np.uint8))


def test_each_picture_gets_the_class_of_its_folder(tmp_path: Path) -> None:
    fill(tmp_path / "pets")
    data = from_folder(tmp_path / "pets")
    splits = (data.train, data.validation, data.test)
    values = torch.cat([split.images[:, 0, 0, 0] for split in splits])
    labels = torch.cat([split.labels for split in splits])
    assert labels[values.argsort()].tolist() == [0, 1] * N  # 0, 1, 10, 11, 20, 21 ...
    assert (data.name, data.classes, data.shape) == ("pets", ("cat", "dog"), (1, 6, 8))


def test_hidden_and_other_files_are_passed_over(tmp_path: Path) -> None:
    fill(tmp_path)
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "readme.txt").write_text("about")
    (tmp_path / "cat" / ".DS_Store").write_bytes(b"x")
    (tmp_path / "cat" / "._01.npy").write_bytes(b"x")
    (tmp_path / "cat" / "notes.txt").write_text("about")
    data = from_folder(tmp_path)
    assert len(data.train) + len(data.validation) + len(data.test) == 2 * N


def test_grey_pictures_among_coloured_ones_become_coloured(tmp_path: Path) -> None:
    fill(tmp_path)
    np.save(tmp_path / "cat" / "99.npy", np.zeros((6, 8, 3), np.uint8))
    assert from_folder(tmp_path).shape == (3, 6, 8)


def test_all_pictures_are_resized_when_a_size_is_given(tmp_path: Path) -> None:
    fill(tmp_path)
    np.save(tmp_path / "cat" / "99.npy", np.zeros((30, 20), np.uint8))
    assert from_folder(tmp_path, size=(5, 4)).shape == (1, 5, 4)


def test_resizing_to_half_averages_as_a_triangle_filter_does() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (8, 8, 1), dtype=np.uint8)
    weights = np.array([1, 3, 3, 1]) / 8  # the triangle of bilinear resizing, twice as wide
    rows = picture[1:5, 1:5, 0].astype(float)  # what the second pixel of each axis sees
    assert _resize(picture, (4, 4))[1, 1, 0] == round(weights @ rows @ weights)


def test_pictures_of_different_sizes_are_named_when_no_size_is_given(tmp_path: Path) -> None:
    fill(tmp_path)
    np.save(tmp_path / "dog" / "99.npy", np.zeros((30, 20), np.uint8))
    with pytest.raises(DataError, match=r"99\.npy is uint8 of shape \(30, 20, 1\), but .*size=\(height, width\)"):
        from_folder(tmp_path)


def test_a_folder_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nothing-here is not a folder"):
        from_folder(tmp_path / "nothing-here")


def test_a_folder_with_one_class_is_refused(tmp_path: Path) -> None:
    fill(tmp_path, classes=("cat",))
    with pytest.raises(DataError, match="two or more classes, not 1"):
        from_folder(tmp_path)


def test_a_class_without_pictures_is_named(tmp_path: Path) -> None:
    fill(tmp_path)
    (tmp_path / "fox").mkdir()
    with pytest.raises(DataError, match="fox holds no picture"):
        from_folder(tmp_path)


@pytest.mark.parametrize(
    ("array", "sentence"),
    [
        (np.zeros((6, 8, 4), np.uint8), r"has the shape \(6, 8, 4\); \(h, w\)"),
        (np.array({"key": 1}), "is damaged, or no .npy file of plain numbers"),
    ],
)
def test_an_array_that_is_no_picture_is_named(tmp_path: Path, array: np.ndarray, sentence: str) -> None:
    fill(tmp_path)
    np.save(tmp_path / "dog" / "99.npy", array)
    with pytest.raises(DataError, match=rf"99\.npy {sentence}"):
        from_folder(tmp_path)


@pytest.mark.parametrize(("mode", "ending", "channels"), [("L", "png", 1), ("RGB", "png", 3), ("RGBA", "png", 3)])
def test_pictures_of_pillow_are_read(tmp_path: Path, mode: str, ending: str, channels: int) -> None:
    fill(tmp_path / "npy", size=(6, 8) if channels == 1 else (6, 8, 3))
    for file in sorted((tmp_path / "npy").glob("*/*.npy")):
        target = tmp_path / "png" / file.parent.name / f"{file.stem}.{ending}"
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.load(file)).convert(mode).save(target)
    found, expected = from_folder(tmp_path / "png"), from_folder(tmp_path / "npy")
    assert found.shape == (channels, 6, 8)
    assert torch.equal(found.train.images, expected.train.images)


def test_a_damaged_picture_is_named(tmp_path: Path) -> None:
    fill(tmp_path)
    (tmp_path / "cat" / "99.jpg").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"99\.jpg is not a readable picture"):
        from_folder(tmp_path)
