"""Similarity: whether two layers hold the same thing, even where no unit of one matches a unit of the other.

Two networks that think alike may still store it turned, scaled, and in another number of units. So we compare how
images lie towards each other: which are close and which are far. Centred kernel alignment (CKA) says it as one number,
and two projections onto a plane, one turned onto the other, show it.

References: Kornblith et al., Similarity of neural network representations revisited, 2019, arXiv 1905.00414 (CKA);
Schönemann, A generalized solution of the orthogonal Procrustes problem, 1966 (the turning).

Where we simplify: only linear CKA, over all images at once. With fewer images than units it comes out too
high, and a few outliers can rule it. At work: the debiased form, and more images than units.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from efflab.distill.checks import check_same_images, check_tensor

if TYPE_CHECKING:  # pandas takes 0.4 s to import: only who asks for a table pays
    import pandas as pd


def linear_cka(x: Tensor, y: Tensor) -> float:
    """How alike two representations of the same images are, from 0 to 1. x: (n, p), y: (n, q).

    1 where one is the other after turning, shifting and scaling. With X and Y centred, it is
    |Y'X|^2 / (|X'X| |Y'Y|) in Frobenius norms, or the cosine between XX' and YY'. The two are equal, and the smaller
    matrices are computed, in float64.

    Example:
        >>> x = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
        >>> round(linear_cka(x, 3 * x.flip(1) + 5), 6)
        1.0

    Raises:
        ValueError: an input is no (n, units) or holds NaN or infinity, is the same for all images, or they are not of
        the same images.

    Reference: Kornblith et al., 2019, arXiv 1905.00414, section 3.
    """
    X, Y = _centred("x", x), _centred("y", y)
    check_same_images("x", X, "y", Y)
    if len(X) < max(X.shape[1], Y.shape[1]):
        return _cosine(X @ X.T, Y @ Y.T)  # (n, n)
    shared = (Y.T @ X).square().sum()  # of (q, p)
    return min(1.0, float(shared / ((X.T @ X).norm() * (Y.T @ Y).norm())))  # rounding may lead beyond 1


def cka_matrix(xs: Mapping[str, Tensor], ys: Mapping[str, Tensor]) -> "pd.DataFrame":
    """Linear CKA of each layer of one network with each layer of another: a row for each of xs, a column of ys.

    xs, ys: the name of a layer -> (n, units), of the same n images. Each n x n matrix is made once, so a few hundred
    images are quick.

    Raises:
        ValueError: there is no layer, or what `linear_cka` refuses.
    """
    import pandas as pd

    if not xs or not ys:
        raise ValueError(f"xs and ys must each name at least one layer, not {len(xs)} and {len(ys)}")
    first = next(iter(xs))
    for name, layer in [*xs.items(), *ys.items()]:
        check_same_images(first, xs[first], name, layer)
    rows = {name: _gram(name, x) for name, x in xs.items()}
    columns = {name: _gram(name, y) for name, y in ys.items()}
    values = [[_cosine(row, column) for column in columns.values()] for row in rows.values()]
    return pd.DataFrame(values, index=list(rows), columns=list(columns))


@dataclass(frozen=True, eq=False)
class AlignedPca:
    """Two representations projected onto their main directions, y turned onto x.

    x, y: (n, components) float64, centred, of Frobenius norm 1; x_explained, y_explained: the share of each
    representation's variance that the projection keeps, a fraction.
    """

    x: Tensor
    y: Tensor
    x_explained: float
    y_explained: float


def aligned_pca(x: Tensor, y: Tensor, n_components: int = 2) -> AlignedPca:
    """Both representations of the same images as points that can be drawn into one picture. x: (n, p), y: (n, q).

    Principal components have no preferred sign and two of like size no preferred direction. So y is turned, and if need
    be mirrored, to lie as near to x as it can, which changes no distance within y. Both get the size 1.

    Raises:
        ValueError: what `linear_cka` refuses, or n_components is not between 1 and the number of units or images.

    Reference: Schönemann, 1966 (the orthogonal Procrustes problem).
    """
    X, Y = _centred("x", x), _centred("y", y)
    check_same_images("x", X, "y", Y)
    most = min(*X.shape, *Y.shape)
    if not 1 <= n_components <= most:
        raise ValueError(f"n_components must lie between 1 and {most}, the fewest units or images, not {n_components}")
    (px, x_explained), (py, y_explained) = _main_directions(X, n_components), _main_directions(Y, n_components)
    return AlignedPca(px, py @ _turn(py, px), x_explained, y_explained)


def _main_directions(X: Tensor, n_components: int) -> tuple[Tensor, float]:
    """The scores on the first principal components, scaled to norm 1, and their share of the variance."""
    from sklearn.decomposition import PCA  # here, because it takes as long to import as torch

    pca = PCA(n_components, svd_solver="full")  # the others draw random numbers or square the condition
    scores = torch.from_numpy(pca.fit_transform(_compact(X).cpu().numpy()))
    return scores / scores.norm(), float(pca.explained_variance_ratio_.sum())


def _compact(X: Tensor) -> Tensor:
    """Points with the same distances in at most n dimensions, of which PCA is quicker: (n, p) -> (n, min(n, p))."""
    if X.shape[1] <= len(X):
        return X
    eigenvalues, eigenvectors = torch.linalg.eigh(X @ X.T)
    compact: Tensor = eigenvectors * eigenvalues.clamp(min=0).sqrt()
    return compact


def _turn(points: Tensor, onto: Tensor) -> Tensor:
    """The rotation or reflection R that makes |points R - onto| smallest. Both: (n, k) -> (k, k)."""
    U, _, Vt = torch.linalg.svd(points.T @ onto)
    turn: Tensor = U @ Vt
    return turn


def _gram(name: str, x: Tensor) -> Tensor:
    X = _centred(name, x)
    return X @ X.T  # (n, n)


def _cosine(one: Tensor, other: Tensor) -> float:
    """The cosine between two matrices; that of two Gram matrices is never negative."""
    return max(0.0, min(1.0, float((one * other).sum() / (one.norm() * other.norm()))))  # rounding may lead beyond


def _centred(name: str, x: Tensor) -> Tensor:
    """The values in float64, with the mean of each column taken away. (n, p) -> (n, p)."""
    check_tensor(name, x, "(n, units)")
    if bool((x == x[0]).all()):
        raise ValueError(
            f"{name} must differ between images, but all {len(x)} rows of it are the same: there is nothing to compare"
        )
    X = x.detach().double()
    return X - X.mean(dim=0)
