"""What a layer reads, beside the grid of its inputs."""

import numpy as np
import pytest
import support
import torch

from efflab.lab import Lab
from efflab.prune import prune_weights
from efflab.quantize import fold_batch_norms, quantize_activations, quantize_weights
from efflab.recipe import step

FOLD = step(fold_batch_norms)


def activations(**settings):
    return step(quantize_activations, **settings)


@pytest.fixture(scope="module")
def lab() -> Lab:
    return Lab(support.tiny_both(), support.tiny_data(), seed=5)


def read(lab: Lab, recipe, layer: str) -> torch.Tensor:
    """What a layer reads from all calibration images."""
    found = []
    module = lab.build(recipe).get_submodule(layer)
    handle = module.register_forward_pre_hook(lambda _, inputs: found.append(inputs[0]))
    with torch.inference_mode():
        lab.build(recipe)(lab.data.calibration.images)
    handle.remove()
    return found[0].flatten()


@pytest.mark.parametrize("layer", ["conv1", "conv3", "output"])
def test_what_is_counted_is_what_the_layer_reads_and_what_its_grid_makes_of_it(layer, lab):
    recipe = (FOLD, activations(bits=4))
    found, x = lab.activations(recipe, layer), read(lab, recipe, layer)
    assert found.line.n == len(x)
    theirs, _ = np.histogram(x.double().numpy(), bins=found.line.edges)
    np.testing.assert_array_equal(found.line.counts, theirs)
    grid = lab.build(recipe).get_submodule(layer).reads
    values, n = grid(x).unique(return_counts=True)
    held = found.line.held > 0
    np.testing.assert_allclose(found.line.values[held], values, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(found.line.held[held], n)
    assert found.line.n_dead == 16 - len(values)


def test_the_range_that_was_seen_and_that_of_the_grid_stand_side_by_side(lab):
    recipe = (FOLD, activations(bits=8))
    found, x = lab.activations(recipe, "conv2"), read(lab, recipe, "conv2")
    grid = lab.build(recipe).conv2.reads
    assert found.seen == (float(x.min()), float(x.max()))
    assert found.ends == pytest.approx(
        ((0 - int(grid.zero_point)) * float(grid.scale), (255 - int(grid.zero_point)) * float(grid.scale))
    )
    assert (found.scale, found.zero_point, found.bits) == (float(grid.scale), int(grid.zero_point), 8)
    assert found.n_images == len(lab.data.calibration.labels) == 20
    assert len(found.line.values) == 256


def test_a_narrow_grid_clips_what_a_wide_one_reaches(lab):
    wide, narrow = (
        lab.activations((FOLD, activations(bits=3, observer=name)), "conv1").line for name in ("min-max", "MSE")
    )
    assert wide.clipped == 0
    assert 0 < narrow.clipped < 0.2
    assert narrow.signal_to_noise_db > wide.signal_to_noise_db


def test_weights_on_grids_before_it_change_what_is_read(lab):
    recipe = (FOLD, step(quantize_weights, bits=2), activations())
    assert lab.activations(recipe, "output").seen != lab.activations((FOLD, activations()), "output").seen


@pytest.mark.parametrize(
    ("recipe", "sentence"),
    [
        ((FOLD, activations()), r"^layer must be one of conv1, conv2, conv3, hidden, output, not 'norm1'$"),
        ((step(prune_weights),), r"^layer must be of a recipe that has quantize_activations, not 'norm1'$"),
        ((step(quantize_weights),), r"^layer must be of a recipe that has quantize_activations"),
    ],
)
def test_a_layer_that_reads_from_no_grid_is_refused(recipe, sentence, lab):
    with pytest.raises(ValueError, match=sentence):
        lab.activations(recipe, "norm1")
