"""Each group cut alone: which channels go, what is left of the work and the score, and what is timed against what."""

import copy
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import onnx
import pytest
import support
import torch
import torch_pruning
from torch import nn

from efflab import models
from efflab.data import Data
from efflab.lab import Lab, channels
from efflab.lab.channels import RATIOS, ChannelPoint, scan_channels
from efflab.measure import count_work, evaluate
from efflab.measure.speed import Speed
from efflab.prune import prune_filters, prune_heads, prune_neurons, prune_weights
from efflab.runtime import Artefact

SHAPE = support.SHAPE
SPEED = support.state("removed", "ONNX Runtime", 0.5).speed


class Stub:
    """A stopwatch that takes no time and remembers what it was given."""

    def __init__(self) -> None:
        self.asked: list[dict[str, object]] = []

    def compare(
        self, base: Artefact, now: Artefact, *, stale: Callable[[], bool] | None = None, **settings: object
    ) -> Speed | None:
        if stale is not None and stale():
            return None
        self.asked.append({"base": base.path.read_bytes(), "now": now.path.read_bytes(), **settings})
        return SPEED


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Stub:
    stub = Stub()
    monkeypatch.setattr(channels, "stopwatch", lambda: stub)
    return stub


@pytest.fixture
def networks(monkeypatch: pytest.MonkeyPatch) -> list[nn.Module]:
    """Each network that the scan evaluates."""
    seen = []

    def watched(model, split, task):
        seen.append(model)
        return evaluate(model, split, task)

    monkeypatch.setattr(channels, "evaluate", watched)
    return seen


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture
def few() -> Data:
    """20 validation images: what is asked here is about the network."""
    return support.tiny_data(n=80)


def widths(model: nn.Module) -> dict[str, int]:
    return {name: len(one.weight) for name, one in model.named_modules() if isinstance(one, nn.Linear | nn.Conv2d)}


def of(points: Sequence[ChannelPoint]) -> list[tuple[str, float]]:
    return [(point.group, point.ratio) for point in points]


# Which channels go


def n_cut(n: int, ratio: float) -> int:
    """How many of n channels go: one stays."""
    return min(round(ratio * n), n - 1)


@pytest.mark.parametrize("ratio", [0.25, 0.5, 0.75])
def test_each_group_is_cut_alone_and_the_others_stay_whole(ratio, few, watch, networks):
    model = support.tiny_both()
    points = list(scan_channels(model, few, prune_filters, ratios=(ratio,)))
    whole = {"conv1": 2, "conv2": 4, "conv3": 8, "hidden": 6, "output": 3}
    left = {name: whole[name] - n_cut(whole[name], ratio) for name in ("conv1", "conv2", "conv3")}
    assert [point.group for point in points] == list(left)
    assert [point.n_kept for point in points] == list(left.values())
    assert [widths(one) for one in networks] == [whole | {name: n} for name, n in left.items()]


def test_layers_that_a_sum_joins_are_cut_together(few, watch, networks):
    model = models.build("resnet8", shape=SHAPE, n_classes=3, sizes=(4,))
    points = list(scan_channels(model, few, prune_filters, ratios=(0.5,)))
    assert [point.layers for point in points] == [
        ("conv1", "block1.conv2"),
        ("block1.conv1",),
        ("block2.conv1",),
        ("block2.conv2", "block2.shortcut"),
        ("block3.conv1",),
        ("block3.conv2", "block3.shortcut"),
    ]
    for point, network in zip(points, networks, strict=True):
        narrower = {name for name, n in widths(network).items() if n < widths(model)[name]}
        assert narrower == set(point.layers)


def theirs(model: nn.Module, layer: str, ratio: float) -> nn.Module:
    """What torch-pruning leaves without the filters of one layer whose magnitudes have the smallest sums."""
    cut = copy.deepcopy(model)
    filters = cut.get_submodule(layer)
    sums = filters.weight.detach().abs().sum((1, 2, 3))
    goes = sums.argsort()[: n_cut(len(sums), ratio)].tolist()
    graph = torch_pruning.DependencyGraph().build_dependency(cut, torch.zeros(2, *SHAPE))
    graph.get_pruning_group(filters, torch_pruning.prune_conv_out_channels, idxs=goes).prune()
    return cut


def test_those_with_the_smallest_sum_of_magnitudes_go_as_torch_pruning_cuts_them(few, watch, networks):
    model = support.tiny_both(3)
    points = list(scan_channels(model, few, prune_filters, ratios=(0.5, 0.75)))
    for point, network in zip(points, networks, strict=True):
        expected = theirs(model, point.group, point.ratio).state_dict()
        assert network.state_dict().keys() == expected.keys()
        assert all(torch.equal(tensor, expected[name]) for name, tensor in network.state_dict().items())


def test_for_neurons_the_linear_layers_are_cut(few, watch, networks):
    points = list(scan_channels(support.tiny_both(), few, prune_neurons, ratios=(0.5,)))
    assert of(points) == [("hidden", 0.5)]
    assert widths(networks[0]) == {"conv1": 2, "conv2": 4, "conv3": 8, "hidden": 3, "output": 3}


def test_points_come_group_by_group_in_the_order_of_the_network(few, watch):
    points = list(scan_channels(support.tiny_cnn(), few, prune_filters))
    assert RATIOS == (0.25, 0.5, 0.75)
    assert of(points) == [(name, ratio) for name in ("conv1", "conv2", "conv3") for ratio in RATIOS]


# What a cut leaves


