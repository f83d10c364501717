"""Which channels stay: scores in, masks out. `True` is kept.

Rank, do not threshold, as for weights (`prune/masks.py`): asked for a ratio of n channels, `round(ratio * n)` go,
whatever the ties. Two wishes come after that, and each only keeps more: no layer gets narrower than `minimum`, and what
stays is rounded up to a `multiple`, because vector instructions take 8 or 16 numbers at a time.

Reference: Li et al., 2017, arXiv 1608.08710 (per layer); Liu et al., 2017, arXiv 1708.06519 (global, but without
dividing by the mean of a layer).
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from efflab.prune.masks import keep_largest


def channels_to_keep(
    scores: Mapping[str, Tensor], ratio: float, scope: str, *, multiple: int = 1, minimum: int = 1
) -> dict[str, Tensor]:
    """The mask of each group. scores: {group: (size,)} -> {group: (size,), bool}.

    With the scope "per layer" each group loses the same ratio. With "global" all channels compete, and each score is
    divided by the mean of its group, for a layer with larger weights is not a more important one.

    Example:
        Half of five is 2 (Python rounds 2.5 to the even number), and the three that stay become four.

        >>> channels_to_keep({"a": torch.tensor([1.0, 5.0, 2.0, 4.0, 3.0])}, 0.5, "per layer", multiple=4)
        {'a': tensor([False,  True,  True,  True,  True])}

    Raises:
        ValueError: a score is NaN.
    """
    if scope == "global":
        counts = _compete(scores, ratio, minimum)
    else:
        counts = {name: len(score) - round(ratio * len(score)) for name, score in scores.items()}
    return {
        name: keep_largest(score, len(score) - min(len(score), _round_up(max(counts[name], minimum), multiple)))
        for name, score in scores.items()
    }


def _compete(scores: Mapping[str, Tensor], ratio: float, minimum: int) -> dict[str, int]:
    """How many of each group stay when all compete; the `minimum` best of each group are safe."""
    together = torch.cat([_safe(score / score.mean().clamp(min=1e-12), minimum) for score in scores.values()])
    n_removed = min(round(ratio * len(together)), int(together.isfinite().count_nonzero()))
    parts = keep_largest(together, n_removed).split([len(score) for score in scores.values()])
    return {name: int(part.count_nonzero()) for name, part in zip(scores, parts, strict=True)}


def _safe(score: Tensor, minimum: int) -> Tensor:
    """The scores, with those of the `minimum` best at infinity."""
    best = keep_largest(score, max(len(score) - minimum, 0))
    return score.masked_fill(best, torch.inf)


def _round_up(n: int, multiple: int) -> int:
    return -(-n // multiple) * multiple
