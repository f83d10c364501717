"""The time of each layer inside the whole network, as ONNX Runtime executes it, and what a call costs besides.

ONNX Runtime can note down when each of its nodes begins and ends. That is the only way to see a layer among its
neighbours, with its inputs where they really are, but it is a coarse one: it counts whole microseconds, and noting down
takes several microseconds, a part of which falls into the node's own time. Both are dealt with here:

    steps   a node runs hundreds of times, and its median is taken within the steps, as statistics does with grouped
            data: `RESOLUTION_MS` is the step, and of many runs the median is known to about a tenth of it
    cost    a chain of nodes that do next to nothing is timed with and without the profiler, in turns with the network;
            the difference for one node, `LayerTimes.profiler_ms`, is taken off every node

The whole run is timed without the profiler. What is left of it when all nodes are taken off is the *overhead*: calling
from Python, checking the input, handing out memory. In a small network that is a large share, and no pruning helps.

Reference: ONNX Runtime, Profiling tools, https://onnxruntime.ai/docs/performance/tune-performance/profiling-tools.html.

Where we simplify: the cost is taken to be the same for every node, but it grows a little with its inputs, so times of
one or two microseconds are rough. At work: `perf`, or the profiler of your processor's maker.
"""

import json
import statistics
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from efflab.measure.contention import Contended, contention
from efflab.measure.speed import SpeedError, Stopwatch, check_counts, check_seconds
from efflab.measure.work import Work
from efflab.runtime.export import Artefact
from efflab.runtime.nodes import Origin, trace_nodes
from efflab.runtime.session import check_runtime

RESOLUTION_MS = 0.001
"""The step of ONNX Runtime's profiler. It cuts off what is beyond it, so a time lies half a step higher on average."""
CHAIN = 50
"""Nodes that do next to nothing in the chain that weighs the profiler: enough to lose the call's cost among them."""
Events = dict[tuple[str, str], list[int]]
"""Microseconds of each run of each executed node, by its name and type."""


@dataclass(frozen=True)
class NodeTime:
    """One executed node: name, type, and its median over `n` runs.

    `layer` is the layer that it works for, None for one that ONNX Runtime or a converter added; `merged` are the layers
    whose work it does besides, such as the activation behind a convolution. "" is the model itself.
    """

    name: str
    op_type: str
    layer: str | None
    merged: tuple[str, ...]
    median_ms: float
    n: int


@dataclass(frozen=True)
class LayerTime:
    """The time of all nodes that work for one layer; names as in `named_modules()`, "" is the model itself."""

    name: str
    op_types: tuple[str, ...]
    merged: tuple[str, ...]
    median_ms: float


@dataclass(frozen=True)
class LayerTimes(Contended):
    """Measured times of one network inside ONNX Runtime, in milliseconds for one batch, in the order of the nodes.

    `whole_ms` is the whole run without the profiler, and `profiler_ms` what was taken off each node. `contention` is
    as in `Speed`.
    """

    nodes: tuple[NodeTime, ...]
    whole_ms: float
    profiler_ms: float
    batch: int
    threads: int
    contention: float
    machine: str

    @property
    def layers(self) -> tuple[LayerTime, ...]:
        """The layers, in the order they begin in."""
        names = dict.fromkeys(node.layer for node in self.nodes if node.layer is not None)
        return tuple(_layer(name, [node for node in self.nodes if node.layer == name]) for name in names)

    @property
    def others(self) -> tuple[NodeTime, ...]:
        """The nodes of no layer."""
        return tuple(node for node in self.nodes if node.layer is None)

    @property
    def overhead_ms(self) -> float:
        """The whole run without its nodes. In a noisy moment it may come out a little below zero."""
        return self.whole_ms - sum(node.median_ms for node in self.nodes)

    @property
    def op_types(self) -> tuple[str, ...]:
        """The type of each executed node, in the order they run in."""
        return tuple(node.op_type for node in self.nodes)


@dataclass(frozen=True)
class LayerPoint:
    """A layer on the roofline: FLOPs for each byte (computed), and FLOP/s in its measured time."""

    name: str
    intensity: float
    flops_per_s: float
    time_ms: float


def measure_layers(
    stopwatch: Stopwatch,
    artefact: Artefact,
    *,
    shape: tuple[int, int, int],
    batch: int = 1,
    threads: int = 1,
    seconds: float = 0.5,
    stale: Callable[[], bool] | None = None,
) -> LayerTimes | None:
    """Time each layer of `artefact`, or None when `stale` turned true or the stopwatch was closed meanwhile.

    Args:
        stopwatch: what times; it stays up afterwards.
        artefact: a network in ONNX Runtime.
        shape: channels, height and width of one image.
        batch: images in a run.
        threads: threads that a run may use.
        seconds: how long to time; networks of which six rounds take longer take longer.
        stale: says whether the answer is not wanted any more.

    Raises:
        ValueError: a number is out of its range, or the artefact is for another runtime.
        SpeedError: the subprocess died or hung, ONNX Runtime is missing, or it refused the file.

    Reference: ONNX Runtime, Profiling tools.
    """
    check_counts(batch=batch, threads=threads)
    check_seconds(seconds)
    check_runtime(artefact)
    request = {"now": str(artefact.path), "shape": shape, "batch": batch, "threads": threads, "seconds": seconds}
    with tempfile.TemporaryDirectory() as folder:
        request |= {"chain": str(write_chain(Path(folder) / "chain.onnx")), "profile": folder}
        answer = stopwatch.ask(request, artefact.path.name, stale)
        if answer is None:
            return None
        events, chain = (_written_profile(Path(folder), name) for name in ("now", "chain"))
    whole_ms, chain_ms, _ = np.median(answer["rounds"], axis=0) * 1000
    costs_ms = profiler_costs_ms(chain, float(chain_ms))
    nodes = node_times(events, trace_nodes(artefact.path, [name for name, _ in events]), costs_ms)
    return LayerTimes(
        nodes=nodes,
        whole_ms=float(whole_ms),
        profiler_ms=costs_ms[1],
        batch=batch,
        threads=threads,
        contention=contention(answer),
        machine=answer["machine"],
    )


