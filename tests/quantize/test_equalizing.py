"""Cross-layer equalisation: equal ranges on both sides, the same answers, and a reason for each layer that stays."""

import pytest
import support
import torch
from networks import Calls
from torch import nn
from torch.nn import functional as F

from efflab import data as datasets
from efflab import models
from efflab.data import Data
from efflab.quantize import equalize, equalizing, find_pairs, fold_batch_norms, quantize_weights, signal_to_noise_db
from efflab.quantize.equalizing import ranges
from efflab.training import predict, validation_score


@pytest.fixture(scope="module")
def data() -> Data:
    return support.tiny_data()


def whys(model: nn.Module) -> dict[str, str]:
    return {one.first: one.why for one in find_pairs(model)}


def calls(function, **layers: nn.Module) -> nn.Module:
    """A network of some layers whose forward pass is a function."""
    model = Calls(function)
    for name, layer in layers.items():
        model.add_module(name, layer)
    return model.eval()


def assert_equal_ranges(model: nn.Module) -> None:
    pairs = [pair for pair in find_pairs(model) if not pair.why]
    assert pairs
    for pair in pairs:
        first, second = model.get_submodule(pair.first), model.get_submodule(pair.second)
        makes, reads = ranges(first.weight.detach(), second.weight.detach(), getattr(second, "groups", 1))
        torch.testing.assert_close(makes, reads, rtol=1e-4, atol=0)


# The numbers


def test_the_range_of_a_channel_becomes_the_geometric_mean_of_where_it_is_made_and_where_it_is_read(data):
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 2), nn.ReLU(), nn.Linear(2, 3))
    model[1].weight.data = torch.zeros(2, 64)
    model[1].weight.data[:, :2] = torch.tensor([[8.0, -4.0], [0.5, 1.0]])
    model[1].bias.data = torch.tensor([4.0, 4.0])
    model[3].weight.data = torch.tensor([[0.5, -4.0], [0.25, 2.0], [0.0, 1.0]])
    equal = equalize(model, data=data)  # the ranges 8 and 1 meet 0.5 and 4, so the factors are 4 and 1/2
    torch.testing.assert_close(equal[1].weight[:, :2], torch.tensor([[2.0, -1.0], [1.0, 2.0]]))
    torch.testing.assert_close(equal[1].bias, torch.tensor([1.0, 8.0]))
    torch.testing.assert_close(equal[3].weight, torch.tensor([[2.0, -2.0], [1.0, 1.0], [0.0, 0.5]]))
    assert torch.equal(equal[3].bias, model[3].bias)


@pytest.mark.parametrize(
    ("name", "n_pairs"), [("lenet5", 3), ("mlp", 2), ("cnn", 3), ("resnet8", 3)], ids=lambda value: str(value)
)
def test_networks_of_the_course_have_equal_ranges_afterwards_and_answer_as_before(name, n_pairs):
    data = datasets.load("scattered")
    model = models.load(f"{name}-scattered")
    if name in ("cnn", "resnet8"):
        model = fold_batch_norms(model, data=data)
    assert sum(not pair.why for pair in find_pairs(model)) == n_pairs
    equal = equalize(model, data=data)
    assert_equal_ranges(equal)
    expected = predict(model, data.test.images)
    torch.testing.assert_close(
        predict(equal, data.test.images), expected, rtol=0, atol=1e-5 * float(expected.abs().max())
    )


def test_a_channel_that_is_a_thousand_times_larger_ruins_one_scale_for_all_and_comes_back():
    data = datasets.load("scattered")
    model = fold_batch_norms(models.load("cnn-scattered"), data=data)
    with torch.no_grad():
        model.conv1.weight[3] *= 1000
        model.conv1.bias[3] *= 1000
        model.conv2.weight[:, 3] /= 1000
    images, score = data.validation.images[:500], validation_score(model, data)
    answers = predict(model, images)

    def of(network: nn.Module) -> tuple[float, float]:
        quantized = quantize_weights(network, bits=8, granularity="per tensor")
        return validation_score(quantized, data), signal_to_noise_db(answers, predict(quantized, images))

    (ruined, noisy), (back, clean) = of(model), of(equalize(model, data=data))
    assert ruined < 0.6
    assert back > score - 0.005
    assert noisy < 5
    assert clean > 30


def test_a_depthwise_and_a_grouped_convolution_are_scaled_by_their_own_channels(data):
    layers = [nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 8, 3, groups=4), nn.ReLU(), nn.Conv2d(8, 4, 3, groups=2)]
    model = nn.Sequential(*layers, nn.ReLU(), nn.Flatten(), nn.Linear(16, 3)).eval()
    equal = equalize(model, data=data)
    assert_equal_ranges(equal)
    assert [pair.second for pair in find_pairs(model)] == ["2", "4", "7", ""]
    assert not torch.equal(equal[2].weight, model[2].weight)


