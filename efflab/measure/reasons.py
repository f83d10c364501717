"""Why is mine not faster? The usual reasons, each held against the facts of one model.

Somebody pruned nine tenths of a network, and it takes as long as before. There are not many reasons for that, and each
leaves a trace: in the work that was counted, in the times of the layers, in the machine. Here each is looked for, and
says in one sentence with its numbers whether it holds. None is a guess: where a fact is missing, the reason that needs
it is left out.

Reference: Williams, Waterman and Patterson, Roofline: an insightful visual performance model, 2009 (memory and
arithmetic); Han et al., Deep Compression, 2015, arXiv 1510.00149, section 6.3 (zeros and dense kernels).

Where we simplify: each reason stands alone, and a threshold makes a yes or no of what is a matter of degree; each
threshold is below, with its why. At work: a profiler, and the first suspicion in this list.
"""

from collections import Counter
from collections.abc import Sequence

from torch import nn

from efflab.measure.channel_reasons import few_channels, in_no_block
from efflab.measure.contention import BUSY
from efflab.measure.layer_reasons import extra_nodes, no_int8_instructions, overhead_bound, slower_arithmetic
from efflab.measure.layer_speed import LayerTimes
from efflab.measure.reason import Reason, Value, percent
from efflab.measure.roofline import Roofline
from efflab.measure.speed import Speed
from efflab.measure.work import Work

ZEROS = 0.1
"""From this fraction of MACs with a zero weight on, somebody pruned: trained weights are hardly ever exactly zero."""
SAME_WORK = 0.02
"""Work counts as equal within this fraction: less would not show above the smallest noise floor of a speed."""
WEIGHTS = 0.5
"""Weights dominate from this fraction of the bytes on: then a larger batch, which shares them, is the remedy."""
NEAR_ROOF = 0.25
"""Memory is the limit only from this fraction of its bandwidth on: a network far below waits for something else."""
FROM_CACHE = 4 / 3
"""Above this multiple of the bandwidth, bytes come from a cache. It is more than 1, because a layer mostly reads, and
the bandwidth may be that of adding arrays: 3 count, but 4 move, for a line is fetched before it is overwritten."""
CACHED = 1 / 8
"""Weights stay in the cache from one run to the next if they take at most this fraction of it. It is small, because
other programs use the cache too, on a rented machine those of strangers: where the system named 32 MiB, a read took 19
ns within 4 MiB, but 90 to 150 ns from 5 MiB on, and 200 ns from memory. Above this fraction the rate decides."""


def why_not_faster(
    model: nn.Module,
    base: nn.Module,
    *,
    speed: Speed,
    work: Work,
    base_work: Work,
    times: LayerTimes | None = None,
    base_times: LayerTimes | None = None,
    roofline: Roofline | None = None,
    n_cores: int | None = None,
    instruction_sets: Sequence[str] | None = None,
    cache_bytes: int | None = None,
) -> tuple[Reason, ...]:
    """Which of the usual reasons hold for `model`, which was made from `base`; those that hold come first.

    Args:
        model: the network as it is now.
        base: the network as it was.
        speed: of the model beside the base.
        work: of the model, at the batch of `speed`.
        base_work: of the base, at the same batch.
        times: of the model's layers, at the same batch.
        base_times: of the base's.
        roofline: of this machine.
        n_cores: that this process may use.
        instruction_sets: as `Machine.instruction_sets` names them; None if the system does not say.
        cache_bytes: the largest cache, as `Machine.cache_bytes`; None if the system does not say.

    Raises:
        ValueError: `speed`, works and times are not all of the same batch.

    Reference: Williams, Waterman and Patterson, Roofline, 2009; Han et al., 2015, arXiv 1510.00149.
    """
    for name, of in (("work", work), ("base_work", base_work), ("times", times), ("base_times", base_times)):
        if of is not None and of.batch != speed.batch:
            raise ValueError(f"{name} is of batch {of.batch} and speed of batch {speed.batch}; take the same for all")
    found = [zeros_kept(model, base, work, base_work), few_channels(model, work, instruction_sets)]
    found.append(in_no_block(model, work, instruction_sets))
    if times is not None:
        found += [overhead_bound(times), no_int8_instructions(times, instruction_sets)]
    if times is not None and base_times is not None:
        found += [slower_arithmetic(work, base_work, times, base_times), extra_nodes(times, base_times)]
    if roofline is not None:
        found.append(memory_bound(work, roofline, speed.now.median_ms, times=times, cache_bytes=cache_bytes))
    if n_cores is not None:
        found.append(too_many_threads(speed.threads, n_cores))
    found.append(machine_busy(speed))
    return tuple(sorted(found, key=lambda reason: not reason.holds))


