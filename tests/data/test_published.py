import dataclasses
import gzip
import os
import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from efflab.data import DataError, load
from efflab.data.published import CIFAR10, FASHION_MNIST, IDX_NAMES, MNIST, Published, data_folder, read_published

TINY = Published(
    name="tiny", shape=(1, 3, 4), n_validation=10, classes=("no", "yes"), openml="tiny", test_counts=(10, 10)
)
"""Images of 3x4, so that a test takes no time. The labels alternate."""


def some_images(n: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, 3, 4), dtype=np.uint8)


def arrays() -> dict[str, np.ndarray]:
    labels = np.arange(40, dtype=np.uint8) % 2
    return {"x_train": some_images(40, 0), "y_train": labels, "x_test": some_images(20, 1), "y_test": labels[:20]}


def idx(array: np.ndarray) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def write_idx(folder: Path, *, zipped: bool = False) -> None:
    folder.mkdir(exist_ok=True)
    for name, array in zip(IDX_NAMES, arrays().values(), strict=True):
        path = folder / (f"{name}.gz" if zipped else name)
        path.write_bytes(gzip.compress(idx(array)) if zipped else idx(array))


def write_single(folder: Path) -> None:
    np.savez(folder / "tiny.npz", **arrays())


def write_pair(folder: Path) -> None:
    made = arrays()
    for half in ("train", "test"):
        np.savez(folder / f"{half}.npz", images=made[f"x_{half}"], labels=made[f"y_{half}"])


def write_zipped_idx(folder: Path) -> None:
    write_idx(folder, zipped=True)


FORMS = (write_single, write_pair, write_idx, write_zipped_idx)


def levels(images: torch.Tensor, like: np.ndarray) -> np.ndarray:
    """Undo the standardisation by the mean and deviation of some pixels: (n, 1, h, w) -> uint8 (n, h, w)."""
    return (images[:, 0].double().numpy() * like.std() + like.mean()).round().astype(np.uint8)


@pytest.mark.parametrize("write", FORMS, ids=lambda write: write.__name__)
def test_each_form_of_the_files_gives_the_images_that_are_in_them(tmp_path: Path, write: type) -> None:
    write(tmp_path)
    data, made = read_published(TINY, tmp_path), arrays()
    order = torch.randperm(40, generator=torch.Generator().manual_seed(0)).numpy()
    fitted = made["x_train"][order[:30]]
    np.testing.assert_array_equal(levels(data.train.images, fitted), fitted)
    np.testing.assert_array_equal(levels(data.validation.images, fitted), made["x_train"][order[30:]])
    np.testing.assert_array_equal(levels(data.test.images, fitted), made["x_test"])
    assert data.validation.labels.tolist() == made["y_train"][order[30:]].tolist()
    assert data.test.labels.tolist() == made["y_test"].tolist()


