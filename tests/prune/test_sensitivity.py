"""The sensitivity scan: the same as pruning one layer alone, on a model that it leaves untouched."""

import pytest
import support
import torch

from efflab.measure import evaluate
from efflab.prune import SPARSITIES, prunable_weights, prune_weights, scan_sensitivity, sensitivity


@pytest.fixture(scope="module")
def data():
    return support.tiny_data()


@pytest.fixture
def evaluated(monkeypatch):
    """The bits of each network that the scan evaluates."""
    seen = []

    def watched(model, split, task):
        seen.append(support.bits(model))
        return evaluate(model, split, task)

    monkeypatch.setattr(sensitivity, "evaluate", watched)
    return seen


def test_each_point_is_that_of_prune_weights_with_only_this_layer(data, evaluated):
    model = support.tiny_cnn()
    points = list(scan_sensitivity(model, data.validation, data.task, sparsities=(0.0, 0.35, 0.9, 1.0)))
    assert len(points) == len(evaluated) == 4 * 4
    for point, network in zip(points, evaluated, strict=True):
        pruned = prune_weights(model, sparsity={point.layer: point.sparsity})
        values = [pruned.get_parameter(f"{name}.weight").detach() for name in prunable_weights(pruned)]
        for name, weight in zip(prunable_weights(pruned), values, strict=True):
            scanned = torch.frombuffer(bytearray(network[f"{name}.weight"]), dtype=torch.float32)
            assert torch.equal(scanned, weight.contiguous().flatten())  # as numbers: the scan may leave a -0.0
        *_, expected = evaluate(pruned, data.validation, data.task)
        assert torch.equal(point.evaluation.answers, expected.answers)
        assert point.evaluation.is_complete


def test_the_points_come_layer_by_layer_in_the_order_of_the_network(data):
    points = scan_sensitivity(support.tiny_mlp(), data.validation, data.task)
    expected = [(layer, sparsity) for layer in ("hidden1", "hidden2", "output") for sparsity in SPARSITIES]
    assert [(point.layer, point.sparsity) for point in points] == expected


def test_the_model_is_left_untouched_even_when_the_scan_is_not_finished(data):
    model = support.tiny_cnn()
    before = support.bits(model)
    scan = scan_sensitivity(model, data.validation, data.task)
    for _ in range(3):
        next(scan)
        assert support.bits(model) == before
    scan.close()
    assert support.bits(model) == before


def test_the_points_can_be_kept_while_the_scan_goes_on(data):
    scan = scan_sensitivity(support.tiny_mlp(), data.validation, data.task, sparsities=(0.0, 1.0))
    first = next(scan)
    answers = first.evaluation.answers.clone()
    list(scan)
    assert torch.equal(first.evaluation.answers, answers)


@pytest.mark.parametrize("wrong", [-0.1, 1.5, float("nan")])
def test_a_sparsity_out_of_range_is_refused_before_anything_is_evaluated(wrong, data, evaluated):
    with pytest.raises(ValueError, match="sparsities must lie between 0 and 1, not "):
        list(scan_sensitivity(support.tiny_mlp(), data.validation, data.task, sparsities=(0.5, wrong)))
    assert evaluated == []


def test_a_model_that_cannot_be_pruned_gets_a_sentence(data):
    with pytest.raises(ValueError, match="Flatten has no layer whose weights can be pruned"):
        list(scan_sensitivity(torch.nn.Flatten(), data.validation, data.task))
