"""prune_neurons and prune_filters: the shapes that come out, and the sentences where nothing can."""

import pytest
import support
import torch
from torch import nn

from efflab import models
from efflab.data import Data, Split
from efflab.prune import fine_tune
from efflab.prune.structure import prune_filters, prune_neurons


@pytest.fixture(scope="module")
def data() -> Data:
    return support.tiny_data()


@pytest.fixture
def model() -> nn.Module:
    return support.tiny_both()


def widths(model: nn.Module) -> dict[str, int]:
    return {name: len(one.weight) for name, one in model.named_modules() if isinstance(one, nn.Linear | nn.Conv2d)}


@pytest.mark.parametrize("ratio", [0.0, 0.1, 0.3, 0.5, 0.9])
def test_exactly_the_fraction_of_filters_goes_and_neurons_stay(ratio, data, model):
    expected = {name: n - min(round(ratio * n), n - 1) for name, n in {"conv1": 2, "conv2": 4, "conv3": 8}.items()}
    assert widths(prune_filters(model, data=data, ratio=ratio)) == expected | {"hidden": 6, "output": 3}


@pytest.mark.parametrize("ratio", [0.0, 0.1, 0.3, 0.5, 0.9])
def test_exactly_the_fraction_of_neurons_goes_and_filters_stay(ratio, data, model):
    hidden = 6 - min(round(ratio * 6), 5)
    expected = {"conv1": 2, "conv2": 4, "conv3": 8, "hidden": hidden, "output": 3}
    assert widths(prune_neurons(model, data=data, ratio=ratio)) == expected


def test_the_filter_with_the_smallest_sum_of_magnitudes_goes(data, model):
    with torch.no_grad():
        model.conv2.weight.copy_(torch.tensor([4.0, 1.0, 3.0, 2.0])[:, None, None, None].expand(4, 2, 3, 3))
    pruned = prune_filters(model, data=data, ratio=0.5)
    assert pruned.conv2.weight[:, 0, 0, 0].tolist() == [4.0, 3.0]


def test_a_multiple_and_a_minimum_keep_more(data):
    model = models.build("cnn", shape=support.SHAPE, n_classes=3)
    few = widths(prune_filters(model, data=data, ratio=0.7))
    assert (few["conv1"], few["conv2"], few["conv3"]) == (5, 10, 19)
    multiple = widths(prune_filters(model, data=data, ratio=0.7, multiple=8))
    assert (multiple["conv1"], multiple["conv2"], multiple["conv3"]) == (8, 16, 24)
    minimum = widths(prune_filters(model, data=data, ratio=0.7, minimum=12))
    assert (minimum["conv1"], minimum["conv2"], minimum["conv3"]) == (12, 12, 19)


def test_globally_all_filters_compete_for_the_same_fraction(data):
    model = models.build("cnn", shape=support.SHAPE, n_classes=3)
    left = widths(prune_filters(model, data=data, ratio=0.5, scope="global"))
    assert sum(left[name] for name in ("conv1", "conv2", "conv3")) == 56


@pytest.mark.parametrize("importance", prune_filters.knobs["importance"].options)
def test_every_importance_prunes_a_residual_network_to_the_same_shape(importance, data):
    model = models.build("resnet8", shape=support.SHAPE, n_classes=3)
    pruned = prune_filters(model, data=data, ratio=0.5, importance=importance)
    assert widths(pruned) == {name: n // 2 for name, n in widths(model).items()} | {"output": 3}


def test_a_small_network_that_was_pruned_and_fine_tuned_learns(data):
    tuned = fine_tune(prune_filters(support.tiny_both(), data=data, ratio=0.5), data=data, epochs=2)
    assert widths(tuned) == {"conv1": 1, "conv2": 2, "conv3": 4, "hidden": 6, "output": 3}


def test_pruned_twice_it_is_smaller_again(data, model):
    assert widths(prune_filters(prune_filters(model, data=data), data=data))["conv3"] == 2


def test_a_model_in_training_mode_is_pruned_as_in_evaluation_mode_and_stays_in_it(data, model):
    expected = support.bits(prune_filters(model, data=data, importance="taylor"))
    pruned = prune_filters(model.train(), data=data, importance="taylor")
    assert support.bits(pruned) == expected
    assert pruned.training


@pytest.mark.parametrize("importance", ["l1", "taylor", "activation mean"])
@pytest.mark.parametrize("technique", [prune_filters, prune_neurons])
def test_pruning_leaves_a_model_in_training_mode_as_it_was(technique, importance, data, model):
    model.train()
    model.norm2.eval()  # as one freezes its statistics
    before, modes = support.bits(model), [module.training for module in model.modules()]
    technique(model, data=data, importance=importance)
    assert support.bits(model) == before
    assert [module.training for module in model.modules()] == modes


# What cannot be pruned


@pytest.mark.parametrize("ratio", [0.96, 1.0])
@pytest.mark.parametrize(("technique", "what"), [(prune_filters, "filters"), (prune_neurons, "neurons")])
def test_a_ratio_that_would_empty_the_layers_is_refused_and_the_model_stays(technique, what, ratio, data, model):
    before = support.bits(model)
    sentence = rf"^ratio \(fraction of {what} removed\) must be a number from 0.0 to 0.95, not {ratio}$"
    with pytest.raises(ValueError, match=sentence):
        technique(model, data=data, ratio=ratio)
    assert support.bits(model) == before


@pytest.mark.parametrize("scope", ["per layer", "global"])
def test_the_largest_ratio_leaves_a_channel_in_every_layer(scope, data, model):
    left = widths(prune_neurons(prune_filters(model, data=data, ratio=0.95, scope=scope), data=data, ratio=0.95))
    assert left == {"conv1": 1, "conv2": 1, "conv3": 1, "hidden": 1, "output": 3}


@pytest.mark.parametrize("multiple", [3, 16])
def test_a_multiple_that_no_group_of_a_convolution_fits_leaves_that_convolution_whole(multiple, data):
    first, second = nn.Conv2d(1, 8, 3), nn.Conv2d(8, 8, 3, groups=2)
    model = nn.Sequential(first, second, nn.Conv2d(8, 20, 1), nn.Conv2d(20, 3, 4), nn.Flatten())
    left = widths(prune_filters(model, data=data, ratio=0.9, multiple=multiple))
    assert left == {"0": 8, "1": 8, "2": multiple, "3": 3}


class Two(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 3)

    def forward(self, left, right):
        return self.layer(left + right)


def grouped() -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 8, 3), nn.Conv2d(8, 8, 3, groups=2), nn.Flatten(), nn.Linear(128, 3))