def test_the_seed_decides_what_becomes_validation_and_never_the_test(tmp_path: Path) -> None:
    write_idx(tmp_path)
    one, again, other = (read_published(TINY, tmp_path, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(one.validation.images, again.validation.images)
    assert not torch.equal(one.validation.images, other.validation.images)
    assert torch.equal(one.test.labels, other.test.labels)


@pytest.mark.parametrize("shape", [(-1, 3, 32, 32), (-1, 32, 32, 3)])
def test_colours_may_come_first_or_last(tmp_path: Path, shape: tuple[int, ...]) -> None:
    known = dataclasses.replace(CIFAR10, n_validation=2)
    images = np.zeros((12, 3072), np.uint8).reshape(shape)
    images[..., 0] = 9  # the last axis
    labels = np.arange(12).reshape(-1, 1) % 10  # (n, 1), as some published files have them
    np.savez(tmp_path / "cifar10.npz", x_train=images, y_train=labels, x_test=images, y_test=labels)
    data = read_published(known, tmp_path)
    assert data.shape == (3, 32, 32)
    n_levels = data.test.images[0, 0].unique().numel()
    assert n_levels == (2 if shape[1] == 3 else 1)


def test_an_empty_folder_is_answered_with_what_to_put_where(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        read_published(MNIST, tmp_path)
    for words in (str(tmp_path), "mnist.npz", *IDX_NAMES, "EFFLAB_DATA", 'load("mnist", download=True)'):
        assert words in str(caught.value)


@pytest.mark.parametrize("name", IDX_NAMES)
def test_one_missing_idx_file_is_named(tmp_path: Path, name: str) -> None:
    write_idx(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(DataError, match=f"{name} does not exist"):
        read_published(TINY, tmp_path)


def spoil(**changes: np.ndarray) -> dict[str, np.ndarray]:
    return arrays() | changes


BAD_NPZ = {
    "fewer labels": (spoil(y_train=arrays()["y_train"][:-1]), "40 images but 39 labels"),
    "other images": (
        spoil(x_test=np.zeros((20, 4, 4), np.uint8)),
        r"images of \(1, 4, 4\) .* those of tiny have \(1, 3, 4\)",
    ),
    "float images": (
        spoil(x_train=arrays()["x_train"] / 255),
        r"images of tiny must be uint8 \(0 to 255\), not float64",
    ),
    "float labels": (spoil(y_test=arrays()["y_test"] / 1), "labels must be whole numbers from 0 on, not float64"),
    "a third class": (spoil(y_test=arrays()["y_test"] + 1), "labels must lie between 0 and 1, not between 1 and 2"),
    "flat images": (
        spoil(x_train=arrays()["x_train"].reshape(40, 12)),
        r"images must have the shape .* not \(40, 12\)",
    ),
    "no images": (spoil(x_train=some_images(0, 0), y_train=np.zeros(0, np.uint8)), "there are no images"),
    "too few images": (
        spoil(x_train=some_images(10, 0), y_train=arrays()["y_train"][:10]),
        "holds 10 training images; tiny needs more than 10",
    ),
}


@pytest.mark.parametrize(("made", "sentence"), BAD_NPZ.values(), ids=BAD_NPZ.keys())
def test_arrays_that_do_not_fit_are_named_with_their_file(
    tmp_path: Path, made: dict[str, np.ndarray], sentence: str
) -> None:
    np.savez(tmp_path / "tiny.npz", **made)
    with pytest.raises(DataError, match=f"{tmp_path.name}.*{sentence}"):
        read_published(TINY, tmp_path)


def test_a_missing_array_is_named_beside_those_that_are_there(tmp_path: Path) -> None:
    np.savez(tmp_path / "tiny.npz", x_train=arrays()["x_train"], labels=arrays()["y_train"])
    with pytest.raises(DataError, match=r"tiny\.npz has no array 'y_train', which is needed; it holds x_train, labels"):
        read_published(TINY, tmp_path)


def test_a_file_that_disagrees_with_its_checksum_is_refused(tmp_path: Path) -> None:
    write_single(tmp_path)
    (tmp_path / "tiny.npz.sha256").write_text(f"{'0' * 64}  tiny.npz\n")
    with pytest.raises(DataError, match="does not agree with its checksum"):
        read_published(TINY, tmp_path)


def test_load_looks_into_the_folder_of_that_name_in_the_data_home(data_home: Path) -> None:
    assert data_folder("fashion-mnist") == data_home / "fashion-mnist"
    with pytest.raises(DataError, match=f"fashion-mnist is not in {data_home / 'fashion-mnist'}"):
        load("fashion-mnist")


@pytest.mark.parametrize("known", [MNIST, FASHION_MNIST, CIFAR10], ids=lambda known: known.name)
def test_what_is_known_of_a_published_data_set_is_consistent(known: Published) -> None:
    assert len(set(known.classes)) == len(known.classes) == len(known.test_counts) == 10
    assert sum(known.test_counts) == 10_000


def real_mnist(repository: Path) -> Path:
    homes = [Path(os.environ["EFFLAB_DATA"])] if os.environ.get("EFFLAB_DATA") else []
    for home in (*homes, repository.parent / "shared" / "data"):
        if (home / "mnist").is_dir():
            return home / "mnist"
    pytest.skip("put the four idx files of MNIST into a folder mnist/ and set EFFLAB_DATA to the folder that holds it")


def test_real_mnist_has_the_published_counts(repository: Path) -> None:
    data = load("mnist", folder=real_mnist(repository))
    assert [len(split) for split in (data.train, data.validation, data.test)] == [50_000, 10_000, 10_000]
    assert tuple(data.test.labels.bincount().tolist()) == MNIST.test_counts
    counts = data.train.labels.bincount() + data.validation.labels.bincount()
    assert counts.tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]  # as MNIST's authors count
    assert data.test.labels[:5].tolist() == [7, 2, 1, 0, 4]
