"""Filters as small pictures: the most important first, the gone ones pale and crossed out."""

import numpy as np
import pytest
import torch

from efflab.figures import filters
from efflab.figures.filters import CROSS, MAX_SIDE, N_CAPTIONS, N_SHOWN
from efflab.lab.filters import Filters


def made(weights: torch.Tensor, scores: list[float], n_kept: int, importance: str = "l1") -> Filters:
    """Filters of which those with the largest scores stay."""
    values = torch.tensor(scores)
    kept = torch.zeros(len(scores), dtype=torch.bool)
    kept[values.argsort(descending=True, stable=True)[:n_kept]] = True
    return Filters("conv", importance, weights, values, kept)


def random(n: int, *shape: int) -> torch.Tensor:
    return torch.randn(n, *shape, generator=torch.Generator().manual_seed(0))


def tiles(picture, side: int) -> list[np.ndarray]:
    """The small pictures, cut out of the sheet again, in their order."""
    sheet, frames = picture.figure.data[:2]
    pitch = round(1 / sheet.dx)
    corners = [(round(frames.y[i] * pitch), round(frames.x[i] * pitch)) for i in range(0, len(frames.x), 6)]
    return [sheet.z[top : top + side, left : left + side] for top, left in corners]


@pytest.fixture
def found() -> Filters:
    """Three filters of two channels and 2x2 weights; two stay."""
    second = [[[2.0, 0.0], [0.0, 4.0]], [[0.0, 2.0], [0.0, 4.0]]]
    weights = torch.stack([torch.arange(8.0).reshape(2, 2, 2), torch.tensor(second), -torch.ones(2, 2, 2)])
    return made(weights, [1.5, 12.25, 0.5], n_kept=2)


def test_a_picture_is_the_mean_over_the_input_channels_from_black_to_white(found):
    first, second, _ = tiles(filters(found), side=2)
    np.testing.assert_allclose(first, [[0.25, 0.25], [0, 1]])  # means 1, 1, 0, 4: channel 1 matters most
    np.testing.assert_allclose(second, [[0, 0.33], [0.67, 1]])  # means 2, 3, 4, 5


def test_the_most_important_come_first_and_equal_ones_stay_in_order():
    table = filters(made(random(4, 1, 3, 3), [1.0, 3.0, 2.0, 3.0], n_kept=2)).table
    assert list(table["channel"]) == [1, 3, 2, 0]
    assert list(table["what becomes of it"]) == ["stays", "stays", "goes", "goes"]


def test_what_goes_is_pale_and_crossed_out():
    weights = torch.tensor([[0.0, 1.0, 0.0, 1.0], [0.0, 1.0, 0.0, 1.0]])
    picture = filters(made(weights, [2.0, 1.0], n_kept=1))
    stays, goes = tiles(picture, side=2)
    np.testing.assert_allclose(stays, [[0, 1], [0, 1]])
    np.testing.assert_allclose(goes, [[0.42, 0.58], [0.42, 0.58]], atol=0.01)
    marks = picture.figure.data[2].marker
    assert list(marks.opacity) == [0, 1]
    assert (marks.symbol, marks.line.color) == ("x-thin", CROSS)


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 3, 3), (1, 5, 5), (1, 2, 4)])
def test_a_cross_is_in_the_middle_of_its_picture(shape):
    _, frames, marks, _ = filters(made(random(5, *shape), [1.0] * 5, n_kept=0)).figure.data
    for i in range(5):
        corners = slice(6 * i, 6 * i + 5)
        for marked, framed in ((marks.x[i], frames.x[corners]), (marks.y[i], frames.y[corners])):
            assert marked == pytest.approx((min(framed) + max(framed)) / 2)


def test_the_frame_is_around_the_cells_of_its_picture(found):
    sheet, frames = filters(found).figure.data[:2]
    first_cell, last_cell = sheet.x0, sheet.x0 + sheet.dx  # their middles: a picture is two cells wide
    assert (first_cell - sheet.dx / 2, last_cell + sheet.dx / 2) == pytest.approx((frames.x[0], frames.x[1]))
    assert np.isnan(sheet.z[:, 2]).all()


def test_the_row_of_a_neuron_is_folded_in_the_order_of_its_inputs():
    picture = filters(made(torch.tensor([[0.0, 5.0, 10.0, 5.0, 0.0, 10.0]]), [1.0], n_kept=1))
    [tile] = tiles(picture, side=3)
    np.testing.assert_allclose(tile, [[0, 0.5, 1], [0.5, 0, 1], [np.nan, np.nan, np.nan]])
    assert picture.sentence.startswith("1 of 1 neurons of conv stay")
    assert picture.sentence.endswith("Each picture is its weights in the order of the inputs.")


