"""Which layer loses how much, and what its bytes are: against what both networks give, and the computed size."""

import math

import pytest
import support
import torch
from torch import nn

from efflab.lab import Lab
from efflab.lab.grid_bytes import OTHERS, LayerBytes, split_bytes
from efflab.lab.grids import N_IMAGES
from efflab.measure import compute_size
from efflab.measure.size import integer_bytes
from efflab.prune import prune_weights
from efflab.quantize import (
    fold_batch_norms,
    learn_rounding,
    quantize_activations,
    quantize_weights,
    signal_to_noise_db,
    train_quantized,
)
from efflab.recipe import step

FOLD, ACTIVATIONS = step(fold_batch_norms), step(quantize_activations)
FOUR = step(quantize_weights, bits=4)


@pytest.fixture(scope="module")
def lab() -> Lab:
    return Lab(support.tiny_both(), support.tiny_data(), seed=5)


def by_name(errors):
    return {one.layer: one for one in errors.layers}


def outputs(model: nn.Module, images: torch.Tensor, layer: str) -> torch.Tensor:
    """What a layer gives while the images pass, all at once."""
    found = []
    handle = model.get_submodule(layer).register_forward_hook(lambda *about: found.append(about[2]))
    with torch.inference_mode():
        model(images)
    handle.remove()
    return found[0]


# The errors


@pytest.mark.parametrize("layer", ["conv1", "conv2", "conv3", "hidden", "output"])
def test_what_a_layer_gives_is_compared_with_the_float_network_on_calibration_images(layer, lab):
    recipe = (FOLD, FOUR)
    one = by_name(lab.grid_errors(recipe))[layer]
    floats, now = lab.build((FOLD,)), lab.build(recipe)
    images = lab.data.calibration.images
    expected = signal_to_noise_db(*(outputs(model, images, layer) for model in (floats, now)))
    assert one.outputs_db == pytest.approx(expected, abs=1e-3)
    weights = signal_to_noise_db(*(model.get_submodule(layer).weight.detach() for model in (floats, now)))
    assert one.weights_db == pytest.approx(weights)
    assert (one.bits, one.reads_bits) == (4, 0)


def test_of_many_calibration_images_the_first_are_shown():
    data = support.tiny_data(n=400)
    data = type(data)(data.name, data.train, data.validation, data.test, data.train, data.classes)
    lab = Lab(support.tiny_mlp(), data)
    errors = lab.grid_errors((FOUR,))
    assert errors.n_images == N_IMAGES < len(data.calibration.labels)
    images = data.calibration.images[:N_IMAGES]
    expected = signal_to_noise_db(*(outputs(lab.build(recipe), images, "output") for recipe in ((), (FOUR,))))
    assert by_name(errors)["output"].outputs_db == pytest.approx(expected, abs=1e-3)


def test_a_layer_that_stays_float_gives_what_is_wrong_because_it_reads_what_is_wrong(lab):
    errors = by_name(lab.grid_errors((step(quantize_weights, bits={"conv2": 2}),)))
    assert errors["conv1"].outputs_db == math.inf
    assert errors["conv1"].weights_db is None
    assert errors["conv1"].clipped_share is None
    assert errors["conv3"].bits == 0
    assert 0 < errors["conv3"].outputs_db < 40
    assert errors["conv2"].weights_db < 15


def test_activations_alone_have_errors_and_no_bits_of_weights(lab):
    errors = by_name(lab.grid_errors((FOLD, step(quantize_activations, bits=4))))
    assert {(one.bits, one.reads_bits, one.weights_db) for one in errors.values()} == {(0, 4, None)}
    assert all(0 < one.outputs_db < 60 for one in errors.values())


def test_what_the_grid_of_an_output_clips_below_zero_is_no_error_for_the_relu_does_so_too():
    body = [nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 6, 3), nn.ReLU()]
    lab = Lab(nn.Sequential(*body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 3)), support.tiny_data())
    one = by_name(lab.grid_errors((ACTIVATIONS,)))["2"]
    assert int(lab.build((ACTIVATIONS,))[2].gives.zero_point) == 0
    images = lab.data.calibration.images
    floats, now = (outputs(lab.build(recipe), images, "2").relu() for recipe in ((), (ACTIVATIONS,)))
    assert one.outputs_db == pytest.approx(signal_to_noise_db(floats, now), abs=1e-2)
    assert one.outputs_db > 30


def test_steps_before_the_grid_are_no_error(lab):
    sparse = step(prune_weights, sparsity=0.5)
    errors = by_name(lab.grid_errors((sparse, step(quantize_weights, bits=8))))
    assert all(one.weights_db > 35 for one in errors.values())


