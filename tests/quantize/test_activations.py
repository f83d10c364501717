"""Quantized activations: each layer reads what torch's fake quantization gives for the range that calibration saw."""

import dataclasses

import pytest
import support
import torch
from networks import Calls
from torch import Tensor, nn
from torch.nn import functional as F

from efflab import models
from efflab.data import Data, Split
from efflab.models import Card, CheckpointError
from efflab.models.networks import Residual
from efflab.quantize import (
    Grid,
    fold_batch_norms,
    observe_batches,
    outputs_without_reader,
    quantize_activations,
    quantize_weights,
    record_activations,
    scale_and_zero_point,
)
from efflab.quantize.observers import OBSERVERS
from efflab.runtime import ActivationGrid, as_floats, export, export_eager, open_eager, parity
from efflab.runtime.quantized import OnGrid, on_grid


@pytest.fixture(scope="module")
def data() -> Data:
    return support.tiny_data()


def calibrated_on(images: Tensor, data: Data) -> Data:
    return dataclasses.replace(data, calibration=Split(images, torch.zeros(len(images), dtype=torch.int64)))


def grid_of(values: list[float], bits: int = 8) -> ActivationGrid:
    """The grid that reaches from the smallest to the largest of some values."""
    grid = Grid(bits, is_symmetric=False, is_signed=False)
    return ActivationGrid(*scale_and_zero_point(min(values), max(values), grid), bits)


# The numbers


@pytest.mark.parametrize("bits", [8, 5, 4, 2])
def test_what_a_layer_reads_is_what_torch_makes_of_it(bits, data):
    model, seen = support.tiny_mlp(), []
    quantized = quantize_activations(model, data=data, bits=bits)
    quantized.hidden2.reads.register_forward_hook(lambda _, inputs, output: seen.extend((inputs[0], output)))
    quantized(data.test.images)
    grid = quantized.hidden2.reads
    expected = torch.fake_quantize_per_tensor_affine(seen[0], grid.scale, grid.zero_point, 0, 2**bits - 1)
    assert torch.equal(seen[1], expected)
    assert 1 < len(expected.unique()) <= 2**bits


@pytest.mark.parametrize("observer", OBSERVERS.options)
def test_the_range_is_that_of_the_observer_on_all_calibration_images(observer, data):
    model = support.tiny_mlp()
    quantized = quantize_activations(model, data=data, observer=observer)
    grid = Grid(is_symmetric=False, is_signed=False)
    read = {"hidden1": data.calibration.images.flatten(1)}
    with torch.inference_mode():
        read["hidden2"] = model.relu1(model.hidden1(read["hidden1"]))
    for name, values in read.items():
        scale, zero_point = scale_and_zero_point(*observe_batches([values], grid, observer), grid)
        assert float(quantized.get_submodule(name).reads.scale) == pytest.approx(float(scale))
        assert int(quantized.get_submodule(name).reads.zero_point) == int(zero_point)


def test_observers_of_outliers_have_smaller_steps_than_the_whole_range(data):
    images = data.calibration.images.clone()
    images[0, 0, 0, 0] = 100.0
    scales = {
        observer: float(
            quantize_activations(
                support.tiny_mlp(), data=calibrated_on(images, data), observer=observer
            ).hidden1.reads.scale
        )
        for observer in OBSERVERS.options
    }
    assert scales["min-max"] == pytest.approx((100 - float(images.min())) / 255)
    assert scales["percentile"] < 0.5 * scales["min-max"]
    assert max(scales["MSE"], scales["entropy"]) <= scales["min-max"]  # an outlier of 100 may cost them more than steps


@pytest.mark.parametrize(("images", "used"), [(10, 10), (20, 20), (500, 20)])
def test_as_many_images_are_shown_as_asked_for_or_all(images, used, data):
    quantized = quantize_activations(support.tiny_mlp(), data=data, images=images)
    expected = grid_of(data.calibration.images[:used].flatten().tolist())
    assert torch.equal(quantized.hidden1.reads.scale, expected.scale)


