"""Why is mine not faster? Each reason holds for a network that has it, and not for one that has not."""

import dataclasses
import itertools
import warnings
from collections.abc import Callable, Iterator

import pytest
from networks import Calls
from torch import Tensor, nn

from efflab import models, prune_weights
from efflab.measure.layer_reasons import extra_nodes, no_int8_instructions, overhead_bound, slower_arithmetic
from efflab.measure.layer_speed import LayerTimes, NodeTime, measure_layers
from efflab.measure.reason import Reason
from efflab.measure.reasons import (
    machine_busy,
    memory_bound,
    too_many_threads,
    why_not_faster,
    zeros_kept,
)
from efflab.measure.roofline import Roofline
from efflab.measure.speed import Speed, Stopwatch, summarise
from efflab.measure.work import count_work
from efflab.runtime import Artefact, export

SHAPE = (1, 28, 28)
ROOF = Roofline(peak_flops=80e9, bandwidth_bytes_per_s=20e9, threads=1, contention=0.0, machine="a machine")
Timed = Callable[..., LayerTimes]


@pytest.fixture(scope="module")
def timed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Timed]:
    """Measure the layers of a model or of a file, by default as if nobody else had been busy."""
    with Stopwatch() as stopwatch:

        def measure(network: nn.Module | Artefact, batch: int = 1, *, as_if_alone: bool = True) -> LayerTimes:
            made = network if isinstance(network, Artefact) else export(network, SHAPE, tmp_path_factory.mktemp("net"))
            found = measure_layers(stopwatch, made, shape=SHAPE, batch=batch, seconds=0.1)
            assert found is not None
            return dataclasses.replace(found, contention=0.0) if as_if_alone else found

        yield measure