def test_a_kernel_of_one_by_one_shows_its_inputs_for_a_mean_would_show_nothing():
    picture = filters(made(torch.tensor([[0.0, 1.0, 2.0, 4.0]])[:, :, None, None], [1.0], n_kept=1))
    np.testing.assert_allclose(tiles(picture, side=2)[0], [[0, 0.25], [0.5, 1]])
    assert picture.sentence.startswith("1 of 1 filters")
    assert "mean" not in picture.sentence


@pytest.mark.parametrize(("height", "width"), [(1, 5), (3, 5), (5, 2)])
def test_a_kernel_that_is_not_square_stays_within_its_frame(height, width):
    weights = random(9, 2, height, width)
    pictures = tiles(filters(made(weights, [float(-i) for i in range(9)], n_kept=9)), side=5)
    for i, tile in enumerate(pictures):
        mean = weights[i].mean(dim=0).numpy()
        scaled = (mean - mean.min()) / (mean.max() - mean.min())
        np.testing.assert_allclose(tile[:height, :width], scaled, atol=0.006)
        assert np.isnan(tile).sum() == 25 - height * width


def test_a_filter_whose_weights_are_all_equal_is_black(found):
    np.testing.assert_allclose(tiles(filters(made(torch.ones(1, 1, 3, 3), [1.0], n_kept=1)), 3)[0], np.zeros((3, 3)))


def test_of_a_long_row_every_so_many_th_weight_is_drawn():
    weights = random(1, 60 * 60)
    [tile] = tiles(filters(made(weights, [1.0], n_kept=1)), side=20)
    assert tile.shape == (20, 20)
    assert 60 / 3 <= MAX_SIDE < 60 / 2
    picked = weights[0].reshape(60, 60)[::3, ::3].numpy()
    np.testing.assert_allclose(tile, (picked - picked.min()) / (picked.max() - picked.min()), atol=0.006)


def test_a_few_have_their_importance_below_them():
    picture = filters(made(random(3, 1, 3, 3), [0.0125, 1234.0, 17.93], n_kept=2))
    captions = picture.figure.data[3]
    assert list(captions.text) == ["1,230", "17.9", "0.0125"]
    assert all(caption > mark for caption, mark in zip(captions.y, picture.figure.data[2].y, strict=True))


def test_of_many_the_pointer_tells_the_importance():
    picture = filters(made(random(N_CAPTIONS + 1, 1, 3, 3), [float(i) for i in range(N_CAPTIONS + 1)], n_kept=20))
    assert len(picture.figure.data) == 3
    assert picture.figure.data[2].hovertext[0] == f"channel {N_CAPTIONS}: importance {N_CAPTIONS}, stays"
    assert picture.figure.data[2].hovertext[-1] == "channel 0: importance 0, goes"


def test_of_very_many_the_most_and_the_least_important_are_drawn_and_the_table_has_all():
    picture = filters(made(random(100, 1, 3, 3), [float(i) for i in range(100)], n_kept=50))
    told = [text.split(":")[0] for text in picture.figure.data[2].hovertext]
    assert told == [f"channel {i}" for i in (*range(99, 67, -1), *range(31, -1, -1))]
    assert len(told) == N_SHOWN
    assert len(picture.table) == 100
    assert picture.sentence.endswith("The 32 most and the 32 least important are drawn.")


def test_the_sentence_says_how_many_stay_and_by_what(found):
    assert filters(found).sentence == (
        "2 of 3 filters of conv stay: the most important ones, which come first. The importance (l1, computed) goes "
        "from 12.2 down to 0.5. A cross is on what goes. Each picture is the mean over its input channels."
    )


def test_the_sentence_and_the_table_say_the_same(found):
    table = filters(found).table
    assert list(table.columns) == ["rank", "channel", "importance (l1)", "what becomes of it"]
    assert table.values.tolist() == [[1, 1, "12.2", "stays"], [2, 0, "1.5", "stays"], [3, 2, "0.5", "goes"]]


def test_the_title_says_which_layer_and_which_importance(found):
    assert filters(found).figure.layout.title.text == "conv, by importance (l1)"


def test_no_filter_at_all_is_refused():
    with pytest.raises(ValueError, match="found must hold at least one filter"):
        filters(made(torch.empty(0, 1, 3, 3), [], n_kept=0))
