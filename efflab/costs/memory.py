"""What a language model takes in memory: its weights, and the keys and values that it keeps of the text so far.

weights = parameters x bits / 8
KV cache = 2 x layers x kv_heads x head_dim x context x batch x bits / 8

The 2 is for keys and values. Grouped-query attention keeps fewer heads of them than it has heads that ask:
`kv_heads` counts those that are kept. Simplified: activations, the program and the operating system come on top, and a
model whose attention slides over a window keeps less. At work: the memory that the serving program reports.

Reference: Shazeer, Fast Transformer Decoding: One Write-Head is All You Need, 2019, arXiv 1911.02150; Ainslie et al.,
GQA, 2023, arXiv 2305.13245.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from efflab.costs.defaults import BILLION_PARAMETERS, CONTEXT, HEAD_DIM, KV_HEADS, LAYERS
from efflab.costs.formula import formula
from efflab.costs.presets import Device
from efflab.costs.quantities import Batch, BillionParameters, Bits, Context, HeadDim, KvBits, KvHeads, Layers
from efflab.costs.texts import plural, size

TIGHT = 0.9
"""Above this fraction of a device's memory it is tight: the system and the program need some of it, too."""
WORTH_A_WORD = 0.001
"""Below this fraction of the total a screen leaves the KV cache out."""


@dataclass(frozen=True)
class Memory:
    """Bytes of the weights and of the KV cache; `working` says how they came about."""

    weight_bytes: float
    kv_cache_bytes: float
    bits: int
    working: tuple[str, ...]

    @property
    def total_bytes(self) -> float:
        """Weights and KV cache."""
        return self.weight_bytes + self.kv_cache_bytes

    @property
    def is_mostly_weights(self) -> bool:
        """Whether the cache is too small beside the weights to be seen, as that of a single token is."""
        return self.kv_cache_bytes < WORTH_A_WORD * self.total_bytes


@dataclass(frozen=True)
class Fit:
    """Whether a model fits into a device. share: the fraction of its memory that the model takes."""

    device: Device
    share: float

    @property
    def fits(self) -> bool:
        """Whether the model takes no more than there is."""
        return self.share <= 1

    @property
    def verdict(self) -> str:
        """One of "fits", "tight" (above nine tenths) and "too large"."""
        return "too large" if not self.fits else "tight" if self.share > TIGHT else "fits"


@formula
def weight_bytes(*, billion_parameters: BillionParameters = BILLION_PARAMETERS, bits: Bits = 16) -> float:
    """Bytes of the weights.

    >>> weight_bytes(billion_parameters=7.0, bits=16) / 1e9
    14.0
    """
    return billion_parameters * 1e9 * bits / 8


@formula
def kv_cache_bytes(
    *,
    layers: Layers = LAYERS,
    kv_heads: KvHeads = KV_HEADS,
    head_dim: HeadDim = HEAD_DIM,
    context: Context = CONTEXT,
    batch: Batch = 1,
    kv_bits: KvBits = 16,
) -> float:
    """Bytes of the keys and values of `batch` requests with `context` tokens each.

    >>> kv_cache_bytes(layers=32, kv_heads=32, head_dim=128, context=1) / 1024  # Llama 2 7B, one token, in KiB
    512.0
    """
    return 2 * layers * kv_heads * head_dim * context * batch * kv_bits / 8


@formula
def llm_memory(
    *,
    billion_parameters: BillionParameters = BILLION_PARAMETERS,
    bits: Bits = 16,
    layers: Layers = LAYERS,
    kv_heads: KvHeads = KV_HEADS,
    head_dim: HeadDim = HEAD_DIM,
    context: Context = CONTEXT,
    batch: Batch = 1,
    kv_bits: KvBits = 16,
) -> Memory:
    r"""Weights and KV cache of a language model; the defaults are Llama 2 7B.

    >>> print(*llm_memory(bits=4).working, sep="\n")
    weights = 6.74 x 10^9 parameters x 4 bits / 8 = 3.37 GB
    KV cache = 2 x 32 layers x 32 kv_heads x 128 head_dim x 4,096 tokens x 1 request x 16 bits / 8 = 2.15 GB
    total = 3.37 GB + 2.147 GB = 5.517 GB
    """
    weights = weight_bytes(billion_parameters=billion_parameters, bits=bits)
    cache = kv_cache_bytes(
        layers=layers, kv_heads=kv_heads, head_dim=head_dim, context=context, batch=batch, kv_bits=kv_bits
    )
    working = (
        f"weights = {billion_parameters:.4g} x 10^9 parameters x {plural(bits, 'bit')} / 8 = {size(weights)}",
        f"KV cache = 2 x {layers} layers x {kv_heads} kv_heads x {head_dim} head_dim x "
        f"{plural(context, 'token')} x {plural(batch, 'request')} x {plural(kv_bits, 'bit')} / 8 = {size(cache)}",
        f"total = {size(weights, 4)} + {size(cache, 4)} = {size(weights + cache, 4)}",
    )
    return Memory(weights, cache, bits, working)


def does_it_fit(memory: Memory, devices: Sequence[Device]) -> tuple[Fit, ...]:
    """For each device, how much of its memory the model takes.

    Raises:
        ValueError: there is no device.
    """
    if not devices:
        raise ValueError("devices must name at least one device, not none")
    return tuple(Fit(device, memory.total_bytes / device.memory_bytes) for device in devices)