def test_functions_count_as_the_modules_of_the_same_name(data):
    def forward(self, x):
        x = F.adaptive_avg_pool2d(F.max_pool2d(F.relu(self.one(x)), 2), 2)
        return self.three(torch.relu(self.two(x.flatten(start_dim=1))))

    model = calls(forward, one=nn.Conv2d(1, 5, 3), two=nn.Linear(20, 4), three=nn.Linear(4, 3))
    assert list(whys(model).values()) == ["", "", "it gives the answers"]
    assert_equal_ranges(equalize(model, data=data))


def test_a_channel_of_zeros_stays_as_it_is(data):
    model = support.tiny_mlp()
    with torch.no_grad():
        model.hidden1.weight[2] = 0
        model.hidden2.weight[:, 5] = 0
    equal = equalize(model, data=data)
    assert not equal.hidden1.weight[2].any()
    torch.testing.assert_close(equal.hidden1.bias[2], model.hidden1.bias[2])
    torch.testing.assert_close(equal.hidden1.weight[5], model.hidden1.weight[5])
    assert not equal.hidden2.weight[:, 5].any()


def test_it_is_done_after_once(data):
    once = equalize(support.tiny_mlp(), data=data)
    twice = equalize(once, data=data)
    for one, other in zip(once.parameters(), twice.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-7)


def test_kernels_stay_stored_with_channels_last(data):
    folded = fold_batch_norms(support.tiny_cnn(), data=data)
    assert equalize(folded, data=data).conv2.weight.stride() == folded.conv2.weight.stride()


# What stays, and why


def test_a_layer_without_a_partner_says_why():
    assert whys(nn.Sequential(nn.Linear(2, 2), nn.GELU(), nn.Linear(2, 2)))["0"] == (
        "GELU comes after it, through which no factor passes"
    )
    norm = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2), nn.Conv2d(2, 1, 1))
    assert whys(norm)["0"] == "batch norm '1' comes after it: fold it first, with fold_batch_norms"
    assert whys(nn.Sequential(nn.Linear(4, 4), nn.MaxPool2d(2), nn.Linear(2, 2)))["0"].startswith("MaxPool2d comes")
    assert (
        whys(nn.Sequential(nn.Conv2d(1, 4, 1), nn.Linear(4, 2)))["0"] == "the inputs of '1' are not the channels of '0'"
    )
    assert whys(nn.Sequential(nn.Conv2d(1, 4, 1), nn.Flatten(2), nn.Linear(4, 2)))["0"].startswith("Flatten comes")
    one = nn.Linear(4, 4)
    assert whys(nn.Sequential(one, nn.ReLU(), one))["0"] == "layer '0' is called 2 times"
    ends = calls(lambda self, x: self.two(self.one(x).flatten(end_dim=1)), one=nn.Linear(4, 4), two=nn.Linear(4, 4))
    assert whys(ends)["one"] == "flatten comes after it, through which no factor passes"


def test_what_is_read_twice_or_directly_stays():
    two = {"one": nn.Linear(4, 4), "two": nn.Linear(4, 4)}
    assert (
        whys(calls(lambda self, x: self.two(self.one(x)) + self.one(x), **two))["one"]
        == "layer 'one' is called 2 times"
    )

    def shortcut(self, x):
        y = torch.relu(self.one(x))
        return self.two(y) + y

    assert whys(calls(shortcut, **two))["one"] == "what it gives is read in 2 places"
    direct = calls(lambda self, x: self.two(self.one(x)) + self.two.weight.sum(), **two)
    assert whys(direct)["one"] == "the numbers of 'two' are also read directly"


def test_layers_that_share_a_weight_stay():
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4))
    model[2].weight = model[0].weight
    assert whys(model)["0"] == "layer '0' shares its numbers with '2'"


# Refused


def test_a_network_whose_batch_norms_were_not_folded_hears_that_they_must_be(data):
    with pytest.raises(
        ValueError, match=r"^Network has no two layers that can be equalised: 'conv1' stays.*'norm1'.*fold it first"
    ):
        equalize(support.tiny_cnn(), data=data)


def test_a_quantized_network_is_refused_and_the_order_that_works_is_named(data):
    with pytest.raises(ValueError, match=r"^layer 'hidden1' has its weights on a grid.* equalize first, and quantize"):
        equalize(quantize_weights(support.tiny_mlp()), data=data)


def test_answers_that_would_change_are_found_out(data, monkeypatch):
    monkeypatch.setattr(equalizing, "SINGLE", (*equalizing.SINGLE, nn.GELU))
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 4), nn.GELU(), nn.Linear(4, 3))
    with pytest.raises(ValueError, match=r"^with its channels scaled Sequential does not answer as it did"):
        equalize(model, data=data)


def test_a_network_without_layers_gets_a_sentence(data):
    with pytest.raises(ValueError, match=r"^Flatten has no two layers that can be equalised: it has none$"):
        equalize(nn.Flatten(), data=data)
