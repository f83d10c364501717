"""Files with integers answer as the simulation does, are as small as they should be, and multiply integers."""

import numpy as np
import onnx
import pytest
import support
import torch
from networks import Calls
from torch import Tensor, nn

from efflab import data as datasets
from efflab import models
from efflab.data import Data, Split
from efflab.measure import compute_size
from efflab.measure.machine import describe_machine
from efflab.prune import prune_weights
from efflab.quantize import (
    Grid,
    fold_batch_norms,
    may_saturate,
    quantize_activations,
    quantize_weights,
    scale_and_zero_point,
)
from efflab.quantize.grids import fake_quantize
from efflab.runtime import (
    Artefact,
    ExportError,
    Planned,
    executed_kernels,
    export,
    export_integers,
    parity,
    plan_kernels,
    quantized_layers,
    session,
)
from efflab.runtime.executed import is_integer
from efflab.runtime.integer_nodes import BIAS_STEPS
from efflab.runtime.quantized import on_grid

SHAPE = (4, 6, 6)
BITS = 7 if may_saturate(describe_machine()) else 8
"""Of weights: where products of 8 bits saturate, those of 7 do not."""


def images(n: int = 40, seed: int = 1) -> Tensor:
    return torch.randn(n, *SHAPE, generator=torch.Generator().manual_seed(seed))


def data_of(seen: Tensor) -> Data:
    split = Split(seen, torch.arange(len(seen)) % 3)
    return Data("noise", split, split, split, split, ("a", "b", "c"))


def answers(made: Artefact, seen: Tensor) -> Tensor:
    (scores,) = session(made).run(None, {"images": seen.numpy()})
    return torch.from_numpy(scores)


def simulated(model: nn.Module, seen: Tensor) -> Tensor:
    with torch.inference_mode():
        return model(seen)


def filled(layer: nn.Module, seed: int) -> nn.Module:
    """A layer with channels of very different size, one of zeros, one that is constant."""
    generator = torch.Generator().manual_seed(seed)
    weight = layer.weight.data
    weight.copy_(torch.randn(weight.shape, generator=generator))
    weight.mul_(torch.logspace(-3, 1, len(weight)).reshape(-1, *[1] * (weight.ndim - 1)))
    weight[0], weight[1] = 0.0, 0.3
    if layer.bias is not None:
        layer.bias.data.copy_(torch.randn(layer.bias.shape, generator=generator) * 3)
    return layer


CONVOLUTIONS = {
    "plain": {"out_channels": 5, "kernel_size": 3},
    "padded, with a stride": {"out_channels": 6, "kernel_size": 3, "stride": 2, "padding": 1},
    "of another height than width": {"out_channels": 6, "kernel_size": (3, 2), "stride": (1, 2), "padding": (1, 0)},
    "depthwise": {"out_channels": 4, "kernel_size": 3, "padding": 1, "groups": 4},
    "in groups": {"out_channels": 8, "kernel_size": 3, "groups": 2},
    "1x1": {"out_channels": 7, "kernel_size": 1},
    "dilated": {"out_channels": 5, "kernel_size": 3, "dilation": 2},
}
GRIDS = [(one, scheme) for one in ("per tensor", "per channel") for scheme in ("symmetric", "affine")]


# One layer


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("granularity", "scheme"), GRIDS)
@pytest.mark.parametrize("has_bias", [True, False])
@pytest.mark.parametrize("kind", CONVOLUTIONS)
def test_a_convolution_of_integers_is_one_step_off_at_most(kind, has_bias, granularity, scheme, seed, tmp_path):
    layer = filled(nn.Conv2d(4, bias=has_bias, **CONVOLUTIONS[kind]), seed)
    weighted = quantize_weights(layer, bits=BITS, granularity=granularity, scheme=scheme)
    quantized = quantize_activations(weighted, data=data_of(images(seed=seed)))
    made = export_integers(quantized, SHAPE, tmp_path)
    seen = images(seed=seed + 10) * 1.2  # some beyond the grid
    steps = (answers(made, seen) - simulated(quantized, seen)) / quantized.gives.scale
    assert float(steps.abs().max()) < 1.01
    assert float((steps.abs() < 0.01).float().mean()) > 0.98
    assert executed_kernels(made) == {"model": "QLinearConv"}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("granularity", "scheme"), GRIDS)
