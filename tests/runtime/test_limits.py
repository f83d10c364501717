"""What the roofline times: products that are products, arrays that are really moved, and longer than the cache."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from efflab.runtime.limits import (
    ARRAYS_MOVED,
    MAX_BYTES,
    MIN_BYTES,
    array_bytes,
    in_parts,
    last_level_bytes,
    product,
    product_flops,
    runs,
    streams,
)


def caches(folder: Path, **sizes: str) -> Path:
    for index, size in sizes.items():
        (folder / index).mkdir()
        (folder / index / "size").write_text(f"{size}\n")
    return folder


def test_the_product_is_that_of_numpy() -> None:
    run = product(64, threads=1)
    run()

    (bound,) = run.args  # type: ignore[attr-defined]
    a, b = np.random.default_rng(0).random((2, 64, 64), dtype=np.float32)
    np.testing.assert_allclose(bound.get_outputs()[0].numpy(), a @ b, rtol=1e-5)


def test_a_product_of_two_by_two_takes_eight_multiplications_and_additions() -> None:
    assert product_flops(2) == 16


def test_copy_scale_and_add_do_what_they_say() -> None:
    copy, scale, add = streams(10, threads=1)

    for run, expected in ((copy, 1), (scale, 3), (add, 4)):
        run()
        np.testing.assert_array_equal(run.args[-1 if run is not copy else 0], np.full(10, expected, np.float32))


def test_each_array_that_is_read_or_written_counts_once() -> None:
    moved = [sum(1 for argument in run.args if np.ndim(argument)) for run in streams(10, threads=1)]

    assert tuple(moved) == ARRAYS_MOVED


def test_two_threads_do_all_of_the_array() -> None:
    a, b, total = np.arange(7, dtype=np.float32), np.ones(7, np.float32), np.zeros(7, np.float32)

    in_parts(ThreadPoolExecutor(2), 2, np.add, a, b, total)()

    assert total.tolist() == [1, 2, 3, 4, 5, 6, 7]


def test_there_are_three_of_each_kind() -> None:
    assert len(list(runs({"limit": "compute", "threads": 1}))) == 3
    assert len(list(runs({"limit": "memory", "threads": 1, "bytes": 400}))) == 3


def test_the_last_level_cache_is_the_largest(tmp_path: Path) -> None:
    assert last_level_bytes(caches(tmp_path, index0="32K", index2="512K", index3="24M")) == 24 * 2**20


def test_an_array_is_four_times_as_long_as_the_last_level_cache(tmp_path: Path) -> None:
    assert array_bytes(caches(tmp_path, index3="20480K")) == 80 * 2**20


@pytest.mark.parametrize(("size", "expected"), [("2M", MIN_BYTES), ("512M", MAX_BYTES)])
def test_an_array_has_a_smallest_and_a_largest_size(tmp_path: Path, size: str, expected: int) -> None:
    assert array_bytes(caches(tmp_path, index3=size)) == expected


def test_a_system_that_tells_nothing_gets_the_smallest(tmp_path: Path) -> None:
    assert array_bytes(tmp_path / "none") == MIN_BYTES