def test_more_images_than_a_batch_are_all_seen(data):
    images = torch.zeros(250, *support.SHAPE)
    images[249, 0, 3, 3] = 7.0
    quantized = quantize_activations(support.tiny_mlp(), data=calibrated_on(images, data), images=250)
    assert float(quantized.hidden1.reads.scale) == pytest.approx(7 / 255)


def test_images_of_zeros_alone_calibrate_too(data):
    zeros = calibrated_on(torch.zeros(3, *support.SHAPE), data)
    quantized = quantize_activations(support.tiny_mlp(), data=zeros)
    assert float(quantized.hidden1.reads.scale) == 1.0
    assert bool(quantized(data.test.images).isfinite().all())


def test_weights_and_biases_stay_as_they_are_and_eight_bits_change_little(data):
    model = support.tiny_both()
    quantized = quantize_activations(model, data=data)
    assert support.bits(model).items() <= support.bits(quantized).items()
    with torch.inference_mode():
        scores, before = quantized(data.test.images), model(data.test.images)
    assert 0 < float((scores - before).abs().max()) < 0.05 * float(before.abs().max())


def test_fewer_bits_change_more(data):
    model = support.tiny_both()
    before = model(data.test.images)
    made = [quantize_activations(model, data=data, bits=bits)(data.test.images) for bits in (8, 6, 4, 2)]
    errors = [float((scores - before).detach().square().mean()) for scores in made]
    assert errors == sorted(errors)
    assert errors[0] < errors[-1] / 100


# Which outputs need a grid


class Functions(nn.Module):
    """A forward pass whose activations are functions, and a mean before the output."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 4, 3), nn.Conv2d(4, 4, 3)
        self.output = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.first(x))
        y = torch.relu(self.second(y)).mean(dim=(2, 3))
        return self.output(y)


class Twice(nn.Module):
    """A convolution that is called twice: its first result goes into itself, its second into a mean."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.output = nn.Conv2d(1, 1, 3, padding=1), nn.Linear(1, 3)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(torch.relu(self.conv(x)))
        return self.output(y.mean(dim=(2, 3)))


class Own(nn.Conv2d):
    """A subclass, which may do with its weight what it likes."""


def test_functional_activations_are_followed(data):
    assert outputs_without_reader(Functions()) == {"second": True}
    quantized = quantize_activations(Functions(), data=data)
    assert quantized.first.gives is None
    assert int(quantized.second.gives.zero_point) == 0  # after the ReLU, nothing is negative


def test_the_branches_of_a_sum_have_grids_and_what_goes_into_a_convolution_only_has_none():
    model = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.ReLU(), Residual(2, 4, stride=2), nn.Conv2d(4, 1, 1))
    found = outputs_without_reader(fold_batch_norms(model, data=support.tiny_data()))
    assert found == {"2.conv2": False, "2.shortcut": False, "3": False}


def test_a_shortcut_without_a_layer_makes_the_sum_read_what_was_before_the_block():
    model = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.ReLU(), Residual(2, 2, stride=1), nn.Conv2d(2, 1, 1))
    folded = fold_batch_norms(model, data=support.tiny_data())
    assert outputs_without_reader(folded) == {"0": True, "2.conv2": False, "3": False}


def test_pooling_and_flattening_leave_the_grid_to_whoever_reads_next():
    assert outputs_without_reader(models.build("lenet5")) == {}
    means = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(18, 3))
    assert outputs_without_reader(means) == {"0": True}


def test_a_batch_norm_reads_off_the_grid():
    assert outputs_without_reader(support.tiny_cnn()) == {"conv1": False, "conv2": False, "conv3": False}


def test_the_identity_that_a_folded_batch_norm_becomes_hides_no_relu_behind_it(data):
    folded = fold_batch_norms(support.tiny_cnn(), data=data)
    assert outputs_without_reader(folded) == {"conv3": True}
    assert int(quantize_activations(folded, data=data).conv3.gives.zero_point) == 0  # no value for what ReLU drops