def zeros_kept(model: nn.Module, base: nn.Module, work: Work, base_work: Work) -> Reason:
    """Weights are zero, but the shapes are the old ones, and a dense kernel multiplies by zero as by anything else."""
    n_zero = work.macs - work.macs_nonzero
    zeros = n_zero / work.macs if work.macs else 0.0
    same = work.macs > (1 - SAME_WORK) * base_work.macs
    changed = (_weight_shapes(model) - _weight_shapes(base)).total()
    evidence: dict[str, Value] = {"macs": work.macs, "base_macs": base_work.macs}
    evidence |= {"zero_macs": n_zero, "changed_shapes": changed}
    if zeros < ZEROS:
        sentence = (
            f"{percent(zeros)} of the {work.macs:,} MACs multiply by a zero weight: there are no zeros to leave out."
        )
    elif not same:
        sentence = f"The MACs went from {base_work.macs:,} to {work.macs:,}: the kernels have less to do."
    else:
        shapes = "no weight changed its shape" if not changed else f"only {changed} weights changed their shape"
        sentence = (
            f"{percent(zeros)} of the weights' work is multiplying by zero, and it is done all the same: {shapes}, "
            f"and the MACs are {work.macs:,} of {base_work.macs:,}. Remove whole filters or neurons, or use a sparse "
            "kernel."
        )
    return Reason("zeros are not removed", zeros >= ZEROS and same, sentence, evidence)


def memory_bound(
    work: Work, roofline: Roofline, time_ms: float, *, times: LayerTimes | None = None, cache_bytes: int | None = None
) -> Reason:
    """Each weight is fetched and used once: the processor waits for numbers. time_ms: one run of the whole network.

    The call itself moves nothing, so with `times` the bytes are divided by the time of the nodes alone. Weights that
    fit into the cache, and numbers that come faster than the memory could send them, come from the cache.
    """
    share = work.weight_bytes / work.moved_bytes if work.moved_bytes else 0.0
    nodes_ms = sum(node.median_ms for node in times.nodes) if times else 0.0  # 0: too short for the profiler
    moved_per_s, bandwidth = work.moved_bytes / (nodes_ms or time_ms) * 1000, roofline.bandwidth_bytes_per_s
    below = roofline.limit(work.intensity) == "memory"
    fits = weights_in_cache(work, cache_bytes)
    holds = below and share > WEIGHTS and not fits and NEAR_ROOF < moved_per_s / bandwidth <= FROM_CACHE
    evidence: dict[str, Value] = {"intensity": work.intensity, "ridge": roofline.ridge, "weight_share": share}
    evidence |= {"bytes_per_s": moved_per_s, "bandwidth_bytes_per_s": bandwidth, "weight_bytes": work.weight_bytes}
    if cache_bytes is not None:
        evidence["cache_bytes"] = cache_bytes
    sentence = (
        f"At batch {work.batch} the network does {work.intensity:.2g} FLOPs for each byte, and this machine is limited "
        f"by memory below {roofline.ridge:.2g}; {percent(share)} of the bytes are weights. "
        f"{'Without the overhead of the call, it' if nodes_ms else 'It'} moves {moved_per_s / 1e9:.1f} GB/s, and the "
        f"memory could {bandwidth / 1e9:.1f}"
    )
    if cache_bytes and fits:
        sentence += (
            f": its {_size(work.weight_bytes)} of weights fit into the processor's cache of {_size(cache_bytes)}, so "
            "that they are fetched from memory only once while it runs again and again"
        )
    elif moved_per_s > FROM_CACHE * bandwidth:
        sentence += ": so they come from a cache, which may be the limit, but the memory is not"
    elif moved_per_s > bandwidth:
        sentence += ": a little less, for it was timed with writing, and a network mostly reads"
    elif below and not holds:
        sentence += ": something else is the limit"
    return Reason("bound by memory", holds, f"{sentence}.", evidence)


def weights_in_cache(work: Work, cache_bytes: int | None) -> bool:
    """Whether the weights stay in the processor's cache from one run to the next; False where it is not known."""
    return 0 < work.weight_bytes <= CACHED * (cache_bytes or 0)


def too_many_threads(threads: int, n_cores: int) -> Reason:
    """Threads without a core of their own take turns."""
    holds = threads > n_cores
    counts = f"Threads: {threads}, cores: {n_cores}"
    sentence = (
        f"{counts}, so the threads wait for each other." if holds else f"{counts}, so each thread can have its own."
    )
    return Reason("more threads than cores", holds, sentence, {"threads": threads, "n_cores": n_cores})


def machine_busy(speed: Speed) -> Reason:
    """Other programs took the processor meanwhile."""
    limit = f"above {percent(BUSY)} the numbers are rough" if speed.busy else f"up to {percent(BUSY)} is no harm"
    waited = f"the stopwatch waited for a processor for {percent(speed.contention)} of the time"
    sentence = f"While the network and its base were timed in turns, {waited}; {limit}."
    return Reason("the machine was busy", speed.busy, sentence, {"contention": speed.contention})


def _weight_shapes(model: nn.Module) -> Counter[tuple[int, ...]]:
    """How often each shape of a matrix or kernel occurs."""
    return Counter(tuple(parameter.shape) for parameter in model.parameters() if parameter.ndim > 1)


def _size(n_bytes: int) -> str:
    return f"{n_bytes / 1e6:.3g} MB" if n_bytes >= 999_500 else f"{n_bytes / 1e3:.3g} kB"
