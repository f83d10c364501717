"""The weights of one layer beside their grid: counted against NumPy, judged against the float network of the recipe."""

import math

import numpy as np
import pytest
import support
import torch
from torch import nn

from efflab.lab import Lab
from efflab.lab.number_lines import MANY_BINS, levels_of, number_line
from efflab.prune import prune_weights
from efflab.quantize import Grid, quantize_activations, quantize_weights, signal_to_noise_db
from efflab.recipe import step

SPARSE = step(prune_weights, sparsity=0.5)


def quantized(**settings):
    return step(quantize_weights, **settings)


@pytest.fixture(scope="module")
def lab() -> Lab:
    return Lab(support.tiny_both(), support.tiny_data(), seed=5)


def line_of(numbers: list[float], scale: float, grid: Grid, after: list[float]):
    return number_line(torch.tensor(numbers), torch.tensor(after), torch.tensor(scale), torch.tensor(0), grid)


# Any numbers and any grid


def test_every_number_is_counted_once_before_and_once_after():
    line = line_of([-1.0, -0.4, 0.1, 0.2, 0.9], 0.5, Grid(bits=3), [-1.0, -0.5, 0.0, 0.0, 1.0])
    assert line.values.tolist() == [-1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5]
    assert line.held.tolist() == [0, 1, 1, 2, 0, 1, 0]
    assert line.n == line.counts.sum() == line.held.sum() == 5
    assert line.n_dead == 3
    assert line.max_error_steps == pytest.approx(0.4)


def test_the_bins_reach_from_end_to_end_of_the_numbers_and_of_the_grid():
    line = line_of([-4.0, 0.0, 1.0], 1.0, Grid(bits=3), [-3.0, 0.0, 1.0])
    assert (line.edges[0], line.edges[-1]) == (-4, 3)


def test_what_rounding_leads_beyond_the_grid_is_clipped_and_what_it_leads_back_is_not():
    numbers, after = [1.4, 1.6, -9.0, 0.25], [1.0, 1.0, -1.0, 0.0]
    line = line_of(numbers, 1.0, Grid(bits=2), after)
    assert line.clipped == 0.5
    squares = np.subtract(numbers, after) ** 2
    assert line.clipped_share == pytest.approx(squares[1:3].sum() / squares.sum())


def test_on_two_values_half_the_way_to_the_next_is_a_whole_scale():
    assert levels_of(Grid(bits=1)).tolist() == [-1, 1]
    line = line_of([-0.5, 1.9, 2.1], 1.0, Grid(bits=1), [-1.0, 1.0, 1.0])
    assert line.held.tolist() == [1, 2]
    assert line.clipped == pytest.approx(1 / 3)


def test_numbers_without_an_error_have_no_share_that_was_clipped():
    line = line_of([0.0, 1.0], 1.0, Grid(bits=2), [0.0, 1.0])
    assert (line.clipped, line.clipped_share, line.signal_to_noise_db) == (0, 0, float("inf"))


def test_a_trace_stays_short_enough_to_be_sent_at_every_move():
    x = torch.randn(100_000, generator=torch.Generator().manual_seed(0))
    line = number_line(x, (x / 0.1).round().clamp(-127, 127) * 0.1, torch.tensor(0.1), torch.tensor(0), Grid())
    assert len(line.counts) == MANY_BINS
    assert len(line.values) == 255
    theirs, _ = np.histogram(x.double().numpy(), bins=line.edges)
    assert line.counts.tolist() == theirs.tolist()


# The weights of a layer


@pytest.mark.parametrize("scheme", ["symmetric", "affine"])
@pytest.mark.parametrize(("granularity", "n_scales"), [("per tensor", 1), ("per channel", 8), ("per group", 40)])
def test_integers_are_counted_as_the_layer_has_them_for_every_granularity(granularity, n_scales, scheme, lab):
    recipe = (quantized(bits=3, granularity=granularity, scheme=scheme, group_size=8),)
    found, layer = lab.on_grid(recipe, "conv3"), lab.build(recipe).conv3
    assert found.n_scales == layer.scale.numel() == n_scales
    first, last = (-3, 3) if scheme == "symmetric" else (-4, 3)
    theirs = [int((layer.integers() == integer).sum()) for integer in range(first, last + 1)]
    assert found.line.held.tolist() == theirs
    assert found.scales == (float(layer.scale.min()), float(layer.scale.max()))
    assert found.zero_points == (int(layer.zero_point.min()), int(layer.zero_point.max()))
    assert found.is_in_steps == (n_scales > 1)
    if found.is_in_steps:
        assert found.line.values.tolist() == list(range(first, last + 1))