@pytest.mark.parametrize("ratio", [0.25, 0.5])
def test_the_macs_are_those_of_the_cut_network_counted_by_hand(ratio, few, watch):
    points = list(scan_channels(support.tiny_both(), few, prune_filters, ratios=(ratio,)))
    assert len(points) == 3
    for point in points:
        left = {"conv1": 2, "conv2": 4, "conv3": 8} | {point.group: point.n_kept}
        one, two, three = left.values()
        assert point.macs == 25 * 16 * one + 9 * 4 * one * two + 9 * 4 * two * three + three * 6 + 6 * 3
        assert point.macs_base == 2306


def test_the_macs_of_a_residual_network_are_a_count_of_the_cut_network(few, watch, networks):
    model = models.build("resnet8", shape=SHAPE, n_classes=3, sizes=(4,))
    points = list(scan_channels(model, few, prune_filters, ratios=(0.5,)))
    assert [point.macs for point in points] == [count_work(network, SHAPE).macs for network in networks]
    assert all(point.macs < point.macs_base == count_work(model, SHAPE).macs for point in points)


def test_the_evaluation_is_that_of_the_cut_network_on_all_validation_images(data, watch):
    model = support.tiny_cnn(2)
    points = list(scan_channels(model, data, prune_filters, ratios=(0.5,)))
    assert len(points) == 3
    for point in points:
        answers = theirs(model, point.group, 0.5)(data.validation.images).argmax(1)
        assert torch.equal(point.evaluation.answers, answers)
        assert point.evaluation.value == pytest.approx((answers == data.validation.labels).double().mean().item())
        assert point.evaluation.is_complete


# What is timed


def exported_widths(model: bytes) -> list[int]:
    """The filters of each convolution in an ONNX file."""
    graph = onnx.load_from_string(model).graph
    sizes = {one.name: one.dims[0] for one in graph.initializer}
    return [sizes[node.input[1]] for node in graph.node if node.op_type == "Conv"]


def test_each_cut_network_is_timed_against_the_whole_base(few, watch):
    points = list(scan_channels(support.tiny_cnn(), few, prune_filters, ratios=(0.5,)))
    assert [exported_widths(one["now"]) for one in watch.asked] == [[1, 4, 8], [2, 2, 8], [2, 4, 4]]
    assert [exported_widths(one["base"]) for one in watch.asked] == [[2, 4, 8]] * 3
    assert [point.speed for point in points] == [SPEED] * 3


def test_images_batch_and_threads_reach_the_stopwatch(few, watch):
    next(scan_channels(support.tiny_cnn(), few, prune_filters, batch=7, threads=2))
    (asked,) = watch.asked
    assert (asked["shape"], asked["batch"], asked["threads"]) == (SHAPE, 7, 2)


# What is left behind


def test_the_model_stays_bit_identical_during_and_after_the_scan(few, watch):
    model = support.tiny_cnn()
    before = support.bits(model)
    scan = scan_channels(model, few, prune_filters)
    for _ in range(2):
        next(scan)
        assert support.bits(model) == before
    scan.close()
    assert support.bits(model) == before


@pytest.mark.parametrize("n", [0, 1, 4])
def test_when_it_is_stale_it_ends_with_the_points_so_far_and_leaves_no_file(n, few, watch, temporary):
    answers = iter([False] * n + [True])
    points = list(scan_channels(support.tiny_cnn(), few, prune_filters, stale=lambda: next(answers)))
    assert of(points) == [("conv1", 0.25), ("conv1", 0.5), ("conv1", 0.75), ("conv2", 0.25)][:n]
    assert list(temporary.iterdir()) == []


def test_whoever_stops_listening_leaves_no_file(few, watch, temporary):
    scan = scan_channels(support.tiny_cnn(), few, prune_filters)
    next(scan)
    assert len(list(temporary.iterdir())) == 1
    scan.close()
    assert list(temporary.iterdir()) == []


# What is refused


@pytest.mark.parametrize("wrong", [-0.5, 0.0, 1.0, 1.5, float("nan"), float("inf")])
def test_a_ratio_out_of_range_is_refused_by_name_and_value_before_anything_is_timed(wrong, few, watch):
    with pytest.raises(ValueError, match=rf"^ratios must lie between 0 and 1, not {wrong}$"):
        list(scan_channels(support.tiny_cnn(), few, prune_filters, ratios=(0.5, wrong)))
    assert watch.asked == []


@pytest.mark.parametrize("technique", [prune_weights, prune_heads])
def test_a_technique_that_takes_no_channels_away_is_refused_by_name(technique, few, watch):
    sentence = rf"^technique must be prune_filters or prune_neurons, not {technique.name}$"
    with pytest.raises(ValueError, match=sentence):
        list(scan_channels(support.tiny_all(), few, technique))
    assert watch.asked == []


def test_a_network_without_such_channels_gets_the_sentence_of_the_technique(few, watch):
    with pytest.raises(ValueError, match=r"^Network has no Conv2d layer whose channels can be removed: it has no"):
        list(scan_channels(support.tiny_mlp(), few, prune_filters))


# What a lab offers


@pytest.fixture
def lab(few: Data) -> Iterator[Lab]:
    made = Lab(support.tiny_both(), few)
    before = support.bits(made.build(()))
    yield made
    assert support.bits(made.build(())) == before


def test_a_lab_scans_the_filters_of_its_base(lab, watch):
    points = list(lab.channel_sensitivity())
    assert of(points) == [(name, ratio) for name in ("conv1", "conv2", "conv3") for ratio in RATIOS]
    assert {point.macs_base for point in points} == {lab.macs(())}


def test_what_a_lab_is_asked_for_reaches_the_scan(lab, watch):
    answers = iter([False, True])
    asked = {"technique": prune_neurons, "batch": 64, "threads": 2, "stale": lambda: next(answers)}
    assert of(list(lab.channel_sensitivity((0.5, 0.75), **asked))) == [("hidden", 0.5)]
    assert (watch.asked[0]["batch"], watch.asked[0]["threads"]) == (64, 2)
