"""Times of layers inside the network: what is measured, what the profiler costs, and the points that come of it."""

import math
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from torch import nn

from efflab import models
from efflab.measure.layer_speed import (
    CHAIN,
    LayerTimes,
    NodeTime,
    grouped_median_ms,
    measure_layers,
    node_times,
    points,
    profiler_costs_ms,
    write_chain,
)
from efflab.measure.speed import Stopwatch
from efflab.measure.work import count_work
from efflab.runtime import Artefact, export
from efflab.runtime.nodes import Origin
from efflab.runtime.session import open_file

SHAPE = (1, 28, 28)


@pytest.fixture(scope="module")
def stopwatch() -> Iterator[Stopwatch]:
    with Stopwatch() as shared:
        yield shared


@pytest.fixture(scope="module")
def lenet(stopwatch: Stopwatch, tmp_path_factory: pytest.TempPathFactory) -> LayerTimes:
    found = measure_layers(
        stopwatch, export(models.build("lenet5"), SHAPE, tmp_path_factory.mktemp("net")), shape=SHAPE
    )
    assert found is not None
    return found


def times(*nodes: NodeTime, batch: int = 1) -> LayerTimes:
    return LayerTimes(nodes, 1.0, 0.004, batch, 1, 0.0, "a machine")


# Measured


def test_each_layer_that_runs_has_a_time_and_its_name(lenet: LayerTimes) -> None:
    assert [layer.name for layer in lenet.layers] == ["conv1", "pool1", "conv2", "pool2", "flatten", "hidden", "output"]
    assert min(lenet.layers[i].median_ms for i in (0, 2, 5)) > 0.001


def test_nodes_and_overhead_are_the_whole(lenet: LayerTimes) -> None:
    whole = sum(layer.median_ms for layer in lenet.layers) + sum(node.median_ms for node in lenet.others)

    assert whole + lenet.overhead_ms == pytest.approx(lenet.whole_ms)
    assert len(lenet.op_types) == len(lenet.nodes) >= 7
    assert min(node.n for node in lenet.nodes) >= 10


def test_the_layer_with_most_of_the_work_takes_longest(stopwatch: Stopwatch, tmp_path: Path) -> None:
    model = models.build("mlp", sizes=(50, 3000, 3000))  # 9 of 9.2 million MACs are in the third layer
    found = measure_layers(stopwatch, export(model, SHAPE, tmp_path), shape=SHAPE)

    assert found is not None
    assert max(found.layers, key=lambda layer: layer.median_ms).name == "hidden3"


def test_a_layer_takes_longer_with_a_larger_batch(lenet: LayerTimes, stopwatch: Stopwatch, tmp_path: Path) -> None:
    artefact = export(models.build("lenet5"), SHAPE, tmp_path)
    large = measure_layers(stopwatch, artefact, shape=SHAPE, batch=64, seconds=0.1)

    assert large is not None
    assert large.batch == 64
    assert large.layers[2].median_ms > 8 * lenet.layers[2].median_ms  # conv2, 64 images: 50 times as long here


