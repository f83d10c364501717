from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from efflab.data.cache import cache_folder, load_or_make


class Maker:
    """Makes the same tensors each time, and counts."""

    def __init__(self) -> None:
        self.n_calls = 0

    def __call__(self) -> dict[str, Tensor]:
        self.n_calls += 1
        return {"images": torch.arange(12, dtype=torch.uint8).view(3, 4), "labels": torch.tensor([1, 2, 3])}


def test_what_was_made_once_is_read_the_next_time(cache: Path) -> None:
    maker = Maker()
    made, kept = load_or_make("thing", maker), load_or_make("thing", maker)
    assert maker.n_calls == 1
    assert kept.keys() == made.keys()
    assert all(torch.equal(kept[key], made[key]) and kept[key].dtype == made[key].dtype for key in made)
    assert [path.name for path in cache.iterdir()] == ["thing.npz"]


def test_names_are_kept_apart() -> None:
    load_or_make("thing", Maker())
    assert load_or_make("other", lambda: {"x": torch.tensor([7])})["x"].tolist() == [7]


def cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def change_a_pixel(path: Path) -> None:
    with np.load(path) as archive:
        arrays = {name: archive[name].copy() for name in archive.files}
    arrays["images"][0, 0] ^= 1
    np.savez(path, **arrays)


def change_a_shape(path: Path) -> None:
    with np.load(path) as archive:
        arrays = {name: archive[name] for name in archive.files}
    np.savez(path, **(arrays | {"images": arrays["images"].reshape(4, 3)}))


def lose_an_array(path: Path) -> None:
    with np.load(path) as archive:
        np.savez(path, **{name: archive[name] for name in archive.files if name != "labels"})


def lose_the_checksum(path: Path) -> None:
    with np.load(path) as archive:
        np.savez(path, **{name: archive[name] for name in archive.files if name != "sha256"})


DAMAGES = (cut_off, empty, change_a_pixel, change_a_shape, lose_an_array, lose_the_checksum)


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_a_damaged_file_is_made_again_and_is_whole_afterwards(cache: Path, damage: type) -> None:
    maker = Maker()
    load_or_make("thing", maker)
    damage(cache / "thing.npz")
    assert torch.equal(load_or_make("thing", maker)["images"], Maker()()["images"])
    assert maker.n_calls == 2
    load_or_make("thing", maker)
    assert maker.n_calls == 2


def test_a_folder_that_cannot_be_written_warns_and_the_tensors_are_made_each_time(cache: Path) -> None:
    cache.write_text("a file where the folder should be")
    maker = Maker()
    for _ in range(2):
        with pytest.warns(UserWarning, match="thing cannot be kept .* set EFFLAB_CACHE to a folder"):
            assert load_or_make("thing", maker)["labels"].tolist() == [1, 2, 3]
    assert maker.n_calls == 2


def test_without_the_variable_the_cache_is_the_users_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EFFLAB_CACHE")
    assert cache_folder().is_absolute()
    assert "efflab" in cache_folder().parts
