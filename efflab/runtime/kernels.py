"""Matrix products of a linear layer whose weight is stored dense, as compressed sparse rows, or as sparse blocks.

CSR ("csr") keeps each non-zero with its column, and where each row starts. BSR ("bsr") does the same with small
square blocks: one column number for a whole block, and the numbers inside it dense. A zero then costs nothing, but
each number that is left costs more than a dense one, because its place must be looked up. Hence the break-even.

Loads nothing of efflab: the subprocess that measures speed reads this file by itself.

Reference: Han et al., Deep Compression, 2015, arXiv 1510.00149, section 6.3, which times CSR against dense at batch 1
and 64; Narang et al., Block-sparse recurrent neural networks, 2017, arXiv 1711.02782.

Where we simplify: two dimensions, square blocks, torch's own kernels. At work: `torch.sparse`,
https://docs.pytorch.org/docs/stable/sparse.html, or a compiler that knows which weights are zero.
"""

import functools
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

LAYOUTS = ("dense", "csr", "bsr")
"""How a weight may be stored."""


def multiply(inputs: Tensor, weight: Tensor) -> Tensor:
    """What a linear layer without bias computes. inputs: (n, in), weight: (out, in) in any layout -> (n, out).

    torch's own `F.linear` takes a sparse weight too, but multiplies from the other side, which at batch 64 took 4 to
    10 times as long.

    Reference: torch.sparse.
    """
    if weight.layout == torch.strided:
        return F.linear(inputs, weight)
    if weight.layout == torch.sparse_csr and len(inputs) == 1 and has_vector_product():
        return (weight @ inputs[0]).unsqueeze(0)  # up to twice as fast as a matrix of one column
    outputs: Tensor = (weight @ inputs.t()).t()
    return outputs.contiguous()


@functools.cache
def has_vector_product() -> bool:
    """Whether this torch multiplies CSR by a vector: not without Intel's MKL, so not on macOS and Windows."""
    try:
        to_layout(torch.ones(2, 2), "csr") @ torch.ones(2)
    except RuntimeError:
        return False
    return True


def to_layout(weight: Tensor, layout: str, block: int = 1) -> Tensor:
    """A copy of the dense `weight` (out, in) in another layout: zeros are left out, or blocks of nothing but zeros.

    Positions take 32 bits: with 64, torch's usual choice, each product first converts them all.

    Args:
        weight: (out, in), float32 or float64; `block` divides both sides.
        layout: "dense", "csr" or "bsr".
        block: the side of a block; for "bsr" only.

    Reference: torch.sparse.
    """
    if layout == "dense":
        return weight.clone()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"Sparse (CSR|BSR) tensor support is in beta", UserWarning)
        sparse = weight.to_sparse_csr() if layout == "csr" else weight.to_sparse_bsr((block, block))
        starts, columns = sparse.crow_indices().int(), sparse.col_indices().int()
        return torch.sparse_compressed_tensor(
            starts, columns, sparse.values(), sparse.shape, layout=sparse.layout, check_invariants=False
        )


def random_weight(rows: int, columns: int, *, sparsity: float, block: int = 1, seed: int = 0) -> Tensor:
    """Normal numbers (rows, columns), float32, without `round(sparsity * n)` of their n square blocks.

    Example:
        >>> int(random_weight(4, 8, sparsity=0.75, block=2, seed=1).count_nonzero())
        8
    """
    generator = np.random.default_rng(seed)
    n_blocks = (rows // block) * (columns // block)
    n_kept = n_blocks - round(sparsity * n_blocks)
    kept = np.zeros(n_blocks, dtype=np.float32)
    kept[generator.choice(n_blocks, n_kept, replace=False, shuffle=False)] = 1
    mask = kept.reshape(rows // block, columns // block).repeat(block, axis=0).repeat(block, axis=1)
    weight = generator.standard_normal((rows, columns), dtype=np.float32)
    return torch.from_numpy(weight * mask)


def version() -> str:
    """Whose kernels these are."""
    return f"torch {torch.__version__}"


def runs(request: dict[str, Any]) -> Iterator[Callable[[], object]]:
    """What the stopwatch times: dense, dense again (a copy of its own), and the layout that is asked for."""
    torch.set_num_threads(request["threads"])
    rows, columns, block = request["rows"], request["columns"], request["block"]
    weight = random_weight(rows, columns, sparsity=request["sparsity"], block=block, seed=request["seed"])
    inputs = torch.from_numpy(np.random.default_rng(0).random((request["batch"], columns), dtype=np.float32))
    for layout in ("dense", "dense", request["layout"]):
        yield functools.partial(multiply, inputs.clone(), to_layout(weight, layout, block))