def test_what_was_written_down_is_gone_afterwards(
    stopwatch: Stopwatch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    artefact = export(models.build("mlp"), SHAPE, tmp_path / "net")

    assert measure_layers(stopwatch, artefact, shape=SHAPE, seconds=0.01) is not None
    assert [each.name for each in tmp_path.iterdir()] == ["net"]


def test_a_stale_measurement_has_no_answer(stopwatch: Stopwatch, tmp_path: Path) -> None:
    artefact = export(models.build("mlp"), SHAPE, tmp_path)

    assert measure_layers(stopwatch, artefact, shape=SHAPE, stale=lambda: True) is None


def test_an_artefact_of_another_runtime_is_refused(stopwatch: Stopwatch, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="for the runtime 'torch'"):
        measure_layers(stopwatch, Artefact(tmp_path / "net", "graph", "torch"), shape=SHAPE)


@pytest.mark.parametrize("setting", [{"batch": 0}, {"threads": 0}, {"seconds": 0.0}])
def test_a_number_out_of_range_is_named(stopwatch: Stopwatch, tmp_path: Path, setting: dict[str, float]) -> None:
    artefact = Artefact(tmp_path / "net.onnx", "onnx", "onnxruntime")
    with pytest.raises(ValueError, match=f"{next(iter(setting))} must be"):
        measure_layers(stopwatch, artefact, shape=SHAPE, **setting)  # type: ignore[arg-type]


# What the profiler does to times, and how that is taken back


def test_the_median_is_found_within_the_steps_of_the_profiler() -> None:
    true = np.random.default_rng(0).normal(4.3, 1.0, 2000)

    assert grouped_median_ms([math.floor(time) for time in true]) * 1000 == pytest.approx(np.median(true), abs=0.1)


def test_the_profilers_cost_is_what_a_node_takes_longer_with_it() -> None:
    chain = {(f"n{i}", "Max"): [12 if i == 0 else 5] * 9 for i in range(10)}

    first, later = profiler_costs_ms(chain, chain_ms=0.010)  # 1 microsecond a node

    assert (first, later) == (pytest.approx(0.0115), pytest.approx(0.0045))


def test_the_cost_is_taken_off_each_node_down_to_zero() -> None:
    events = {("a", "Conv"): [20] * 9, ("b", "Relu"): [7] * 9, ("c", "Flatten"): [3] * 9}

    found = node_times(events, {"a": Origin("conv", ("norm",))}, (0.010, 0.005))

    assert [node.median_ms for node in found] == pytest.approx([0.0105, 0.0025, 0])
    assert [(node.layer, node.merged) for node in found] == [("conv", ("norm",)), (None, ()), (None, ())]


def test_the_chain_answers_with_the_larger_of_its_number_and_zero(tmp_path: Path) -> None:
    session = open_file(str(write_chain(tmp_path / "chain.onnx")), 1)

    for number, expected in ((-2.0, 0.0), (3.0, 3.0)):
        (answer,) = session.run(None, {"x0": np.full((1, 1, 1, 1), number, np.float32)})
        assert float(answer.item()) == expected


def test_no_node_of_the_chain_is_merged_away(tmp_path: Path) -> None:
    session = open_file(str(write_chain(tmp_path / "chain.onnx")), 1, profile=str(tmp_path / "profile"))
    session.run(None, {"x0": np.zeros((1, 1, 1, 1), np.float32)})
    del session

    (profile,) = tmp_path.glob("profile*.json")
    assert profile.read_text().count("n_kernel_time") == 0
    assert profile.read_text().count("_kernel_time") == CHAIN


# Layers and points


def test_nodes_of_one_layer_are_added_up() -> None:
    found = times(
        NodeTime("x", "Transpose", None, (), 0.1, 9),
        NodeTime("a", "MatMul", "attention", (), 0.2, 9),
        NodeTime("b", "Softmax", "attention", ("drop",), 0.3, 9),
    )

    (layer,) = found.layers
    assert (layer.name, layer.op_types, layer.merged) == ("attention", ("MatMul", "Softmax"), ("drop",))
    assert layer.median_ms == pytest.approx(0.5)
    assert [node.name for node in found.others] == ["x"]
    assert found.overhead_ms == pytest.approx(0.4)


def test_a_point_is_computed_work_over_measured_time() -> None:
    work = count_work(nn.Sequential(nn.Linear(300, 100)), (300,), batch=2)
    (point,) = points(work, times(NodeTime("g", "Gemm", "0", (), 0.5, 9), batch=2))

    assert point.flops_per_s == pytest.approx(2 * 60_100 / 0.0005)
    assert point.intensity == pytest.approx(2 * 60_100 / (120_400 + 2 * 1600))
    assert (point.name, point.time_ms) == ("0", 0.5)


def test_layers_that_compute_nothing_or_have_no_time_are_no_points() -> None:
    work = count_work(nn.Sequential(nn.Flatten(), nn.Linear(300, 100)), (300,))
    found = times(NodeTime("f", "Flatten", "0", (), 0.5, 9), NodeTime("g", "Gemm", "1", (), 0.0, 9))

    assert points(work, found) == ()


def test_work_and_times_of_different_batches_are_refused() -> None:
    with pytest.raises(ValueError, match="work is of batch 1 and times are of batch 2"):
        points(count_work(nn.Linear(3, 3), (3,)), times(batch=2))