def test_with_one_scale_the_line_is_in_the_unit_of_the_weights(lab):
    recipe = (quantized(bits=4, granularity="per tensor", scheme="affine"),)
    found, layer = lab.on_grid(recipe, "hidden"), lab.build(recipe).hidden
    np.testing.assert_allclose(
        found.line.values, (np.arange(-8, 8) - int(layer.zero_point)) * float(layer.scale), rtol=1e-6
    )
    weight = support.tiny_both().hidden.weight.detach()
    assert found.line.edges[0] <= float(weight.min())
    assert found.line.edges[-1] >= float(weight.max())


def test_a_channel_has_its_own_weights_and_its_own_scale(lab):
    recipe = (quantized(bits=4),)
    found, layer = lab.on_grid(recipe, "conv3", 2), lab.build(recipe).conv3
    before, after = support.tiny_both().conv3.weight.detach()[2], layer.weight.detach()[2]
    assert (found.channel, found.n_channels, found.line.n) == (2, 8, before.numel())
    assert found.scales == (float(layer.scale[2]), float(layer.scale[2]))
    assert not found.is_in_steps
    assert found.line.signal_to_noise_db == pytest.approx(signal_to_noise_db(before, after))
    assert found.line.max_error_steps == pytest.approx(float((before - after).abs().max() / layer.scale[2]))
    assert sorted(set(after.flatten().tolist())) == pytest.approx(
        [value for value, n in zip(found.line.values, found.line.held, strict=True) if n], rel=1e-5
    )


def test_what_was_before_the_grid_is_what_the_steps_before_it_made(lab):
    recipe = (SPARSE, quantized(bits=2), step(quantize_activations))
    found = lab.on_grid(recipe, "conv2")
    before, after = (lab.build(recipe[:n]).conv2.weight.detach() for n in (1, 2))
    assert found.line.signal_to_noise_db == pytest.approx(signal_to_noise_db(before, after))


def test_a_percentile_clips_and_min_max_does_not():
    weight = torch.randn(1, 4000, generator=torch.Generator().manual_seed(0))
    model = nn.Sequential(nn.Flatten(), nn.Linear(4000, 1))
    model[1].weight.data = weight
    lab = Lab(model, support.tiny_data())
    whole, cut = (lab.on_grid((quantized(observer=observer),), "1").line for observer in ("min-max", "percentile"))
    assert whole.clipped == whole.clipped_share == 0
    assert 0 < cut.clipped <= 0.001
    assert cut.clipped_share > 0.5
    assert whole.max_error_steps <= 0.5 < cut.max_error_steps


@pytest.mark.parametrize("bits", range(2, 8))
def test_the_signal_to_noise_grows_with_the_square_of_the_number_of_steps(bits):
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 64))
    model[1].weight.data = torch.rand(64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    lab = Lab(model, support.tiny_data())
    coarse, fine = (lab.on_grid((quantized(bits=n),), "1").line.signal_to_noise_db for n in (bits, bits + 1))
    assert fine - coarse == pytest.approx(20 * math.log10((2**bits - 1) / (2 ** (bits - 1) - 1)), abs=0.3)


def test_a_network_that_is_one_layer_is_called_model():
    lab = Lab(nn.Linear(8, 3), support.tiny_data())
    assert lab.on_grid((quantized(bits=4),), "model").line.n == 24


# What is refused


@pytest.mark.parametrize("layer", ["norm1", "conv9", "", "output"])
def test_a_layer_whose_weights_lie_on_no_grid_is_refused_with_those_on_one(layer, lab):
    recipe = (quantized(bits={"conv1": 4, "hidden": 8}),)
    with pytest.raises(ValueError, match=rf"^layer must be one of conv1, hidden, not '{layer}'$"):
        lab.on_grid(recipe, layer)


def test_a_recipe_without_weights_on_grids_is_refused_with_the_technique(lab):
    with pytest.raises(
        ValueError, match=r"^layer must be of a recipe that puts weights on grids: quantize_weights, not"
    ):
        lab.on_grid((SPARSE, step(quantize_activations)), "conv1")


@pytest.mark.parametrize(("channel", "kind"), [(8, ValueError), (-1, ValueError), (True, TypeError), (1.0, TypeError)])
def test_a_channel_that_there_is_not_is_refused(channel, kind, lab):
    with pytest.raises(kind, match=r"^channel must be .*, not "):
        lab.on_grid((quantized(),), "conv3", channel)