def profiler_costs_ms(chain: Events, chain_ms: float) -> tuple[float, float]:
    """What the profiler adds to the first node of a run, and to each later one.

    The first waits for instructions and tables that the profiler's own work has pushed out of the cache.

    Args:
        chain: the nodes of a chain of equal ones, with the profiler.
        chain_ms: one call of the whole chain without it.
    """
    first, *later = map(grouped_median_ms, chain.values())
    own = chain_ms / len(chain)
    return max(0.0, first - own), max(0.0, statistics.median(later) - own)


def node_times(events: Events, origins: Mapping[str, Origin], costs_ms: tuple[float, float]) -> tuple[NodeTime, ...]:
    """The median of each executed node without the profiler's cost (first, later), and the layer that it works for."""
    times: list[NodeTime] = []
    for (name, op_type), microseconds in events.items():
        origin = origins.get(name)
        median_ms = max(0.0, grouped_median_ms(microseconds) - costs_ms[bool(times)])
        layer, merged = (origin.layer, origin.merged) if origin else (None, ())
        times.append(NodeTime(name, op_type, layer, merged, median_ms, len(microseconds)))
    return tuple(times)


def _layer(name: str, nodes: Sequence[NodeTime]) -> LayerTime:
    merged = dict.fromkeys(other for node in nodes for other in node.merged)
    return LayerTime(name, tuple(node.op_type for node in nodes), tuple(merged), sum(node.median_ms for node in nodes))


def points(work: Work, times: LayerTimes) -> tuple[LayerPoint, ...]:
    """The layers that compute and were timed, as points on the roofline.

    A merged activation adds to the time but not to the FLOPs here: beside a convolution's it has next to none.

    Args:
        work: of the same network, at the same batch (`count_work`).
        times: from `measure_layers`.

    Raises:
        ValueError: `work` and `times` are of different batches.

    Reference: Williams, Waterman and Patterson, Roofline, 2009.
    """
    if work.batch != times.batch:
        raise ValueError(f"work is of batch {work.batch} and times are of batch {times.batch}; take the same for both")
    counted = {layer.name: layer for layer in work.layers}
    return tuple(
        LayerPoint(
            timed.name,
            counted[timed.name].intensity,
            counted[timed.name].flops / timed.median_ms * 1000,
            timed.median_ms,
        )
        for timed in times.layers
        if timed.name in counted and counted[timed.name].flops and timed.median_ms
    )


def grouped_median_ms(microseconds: list[int]) -> float:
    """The median of times that were cut off to whole microseconds, in milliseconds, estimated within the step.

    Example:
        Half of the runs took between 3 and 4 microseconds, half between 4 and 5: the median lies at 4.

        >>> grouped_median_ms([3, 3, 4, 4])
        0.004
    """
    return statistics.median_grouped([time + 0.5 for time in microseconds]) * RESOLUTION_MS


def write_chain(path: Path, n: int = CHAIN) -> Path:
    """An ONNX file of `n` nodes one after the other, each the larger one of a number and zero: next to no work."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    nodes = [helper.make_node("Max", [f"x{i}", "zero"], [f"x{i + 1}"], name=f"n{i}") for i in range(n)]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, (1, 1, 1, 1)) for name in ("x0", f"x{n}")]
    zero = numpy_helper.from_array(np.zeros((1, 1, 1, 1), np.float32), "zero")
    graph = helper.make_graph(nodes, "chain", ends[:1], ends[1:], [zero])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def read_events(path: Path) -> Events:
    """Microseconds of each run of each executed node, by name and type, from a file of ONNX Runtime's profiler."""
    events: Events = {}
    for event in json.loads(path.read_text(encoding="utf-8")):
        if event["cat"] == "Node" and event["name"].endswith("_kernel_time"):
            key = (event["name"].removesuffix("_kernel_time"), event["args"]["op_name"])
            events.setdefault(key, []).append(event["dur"])
    return events


def _written_profile(folder: Path, name: str) -> Events:
    written = list(folder.glob(f"{name}*.json"))
    if not written:
        raise SpeedError(f"ONNX Runtime wrote no profile to {folder}, so the layers cannot be told apart")
    return read_events(written[0])