def test_clipped_weights_are_told_by_their_share_of_the_squared_error():
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 60))
    model[1].weight.data = torch.randn(60, 64, generator=torch.Generator().manual_seed(0))
    lab = Lab(model, support.tiny_data())
    for observer in ("min-max", "percentile"):
        recipe = (step(quantize_weights, observer=observer, granularity="per tensor"),)
        [one] = lab.grid_errors(recipe).layers
        line = lab.on_grid(recipe, "1").line
        assert one.clipped_share == pytest.approx(line.clipped_share)
    assert one.clipped_share > 0.5


def test_the_kernels_are_those_that_the_network_would_run(lab):
    kernels = lab.grid_errors((FOLD, FOUR, ACTIVATIONS)).kernels
    assert {plan.kernel for plan in kernels.values()} == {"int8"}
    assert list(kernels) == ["conv1", "conv2", "conv3", "hidden", "output"]


def test_a_recipe_that_puts_nothing_on_a_grid_is_refused(lab):
    with pytest.raises(ValueError, match=r"^no step of this recipe puts a layer on a grid; quantize_weights and"):
        lab.grid_errors((step(prune_weights),))


def test_what_was_trained_on_grids_is_compared_with_the_network_before_that_step():
    lab = Lab(support.tiny_both(), support.tiny_data())
    recipe = (step(train_quantized, epochs=1),)
    floats, now = (lab.build(steps).conv1.weight.detach() for steps in ((), recipe))
    assert by_name(lab.grid_errors(recipe))["conv1"].weights_db == pytest.approx(signal_to_noise_db(floats, now))


def test_rounding_that_was_learned_is_compared_with_the_floats_that_it_rounded(lab):
    recipe = (FOLD, step(learn_rounding, bits=3, steps=50))
    floats, now = (lab.build(steps).conv3.weight.detach() for steps in ((FOLD,), recipe))
    assert by_name(lab.grid_errors(recipe))["conv3"].weights_db == pytest.approx(signal_to_noise_db(floats, now))


# The bytes


@pytest.mark.parametrize("activations", [(), (ACTIVATIONS,)], ids=["weights", "and activations"])
@pytest.mark.parametrize("scheme", ["symmetric", "affine"])
@pytest.mark.parametrize("granularity", ["per tensor", "per channel", "per group"])
@pytest.mark.parametrize("bits", [8, 3, 1, {"conv1": 8, "output": 2}])
def test_all_parts_together_are_the_size_that_is_computed(bits, granularity, scheme, activations, lab):
    weights = step(quantize_weights, bits=bits, granularity=granularity, scheme=scheme, group_size=8)
    recipe = (weights, *activations)
    errors = lab.grid_errors(recipe)
    assert errors.n_bytes == compute_size(lab.build(recipe)).packed_bytes
    assert errors.other_bytes == 4 * 4 * (2 + 4 + 8)  # three batch norms: weight, bias, mean and variance


@pytest.mark.parametrize("build", [support.tiny_all, support.tiny_mlp, support.tiny_cnn])
def test_the_parts_of_any_network_are_its_size(build):
    model = quantize_weights(build(), bits=5)
    split = split_bytes(model)
    assert sum(one.total for one in split.values()) == compute_size(model).packed_bytes
    assert list(split)[-1] == OTHERS


def test_each_part_is_what_its_formula_says(lab):
    recipe = (step(quantize_weights, bits=3, scheme="affine"), ACTIVATIONS)
    one = by_name(lab.grid_errors(recipe))["hidden"].bytes
    n = lab.build(recipe).hidden.weight.numel()
    assert one == LayerBytes(integers=-(-3 * n // 8), scales=4 * 6 + 4, zero_points=-(-3 * 6 // 8), biases=4 * 6)
    assert one.total - 4 - 24 == integer_bytes(n, 3, 6, is_symmetric=False)
    assert one.overhead == 28 + 3 + 24


def test_a_float_layer_has_floats(lab):
    one = by_name(lab.grid_errors((step(quantize_weights, bits={"conv1": 4}),)))["hidden"].bytes
    assert one == LayerBytes(floats=4 * lab.build(()).hidden.weight.numel(), biases=24)


def test_where_zeros_are_left_out_the_mask_counts_with_the_integers(lab):
    recipe = (step(prune_weights, sparsity=0.9, scope="per layer"), step(quantize_weights, granularity="per tensor"))
    errors = lab.grid_errors(recipe)
    found = {tensor.name: tensor for tensor in compute_size(lab.build(recipe)).tensors}["conv3.weight"]
    assert found.encoding == "8-bit bitmask"
    one = by_name(errors)["conv3"].bytes
    assert (one.integers, one.scales, one.floats) == (found.packed_bytes - 4, 4, 0)


def test_a_network_that_is_one_layer_keeps_the_scale_of_what_it_reads():
    model = quantize_activations(quantize_weights(nn.Linear(8, 3)), data=support.tiny_data())
    split = split_bytes(model)
    assert split["model"] == LayerBytes(integers=24, scales=16, biases=12)
    assert split[OTHERS].total == 0