def test_a_subclass_reads_from_no_grid_so_the_layer_before_it_gives_one(data):
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), Own(2, 2, 3), nn.Flatten(), nn.Linear(32, 3))
    assert outputs_without_reader(model)["0"] is True
    quantized = quantize_activations(model, data=data)
    assert list(on_grid(quantized)) == ["0", "4"]
    assert type(quantized[2]) is Own


def test_a_layer_that_is_called_twice_has_one_grid_for_all_that_it_reads(data):
    model = Twice()
    seen = record_activations(model, data.calibration.images)["conv"]
    assert len(seen.reads) == 2
    assert outputs_without_reader(model) == {"conv": False}
    quantized = quantize_activations(model, data=data)
    expected = grid_of(torch.cat([one.flatten() for one in seen.reads]).tolist())
    assert torch.equal(quantized.conv.reads.scale, expected.scale)
    given = grid_of(torch.cat([one.flatten() for one in seen.gives]).tolist())
    assert torch.equal(quantized.conv.gives.scale, given.scale)


@pytest.mark.parametrize("is_first", [True, False])
def test_of_a_layer_that_is_called_twice_one_reader_without_relu_is_enough(is_first):
    def forward(model: nn.Module, x: Tensor) -> Tensor:
        first = model.conv(x)
        second = model.conv(torch.tanh(first) if is_first else torch.relu(first))
        return first.relu().mean() + second.mean() if not is_first else first.mean() + second.relu().mean()

    model = Calls(forward)
    model.conv = nn.Conv2d(1, 1, 3, padding=1)
    assert outputs_without_reader(model) == {"conv": False}


