"""Matrix products in three layouts: the same numbers, whatever is stored."""

import numpy as np
import pytest
import torch
from scipy import sparse

from efflab.runtime import kernels
from efflab.runtime.kernels import has_vector_product, multiply, random_weight, runs, to_layout

LAYOUTS = [("dense", 1), ("csr", 1), ("bsr", 2), ("bsr", 4)]


def inputs(n: int, columns: int = 16) -> torch.Tensor:
    return torch.randn(n, columns, generator=torch.Generator().manual_seed(n))


def request(layout: str = "csr", **changes: object) -> dict[str, object]:
    asked = {"layout": layout, "rows": 8, "columns": 16, "batch": 3, "sparsity": 0.75, "block": 2}
    return asked | {"threads": 1, "seed": 4} | changes


@pytest.mark.parametrize("n", [0, 1, 2, 7])
@pytest.mark.parametrize(("layout", "block"), LAYOUTS)
def test_a_product_is_numpys_in_every_layout_and_for_every_batch(layout: str, block: int, n: int) -> None:
    weight = random_weight(12, 16, sparsity=0.6, block=block, seed=3)
    wanted = inputs(n).double().numpy() @ weight.double().numpy().T

    product = multiply(inputs(n), to_layout(weight, layout, block))

    assert product.shape == (n, 12)
    assert product.is_contiguous()
    np.testing.assert_allclose(product.numpy(), wanted, rtol=1e-5, atol=1e-5)


def test_without_a_vector_product_a_batch_of_one_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    weight = random_weight(12, 16, sparsity=0.6)
    monkeypatch.setattr(kernels, "has_vector_product", lambda: False)

    product = multiply(inputs(1), to_layout(weight, "csr"))

    torch.testing.assert_close(product, inputs(1) @ weight.T)


def test_a_torch_that_refuses_vectors_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    class Refusing:
        def __matmul__(self, other: object) -> None:
            raise RuntimeError("Calling addmv on a sparse CPU tensor requires Linux platform.")

    monkeypatch.setattr(kernels, "to_layout", lambda *_: Refusing())

    assert has_vector_product.__wrapped__() is False


@pytest.mark.parametrize("value", [0.0, 1.0])
@pytest.mark.parametrize(("layout", "block"), LAYOUTS)
def test_a_weight_of_zeros_and_one_without_any_are_exact(layout: str, block: int, value: float) -> None:
    weight = torch.full((4, 16), value)

    product = multiply(torch.ones(2, 16), to_layout(weight, layout, block))

    assert product.tolist() == [[16 * value] * 4] * 2


def test_csr_stores_what_scipy_stores_with_positions_of_32_bits() -> None:
    weight = random_weight(12, 16, sparsity=0.7, seed=1)
    wanted = sparse.csr_matrix(weight.numpy())

    stored = to_layout(weight, "csr")

    assert stored.values().tolist() == wanted.data.tolist()
    assert stored.col_indices().tolist() == wanted.indices.tolist()
    assert stored.crow_indices().tolist() == wanted.indptr.tolist()
    assert stored.col_indices().dtype == stored.crow_indices().dtype == torch.int32


def test_bsr_stores_what_scipy_stores_with_positions_of_32_bits() -> None:
    weight = random_weight(12, 16, sparsity=0.7, block=4, seed=1)
    wanted = sparse.csr_matrix(weight.numpy()).tobsr((4, 4))
    wanted.sort_indices()

    stored = to_layout(weight, "bsr", 4)

    assert stored.values().tolist() == wanted.data.tolist()
    assert stored.col_indices().tolist() == wanted.indices.tolist()
    assert stored.crow_indices().tolist() == wanted.indptr.tolist()
    assert stored.col_indices().dtype == stored.crow_indices().dtype == torch.int32


def test_a_layout_shares_no_storage_with_the_weight() -> None:
    weight = torch.ones(4, 4)
    stored = [to_layout(weight, layout, 2) for layout in ("dense", "csr", "bsr")]

    weight.zero_()

    assert [multiply(torch.ones(1, 4), each)[0, 0].item() for each in stored] == [4.0, 4.0, 4.0]


@pytest.mark.parametrize(("sparsity", "kept"), [(0.0, 96), (0.5, 48), (0.97, 3), (1.0, 0)])
def test_a_random_weight_has_exactly_the_zeros_that_were_asked_for(sparsity: float, kept: int) -> None:
    assert int(random_weight(8, 12, sparsity=sparsity).count_nonzero()) == kept


def test_a_random_weight_has_its_zeros_in_blocks() -> None:
    weight = random_weight(8, 12, sparsity=0.5, block=4, seed=2)
    counts = weight.reshape(2, 4, 3, 4).permute(0, 2, 1, 3).reshape(6, 16).count_nonzero(dim=1)

    assert sorted(counts.tolist()) == [0, 0, 0, 16, 16, 16]


def test_a_seed_decides_numbers_and_places() -> None:
    first, again, other = (random_weight(8, 8, sparsity=0.5, seed=seed) for seed in (1, 1, 2))

    assert torch.equal(first, again)
    assert not torch.equal(first == 0, other == 0)


@pytest.mark.parametrize("layout", ["dense", "csr", "bsr"])
def test_what_is_timed_is_dense_twice_and_the_layout_on_memory_of_their_own(layout: str) -> None:
    made = list(runs(request(layout)))
    weight = random_weight(8, 16, sparsity=0.75, block=2, seed=4)

    assert [run.args[1].layout for run in made[:2]] == [torch.strided] * 2
    assert run_layout(made[2]) == layout
    assert len({run.args[0].data_ptr() for run in made}) == 3
    assert made[0].args[1].data_ptr() != made[1].args[1].data_ptr()
    for run in made:
        torch.testing.assert_close(run(), run.args[0] @ weight.T)
        assert run().shape == (3, 8)


def run_layout(run: object) -> str:
    return {torch.strided: "dense", torch.sparse_csr: "csr", torch.sparse_bsr: "bsr"}[run.args[1].layout]


def test_what_is_timed_runs_on_the_threads_that_were_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr(torch, "set_num_threads", asked.append)

    next(runs(request(threads=3)))

    assert asked == [3]