def shared() -> nn.Module:
    twice = nn.Conv2d(1, 1, 3, padding=1)
    return nn.Sequential(twice, nn.ReLU(), twice, nn.Flatten(), nn.Linear(64, 3))


REFUSED = {
    "no convolution": (
        support.tiny_mlp,
        r"^Network has no Conv2d layer whose channels can be removed: it has",
    ),
    "only answers": (
        lambda: nn.Sequential(nn.Conv2d(1, 3, 8), nn.Flatten()),
        r"^Sequential has no Conv2d layer .*: the channels of '0' must stay, because they are the network's answer$",
    ),
    "in groups": (
        grouped,
        r"the channels of '0' must stay, because layer '1' is a convolution in 2 groups, which",
    ),
    "shared": (shared, r"^Sequential has no Conv2d .*the channels of '0' must stay, because layer '0' is used 2 times"),
    "two inputs": (Two, r"^the forward pass of Two needs 2 inputs \(left, right\)"),
    "nothing at all": (
        nn.Flatten,
        r"^Flatten has no Conv2d layer whose channels can be removed: it has",
    ),
}


@pytest.mark.parametrize(("build", "sentence"), REFUSED.values(), ids=REFUSED)
def test_what_has_no_filter_to_remove_gets_a_sentence_and_stays(build, sentence, data):
    model = build()
    before = support.bits(model)
    with pytest.raises(ValueError, match=sentence):
        prune_filters(model, data=data)
    assert support.bits(model) == before


def shared_rows() -> nn.Module:
    twice = nn.Linear(64, 64)
    return nn.Sequential(nn.Flatten(), twice, nn.ReLU(), twice, nn.Linear(64, 3))


def tied() -> nn.Module:
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.Linear(64, 64), nn.Linear(64, 3))
    model[2].weight = model[1].weight
    return model


WITHOUT_NEURONS = {
    "only answers": (
        support.tiny_cnn,
        r"^Network has no Linear layer .*: the channels of 'output' must stay, because they are the network's answer$",
    ),
    "shared": (shared_rows, r"^Sequential has no Linear .*'1' must stay, because layer '1' is used 2 times"),
    "shared numbers": (tied, r"^Sequential has no Linear .*'1' must stay, because layer '1' shares its numbers with"),
    "two inputs": (Two, r"^the forward pass of Two needs 2 inputs \(left, right\); channels are followed from exactly"),
    "nothing at all": (
        nn.Flatten,
        r"^Flatten has no Linear layer whose channels can be removed: it has no Linear layer",
    ),
}


@pytest.mark.parametrize("form", ["removed", "zeroed"])
@pytest.mark.parametrize(("build", "sentence"), WITHOUT_NEURONS.values(), ids=WITHOUT_NEURONS)
def test_what_has_no_neuron_to_remove_gets_a_sentence_and_stays(build, sentence, form, data):
    model = build()
    before = support.bits(model)
    with pytest.raises(ValueError, match=sentence):
        prune_neurons(model, data=data, form=form)
    assert support.bits(model) == before


@pytest.mark.parametrize("rules", ["efflab", "torch-pruning"])
@pytest.mark.parametrize("technique", [prune_filters, prune_neurons])
def test_a_model_of_two_inputs_gets_the_same_sentence_from_both_rules_and_stays(technique, rules, data):
    model = Two()
    before = support.bits(model)
    with pytest.raises(ValueError, match=r"^the forward pass of Two needs 2 inputs \(left, right\); channels are foll"):
        technique(model, data=data, rules=rules)
    assert support.bits(model) == before


def test_the_layers_that_can_be_pruned_are_where_others_cannot(data):
    pruned = prune_neurons(nn.Sequential(*grouped()[:3], nn.Linear(128, 10), nn.ReLU(), nn.Linear(10, 3)), data=data)
    assert widths(pruned) == {"0": 8, "1": 8, "3": 5, "5": 3}


def test_a_batch_norm_scale_is_asked_of_a_network_that_has_none(data):
    images = Split(torch.rand(4, 1, 28, 28), torch.zeros(4, dtype=torch.int64))
    big = Data("big", images, images, images, images, tuple("0123456789"))
    with pytest.raises(ValueError, match=r"needs a batch norm with a scale after 'conv1', and there is none"):
        prune_filters(models.build("lenet5"), data=big, importance="batch norm scale")


@pytest.mark.parametrize("technique", [prune_filters, prune_neurons])
def test_zeroed_keeps_the_shapes_and_answers_as_removed_does(technique, data, model):
    removed = technique(model, data=data, ratio=0.5)
    zeroed = technique(model, data=data, ratio=0.5, form="zeroed")
    assert widths(zeroed) == widths(model) != widths(removed)
    images = data.validation.images
    with torch.no_grad():
        torch.testing.assert_close(zeroed.eval()(images), removed.eval()(images), rtol=0, atol=1e-5)
