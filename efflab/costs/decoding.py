"""How many tokens a second a language model can write at most, if memory is all that holds it up.

To write one token, every weight and every key and value kept so far must be read once. So

tokens per second <= bandwidth / bytes read per token

A batch reads the weights once for all its requests, but the KV cache of each. It is an *upper bound*: real programs
reach a part of the bandwidth, and at a large batch the arithmetic, which is not counted here, takes longer than the
reading. At work: measure.

Reference: Pope et al., Efficiently Scaling Transformer Inference, 2022, arXiv 2211.05102.
"""

from dataclasses import dataclass

from efflab.costs.defaults import BILLION_PARAMETERS, CONTEXT, HEAD_DIM, KV_HEADS, LAYERS
from efflab.costs.formula import formula
from efflab.costs.memory import llm_memory
from efflab.costs.quantities import (
    BandwidthGbPerS,
    Batch,
    BillionParameters,
    Bits,
    Context,
    HeadDim,
    KvBits,
    KvHeads,
    Layers,
)
from efflab.costs.texts import significant, size, three


@dataclass(frozen=True)
class DecodingSpeed:
    """The most tokens a second that the memory allows, at one batch size; `working` says how they came about."""

    weight_bytes: float
    kv_cache_bytes: float
    bits: int
    batch: int
    bandwidth_gb_per_s: float
    working: tuple[str, ...]

    @property
    def bytes_per_token(self) -> float:
        """Bytes read for each token: the weights shared by the batch, and the request's own keys and values."""
        return (self.weight_bytes + self.kv_cache_bytes) / self.batch

    @property
    def tokens_per_second(self) -> float:
        """Upper bound over all requests together."""
        return self.bandwidth_gb_per_s * 1e9 / self.bytes_per_token

    @property
    def tokens_per_second_each(self) -> float:
        """Upper bound for each request."""
        return self.tokens_per_second / self.batch


@formula
def decoding_speed(
    *,
    billion_parameters: BillionParameters = BILLION_PARAMETERS,
    bits: Bits = 16,
    layers: Layers = LAYERS,
    kv_heads: KvHeads = KV_HEADS,
    head_dim: HeadDim = HEAD_DIM,
    context: Context = CONTEXT,
    batch: Batch = 1,
    kv_bits: KvBits = 16,
    bandwidth_gb_per_s: BandwidthGbPerS = 100.0,
) -> DecodingSpeed:
    r"""The most tokens a second; the defaults are Llama 2 7B on a laptop.

    >>> print(*decoding_speed(bits=4).working, sep="\n")
    read for each token = (weights 3.37 GB + KV cache 2.147 GB) / 1 = 5.517 GB
    tokens per second <= 100 GB/s / 5.517 GB = 18.1
    """
    memory = llm_memory(
        billion_parameters=billion_parameters,
        bits=bits,
        layers=layers,
        kv_heads=kv_heads,
        head_dim=head_dim,
        context=context,
        batch=batch,
        kv_bits=kv_bits,
    )
    sizes = (memory.weight_bytes, memory.kv_cache_bytes)
    per_token = memory.total_bytes / batch
    working = (
        f"read for each token = (weights {size(sizes[0], 4)} + KV cache {size(sizes[1], 4)}) / {batch:,} = "
        f"{size(per_token, 4)}",
        f"tokens per second <= {significant(bandwidth_gb_per_s, 4)} GB/s / {size(per_token, 4)} = "
        f"{three(bandwidth_gb_per_s * 1e9 / per_token)}",
    )
    return DecodingSpeed(*sizes, bits, batch, bandwidth_gb_per_s, working)
