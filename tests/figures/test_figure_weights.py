"""The histogram counts what is not zero; the mask shows what is."""

import numpy as np
import pytest
import torch

from efflab.figures import histogram, mask
from efflab.figures.weights import LINE


@pytest.fixture
def weight() -> torch.Tensor:
    return torch.randn(40, 50, generator=torch.Generator().manual_seed(0))


def pruned(weight: torch.Tensor, threshold: float) -> torch.Tensor:
    return torch.where(weight.abs() < threshold, 0.0, weight)


def test_the_bins_agree_with_numpy(weight):
    now = pruned(weight, 0.7)
    table = histogram("fc", weight, now).table
    reach = float(weight.abs().max())
    for column, values in (("base (count)", weight), ("now (count)", now[now != 0])):
        expected, _ = np.histogram(values.double().numpy(), bins=61, range=(-reach, reach))
        assert list(table[column]) == list(expected)


def test_zeros_are_not_drawn_but_told(weight):
    now = pruned(weight, 0.7)
    n_zero = int((now == 0).sum())
    picture = histogram("fc", weight, now)
    assert sum(picture.figure.data[0].y[:-1]) == 2000 - n_zero
    assert f"{n_zero:,} of 2,000 are zero and not drawn" in picture.figure.layout.xaxis.title.text
    assert f"fc: {n_zero:,} of 2,000 weights are zero" in picture.sentence
    assert "in the base 0" in picture.sentence


def test_the_base_is_an_outline_and_now_is_filled(weight):
    now, base = histogram("fc", weight, pruned(weight, 0.7)).figure.data
    assert (now.name, now.fill, base.name, base.fill) == ("now", "tozeroy", "base", None)
    assert base.line.dash == "dash"


def test_a_layer_without_any_weight_left_is_shown(weight):
    picture = histogram("fc", weight, torch.zeros_like(weight))
    assert picture.sentence.endswith("None is left.")
    assert sum(picture.figure.data[0].y) == 0


def test_a_layer_that_was_always_zero_is_shown():
    assert histogram("fc", torch.zeros(3), torch.zeros(3)).table["base (count)"].sum() == 0


def test_the_values_that_all_weights_share_are_listed(weight):
    values = torch.tensor([-0.5, -0.125, 0.25, 1.0])
    shared = values[weight.long() % 4]
    picture = histogram("fc", weight, torch.where(weight > 1.5, 0.0, shared))
    assert picture.figure.layout.xaxis.title.text.endswith("<br>4 values: -0.5, -0.125, 0.25, 1")
    assert picture.sentence.endswith("Its 4 values: -0.5, -0.125, 0.25, 1.")


def test_eight_values_are_listed_in_lines_that_a_projector_has_room_for(weight):
    shared = torch.linspace(0.01234, 0.9876, 8)[torch.arange(weight.numel()) % 8].view_as(weight)
    _, *lines = histogram("fc", weight, shared).figure.layout.xaxis.title.text.split("<br>")
    assert " ".join(lines) == "8 values: 0.0123, 0.152, 0.291, 0.43, 0.57, 0.709, 0.848, 0.988"
    assert len(lines) == 2
    assert max(len(line) for line in lines) <= LINE


@pytest.mark.parametrize("n", [1, 9, 16])
def test_one_value_and_many_are_not_listed(weight, n):
    shared = torch.linspace(0.1, 1.0, n)[torch.arange(weight.numel()) % n].view_as(weight)
    assert "values:" not in histogram("fc", weight, shared).sentence


def test_a_small_mask_has_a_cell_for_each_weight(weight):
    now = pruned(weight, 0.7)
    picture = mask("fc", now)
    np.testing.assert_array_equal(picture.figure.data[0].z, (now != 0).float().numpy())
    assert picture.figure.layout.title.text == "fc: each cell is one weight"


def test_a_kernel_becomes_a_row_for_each_output():
    kernel = torch.ones(4, 3, 2, 2)
    kernel[1, 2] = 0
    cells = mask("conv", kernel).figure.data[0].z
    assert cells.shape == (4, 12)
    assert np.argwhere(cells == 0).tolist() == [[1, 8], [1, 9], [1, 10], [1, 11]]


def test_a_large_mask_is_averaged_into_blocks_and_says_so():
    weight = torch.randn(130, 300, generator=torch.Generator().manual_seed(1)).relu()
    picture = mask("fc", weight)
    cells = picture.figure.data[0].z
    kept = (weight != 0).double()
    assert cells.shape == (65, 100)
    expected = torch.nn.functional.avg_pool2d(kept[None, None], (2, 3))[0, 0]
    np.testing.assert_allclose(cells, expected, atol=1e-6)
    assert picture.figure.layout.title.text == "fc: each cell is the mean of 2 x 3 weights"


def test_a_block_at_the_edge_is_the_mean_of_the_weights_that_it_has():
    weight = torch.zeros(129, 129)
    weight[128, 128] = 1
    cells = mask("fc", weight).figure.data[0].z
    assert cells.shape == (65, 65)
    assert cells[64, 64] == 1
    assert cells.sum() == 1


def test_outputs_without_any_weight_are_counted():
    weight = torch.ones(5, 4)
    weight[1:3] = 0
    assert mask("fc", weight).sentence == (
        "fc: 40.0 % of 20 weights are removed; 2 of 5 outputs have lost all of theirs. "
        "In the picture each cell is one weight."
    )


def test_the_table_of_a_mask_counts_what_each_output_keeps():
    table = mask("fc", torch.tensor([[1.0, 0.0, 2.0, 0.0], [1.0, 1.0, 1.0, 0.0]])).table
    assert list(table["kept (count)"]) == [2, 3]
    assert list(table["kept (%)"]) == [50, 75]


def test_nothing_to_draw_is_refused():
    with pytest.raises(ValueError, match=r"weight must hold at least one weight, not a tensor of shape \(0, 3\)"):
        mask("fc", torch.empty(0, 3))
    with pytest.raises(ValueError, match="base must hold at least one weight"):
        histogram("fc", torch.empty(0), torch.empty(0))