@pytest.fixture(scope="module")
def int8(tmp_path_factory: pytest.TempPathFactory) -> Artefact:
    """A network that ONNX Runtime's own quantizer has turned to int8."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from onnxruntime.quantization import QuantType, quantize_dynamic

        folder = tmp_path_factory.mktemp("int8")
        plain = export(models.build("mlp"), SHAPE, folder)
        quantize_dynamic(plain.path, folder / "int8.onnx", weight_type=QuantType.QInt8)
    return Artefact(folder / "int8.onnx", "onnx", "onnxruntime")


def speed(*, contention: float = 0.0, threads: int = 1, batch: int = 1) -> Speed:
    answer = {"rounds": [[0.001, 0.001, 0.001]] * 8, "wall_s": 1.0, "cpu_s": 1.0 - contention}
    return summarise(answer, batch=batch, threads=threads, machine="a machine")


def zeros(model: nn.Module, base: nn.Module) -> Reason:
    return zeros_kept(model, base, count_work(model, SHAPE), count_work(base, SHAPE))


# Zeros


def test_zeros_that_are_still_multiplied_are_named() -> None:
    base = models.build("mlp")
    reason = zeros(prune_weights(base, sparsity=0.9), base)

    assert reason.holds
    assert "90 % of the weights' work is multiplying by zero" in reason.sentence
    assert reason.evidence == {"macs": 266_200, "base_macs": 266_200, "zero_macs": 239_580, "changed_shapes": 0}


def test_a_network_without_zeros_has_none_to_remove() -> None:
    base = models.build("mlp")

    assert not zeros(base, base).holds


def test_zeros_in_a_smaller_network_are_not_the_reason() -> None:
    base = models.build("mlp")
    reason = zeros(prune_weights(models.build("mlp", sizes=(100, 100)), sparsity=0.9), base)

    assert not reason.holds
    assert reason.sentence == "The MACs went from 266,200 to 89,400: the kernels have less to do."


# The call itself


def test_a_tiny_network_is_mostly_the_call(timed: Timed) -> None:
    reason = overhead_bound(timed(nn.Sequential(nn.Flatten(), nn.Linear(784, 2))))

    assert reason.holds
    assert "is the call itself; smaller layers cannot make that shorter" in reason.sentence


def test_a_large_network_is_mostly_its_layers(timed: Timed) -> None:
    times = timed(models.build("mlp", sizes=(2000, 2000)), batch=16, as_if_alone=False)

    assert not overhead_bound(times).holds
    assert sum(node.median_ms for node in times.nodes) > 0.5 * times.whole_ms


def test_on_a_busy_machine_nothing_is_said_about_the_call(timed: Timed) -> None:
    times = timed(nn.Sequential(nn.Flatten(), nn.Linear(784, 2)))
    reason = overhead_bound(dataclasses.replace(times, contention=0.5))

    assert not reason.holds
    assert "the stopwatch waited for a processor for 50 % of that time" in reason.sentence


# int8


def test_int8_without_instructions_for_it_is_named(timed: Timed, int8: Artefact) -> None:
    reason = no_int8_instructions(timed(int8), ("AVX2",))

    assert reason.holds
    assert reason.evidence["int8_nodes"] >= 3  # type: ignore[operator]


@pytest.mark.parametrize("name", ["VNNI", "dot product"])
def test_int8_with_instructions_for_it_is_no_reason(timed: Timed, int8: Artefact, name: str) -> None:
    reason = no_int8_instructions(timed(int8), ("AVX2", name))

    assert not reason.holds
    assert reason.sentence.endswith(f"this processor has instructions for it: {name}.")


def test_a_processor_that_does_not_tell_is_no_reason(timed: Timed, int8: Artefact) -> None:
    assert not no_int8_instructions(timed(int8), None).holds


def test_a_float_network_needs_no_int8_instructions(timed: Timed) -> None:
    assert not no_int8_instructions(timed(models.build("mlp")), ("AVX2",)).holds


# Extra nodes


def turned(self: nn.Module, x: Tensor) -> Tensor:
    """As the plain network, but with a picture that is turned back and forth."""
    x = x.repeat(1, 16, 1, 1).transpose(1, 3)
    return (x.sin().transpose(1, 2) * 2).flatten(1).mean(1, keepdim=True)


def plain(self: nn.Module, x: Tensor) -> Tensor:
    return (x.repeat(1, 16, 1, 1).sin() * 2).flatten(1).mean(1, keepdim=True)


def test_nodes_that_the_base_has_not_are_named(timed: Timed) -> None:
    reason = extra_nodes(timed(Calls(turned)), timed(Calls(plain)))

    assert reason.holds
    assert "Transpose" in str(reason.evidence["extra"])
    assert 0 < float(reason.evidence["extra_ms"]) < float(reason.evidence["whole_ms"])


def test_the_nodes_that_quantization_adds_are_counted(timed: Timed, int8: Artefact) -> None:
    reason = extra_nodes(timed(int8), timed(models.build("mlp")))

    assert "DynamicQuantize" in str(reason.evidence["extra"])


def test_a_layer_that_runs_as_a_node_of_another_type_has_none_too_many() -> None:
    base, now = nodes(1.0, 2.0, whole_ms=4.0), nodes(1.0, 2.0, whole_ms=4.0)
    fused = tuple(dataclasses.replace(one, op_type="FusedConv") for one in now.nodes)

    reason = extra_nodes(dataclasses.replace(now, nodes=fused), base)

    assert not reason.holds
    assert reason.sentence == "None of the 2 executed nodes is one more than the base has."
    doubled = dataclasses.replace(now, nodes=(*fused, fused[0]))
    reason = extra_nodes(doubled, base)
    assert reason.holds
    assert reason.evidence["extra"] == "2 FusedConv"  # one of them in place of the base's only node


def test_the_same_network_has_no_extra_nodes(timed: Timed) -> None:
    base = models.build("mlp")
    reason = extra_nodes(timed(prune_weights(base, sparsity=0.9)), timed(base))

    assert not reason.holds
    assert reason.evidence["extra"] == ""


def memory(model: nn.Module, *, batch: int, bytes_per_s: float, cache_bytes: int | None = None) -> Reason:
    work = count_work(model, SHAPE, batch=batch)
    return memory_bound(work, ROOF, 1000 * work.moved_bytes / bytes_per_s, cache_bytes=cache_bytes)


def nodes(*medians_ms: float, whole_ms: float) -> LayerTimes:
    made = tuple(NodeTime(f"n{i}", "Gemm", f"n{i}", (), one, 100) for i, one in enumerate(medians_ms))
    return LayerTimes(made, whole_ms, 0.001, batch=1, threads=1, contention=0.0, machine="a machine")


# Arithmetic


def chain(*widths: int) -> nn.Module:
    return nn.Sequential(*(nn.Linear(n_in, n_out, bias=False) for n_in, n_out in itertools.pairwise(widths)))


def layers(*medians_ms: float, contention: float = 0.0) -> LayerTimes:
    """The times of the layers of a chain."""
    made = tuple(NodeTime(f"n{i}", "Gemm", str(i), (), one, 100) for i, one in enumerate(medians_ms))
    return LayerTimes(made, sum(medians_ms), 0.001, batch=1, threads=1, contention=contention, machine="a machine")


def slower(now_ms: tuple[float, float], *, contention: float = 0.0) -> Reason:
    """A chain of 3,000 + 3,000 MACs in 3 + 3 ms, cut to 1,500 + 1,500."""
    base, cut = count_work(chain(100, 30, 100), (100,)), count_work(chain(100, 15, 100), (100,))
    return slower_arithmetic(cut, base, layers(*now_ms, contention=contention), layers(3.0, 3.0))


def test_layers_that_take_longer_than_their_macs_explain_are_named() -> None:
    reason = slower((1.5, 3.0))

    assert reason.holds
    assert reason.sentence == (
        "At the base's MACs a second the layers would take 3 ms; they take 4.5 ms. "
        "1 does 0.0005 billion MACs a second, in the base 0.001 billion, with 0.464 FLOPs for each byte instead of "
        "0.479."
    )
    assert reason.evidence == {"spent_ms": 4.5, "needed_ms": 3.0, "layer": "1"}


@pytest.mark.parametrize(("now_ms", "holds"), [((1.8, 1.9), False), ((1.9, 1.9), True), ((0.5, 0.5), False)])
def test_a_fifth_of_the_time_is_the_threshold(now_ms: tuple[float, float], holds: bool) -> None:
    assert slower(now_ms).holds is holds


def test_on_a_busy_machine_nothing_is_said_about_the_arithmetic() -> None:
    reason = slower((1.5, 3.0), contention=0.5)

    assert not reason.holds
    assert reason.sentence.endswith("so this is not sure; measure again.")


def test_networks_without_a_layer_in_common_are_not_compared() -> None:
    base, other = count_work(chain(100, 30, 100), (100,)), count_work(nn.Sequential(nn.Flatten()), (100,))

    assert not slower_arithmetic(other, base, layers(), layers(3.0, 3.0)).holds


# Memory


def test_large_matrices_at_batch_1_are_bound_by_memory() -> None:
    reason = memory(models.build("mlp", sizes=(2000, 2000)), batch=1, bytes_per_s=15e9)

    assert reason.holds
    assert reason.sentence.endswith("100 % of the bytes are weights. It moves 15.0 GB/s, and the memory could 20.0.")


def test_weights_from_the_cache_are_said_to_be() -> None:
    # 30 GB/s are more than the memory of 20 GB/s can send, so "bound by memory" would contradict its own sentence. The
    # network may still wait for the cache, and the sentence says so.
    reason = memory(models.build("mlp", sizes=(300, 100)), batch=1, bytes_per_s=30e9)

    assert not reason.holds
    assert reason.sentence.endswith(
        "It moves 30.0 GB/s, and the memory could 20.0: so they come from a cache, which may be the limit, but the "
        "memory is not."
    )


def test_reading_a_little_faster_than_the_bandwidth_is_still_bound_by_memory() -> None:
    """The bandwidth is measured with writing, which fetches a line first: 20 GB/s that count are 26.7 that move."""
    reason = memory(models.build("mlp", sizes=(2000, 2000)), batch=1, bytes_per_s=26e9)

    assert reason.holds
    assert reason.sentence.endswith(
        "It moves 26.0 GB/s, and the memory could 20.0: a little less, for it was timed with writing, and a network "
        "mostly reads."
    )


@pytest.mark.parametrize(
    ("sizes", "cache_bytes", "fits"),
    [
        ((80, 20), 33_554_432, "259 kB of weights fit into the processor's cache of 33.6 MB"),
        ((1000, 100), 33_554_432, "3.54 MB of weights fit into the processor's cache of 33.6 MB"),
        ((80, 20), 8 * 258_520, "259 kB of weights fit into the processor's cache of 2.07 MB"),
        ((80, 20), 8 * 258_520 - 1, None),
        ((2000, 2000), 33_554_432, None),
        ((80, 20), None, None),
    ],
)
def test_weights_that_stay_in_the_cache_are_not_bound_by_memory(
    sizes: tuple[int, int], cache_bytes: int | None, fits: str | None
) -> None:
    """An eighth of the cache is the limit; without knowing the cache, the rate alone decides."""
    reason = memory(models.build("mlp", sizes=sizes), batch=1, bytes_per_s=15e9, cache_bytes=cache_bytes)
    end = (
        f": its {fits}, so that they are fetched from memory only once while it runs again and again." if fits else "."
    )

    assert reason.holds is (fits is None)
    assert reason.sentence.endswith(f"It moves 15.0 GB/s, and the memory could 20.0{end}")


def test_a_network_without_weights_has_none_in_the_cache() -> None:
    model = nn.Sequential(nn.ReLU(), nn.MaxPool2d(2), nn.Flatten())
    reason = memory(model, batch=1, bytes_per_s=15e9, cache_bytes=33_554_432)

    assert reason.sentence.endswith("and the memory could 20.0: something else is the limit.")


@pytest.mark.parametrize(
    ("medians_ms", "holds", "end"),
    [
        ((0.5, 1.5), True, "Without the overhead of the call, it moves 11.2 GB/s, and the memory could 20.0."),
        (
            (0.25, 0.25),
            False,
            "Without the overhead of the call, it moves 44.9 GB/s, and the memory could 20.0: so they come from a "
            "cache, which may be the limit, but the memory is not.",
        ),
        ((0.0, 0.0), True, "It moves 7.5 GB/s, and the memory could 20.0."),
    ],
)
def test_the_rate_is_that_of_the_nodes_without_the_call(medians_ms: tuple[float, ...], holds: bool, end: str) -> None:
    """In 3 ms 22.4 MB move. Nodes too short for the profiler leave only the whole run."""
    work = count_work(models.build("mlp", sizes=(2000, 2000)), SHAPE)
    reason = memory_bound(work, ROOF, 3.0, times=nodes(*medians_ms, whole_ms=3.0))

    assert reason.holds is holds
    assert reason.sentence.endswith(end)
    assert reason.evidence["bytes_per_s"] == work.moved_bytes / (sum(medians_ms) or 3.0) * 1000


def test_the_numbers_of_the_memory_are_kept_by_name() -> None:
    work = count_work(models.build("mlp", sizes=(80, 20)), SHAPE)
    reason = memory_bound(work, ROOF, 0.019, cache_bytes=33_554_432)

    assert reason.evidence == {
        "intensity": work.intensity,
        "ridge": 4.0,
        "weight_share": work.weight_bytes / work.moved_bytes,
        "bytes_per_s": work.moved_bytes / 0.019 * 1000,
        "bandwidth_bytes_per_s": 20e9,
        "weight_bytes": 258_520,
        "cache_bytes": 33_554_432,
    }


def test_a_large_batch_is_bound_by_arithmetic() -> None:
    assert not memory(models.build("mlp", sizes=(2000, 2000)), batch=64, bytes_per_s=15e9).holds


def test_activations_are_no_weights() -> None:
    model = nn.Sequential(nn.ReLU(), nn.MaxPool2d(2), nn.Flatten())

    assert not memory(model, batch=1, bytes_per_s=15e9).holds


def test_a_network_far_below_the_bandwidth_waits_for_something_else() -> None:
    reason = memory(models.build("mlp"), batch=1, bytes_per_s=2e9)

    assert not reason.holds
    assert reason.sentence.endswith("something else is the limit.")


# Threads and the machine


def test_more_threads_than_cores_are_named() -> None:
    assert too_many_threads(4, 2) == Reason(
        "more threads than cores",
        True,
        "Threads: 4, cores: 2, so the threads wait for each other.",
        {"threads": 4, "n_cores": 2},
    )


def test_as_many_threads_as_cores_are_no_reason() -> None:
    assert not too_many_threads(2, 2).holds


@pytest.mark.parametrize(("contention", "holds"), [(0.3, True), (0.05, False)])
def test_a_busy_machine_is_named(contention: float, holds: bool) -> None:
    reason = machine_busy(speed(contention=contention))

    assert reason.holds is holds
    assert f"for {100 * contention:.0f} % of the time" in reason.sentence
    assert reason.sentence.startswith("While the network and its base were timed in turns, ")


# All together


def test_all_facts_give_all_reasons_and_those_that_hold_come_first(timed: Timed) -> None:
    base = models.build("lenet5")
    pruned = prune_weights(base, sparsity=0.9)
    work, base_work = count_work(pruned, SHAPE), count_work(base, SHAPE)
    reasons = why_not_faster(
        pruned,
        base,
        speed=speed(threads=4),
        work=work,
        base_work=base_work,
        times=timed(pruned),
        base_times=timed(base),
        roofline=ROOF,
        n_cores=2,
        instruction_sets=("AVX2",),
    )

    assert len({reason.name for reason in reasons}) == len(reasons) == 10
    held = [reason.holds for reason in reasons]
    assert held == sorted(held, reverse=True)
    names = [reason.name for reason in reasons if reason.holds]
    assert {"zeros are not removed", "few channels", "more threads than cores"} <= set(names)
    assert "the machine was busy" not in names


def test_the_cache_and_the_times_of_the_nodes_reach_the_memory() -> None:
    base = models.build("mlp", sizes=(80, 20))
    work, times = count_work(base, SHAPE), nodes(0.01, 0.005, whole_ms=0.02)
    reasons = why_not_faster(
        base, base, speed=speed(), work=work, base_work=work, times=times, roofline=ROOF, cache_bytes=33_554_432
    )

    expected = memory_bound(work, ROOF, 1.0, times=times, cache_bytes=33_554_432)
    assert [reason for reason in reasons if reason.name == "bound by memory"] == [expected]
    assert expected.evidence["bytes_per_s"] == work.moved_bytes / 0.015 * 1000


def test_a_missing_fact_leaves_its_reason_out() -> None:
    base = models.build("mlp")
    work = count_work(base, SHAPE)
    reasons = why_not_faster(base, base, speed=speed(), work=work, base_work=work)

    assert sorted(reason.name for reason in reasons) == [
        "channels in no block",
        "few channels",
        "the machine was busy",
        "zeros are not removed",
    ]
    assert not any(reason.holds for reason in reasons)


def test_facts_of_different_batches_are_refused() -> None:
    base = models.build("mlp")
    work, other = count_work(base, SHAPE), count_work(base, SHAPE, batch=2)

    with pytest.raises(ValueError, match="base_work is of batch 2 and speed of batch 1"):
        why_not_faster(base, base, speed=speed(), work=work, base_work=other)
