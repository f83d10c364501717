"""Reasons that the times of the layers show: the call itself, nodes without use, slow instructions, narrow layers.

Reference: Williams, Waterman and Patterson, Roofline: an insightful visual performance model, 2009 (a layer that does
less with each number that it fetches is slower at the same arithmetic).

Where we simplify: see `reasons.py`.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from efflab.measure.layer_speed import LayerTimes, NodeTime
from efflab.measure.reason import Reason, Value, percent
from efflab.measure.speed import MIN_FLOOR
from efflab.measure.work import Work

OVERHEAD = 0.25
"""The overhead is large from this fraction of a run on: layers that take no time would make it 4 times faster."""
INT8_OPS = ("Integer", "QLinear", "QGemm", "QAttention", "DynamicQuantizeMatMul")
"""What the names of ONNX Runtime's operators contain that multiply 8-bit numbers; converting to them does not count."""
DOT_PRODUCTS = ("VNNI", "AMX", "dot product", "I8MM")
"""Instructions that multiply 8-bit numbers and add them up in one step; without one int8 is little or no faster."""
EXTRA = MIN_FLOOR
"""Extra nodes matter from this fraction of a run on: less would not show above the smallest noise floor of a speed."""
SLOWER = 0.2
"""Layers compute slower from this fraction of their time on that they would not need at the base's rate."""


def overhead_bound(times: LayerTimes) -> Reason:
    """Calling the network costs as much as running it."""
    share = times.overhead_ms / times.whole_ms
    evidence = {"overhead_ms": times.overhead_ms, "whole_ms": times.whole_ms, "contention": times.contention}
    part = f"{max(0.0, times.overhead_ms):.3f} ms of it ({percent(max(0.0, share))})"
    sentence = f"While the layers were timed, a run took {times.whole_ms:.3f} ms; {part} is the call itself"
    if times.busy:
        waited = f"the stopwatch waited for a processor for {percent(times.contention)} of that time"
        sentence += f", but {waited}, so this is not sure; measure again."
    elif share > OVERHEAD:
        sentence += "; smaller layers cannot make that shorter, a larger batch can share it."
    else:
        sentence += "; the rest is spent in the layers."
    return Reason("overhead of the call", share > OVERHEAD and not times.busy, sentence, evidence)


def slower_arithmetic(work: Work, base_work: Work, times: LayerTimes, base_times: LayerTimes) -> Reason:
    """Fewer MACs in a second: a layer with few channels does less with each number that it fetches."""
    mine, base = _rates(work, times), _rates(base_work, base_times)
    both = [name for name in mine if name in base]
    spent = sum(mine[name].ms for name in both)
    needed = {name: mine[name].macs / base[name].macs_per_ms for name in both}
    share = 1 - sum(needed.values()) / spent if spent else 0.0
    evidence: dict[str, Value] = {"spent_ms": spent, "needed_ms": sum(needed.values())}
    name = "slower arithmetic"
    if not both:
        return Reason(name, False, "No layer that computes was timed in both networks.", evidence)
    worst = max(both, key=lambda layer: mine[layer].ms - needed[layer])
    sentence = (
        f"At the base's MACs a second the layers would take {sum(needed.values()):.3g} ms; they take {spent:.3g} ms. "
        f"{worst} does {mine[worst].macs_per_ms / 1e6:.2g} billion MACs a second, in the base "
        f"{base[worst].macs_per_ms / 1e6:.2g} billion, with {mine[worst].intensity:.3g} FLOPs for each byte instead of "
        f"{base[worst].intensity:.3g}"
    )
    if times.busy or base_times.busy:
        sentence += ", but the machine was busy meanwhile, so this is not sure; measure again"
    holds = share > SLOWER and not times.busy and not base_times.busy
    return Reason(name, holds, f"{sentence}.", evidence | {"layer": worst})


@dataclass(frozen=True)
class _Rate:
    """The MACs of a layer, the milliseconds they took, and its FLOPs for each byte."""

    macs: int
    ms: float
    intensity: float

    @property
    def macs_per_ms(self) -> float:
        return self.macs / self.ms


def _rates(work: Work, times: LayerTimes) -> dict[str, _Rate]:
    """The layers that have MACs and took time."""
    took = {layer.name: layer.median_ms for layer in times.layers}
    return {
        layer.name: _Rate(layer.macs, took[layer.name], layer.intensity)
        for layer in work.layers
        if layer.macs and took.get(layer.name, 0.0) > 0
    }


def no_int8_instructions(times: LayerTimes, instruction_sets: Sequence[str] | None) -> Reason:
    """8-bit numbers need instructions of their own to be faster than float32."""
    int8 = [op for op in times.op_types if any(part in op for part in INT8_OPS)]
    has = [name for name in DOT_PRODUCTS if name in (instruction_sets or ())]
    evidence: dict[str, Value] = {"int8_nodes": len(int8), "instructions": ", ".join(has)}
    if not int8:
        sentence = f"None of the {len(times.nodes)} executed nodes computes in int8, so its instructions do not matter."
    elif instruction_sets is None:
        sentence = (
            f"{len(int8)} nodes compute in int8, but this system does not tell whether it has instructions for it."
        )
    elif has:
        sentence = f"{len(int8)} nodes compute in int8, and this processor has instructions for it: {', '.join(has)}."
    else:
        sentence = f"{len(int8)} nodes compute in int8, and this processor has no instructions for it, such as VNNI."
    return Reason("no int8 instructions", bool(int8) and instruction_sets is not None and not has, sentence, evidence)


def extra_nodes(times: LayerTimes, base_times: LayerTimes) -> Reason:
    """The file has nodes that the base has not, such as Transpose, Cast or QuantizeLinear.

    A layer that takes as many nodes as in the base has none too many, even if one is of another type.
    """
    alike = {layer for layer, _ in _counts(times).items() & _counts(base_times).items()}
    nodes, base = ([node for node in one.nodes if node.layer not in alike] for one in (times, base_times))
    extra = Counter(node.op_type for node in nodes) - Counter(node.op_type for node in base)
    spent = sum(_time_of(op, nodes) - _time_of(op, base) for op in extra)
    share = spent / times.whole_ms
    listed = ", ".join(f"{n} {op}" for op, n in extra.items())
    evidence: dict[str, Value] = {"extra": listed, "extra_ms": spent, "whole_ms": times.whole_ms}
    if extra:
        took = f"they take {percent(share, 1)} of the run"
        sentence = f"{extra.total()} executed nodes are more than the base has ({listed}); {took}."
    else:
        sentence = f"None of the {len(times.nodes)} executed nodes is one more than the base has."
    return Reason("extra nodes", bool(extra) and share > EXTRA, sentence, evidence)


def _counts(times: LayerTimes) -> Counter[str]:
    """How many nodes work for each layer."""
    return Counter(node.layer for node in times.nodes if node.layer is not None)


def _time_of(op_type: str, nodes: Sequence[NodeTime]) -> float:
    return sum(node.median_ms for node in nodes if node.op_type == op_type)
