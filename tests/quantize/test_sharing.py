"""Sharing: each value gets the number of those that share a scale with it, and of no others."""

import math

import pytest
import torch

from efflab.quantize import Grid, fake_quantize, observe, scale_and_zero_point
from efflab.quantize.sharing import shared


def rand(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def largest(rows: torch.Tensor) -> tuple[torch.Tensor, ...]:
    return (rows.amax(dim=1),)


@pytest.mark.parametrize("shape", [(), (5,), (4, 3), (3, 2, 3, 1)])
def test_all_share_one_number_per_tensor(shape):
    weight = rand(0, *shape)
    (found,) = shared(largest, weight, "per tensor")
    assert torch.equal(found, weight.max())


@pytest.mark.parametrize("shape", [(5,), (4, 3), (3, 2, 3, 1)])
def test_each_channel_has_its_own(shape):
    weight = rand(0, *shape)
    (found,) = shared(largest, weight, "per channel")
    assert found.shape == (shape[0], *[1] * (len(shape) - 1))
    assert found.flatten().tolist() == [channel.max().item() for channel in weight]


@pytest.mark.parametrize("group_size", [1, 2, 3, 5, 7, 8, 100])
def test_each_group_has_its_own_and_the_last_may_be_shorter(group_size):
    weight = rand(group_size, 4, 7)
    (found,) = shared(largest, weight, "per group", group_size)
    for row in range(4):
        for column in range(7):
            start = column // group_size * group_size
            assert found[row, column] == weight[row, start : start + group_size].max()


def test_the_stored_numbers_of_groups_are_every_gth():
    (found,) = shared(largest, rand(0, 4, 7), "per group", 3)
    assert found[:, ::3].shape == (4, math.ceil(7 / 3))


def test_several_numbers_come_in_their_order():
    weight = rand(0, 4, 7)
    low, high = shared(lambda rows: tuple(rows.aminmax(dim=1)), weight, "per group", 7)
    assert torch.equal(low, weight.amin(dim=1, keepdim=True).expand(4, 7))
    assert torch.equal(high, weight.amax(dim=1, keepdim=True).expand(4, 7))


def test_the_fewer_share_the_smaller_the_error():
    weight = rand(0, 16, 64) * torch.logspace(-2, 0, 16)[:, None]
    errors = []
    for granularity in ("per tensor", "per channel", "per group"):
        ends = observe(weight, Grid(4), granularity=granularity, group_size=8)
        fitted = fake_quantize(weight, *scale_and_zero_point(*ends, Grid(4)), Grid(4))
        errors.append((fitted - weight).square().mean().item())
    assert errors[0] > 2 * errors[1] > 2 * errors[2]


def test_a_weight_that_is_trained_is_only_looked_at():
    weight = torch.nn.Parameter(rand(0, 3, 4))
    (found,) = shared(largest, weight, "per channel")
    assert not found.requires_grad


@pytest.mark.parametrize("group_size", [0, -3])
def test_a_group_of_no_input_is_refused(group_size):
    with pytest.raises(ValueError, match=rf"group_size must be a positive whole number.*not {group_size}"):
        shared(largest, rand(0, 3, 4), "per group", group_size)


@pytest.mark.parametrize("group_size", [2.0, True, "4", None])
def test_a_group_size_that_is_no_whole_number_is_refused(group_size):
    with pytest.raises(TypeError, match=rf"group_size must be a positive whole number.*not {group_size!r}"):
        shared(largest, rand(0, 3, 4), "per group", group_size)


@pytest.mark.parametrize("shape", [(5,), (2, 3, 1, 1)])
def test_groups_of_anything_but_a_matrix_are_refused(shape):
    with pytest.raises(ValueError, match=r"weight must be a matrix \(out, in\)"):
        shared(largest, rand(0, *shape), "per group", 2)


def test_channels_of_a_single_number_are_refused():
    with pytest.raises(ValueError, match="weight must have an axis of channels"):
        shared(largest, torch.tensor(1.0), "per channel")


@pytest.mark.parametrize("granularity", ["per tensor", "per channel", "per group"])
def test_an_empty_weight_is_refused(granularity):
    with pytest.raises(ValueError, match=r"weight must hold at least one value, not none: its shape is \(3, 0\)"):
        shared(largest, torch.zeros(3, 0), granularity)


@pytest.mark.parametrize("granularity", ["per tensor", "per channel", "per group"])
def test_a_weight_that_is_not_finite_is_refused(granularity):
    with pytest.raises(ValueError, match=r"weight holds nan at position \(1, 0\)"):
        shared(largest, torch.tensor([[1.0], [math.nan]]), granularity)


def test_another_granularity_is_refused():
    with pytest.raises(ValueError, match=r"granularity .*must be one of 'per tensor', 'per channel', 'per group'"):
        shared(largest, rand(0, 3, 4), "per row")
