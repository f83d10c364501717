"""What trains behind a code: floats behind a grid, whose weights never leave it."""

import pytest
import support
import torch
from torch import nn

from efflab.data import Data
from efflab.quantize import Grid, fake_quantize, quantize_weights, share_weights, straight_through
from efflab.runtime.behind import GridValues, values_behind
from efflab.runtime.quantized import quantized_layers
from efflab.training import train, validation_score

GRIDS = [(bits, scheme) for bits in (1, 2, 4, 8) for scheme in ("symmetric", "affine")]


@pytest.fixture(scope="module")
def data() -> Data:
    return support.tiny_data()


def linear(bits: int, scheme: str) -> nn.Module:
    torch.manual_seed(0)
    return quantize_weights(nn.Linear(16, 4), bits=bits, scheme=scheme)


@pytest.mark.parametrize(("bits", "scheme"), GRIDS)
def test_the_nearest_number_of_the_grid_is_that_of_fake_quantize(bits, scheme):
    layer = linear(bits, scheme)
    values = torch.randn(4, 16, generator=torch.Generator().manual_seed(1)) * 0.4
    grid = Grid(bits, is_symmetric=scheme == "symmetric")
    torch.testing.assert_close(layer.nearest(values), fake_quantize(values, layer.scale, layer.zero_point, grid))


@pytest.mark.parametrize(("bits", "scheme"), GRIDS)
def test_the_gradient_passes_straight_through_where_the_grid_reaches(bits, scheme):
    layer = linear(bits, scheme)
    x = (torch.randn(4, 16, generator=torch.Generator().manual_seed(2)) * 0.4).requires_grad_()
    upstream = torch.arange(64.0).reshape(4, 16) + 1
    straight_through(x, layer.scale, layer.zero_point, Grid(bits, is_symmetric=scheme == "symmetric")).backward(
        upstream
    )
    behind = GridValues(layer)
    behind.values.data.copy_(x.detach())
    layer.weight.grad = upstream
    behind.gather()
    assert torch.equal(behind.values.grad, x.grad)
    assert layer.weight.grad is None


def test_small_steps_gather_until_the_weight_jumps():
    layer = linear(4, "symmetric")
    behind, before, step = GridValues(layer), layer.weight.detach().clone(), layer.scale[0, 0].item()
    largest, there = int(before[0].argmax()), []
    with torch.no_grad():
        for _ in range(3):
            behind.values[0, largest] -= 0.3 * step
            behind.spread()
            there.append(((before[0, largest] - layer.weight[0, largest]) / step).round().item())
    assert there == [0, 1, 1]


@pytest.mark.parametrize("bits", [3, 4])
def test_a_training_that_keeps_codes_moves_weights_from_number_to_number(bits, data):
    network = quantize_weights(support.tiny_mlp(), bits=bits, granularity="per group", group_size=8)
    before = {name: layer.integers() for name, layer in quantized_layers(network).items()}
    scales = {name: layer.scale.clone() for name, layer in quantized_layers(network).items()}
    start = validation_score(network, data)
    for _ in train(network, data, epochs=6, learning_rate=0.01, keep_codes=True):
        pass
    after = {name: layer.integers() for name, layer in quantized_layers(network).items()}
    assert any(not torch.equal(before[name], after[name]) for name in before)
    assert all(torch.equal(layer.scale, scales[name]) for name, layer in quantized_layers(network).items())
    assert validation_score(network, data) > start


def test_zeros_stay_zeros_when_they_are_kept(data):
    network = quantize_weights(support.tiny_mlp(), bits=3)
    zeros = {name: layer.weight == 0 for name, layer in quantized_layers(network).items()}
    assert all(bool(one.any()) for one in zeros.values())
    for _ in train(network, data, epochs=3, learning_rate=0.01, keep_codes=True, keep_zeros=True):
        pass
    assert all(bool((layer.weight[zeros[name]] == 0).all()) for name, layer in quantized_layers(network).items())


def test_layers_that_share_a_weight_have_one_row_of_values():
    first, second = nn.Linear(8, 8), nn.Linear(8, 8)
    second.weight = first.weight
    assert len(values_behind(quantize_weights(nn.Sequential(first, second), bits=4))) == 1
    assert len(values_behind(share_weights(nn.Sequential(first, second), bits=2))) == 1
