"""Histograms: those of NumPy, the same whatever the batches and their order, and percentiles within half a bin."""

import math
import weakref

import numpy as np
import pytest
import torch

from efflab.quantize.histograms import SIDE, Histogram, count_values, quantile


def rand(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def growing(seed: int) -> list[torch.Tensor]:
    """Batches of different shapes, each about ten times as wide as the last; the first are zeros."""
    return [
        torch.zeros(3),
        *(rand(seed + i, *shape) * 10.0 ** (i - 3) for i, shape in enumerate([(2, 3), (50,), (4, 5, 6)])),
    ]


def same(one: Histogram, other: Histogram) -> bool:
    ends = (one.low, one.high, one.reach) == (other.low, other.high, other.reach)
    return ends and torch.equal(one.counts, other.counts)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("factor", [1e-20, 1.0, 3e5])
def test_the_counts_are_those_of_numpy(seed, factor):
    x = torch.cat([rand(seed, 3000), torch.tensor([0.0, -0.0, 1.0, -2.0])]) * factor
    histogram = count_values([x])
    theirs, _ = np.histogram(x.double().numpy(), bins=2 * SIDE, range=(-histogram.reach, histogram.reach))
    assert histogram.counts.tolist() == theirs.tolist()


def test_the_reach_is_the_smallest_power_of_two_above_all():
    for value, reach in ((3.0, 4.0), (4.0, 8.0), (-4.0, 8.0), (0.3, 0.5), (1e-3, 2**-9)):
        assert count_values([torch.tensor([value])]).reach == reach


@pytest.mark.parametrize("seed", range(5))
def test_a_stream_has_the_histogram_of_all_at_once_bin_for_bin(seed):
    batches = growing(seed)
    whole = count_values([torch.cat([batch.flatten() for batch in batches])])
    assert same(count_values(batches), whole)
    assert same(count_values(reversed(batches)), whole)
    assert int(whole.counts.sum()) == sum(batch.numel() for batch in batches)


def test_a_tiny_negative_value_stays_below_zero_beside_a_huge_one():
    batches = [torch.tensor([-1e-40]), torch.tensor([1e30])]
    assert same(count_values(batches), count_values([torch.cat(batches)]))


def test_a_batch_is_let_go_before_the_next_but_one():
    seen = []

    def stream():
        for seed in range(5):
            assert all(batch() is None for batch in seen[:-1])
            batch = rand(seed, 10)
            seen.append(weakref.ref(batch))
            yield batch
            del batch

    count_values(stream())
    assert len(seen) == 5


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("fraction", [0.0, 0.001, 0.1, 0.5, 0.77, 0.999, 1.0])
def test_a_quantile_is_half_a_bin_from_that_of_torch_at_most(seed, fraction):
    batches = growing(seed)
    histogram = count_values(batches)
    exact = torch.quantile(torch.cat([batch.flatten() for batch in batches]), fraction).item()
    assert abs(quantile(histogram, fraction) - exact) <= histogram.width / 2 * (1 + 1e-6)


def test_a_quantile_between_two_far_values_is_interpolated():
    assert quantile(count_values([torch.tensor([0.0, 8.0])]), 0.25) == pytest.approx(2.0, abs=0.01)


def test_a_bin_is_at_most_a_thousandth_of_the_largest_magnitude():
    for seed in range(20):
        x = rand(seed, 100)
        assert count_values([x]).width <= x.abs().max() / 1024


def test_a_stream_of_zeros_lies_in_one_bin():
    histogram = count_values([torch.zeros(3), torch.zeros(2)])
    assert histogram.counts[SIDE] == 5
    assert (histogram.low.item(), histogram.high.item(), quantile(histogram, 0.9)) == (0, 0, 0)


def test_no_batch_is_refused():
    with pytest.raises(ValueError, match="batches must hold at least one batch to calibrate on, not none"):
        count_values([])


def test_an_empty_batch_is_refused_with_its_place():
    with pytest.raises(ValueError, match=r"batches\[1\] must hold at least one value, not none: .*\(0, 3\)"):
        count_values([torch.zeros(2, 3), torch.zeros(0, 3)])


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_batch_that_is_not_finite_is_refused_with_its_place(value):
    with pytest.raises(ValueError, match=rf"batches\[1\] holds {value} at position \(0,\)"):
        count_values([torch.zeros(2), torch.tensor([value])])
