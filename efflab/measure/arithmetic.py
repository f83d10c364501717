"""How much arithmetic one operation of a network takes, from the shapes of its tensors.

One MAC is one multiplication and one addition: 2 FLOPs. Papers that print "FLOPs" often mean MACs, a factor of two,
so efflab always says which. MACs are counted where numbers are multiplied and summed up: matrix products,
convolutions, recurrent layers and attention. The rest is in FLOPs only:

    a bias, an activation, a sum of two tensors, a comparison    1 for each number of the result
    a sum, mean or maximum; pooling                              1 for each number in each window
    batch normalisation with fixed statistics                    2 for each number: a scale and a shift
    layer and group normalisation                                8: mean 1, variance 3, normalise 2, scale and shift 2
    softmax                                                      5: maximum, subtract, exponential, sum, divide

A convolution multiplies its padding, too. A causal or masked attention is counted whole.

Reference: Sze et al., Efficient processing of deep neural networks: a tutorial and survey, 2017, arXiv 1703.09039.

Where we simplify: an exponential or a division is one operation here; a CPU takes longer for it than for a sum.
At work: `torch.utils.flop_counter.FlopCounterMode`, but look at its total: on a CPU it misses attention.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch._ops import OpOverload
from torch.utils._pytree import tree_leaves

Kept = Callable[[Tensor], int]
"""How many numbers of a tensor a kernel that skips zero weights would use: activations all, weights those not zero."""


@dataclass(frozen=True)
class Arithmetic:
    """What one operation computes: MACs, those with a weight that is not zero, and FLOPs beyond the MACs."""

    macs: int = 0
    macs_nonzero: int = 0
    other_flops: int = 0

    @property
    def flops(self) -> int:
        """Two for each MAC, and the others."""
        return 2 * self.macs + self.other_flops


def parts(tensor: Tensor) -> tuple[Tensor, ...]:
    """The dense tensors that `tensor` is stored as, values first: itself, or those of a sparse encoding."""
    if tensor.layout in (torch.sparse_csr, torch.sparse_bsr):
        return tensor.values(), tensor.crow_indices(), tensor.col_indices()
    if tensor.layout in (torch.sparse_csc, torch.sparse_bsc):
        return tensor.values(), tensor.ccol_indices(), tensor.row_indices()
    if tensor.layout == torch.sparse_coo:
        merged = tensor.coalesce()
        return merged.values(), merged.indices()
    return (tensor,)


def name_of(operation: OpOverload) -> str:
    """The operation as torch calls it, "aten.relu" also for the one that works in place."""
    return str(operation.overloadpacket).removesuffix("_")


def arithmetic(operation: OpOverload, args: Sequence[Any], result: Tensor, kept: Kept) -> Arithmetic | None:
    """What `operation` computed from `args`; None when there is no rule for it.

    Args:
        operation: an operation of torch that is not made of others, such as `torch.ops.aten.mm.default`.
        args: its arguments, in the order of torch's own signature.
        result: its result, the first of several.
        kept: how many numbers of a factor are not zero weights.
    """
    name = name_of(operation)
    if name in MULTIPLY:
        return MULTIPLY[name](args, result, kept)
    if name.startswith("aten._scaled_dot_product"):
        return _attention(args)
    flops = _other_flops(operation, args, result)
    return None if flops is None else Arithmetic(other_flops=flops)


def _other_flops(operation: OpOverload, args: Sequence[Any], result: Tensor) -> int | None:
    name, n = name_of(operation), result.numel()
    if name in MOVE or not any(isinstance(leaf, Tensor) for leaf in tree_leaves(args)):
        return 0
    if name == "aten.native_batch_norm":
        own_statistics = args[5]  # instance normalisation, which comes here too, has no fixed ones
        return n * (FOR_EACH_READ["aten.native_layer_norm"] if own_statistics else 2)
    if name in POOL:
        return n * int(math.prod(args[1]))
    if name in FOR_EACH_READ:
        return FOR_EACH_READ[name] * int(args[0].numel())
    return n if torch.Tag.pointwise in operation.tags else None


def _product(args: Sequence[Any], result: Tensor, kept: Kept) -> Arithmetic:
    """a: (..., m, k) or (k,), b: (..., k, n) or (k,). A sparse factor takes part with its stored values alone."""
    a, b = args[:2]
    m = a.shape[-2] if a.ndim > 1 else 1
    n = b.shape[-1] if b.ndim > 1 else 1
    macs = min(parts(a)[0].numel() * n, m * parts(b)[0].numel())
    return Arithmetic(macs, min(kept(a) * n, m * kept(b)))


def _product_and_bias(args: Sequence[Any], result: Tensor, kept: Kept) -> Arithmetic:
    """A bias and a @ b: one more for each number of the result."""
    return replace(_product(args[1:], result, kept), other_flops=result.numel())


def _convolution(args: Sequence[Any], result: Tensor, kept: Kept) -> Arithmetic:
    """Each number of the kernel, (c_out, c_in / groups, *window), is used once at each position of each image.

    The positions are those of the output; those of the input when it is transposed.
    """
    image, kernel, bias, transposed = args[0], args[1], args[2], args[6]
    positions = _n_positions(image if transposed else result)
    return Arithmetic(kernel.numel() * positions, kept(kernel) * positions, _n_added(bias, result))


def _lstm(args: Sequence[Any], result: Tensor, kept: Kept) -> Arithmetic:
    """Four gates from input and state at each step. result: (steps, n, hidden), weights: (4 hidden, input or hidden).

    Beyond the MACs, for each of the hidden: each gate adds two biases and its two products and is squashed (4 each),
    and the state is forgotten, added to, squashed and let out (5).
    """
    steps = result.shape[0] * result.shape[1]
    macs = steps * (args[1].numel() + args[2].numel())
    return Arithmetic(macs, steps * (kept(args[1]) + kept(args[2])), (4 * 4 + 5) * result.numel())


def _quantized_linear(args: Sequence[Any], result: Tensor, kept: Kept) -> Arithmetic:
    """Weights (out, in) in whole numbers, packed for the kernel. Quantizing the input on the way is not counted."""
    weight, bias = args[1].unpack()
    rows = result.numel() // weight.shape[0]
    nonzero = int(weight.dequantize().count_nonzero())
    return Arithmetic(rows * weight.numel(), rows * nonzero, _n_added(bias, result))


def _attention(args: Sequence[Any]) -> Arithmetic:
    """Scores from queries (n, heads, L, d) and keys (n, heads, S, d), then sums of values (n, heads, S, d_v)."""
    query, key, value = args[:3]
    n_scores = math.prod(query.shape[:-1]) * key.shape[-2]
    macs = n_scores * (query.shape[-1] + value.shape[-1])
    return Arithmetic(macs, macs, (1 + FOR_EACH_READ["aten._softmax"]) * n_scores)  # 1: the scaling


def _n_positions(images: Tensor) -> int:
    """Places in all images together: (n, channels, *places)."""
    return images.shape[0] * math.prod(images.shape[2:])


def _n_added(bias: Tensor | None, result: Tensor) -> int:
    return 0 if bias is None else result.numel()


MULTIPLY: dict[str, Callable[[Sequence[Any], Tensor, Kept], Arithmetic]] = {
    **dict.fromkeys(("aten.mm", "aten.bmm", "aten.mv", "aten.dot"), _product),
    **dict.fromkeys(("aten.addmm", "aten.baddbmm", "aten.addmv", "aten._sparse_addmm"), _product_and_bias),
    "aten.convolution": _convolution,
    "aten.mkldnn_rnn_layer": _lstm,
    "quantized.linear_dynamic": _quantized_linear,
}
"""Operations that multiply and sum up; attention, which has a name for each kernel, is one more."""

POOL = ("aten.max_pool2d_with_indices", "aten.max_pool3d_with_indices", "aten.avg_pool2d", "aten.avg_pool3d")
"""Operations whose window is their second argument; those for one dimension come here as two."""

FOR_EACH_READ = {
    **dict.fromkeys(("aten.sum", "aten.mean", "aten.prod", "aten.cumsum", "aten.argmax", "aten.argmin"), 1),
    **dict.fromkeys(("aten.max", "aten.min", "aten.amax", "aten.amin", "aten.any", "aten.all"), 1),
    **dict.fromkeys(("aten._adaptive_avg_pool2d", "aten._adaptive_avg_pool3d"), 1),
    **dict.fromkeys(("aten.adaptive_max_pool2d", "aten.adaptive_max_pool3d"), 1),
    "aten.linalg_vector_norm": 2,
    **dict.fromkeys(("aten.var", "aten.std", "aten.var_mean"), 4),
    **dict.fromkeys(("aten._softmax", "aten._log_softmax"), 5),
    **dict.fromkeys(("aten.native_layer_norm", "aten.native_group_norm"), 8),
}
"""FLOPs for each number that is read."""

_COPY_OR_CHOOSE = """
    cat clone copy fill flip index index_put index_select masked_select repeat roll stack tril triu zero _to_copy
    _to_dense _to_sparse _to_sparse_bsr _to_sparse_csr
    constant_pad_nd reflection_pad1d reflection_pad2d replication_pad1d replication_pad2d
    embedding gather scatter select_scatter slice_scatter
    im2col pixel_shuffle pixel_unshuffle channel_shuffle upsample_nearest1d upsample_nearest2d
    empty_like full_like ones_like zeros_like new_empty new_full new_ones new_zeros
"""

MOVE = frozenset(f"aten.{name}" for name in _COPY_OR_CHOOSE.split())
"""Operations that copy or choose numbers and compute none."""