@pytest.mark.parametrize(("kernel", "has_bias"), [("QGemm", True), ("MatMulIntegerToFloat", False)])
def test_a_linear_layer_of_integers_gives_the_same_numbers(kernel, has_bias, granularity, scheme, seed, tmp_path):
    layer = filled(nn.Linear(144, 9, bias=has_bias), seed)
    model = nn.Sequential(nn.Flatten(), quantize_weights(layer, bits=BITS, granularity=granularity, scheme=scheme))
    quantized = quantize_activations(model, data=data_of(images(seed=seed)))
    made = export_integers(quantized, SHAPE, tmp_path)
    seen = images(seed=seed + 10)
    step_of_one_input = quantized[1].reads.scale * quantized[1].weight.detach().abs().amax(dim=1)  # (out,)
    apart = (answers(made, seen) - simulated(quantized, seen)).abs()
    assert bool((apart <= step_of_one_input + quantized[1].reads.scale * quantized[1].scale.flatten() + 1e-4).all())
    assert executed_kernels(made) == {"1": kernel}


@pytest.mark.parametrize("has_bias", [True, False])
def test_a_lone_linear_layer_for_images_of_rows_is_called_model(has_bias, tmp_path):
    layer = quantize_activations(quantize_weights(nn.Linear(6, 5, bias=has_bias), bits=BITS), data=data_of(images()))
    made = export_integers(layer, SHAPE, tmp_path)
    torch.testing.assert_close(answers(made, images()), simulated(layer, images()), rtol=1e-4, atol=1e-4)
    assert executed_kernels(made) == {"model": "MatMulIntegerToFloat"}


@pytest.mark.parametrize("bits", [8, 4, 3, 2])
def test_weights_of_fewer_bits_lie_in_eight_and_answer_alike(bits, tmp_path):
    weighted = quantize_weights(filled(nn.Conv2d(4, 5, 3), 0), bits=min(bits, BITS))
    layer = quantize_activations(weighted, data=data_of(images()))
    made = export_integers(layer, SHAPE, tmp_path)
    apart = (answers(made, images()) - simulated(layer, images())).abs() / layer.gives.scale
    assert float(apart.max()) < 1.01


@pytest.mark.parametrize("granularity", ["per tensor", "per channel"])
@pytest.mark.parametrize("bias", [1e-6, 0.3, 1e5])
def test_a_removed_filter_keeps_its_bias_whatever_its_scale(bias, granularity, tmp_path):
    layer = nn.Conv2d(4, 3, 1)
    layer.weight.data.zero_()
    layer.bias.data = torch.tensor([bias, -bias, bias / 3])
    quantized = quantize_activations(quantize_weights(layer, granularity=granularity), data=data_of(images()))
    made = export_integers(quantized, SHAPE, tmp_path)
    apart = (answers(made, images()) - simulated(quantized, images())).abs()
    assert float(apart.max()) < 1.01 * float(quantized.gives.scale)
    integers = [one for one in onnx.load(made.path).graph.initializer if one.name.endswith("bias")]
    assert np.abs(onnx.numpy_helper.to_array(integers[0])).max() == BIAS_STEPS


def test_a_bias_that_32_bits_do_not_hold_leaves_the_layer_in_floats(tmp_path):
    layer = nn.Conv2d(4, 2, 1)
    layer.weight.data.fill_(1e-8)
    layer.bias.data.fill_(100.0)
    quantized = quantize_activations(quantize_weights(layer), data=data_of(images()))
    plan = plan_kernels(quantized)["model"]
    assert (plan.kernel, plan.why[:25]) == ("float", "its bias is so large besi")
    made = export_integers(quantized, SHAPE, tmp_path)
    torch.testing.assert_close(answers(made, images()), simulated(quantized, images()))


# Grids found anew in each run, and blocks


def dynamically(x: Tensor, layer: nn.Linear) -> Tensor:
    """The product with inputs on the grid of their own range, and an exact sum."""
    grid = Grid(is_symmetric=False, is_signed=False)
    on = fake_quantize(x, *scale_and_zero_point(x.min(), x.max(), grid), grid)
    product = on.double() @ layer.weight.detach().double().T
    return (product + (0 if layer.bias is None else layer.bias.detach().double())).float()


