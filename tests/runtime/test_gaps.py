"""Relative indices tell where the weights stand, whatever the bits, and count what they write."""

import numpy as np
import pytest

from efflab.runtime.gaps import GAP_BITS, count_gaps, cut_up, packed_gap_bytes, places_of, zeros_before


def masks() -> list[np.ndarray]:
    """Of all densities and lengths, with runs of zeros that are exactly, nearly and many times as long as a gap."""
    generator = np.random.default_rng(0)
    drawn = [generator.random(n) < p for n in (1, 2, 7, 300) for p in (0.0, 0.03, 0.2, 0.9, 1.0)]
    runs = [np.array([False] * n + [True]) for n in (*range(10), 14, 15, 16, 1000)]
    return [*drawn, *runs, np.array([], dtype=bool)]


@pytest.mark.parametrize("bits", [1, 2, 3, 5, 8])
def test_what_was_cut_up_leads_back_to_the_places(bits):
    for is_kept in masks():
        gaps = cut_up(zeros_before(is_kept), bits)
        assert places_of(gaps, bits).tolist() == np.flatnonzero(is_kept).tolist()
        assert len(gaps) == count_gaps(zeros_before(is_kept), bits)
        assert bool(((gaps >= 0) & (gaps < 2**bits)).all())


def test_packed_gaps_have_the_bits_that_take_the_fewest_bytes():
    zeros = zeros_before(np.random.default_rng(0).random(5000) < 0.05)
    by_bits = {bits: -(-len(cut_up(zeros, bits)) * bits // 8) for bits in GAP_BITS}
    assert packed_gap_bytes(zeros) == by_bits[5] == min(by_bits.values())


def test_the_example_at_the_top_is_what_is_written():
    is_kept = np.array([False, False, True, True, False, False, False, False, True])
    assert cut_up(zeros_before(is_kept), 2).tolist() == [2, 0, 3, 1]


def test_a_run_as_long_as_the_largest_number_needs_one_more():
    assert cut_up(np.array([6]), 3).tolist() == [6]
    assert cut_up(np.array([7]), 3).tolist() == [7, 0]
    assert cut_up(np.array([14]), 3).tolist() == [7, 7, 0]


def test_zeros_after_the_last_weight_are_not_written():
    assert zeros_before(np.array([True, False, True, False, False])).tolist() == [0, 1]
