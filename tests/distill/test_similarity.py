"""Similarity: the laws of CKA, its other form written out slowly, and SciPy's Procrustes."""

import numpy as np
import pytest
import torch
from scipy.spatial import procrustes
from torch.overrides import TorchFunctionMode

from efflab.distill import aligned_pca, cka_matrix, linear_cka

SHAPES = pytest.mark.parametrize(("n", "p", "q"), [(20, 3, 5), (6, 9, 4), (6, 4, 9), (8, 8, 8)])


def rand(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def turn(seed: int, n: int) -> torch.Tensor:
    return torch.linalg.qr(rand(seed, n, n))[0]


def hsic(K: np.ndarray, L: np.ndarray) -> float:
    n = len(K)
    H = np.eye(n) - np.ones((n, n)) / n
    return float(np.trace(K @ H @ L @ H)) / (n - 1) ** 2


@SHAPES
def test_it_is_the_independence_criterion_of_centred_gram_matrices(n, p, q):
    x, y = rand(0, n, p) + 3, rand(1, n, q)
    y[:, 0] += x[:, 0]
    K, L = (x @ x.T).numpy(), (y @ y.T).numpy()
    slow = hsic(K, L) / np.sqrt(hsic(K, K) * hsic(L, L))
    assert linear_cka(x, y) == pytest.approx(slow, rel=1e-9)
    assert cka_matrix({"x": x}, {"y": y}).loc["x", "y"] == pytest.approx(slow, rel=1e-9)


@SHAPES
def test_it_is_one_after_turning_shifting_and_scaling_and_the_same_both_ways(n, p, q):
    x, y = rand(2, n, p), rand(3, n, q)
    moved = 0.01 * x @ turn(4, p) + 7
    assert linear_cka(x, x) == pytest.approx(1, abs=1e-12)
    assert linear_cka(x, moved) == pytest.approx(1, abs=1e-9)
    assert linear_cka(moved, y) == pytest.approx(linear_cka(x, y), rel=1e-9)
    assert linear_cka(y, x) == pytest.approx(linear_cka(x, y), rel=1e-12)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize(("n", "p"), [(50, 8), (40, 60)])
def test_rounding_never_leads_beyond_one(n, p, seed):
    x = rand(seed, n, p)
    y = 0.3 * x @ turn(seed + 100, p)
    assert 1 - 1e-12 < linear_cka(x, y) <= 1
    assert 1 - 1e-12 < cka_matrix({"x": x}, {"y": y}).loc["x", "y"] <= 1


def test_what_shares_nothing_has_zero():
    assert linear_cka(torch.tensor([[1.0], [-1.0], [0.0]]), torch.tensor([[1.0], [1.0], [-2.0]])) == 0


class Largest(TorchFunctionMode):
    """Remembers how many values the largest tensor holds that torch makes."""

    n = 0

    def __torch_function__(self, func, types, args=(), kwargs=None):
        made = func(*args, **(kwargs or {}))
        self.n = max(self.n, made.numel() if isinstance(made, torch.Tensor) else 0)
        return made


@pytest.mark.parametrize(("n", "p"), [(500, 3), (3, 500)])
def test_neither_many_images_nor_many_units_make_a_large_matrix(n, p):
    x, y = rand(30, n, p), rand(31, n, p)
    with Largest() as largest:
        linear_cka(x, y)
    assert largest.n == n * p, "nothing is larger than the inputs"


def test_stretching_one_direction_does_change_it():
    x = rand(5, 30, 4)
    assert linear_cka(x, x * torch.tensor([10.0, 1.0, 1.0, 1.0])) < 0.9


def test_a_large_shift_in_single_precision_does_no_harm():
    x, y = rand(6, 40, 3), rand(7, 40, 3)
    assert linear_cka(x.float() + 1000, y.float()) == pytest.approx(linear_cka(x, y), abs=1e-4)


@pytest.mark.parametrize("value", [0.0, 0.1, -3e5])
def test_a_constant_representation_is_refused(value):
    with pytest.raises(ValueError, match="y must differ between images, but all 7 rows of it are the same"):
        linear_cka(rand(8, 7, 2), torch.full((7, 3), value))


def test_representations_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="x and y must be of the same images, not of 5 and 6"):
        linear_cka(rand(9, 5, 2), rand(10, 6, 2))
    with pytest.raises(ValueError, match=r"x must have the shape \(n, units\), not \(5, 2, 3, 3\)"):
        linear_cka(rand(9, 5, 2, 3, 3), rand(10, 5, 2))
    with pytest.raises(ValueError, match=r"y holds nan at position \(1, 0\)"):
        linear_cka(rand(9, 2, 1), torch.tensor([[0.0], [float("nan")]]))