@pytest.mark.parametrize(("granularity", "scheme"), GRIDS)
@pytest.mark.parametrize("has_bias", [True, False])
def test_a_dynamic_product_rounds_its_inputs_to_the_grid_of_the_run(has_bias, granularity, scheme, tmp_path):
    layer = filled(nn.Linear(144, 9, bias=has_bias), 0)
    layer.weight.data[2] += 1.0  # off the middle, so that affine grids have a zero point
    model = nn.Sequential(nn.Flatten(), quantize_weights(layer, bits=BITS, granularity=granularity, scheme=scheme))
    made = export_integers(model, SHAPE, tmp_path, dynamic=True)
    seen = images(3)
    expected = dynamically(seen.flatten(1), model[1])
    step = (seen.max() - seen.min()) / 255 * model[1].weight.detach().abs().amax(dim=1)
    assert bool(((answers(made, seen) - expected).abs() <= step + 1e-4).all())
    assert executed_kernels(made) == {"1": "DynamicQuantizeMatMul"}


@pytest.mark.parametrize("scheme", ["symmetric", "affine"])
@pytest.mark.parametrize("bits", [8, 5, 4, 2])
@pytest.mark.parametrize("has_bias", [True, False])
def test_weights_in_blocks_answer_up_to_the_rounding_of_activations_to_eight_bits(has_bias, bits, scheme, tmp_path):
    layer = nn.Linear(144, 9, bias=has_bias)
    model = nn.Sequential(
        nn.Flatten(), quantize_weights(layer, bits=bits, granularity="per group", group_size=16, scheme=scheme)
    )
    made = export_integers(model, SHAPE, tmp_path)
    seen = images()
    expected = simulated(model, seen)
    error = (answers(made, seen) - expected).square().mean().sqrt() / expected.std()
    assert float(error) < 0.015
    assert executed_kernels(made) == {"1": "MatMulNBits"}


# Whole networks


@pytest.fixture(scope="module")
def scattered() -> Data:
    return datasets.load("scattered")


@pytest.fixture(scope="module", params=["cnn-scattered", "resnet8-scattered", "mlp-scattered", "lenet5-scattered"])
def network(request, scattered) -> nn.Module:
    """A trained network on grids of weights and activations."""
    trained = models.load(request.param)
    has_norms = any(isinstance(one, nn.BatchNorm2d) for one in trained.modules())
    folded = fold_batch_norms(trained, data=scattered) if has_norms else trained
    return quantize_activations(quantize_weights(folded, bits=BITS), data=scattered)


def test_a_trained_network_gives_the_same_answers(network, scattered, tmp_path):
    made = export_integers(network, scattered.shape, tmp_path)
    split = scattered.validation
    assert parity(made, network, split.images).agreement >= 0.995
    right = [
        float((scores.argmax(1) == split.labels).float().mean())
        for scores in (answers(made, split.images), simulated(network, split.images))
    ]
    assert abs(right[0] - right[1]) <= 0.002


def test_a_trained_network_multiplies_integers_in_every_layer(network, scattered, tmp_path):
    made = export_integers(network, scattered.shape, tmp_path)
    found = executed_kernels(made)
    assert found.keys() == plan_kernels(network).keys()
    assert set(found.values()) <= {"QLinearConv", "QGemm"}
    assert set(plan_kernels(network).values()) == {Planned("int8")}


def test_the_file_weighs_what_the_integers_do(network, scattered, tmp_path):
    made = export_integers(network, scattered.shape, tmp_path)
    graph = onnx.load(made.path).graph
    n_weights = sum(layer.weight.numel() for layer in on_grid(network).values())
    n_outputs = sum(len(layer.weight) for layer in on_grid(network).values())
    stored = sum(onnx.numpy_helper.to_array(one).nbytes for one in graph.initializer)
    grids = 4 + 1 + 4 + 4 + 4  # of each output: scale and zero point, bias, its scale and its zero point
    assert n_weights + n_outputs * 4 <= stored <= n_weights + n_outputs * grids + 1000
    assert made.n_bytes - stored < 1000 * len(graph.node)
    assert {one.data_type for one in graph.initializer if one.name.endswith("integers")} == {onnx.TensorProto.INT8}


def test_four_bits_in_blocks_weigh_half_a_byte_each(tmp_path):
    model = quantize_weights(models.build("mlp", shape=(1, 28, 28)), bits=4, granularity="per group", group_size=32)
    made = export_integers(model, (1, 28, 28), tmp_path)
    assert compute_size(model).packed_bytes < made.n_bytes < 1.05 * compute_size(model).packed_bytes


