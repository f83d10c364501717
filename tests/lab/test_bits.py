"""Bits of a lab: the budget counts all that is stored, and what does not fit is a sentence with the numbers."""

import pytest

from efflab.lab import Lab
from efflab.measure import compute_size
from efflab.prune import prune_weights
from efflab.quantize import fold_batch_norms, quantize_weights, scan_bit_sensitivity
from efflab.recipe import step

FOLDED = (step(fold_batch_norms),)


@pytest.mark.parametrize("recipe", [(), FOLDED, (step(prune_weights, sparsity=0.8), *FOLDED)], ids=len)
@pytest.mark.parametrize("n_bytes", [900, 700, 600])
def test_the_network_with_the_allocated_bits_fits_into_the_budget(n_bytes, recipe, lab):
    bits = lab.allocate_bits(n_bytes, recipe)
    assert list(bits) == ["conv1", "conv2", "conv3", "output"]
    packed = compute_size(lab.build((*recipe, step(quantize_weights, bits=bits)))).packed_bytes
    assert packed <= n_bytes


def test_the_budget_is_met_to_the_byte(lab):
    exact = compute_size(lab.build((*FOLDED, step(quantize_weights, bits=8)))).packed_bytes
    assert set(lab.allocate_bits(exact, FOLDED).values()) == {8}
    assert set(lab.allocate_bits(exact - 1, FOLDED).values()) != {8}


def test_the_points_are_those_of_the_recipes_network(lab):
    settings = {"bits": (3, 4), "granularity": "per tensor", "observer": "MSE"}
    points = list(lab.bit_sensitivity(FOLDED, **settings))
    assert points == list(scan_bit_sensitivity(lab.build(FOLDED), lab.data, **settings))
    assert points != list(lab.bit_sensitivity(**settings))


def test_a_budget_that_cannot_be_met_says_what_is_needed(lab: Lab):
    with pytest.raises(ValueError, match=r"^n_bytes=100 cannot be met: \d+ bytes are not quantized, and of the others"):
        lab.allocate_bits(100, FOLDED)