def test_the_table_has_a_row_for_each_layer_of_the_first_and_a_column_for_each_of_the_second():
    xs = {"conv": rand(11, 10, 30), "output": rand(12, 10, 3)}
    ys = {"a": rand(13, 10, 4), "b": xs["output"] * 2, "c": rand(14, 10, 12)}
    table = cka_matrix(xs, ys)
    assert (list(table.index), list(table.columns)) == (["conv", "output"], ["a", "b", "c"])
    for row, x in xs.items():
        for column, y in ys.items():
            assert table.loc[row, column] == pytest.approx(linear_cka(x, y), rel=1e-9)
    assert table.loc["output", "b"] == pytest.approx(1)


def test_a_table_names_the_layer_that_is_wrong():
    with pytest.raises(ValueError, match="dead must differ between images"):
        cka_matrix({"conv": rand(15, 6, 2)}, {"dead": torch.zeros(6, 4)})
    with pytest.raises(ValueError, match="conv and short must be of the same images, not of 6 and 1"):
        cka_matrix({"conv": rand(15, 6, 2)}, {"short": rand(16, 1, 4)})
    with pytest.raises(ValueError, match="at least one layer, not 1 and 0"):
        cka_matrix({"conv": rand(15, 6, 2)}, {})


def test_the_projection_keeps_the_largest_variances():
    x, y = rand(17, 30, 5) * torch.tensor([5.0, 3.0, 1.0, 1.0, 0.5]), rand(18, 30, 40)
    found = aligned_pca(x, y)
    for points, share, whole in ((found.x, found.x_explained, x), (found.y, found.y_explained, y)):
        variances, directions = np.linalg.eigh(np.cov(whole.numpy().T))
        scores = (whole - whole.mean(dim=0)).numpy() @ directions[:, -2:]
        gram = scores @ scores.T
        assert share == pytest.approx(variances[-2:].sum() / variances.sum(), rel=1e-9)
        np.testing.assert_allclose(points @ points.T, gram / np.trace(gram), atol=1e-12)  # the same up to a turn


def test_y_is_turned_onto_x_as_scipy_turns_it():
    x = rand(19, 25, 6) * torch.tensor([4.0, 3.0, 1.0, 1.0, 1.0, 1.0])
    y = x @ turn(20, 6) + 0.5 * rand(21, 25, 6)
    found = aligned_pca(x, y)
    theirs_x, theirs_y, _ = procrustes(found.x.numpy(), found.y.flip(1).numpy() * [1, -1])
    np.testing.assert_allclose(found.x, theirs_x, atol=1e-12)
    np.testing.assert_allclose(found.y, theirs_y / np.linalg.norm(theirs_y), atol=1e-12)


def test_a_turned_mirrored_and_scaled_copy_falls_onto_the_original():
    x = rand(22, 15, 4)
    found = aligned_pca(x, -3 * x @ turn(23, 4) + 1, n_components=3)
    torch.testing.assert_close(found.y, found.x, rtol=0, atol=1e-9)
    assert found.x.shape == (15, 3)
    assert [found.x.norm().item(), found.y.norm().item()] == pytest.approx([1, 1])


def test_the_same_representations_give_the_same_bits():
    x, y = rand(24, 60, 700).float(), rand(25, 60, 30).float()
    one, other = aligned_pca(x, y), aligned_pca(x, y)
    assert torch.equal(one.x, other.x)
    assert torch.equal(one.y, other.y)


@pytest.mark.parametrize("n_components", [0, 4])
def test_more_components_than_units_are_refused(n_components):
    with pytest.raises(ValueError, match=f"n_components must lie between 1 and 3, .*, not {n_components}"):
        aligned_pca(rand(26, 9, 5), rand(27, 9, 3), n_components)


def test_more_units_than_images_give_the_same_points():
    generator = torch.Generator().manual_seed(5)
    x, y = torch.randn(20, 3, generator=generator), torch.randn(20, 400, generator=generator)
    y[:, :2] *= 9.0
    centred = (y - y.mean(dim=0)).double()
    u, s, _ = torch.linalg.svd(centred, full_matrices=False)
    scores = u[:, :2] * s[:2]
    found = aligned_pca(x, y)
    torch.testing.assert_close(torch.cdist(found.y, found.y), torch.cdist(scores, scores) / scores.norm())
    assert found.y_explained == pytest.approx(float((s[:2] ** 2).sum() / (s**2).sum()))