@pytest.mark.parametrize("build", [support.tiny_all, support.tiny_both, support.tiny_cnn])
def test_attention_convolutions_and_hidden_layers_go_together(build, tmp_path):
    data = support.tiny_data()
    quantized = quantize_activations(quantize_weights(fold_batch_norms(build(), data=data), bits=BITS), data=data)
    made = export_integers(quantized, data.shape, tmp_path)
    largest = float(simulated(quantized, data.test.images).abs().max())
    assert parity(made, quantized, data.test.images).max_difference < 0.02 * largest


def test_a_pruned_network_keeps_its_zeros_in_the_file(tmp_path):
    quantized = quantize_weights(prune_weights(support.tiny_mlp(), sparsity=0.75))
    graph = onnx.load(export_integers(quantized, support.SHAPE, tmp_path).path).graph
    stored = [onnx.numpy_helper.to_array(one) for one in graph.initializer if one.name.endswith("integers")]
    assert sum(int((one == 0).sum()) for one in stored) >= 0.75 * 888


def test_any_number_of_images_goes_through(tmp_path):
    data = support.tiny_data()
    made = export_integers(quantize_activations(quantize_weights(support.tiny_mlp()), data=data), data.shape, tmp_path)
    runner = session(made)
    assert [len(runner.run(None, {"images": data.train.images[:n].numpy()})[0]) for n in (1, 2, 7)] == [1, 2, 7]


def test_writing_changes_nothing_of_the_model(tmp_path):
    quantized = quantize_activations(quantize_weights(support.tiny_mlp()), data=support.tiny_data())
    before = support.bits(quantized)
    export_integers(quantized, support.SHAPE, tmp_path)
    assert support.bits(quantized) == before


# Layers and weights that are used twice


def test_a_layer_that_is_called_twice_is_stored_once_and_answers_alike(tmp_path):
    model = Calls(lambda m, x: m.layer(torch.tanh(m.layer(x.flatten(1)))))
    model.layer = nn.Linear(64, 64)
    data = support.tiny_data()
    quantized = quantize_activations(quantize_weights(model, bits=BITS), data=data)
    made = export_integers(quantized, data.shape, tmp_path)
    assert parity(made, quantized, data.test.images).max_difference < 0.05
    assert executed_kernels(made) == {"layer": "QGemm"}
    assert made.n_bytes < 64 * 64 + 6_000


@pytest.mark.parametrize("is_dynamic", [True, False])
def test_two_layers_that_share_a_weight_store_it_once(is_dynamic, tmp_path):
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64))
    model[3].weight = model[1].weight
    data = support.tiny_data()
    weighted = quantize_weights(model, bits=BITS)
    quantized = weighted if is_dynamic else quantize_activations(weighted, data=data)
    made = export_integers(quantized, data.shape, tmp_path, dynamic=is_dynamic)
    assert parity(made, quantized, data.test.images).max_difference < 0.05
    assert set(executed_kernels(made)) == {"1", "3"}
    assert made.n_bytes < 64 * 64 + 8_000


# What stays float, and what cannot be written


def planned(layer: nn.Module, **settings: object) -> Planned:
    return plan_kernels(quantize_weights(layer, **settings))["model"]


def test_the_plan_says_why_a_layer_stays_float():
    linear, convolution = nn.Linear(64, 3), nn.Conv2d(4, 4, 3)
    assert plan_kernels(linear) == {"model": Planned("float", "its weights lie on no grid")}
    assert planned(linear).why.startswith("its activations lie on no grid")
    assert planned(linear, bits=1).why == "a symmetric grid of 1 bit has two values and no kernel here"
    assert planned(convolution, granularity="per group").why.startswith(
        "no kernel for convolutions takes a scale per g"
    )
    assert planned(linear, granularity="per group", group_size=8).why.startswith("a block must have 16, 32")
    reflecting = nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect")
    both = quantize_activations(quantize_weights(reflecting), data=data_of(images()))
    assert plan_kernels(both)["model"].why == "its padding, 'reflect', is an operation of its own, in floats"
    few = quantize_activations(quantize_weights(convolution), data=data_of(images()), bits=4)
    assert plan_kernels(few)["model"].why == "no kernel here reads activations of 4 bits: take 8"


def test_the_plan_of_layers_that_do_not_stay_float():
    linear = nn.Linear(64, 3)
    assert plan_kernels(quantize_weights(linear), dynamic=True)["model"] == Planned("int8 dynamic")
    assert plan_kernels(quantize_weights(nn.Conv2d(4, 4, 3)), dynamic=True)["model"].kernel == "float"
    assert planned(linear, granularity="per group", bits=4) == Planned("int4 weights")
    assert planned(linear, granularity="per group", bits=5) == Planned("int8 weights")


