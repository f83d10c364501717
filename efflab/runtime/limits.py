"""What this machine could do at best: products of large matrices, and arrays too long for the cache.

Two kinds of work, each the extreme of its own. A product of two n x n matrices takes 2 n^3 FLOPs and few bytes, so it
shows the arithmetic; it runs in ONNX Runtime, like the layers that are held against it. Copying, scaling and adding
long arrays takes next to no arithmetic, so it shows the memory; here each thread takes its part of the array.

Loads what it needs by itself: the subprocess that measures speed reads this file.

Reference: McCalpin, Memory bandwidth and machine balance in current high performance computers, 1995 (STREAM): three
of its four kernels, its rule for the length of the arrays, and its way of counting bytes.

Where we simplify: float32 only. At work: STREAM in C, and the matrix product of your processor's own library.
"""

import functools
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from efflab.runtime.session import open_file
from efflab.runtime.session import version as runtime_version

Array = NDArray[np.float32]
SIZES = (256, 512, 1024)
"""Sides of the square matrices. Small ones stay in the cache and large ones keep all lanes busy; the best counts."""
ARRAYS_MOVED = (2, 2, 3)
"""Arrays read and written by copy, scale and add. What a processor fetches before it overwrites it is not counted."""
CACHE_FACTOR = 4
"""An array is so many times as long as the last-level cache: the rule of STREAM."""
MIN_BYTES, MAX_BYTES = 64 * 2**20, 128 * 2**20
"""Bytes of an array at least (where the system does not tell its cache) and at most (there are three of them)."""
CACHES = Path("/sys/devices/system/cpu/cpu0/cache")


def product_flops(size: int) -> int:
    """FLOPs of a product of two `size` x `size` matrices: a multiplication and an addition for each of size^3 pairs.

    Example:
        >>> product_flops(256)
        33554432
    """
    return 2 * size**3


def array_bytes(caches: Path = CACHES) -> int:
    """Bytes of one array: far more than the last-level cache, as far as the system tells its size.

    Reference: McCalpin, 1995.
    """
    return min(max(MIN_BYTES, CACHE_FACTOR * last_level_bytes(caches)), MAX_BYTES)


def last_level_bytes(caches: Path = CACHES) -> int:
    """Bytes of the largest cache of the first core, or 0 where the system does not tell."""
    texts = [file.read_text().strip() for file in caches.glob("index*/size")]
    return max((int(text.rstrip("KM")) * {"K": 2**10, "M": 2**20}.get(text[-1], 1) for text in texts), default=0)


def version() -> str:
    """Whose products these are."""
    return runtime_version()


def runs(request: dict[str, Any]) -> Iterator[Callable[[], object]]:
    """Three products where the limit asked for is "compute", or copy, scale and add where it is "memory"."""
    if request["limit"] == "compute":
        return (product(size, request["threads"]) for size in SIZES)
    return streams(request["bytes"] // 4, request["threads"])


def product(size: int, threads: int) -> Callable[[], object]:
    """One product of two `size` x `size` matrices in ONNX Runtime; the result stays where it was computed."""
    from onnx import TensorProto, helper, numpy_helper

    values = np.random.default_rng(0).random((2, size, size), dtype=np.float32)
    node = helper.make_node("MatMul", ["a", "b"], ["y"])
    a, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, (size, size)) for name in "ay")
    graph = helper.make_graph([node], "product", [a], [y], [numpy_helper.from_array(values[1], "b")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    opened = open_file(model.SerializeToString(), threads)
    bound = opened.io_binding()
    bound.bind_cpu_input("a", values[0])
    bound.bind_output("y")
    return functools.partial(opened.run_with_iobinding, bound)


def streams(n: int, threads: int) -> Iterator[Callable[[], object]]:
    """Copy, scale and add arrays of `n` numbers: b = a, b = 3 a, c = a + b; ARRAYS_MOVED says how many move."""
    a, b, c = (np.full(n, value, dtype=np.float32) for value in (1, 2, 0))
    pool = ThreadPoolExecutor(threads)
    yield in_parts(pool, threads, np.copyto, b, a)
    yield in_parts(pool, threads, functools.partial(np.multiply, np.float32(3)), a, b)
    yield in_parts(pool, threads, np.add, a, b, c)


def in_parts(pool: Executor, n_parts: int, act: Callable[..., object], *arrays: Array) -> Callable[[], object]:
    """Run `act` on each of `n_parts` parts of the arrays, all at once; numpy lets other threads run meanwhile."""
    parts = list(zip(*(np.array_split(array, n_parts) for array in arrays), strict=True))
    if n_parts == 1:
        return functools.partial(act, *arrays)
    return lambda: [done.result() for done in [pool.submit(act, *part) for part in parts]]
