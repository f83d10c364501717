import hashlib
from pathlib import Path

import pytest
import torch
from torch import Tensor

from efflab.data import scattered, scattering
from efflab.data.handwriting import originals


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw fewer pictures, so that a test takes a tenth of the time."""
    monkeypatch.setattr(scattering, "SPLITS", {"train": 1_200, "validation": 400, "test": 400})


def sha256(tensor: Tensor) -> str:
    return hashlib.sha256(tensor.numpy().tobytes()).hexdigest()


def test_scattered_has_the_promised_sizes_and_is_kept_in_the_cache(cache: Path) -> None:
    data = scattered()
    assert [len(split) for split in (data.train, data.validation, data.test)] == [12_000, 2_000, 2_000]
    assert data.shape == (1, 28, 28)
    assert [path.name for path in cache.iterdir()] == [f"scattered-v{scattering.VERSION}-seed0.npz"]


def test_no_original_is_in_two_splits() -> None:
    made = scattering.make(*originals(), seed=0)
    seen = [set(made[f"{name}_origins"].tolist()) for name in ("train", "validation", "test")]
    assert [len(origins) for origins in seen] == [1_197, 300, 300]
    assert len(set.union(*seen)) == 1_797


@pytest.mark.usefixtures("few")
def test_nothing_of_a_test_original_reaches_training_or_validation_not_even_as_clutter() -> None:
    images, labels = originals()
    made = scattering.make(images, labels, seed=0)
    spoilt = images.clone()
    spoilt[made["test_origins"].long()] = 1.0
    again = scattering.make(spoilt, labels, seed=0)
    assert torch.equal(again["train_images"], made["train_images"])
    assert torch.equal(again["validation_images"], made["validation_images"])
    assert not torch.equal(again["test_images"], made["test_images"])


@pytest.mark.usefixtures("few")
def test_each_picture_has_the_label_of_its_original() -> None:
    images, labels = originals()
    made = scattering.make(images, labels, seed=0)
    for name in ("train", "validation", "test"):
        assert torch.equal(made[f"{name}_labels"].long(), labels[made[f"{name}_origins"].long()])


@pytest.mark.usefixtures("few")
def test_the_same_seed_gives_the_same_bits_with_any_number_of_threads() -> None:
    n_threads = torch.get_num_threads()
    found = []
    try:
        for threads in (1, 2, 1):
            torch.set_num_threads(threads)
            found.append(sha256(scattering.make(*originals(), seed=5)["train_images"][:64]))
    finally:
        torch.set_num_threads(n_threads)
    assert len(set(found)) == 1
    assert sha256(scattering.make(*originals(), seed=6)["train_images"][:64]) != found[0]


@pytest.mark.usefixtures("few")
def test_data_from_the_cache_is_the_data_that_was_made(monkeypatch: pytest.MonkeyPatch) -> None:
    made = scattered(2)
    monkeypatch.setattr(scattering, "make", None)  # calling it would fail
    kept = scattered(2)
    assert torch.equal(kept.train.images, made.train.images)
    assert torch.equal(kept.test.labels, made.test.labels)


@pytest.mark.usefixtures("few")
def test_scattered_leaves_the_global_generator_alone() -> None:
    before = torch.get_rng_state()
    scattered()
    assert torch.equal(torch.get_rng_state(), before)


def test_an_upright_digit_as_large_as_the_canvas_is_the_original_enlarged() -> None:
    images = originals()[0][:3]
    place = scattering.Place(torch.full((3,), 28.0), torch.zeros(3), torch.zeros(3, 2))
    middle = slice(3, -3)  # at the border, drawing fades into black and enlarging does not
    enlarged = torch.nn.functional.interpolate(images[:, None], size=(28, 28), mode="bilinear")
    torch.testing.assert_close(
        scattering.draw(images, place)[..., middle, middle], enlarged[..., middle, middle], atol=1e-5, rtol=0
    )


def test_a_quarter_turn_is_numpys_quarter_turn() -> None:
    images = originals()[0][:3]
    upright = scattering.Place(torch.full((3,), 20.0), torch.zeros(3), torch.zeros(3, 2))
    turned = upright._replace(turn=torch.full((3,), torch.pi / 2))
    drawn = scattering.draw(images, upright)
    torch.testing.assert_close(scattering.draw(images, turned), torch.rot90(drawn, -1, (2, 3)), atol=1e-5, rtol=0)


def test_a_shift_moves_a_digit_by_that_many_pixels_right_and_down() -> None:
    images = originals()[0][:3]
    still = scattering.Place(torch.full((3,), 16.0), torch.zeros(3), torch.zeros(3, 2))
    moved = still._replace(shift=torch.tensor([[3.0, 2.0]] * 3))
    expected = torch.roll(scattering.draw(images, still), (2, 3), (2, 3))  # the border is black
    torch.testing.assert_close(scattering.draw(images, moved), expected, atol=1e-5, rtol=0)


def test_a_piece_is_a_window_of_its_original_and_black_around() -> None:
    images = torch.arange(1.0, 65.0).view(1, 8, 8).repeat(200, 1, 1)  # every cell differs, none is black
    pieces = scattering.cut_piece(images, torch.Generator().manual_seed(0))
    side, begin = scattering.PIECE_CELLS, (8 - scattering.PIECE_CELLS) // 2
    windows = images[0].unfold(0, side, 1).unfold(1, side, 1).reshape(-1, side * side)
    cut = pieces[:, begin : begin + side, begin : begin + side].reshape(200, -1)
    assert (pieces != 0).sum().item() == 200 * side * side
    assert {tuple(c) for c in cut.tolist()} == {tuple(w) for w in windows.tolist()}