FLOATS = {
    "weights alone": {},
    "one bit, symmetric": {"bits": 1},
    "per group": {"granularity": "per group"},
}


@pytest.mark.parametrize("kind", FLOATS)
def test_what_stays_float_answers_as_the_model_does(kind, tmp_path):
    model = quantize_weights(nn.Sequential(nn.Conv2d(4, 5, 3), nn.Flatten(), nn.Linear(80, 3)), **FLOATS[kind])
    model = model if kind != "per group" else quantize_activations(model, data=data_of(images()))
    made = export_integers(model, SHAPE, tmp_path)
    assert parity(made, model, images()).max_difference < 1e-5
    found = executed_kernels(made)
    assert found.keys() == {"0", "2"}
    assert not any(map(is_integer, found.values()))


def test_float_weights_behind_a_grid_are_not_rounded_behind_our_back(tmp_path):
    model = quantize_activations(
        nn.Sequential(nn.Conv2d(4, 5, 3), nn.Flatten(), nn.Linear(80, 3)), data=data_of(images())
    )
    assert parity(export(model, SHAPE, tmp_path), model, images()).max_difference < 1e-5


def test_activations_of_four_bits_run_in_floats_with_integers_stored(tmp_path):
    model = nn.Sequential(nn.Conv2d(4, 16, 3), nn.ReLU(), nn.Conv2d(16, 16, 3), nn.Flatten(), nn.Linear(64, 3))
    quantized = quantize_activations(quantize_weights(model), data=data_of(images()), bits=4)
    made = export_integers(quantized, SHAPE, tmp_path)
    step = float(quantized[4].reads.scale * quantized[4].weight.detach().abs().max())
    assert parity(made, quantized, images()).max_difference < 3 * step
    stored = [one for one in onnx.load(made.path).graph.initializer if one.data_type == onnx.TensorProto.INT8]
    assert sum(onnx.numpy_helper.to_array(one).size for one in stored if one.name.endswith("integers")) == 3072


def test_a_batch_norm_that_was_not_folded_gets_a_sentence(tmp_path):
    model = quantize_weights(models.load("cnn-digits"))
    with pytest.raises(ExportError, match=r"^the weight of layer 'conv1' has left its grid in the file, .*fold_batch"):
        export_integers(model, (1, 8, 8), tmp_path)


def test_a_batch_norm_behind_a_grid_stays_in_floats_and_answers_alike(tmp_path):
    data = datasets.load("digits")
    quantized = quantize_activations(quantize_weights(models.load("cnn-digits"), bits=BITS), data=data)
    made = export_integers(quantized, data.shape, tmp_path)
    assert parity(made, quantized, data.validation.images).agreement >= 0.995
    assert "BatchNormalization" in {node.op_type for node in onnx.load(made.path).graph.node}


def test_a_model_without_integers_gets_a_sentence(tmp_path):
    for model in (support.tiny_mlp(), quantize_activations(support.tiny_mlp(), data=support.tiny_data())):
        with pytest.raises(ExportError, match=r"^no layer of the model has its weights on a grid, so there are no int"):
            export_integers(model, support.SHAPE, tmp_path)


def test_a_layer_that_is_never_called_gets_a_sentence(tmp_path):
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 3))
    wrapped = Calls(lambda m, x: m.body(x))
    wrapped.body, wrapped.spare = quantize_weights(model), quantize_weights(nn.Linear(2, 2))
    assert quantized_layers(wrapped).keys() == {"body.1", "spare"}
    with pytest.raises(ExportError, match=r"^layer 'spare' has no product of its own in the graph"):
        export_integers(wrapped, support.SHAPE, tmp_path)


def test_layers_whose_names_differ_by_a_number_are_told_apart(tmp_path):
    model = Calls(lambda m, x: m.fc_1(torch.relu(m.fc(x.flatten(1)))))
    model.fc, model.fc_1 = nn.Linear(64, 64), nn.Linear(64, 64)
    data = support.tiny_data()
    quantized = quantize_activations(quantize_weights(model, bits=BITS), data=data)
    made = export_integers(quantized, data.shape, tmp_path)
    assert parity(made, quantized, data.test.images).max_difference < 0.05
