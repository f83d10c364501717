"""Clustering: the few values that a layer's weights share. k-means in one dimension.

Lloyd's rounds, until nothing changes: each weight goes to the value next to it, and each value to the mean of its
weights. On a line that is quick: the weights are sorted once, so those of one value stand side by side, between two
midpoints, and their sum is the difference of two running sums.

Where the values start decides where they end. *Linear* starts lie evenly between the smallest and the largest weight.
*Random* ones are weights, *density* ones lie so that equally many weights are between them; both crowd where most
weights are. Large weights are few and matter most, and it is the linear start that leaves values to them.

Reference: Han et al., Deep Compression, 2016, arXiv 1510.00149, sections 3.1 and 3.2.

Where we simplify: a value that no weight is next to moves to the weight that is farthest from its own value. At work:
`sklearn.cluster.KMeans`, which our tests compare with.
"""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

STARTS = ("linear", "random", "density")
MOST_ROUNDS = 300


def find_values(weights: Floats, n_values: int, start: str, generator: np.random.Generator) -> Floats:
    """The values that weights share, ascending: `n_values` of them, or fewer where fewer differ.

    weights: (n,), each counts once however often it occurs; none gives none.

    Example:
        >>> find_values(np.array([1.0, 1.5, 5.0, 9.0, 9.5]), 3, "linear", np.random.default_rng(0)).tolist()
        [1.25, 5.0, 9.25]

    Raises:
        ValueError: `start` is none of STARTS.

    Reference: Han et al., 2016, arXiv 1510.00149, section 3.1.
    """
    ordered = np.sort(weights)
    distinct: Floats = ordered[np.diff(ordered, prepend=np.nan) != 0]
    if len(distinct) <= n_values:
        return distinct
    values = first_values(ordered, n_values, start, generator)
    sums = np.concatenate([[0.0], ordered.cumsum()])  # (n + 1,)
    for _ in range(MOST_ROUNDS):
        moved = _means(ordered, sums, values)
        if np.array_equal(moved, values):
            break
        values = moved
    return values


def first_values(ordered: Floats, n_values: int, start: str, generator: np.random.Generator) -> Floats:
    """Where the values start, ascending. ordered: (n,) weights, ascending -> (n_values,).

    Example:
        >>> first_values(np.array([0.0, 0.0, 0.0, 1.0, 6.0]), 3, "linear", np.random.default_rng(0)).tolist()
        [0.0, 3.0, 6.0]

    Raises:
        ValueError: `start` is none of STARTS.

    Reference: Han et al., 2016, arXiv 1510.00149, section 3.2.
    """
    if start == "linear":
        return np.linspace(ordered[0], ordered[-1], n_values)
    if start == "random":
        return np.sort(generator.choice(np.unique(ordered), n_values, replace=False))
    if start == "density":
        return np.quantile(ordered, (np.arange(n_values) + 0.5) / n_values)
    raise ValueError(f"start must be one of {', '.join(STARTS)}, not {start!r}")


def nearest(ordered: Floats, values: Floats) -> npt.NDArray[np.int64]:
    """Where the weights of each value begin, and of the last end. ordered: (n,); values: (k,) -> (k + 1,)."""
    midpoints = (values[1:] + values[:-1]) / 2
    return np.concatenate([[0], np.searchsorted(ordered, midpoints, side="right"), [len(ordered)]])


def _means(ordered: Floats, sums: Floats, values: Floats) -> Floats:
    """One round: the mean of the weights next to each value, ascending."""
    ends = nearest(ordered, values)
    n_weights = np.diff(ends)
    means = np.diff(sums[ends]) / np.maximum(n_weights, 1)
    if is_empty := (n_weights == 0).any():
        distances = np.abs(ordered - means.repeat(n_weights))
        farthest = np.argsort(distances, kind="stable")[::-1]
        means[n_weights == 0] = ordered[farthest[: (n_weights == 0).sum()]]
    return np.sort(means) if is_empty else means