def test_where_the_forward_pass_cannot_be_followed_all_convolutions_give_on_a_grid(data):
    class Deciding(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Conv2d(1, 2, 3), nn.Conv2d(2, 3, 6)

        def forward(self, x: Tensor) -> Tensor:
            y = self.first(x)
            return self.second(y if float(y.sum()) > 0 else -y).flatten(1)

    assert outputs_without_reader(Deciding()) == {"first": False, "second": False}
    quantized = quantize_activations(Deciding(), data=data)
    assert all(layer.reads is not None and layer.gives is not None for layer in on_grid(quantized).values())


def test_a_lone_convolution_gives_the_output_of_the_model(data):
    assert outputs_without_reader(nn.Conv2d(1, 2, 3)) == {"model": False}
    assert quantize_activations(nn.Conv2d(1, 2, 3), data=data).gives is not None


def test_layers_that_are_not_called_stay_float(data):
    model = support.tiny_mlp()
    model.add_module("spare", nn.Linear(3, 3))
    unused = Calls(lambda m, x: m.layers["used"](x.flatten(1)))
    unused.layers = nn.ModuleDict({"used": nn.Linear(64, 3), "unused": nn.Linear(5, 5)})
    quantized = quantize_activations(unused, data=data)
    assert list(on_grid(quantized)) == ["layers.used"]
    assert type(quantized.layers["unused"]) is nn.Linear


def test_an_argument_that_is_passed_by_name_is_seen(data):
    model = Calls(lambda m, x: m.layer(input=x.flatten(1)))
    model.layer = nn.Linear(64, 3)
    assert float(quantize_activations(model, data=data).layer.reads.scale) > 0


# With weights


def test_weights_and_activations_may_be_quantized_in_either_order(data):
    folded = fold_batch_norms(support.tiny_both(), data=data)
    first = quantize_activations(quantize_weights(folded), data=data)
    second = quantize_weights(quantize_activations(folded, data=data))
    for name, layer in on_grid(first).items():
        other = on_grid(second)[name]
        assert torch.equal(layer.integers(), other.integers())
        assert (layer.gives is None) == (other.gives is None)
        assert float(layer.reads.scale) == pytest.approx(float(other.reads.scale), rel=0.05)
    with torch.inference_mode():
        one, other = first(data.test.images), second(data.test.images)
    assert float((one - other).abs().max()) < 0.05 * float(one.abs().max())


def test_calibration_sees_what_layers_with_quantized_weights_give(data):
    coarse = quantize_weights(support.tiny_mlp(), bits=2)
    quantized = quantize_activations(coarse, data=data)
    with torch.inference_mode():
        read = coarse.relu1(coarse.hidden1(data.calibration.images.flatten(1)))
    assert torch.equal(quantized.hidden2.reads.scale, grid_of(read.flatten().tolist()).scale)


@pytest.mark.parametrize("bits", [8, 4, 2])
@pytest.mark.parametrize("with_weights", [False, True])
def test_both_files_answer_as_the_model_does(bits, with_weights, data, tmp_path):
    folded = fold_batch_norms(support.tiny_both(), data=data)
    quantized = quantize_activations(quantize_weights(folded) if with_weights else folded, data=data, bits=bits)
    images = data.test.images
    torch.testing.assert_close(
        open_eager(export_eager(quantized, data.shape, tmp_path).path)(images), quantized(images)
    )
    step = max(float(layer.reads.scale) for layer in on_grid(quantized).values())
    assert parity(export(quantized, data.shape, tmp_path), quantized, images).max_difference < step


def test_what_is_printed_says_how_many_bits(data):
    text = repr(quantize_activations(nn.Sequential(nn.Flatten(), nn.Linear(64, 3)), data=data, bits=4))
    assert "(reads): ActivationGrid(4 bits, scale=" in text


def test_a_checkpoint_refuses_the_grid_and_floats_have_none(data, tmp_path):
    quantized = quantize_activations(support.tiny_mlp(), data=data)
    about = Card(quantized.architecture, "tiny", 0, 1, (0.5, 0.4, 0.6), (0.5, 0.4, 0.6))
    with pytest.raises(CheckpointError, match=r"^layer 'hidden1' has its activations on a grid"):
        models.save(quantized, tmp_path / "one", about)
    floats = as_floats(quantized)
    assert not any(isinstance(module, (OnGrid, ActivationGrid)) for module in floats.modules())
    assert torch.equal(floats(data.test.images), support.tiny_mlp()(data.test.images))


# Bad input


@pytest.mark.parametrize("model", [nn.Sequential(nn.Flatten()), Own(1, 3, 8)])
def test_a_model_without_such_a_layer_gets_a_sentence(model, data):
    with pytest.raises(ValueError, match=r"has no layer that could read from a grid; it needs one of: Linear, Conv2d"):
        quantize_activations(model, data=data)


def test_a_layer_that_reads_from_a_grid_already_is_not_calibrated_again(data):
    with pytest.raises(ValueError, match=r"^layer 'hidden1' reads from a grid of 4 bits already: start from the net"):
        quantize_activations(quantize_activations(support.tiny_mlp(), data=data, bits=4), data=data)


def test_images_that_the_model_cannot_read_are_refused_with_their_shape_and_no_hook_stays(data):
    model = support.tiny_mlp()
    with pytest.raises(ValueError, match=r"^the model cannot read calibration images of shape \(1, 5, 5\): mat1 and"):
        record_activations(model, torch.zeros(2, 1, 5, 5))
    assert not any(module._forward_hooks for module in model.modules())


def test_no_images_are_refused():
    with pytest.raises(ValueError, match=r"^images must hold at least one image to calibrate on, not shape \(0, 1, 8"):
        record_activations(support.tiny_mlp(), torch.zeros(0, *support.SHAPE))


def test_activations_that_are_no_numbers_are_refused_with_their_layer(data):
    model = support.tiny_mlp()
    model.hidden1.bias.data[0] = float("inf")
    with pytest.raises(ValueError, match=r"^layer 'hidden2' cannot be calibrated: batches\[0\] holds inf"):
        quantize_activations(model, data=data)


def test_a_model_whose_layers_are_never_called_gets_a_sentence(data):
    unused = Calls(lambda m, x: x.flatten(1))
    unused.layer = nn.Linear(2, 2)
    with pytest.raises(ValueError, match=r"^none of the layers layer is called"):
        quantize_activations(unused, data=data)
