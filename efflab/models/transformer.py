"""A transformer for images: patches become tokens, tokens look at each other, and their mean is classified.

Attention is a weighted mean. Each token asks with a *query*, each token offers a *key* and a *value*; the better a key
fits the query, the more of its value is taken:

    softmax(Q K^T / sqrt(head_dim)) V

A *head* does this in `head_dim` numbers of its own: that many rows of `q`, `k` and `v`, and as many columns of `out`.
Heads do not see each other, so one that matters little can go as a whole.

References:
    Vaswani et al., Attention is all you need, 2017, arXiv 1706.03762.
    Dosovitskiy et al., An image is worth 16x16 words, 2020, arXiv 2010.11929.

Where we simplify: the mean of all tokens instead of a class token, no dropout, pixels beyond the last whole patch are
not seen, and attention is written out. At work: `torch.nn.functional.scaled_dot_product_attention`, which our tests
compare with, and timm.
"""

import math

import torch
from torch import Tensor, nn

from efflab.models.networks import Architecture, Network

HEAD_DIM = 8
"""Numbers in a head of `vit`."""


class SelfAttention(nn.Module):
    """Every token looks at all tokens, with several heads. (..., tokens, dim) -> same shape.

    `head_dim` is dim / n_heads unless another is asked for; once heads are removed, all of them together are narrower
    than `dim`.
    """

    def __init__(self, dim: int, n_heads: int, head_dim: int | None = None) -> None:
        super().__init__()
        self.n_heads, self.head_dim = n_heads, head_dim or dim // n_heads
        width = self.n_heads * self.head_dim
        self.q = nn.Linear(dim, width)
        self.k = nn.Linear(dim, width)
        self.v = nn.Linear(dim, width)
        self.out = nn.Linear(width, dim)

    def forward(self, x: Tensor) -> Tensor:
        """The tokens, each a mixture of what it looked at."""
        q, k, v = self._heads(self.q(x)), self._heads(self.k(x)), self._heads(self.v(x))
        scores = q @ k.transpose(-2, -1) / math.sqrt(self.head_dim)  # (..., heads, tokens, tokens)
        mixed = scores.softmax(dim=-1) @ v  # (..., heads, tokens, head_dim)
        together: Tensor = self.out(mixed.transpose(-3, -2).flatten(-2))
        return together

    def _heads(self, x: Tensor) -> Tensor:
        """(..., tokens, heads * head_dim) -> (..., heads, tokens, head_dim)."""
        by_head: Tensor = x.unflatten(-1, (self.n_heads, self.head_dim))
        return by_head.transpose(-3, -2)


class Block(nn.Module):
    """Attention, then a small network for each token, each beside a shortcut. (n, tokens, dim) -> same shape."""

    def __init__(self, dim: int, n_heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim)
        self.attention = SelfAttention(dim, n_heads)
        self.norm2 = nn.LayerNorm(dim)
        self.hidden = nn.Linear(dim, 4 * dim)
        self.gelu = nn.GELU()
        self.output = nn.Linear(4 * dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """The tokens, each with what it looked at and what it made of that."""
        x = x + self.attention(self.norm1(x))
        change: Tensor = self.output(self.gelu(self.hidden(self.norm2(x))))
        return x + change


class Tokens(nn.Module):
    """Each place of a feature map as one token. (n, dim, rows, columns) -> (n, rows * columns, dim)."""

    def forward(self, x: Tensor) -> Tensor:
        """The same numbers, row by row."""
        return x.flatten(2).transpose(1, 2)


class Positions(nn.Module):
    """Adds to each token a vector that says where it is; without, the tokens are a bag. (n, tokens, dim) -> same."""

    def __init__(self, n_tokens: int, dim: int) -> None:
        super().__init__()
        self.positions = nn.Parameter(torch.empty(n_tokens, dim))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the vectors anew: small, with a standard deviation of 0.02."""
        nn.init.normal_(self.positions, std=0.02)

    def forward(self, x: Tensor) -> Tensor:
        """The tokens with their places."""
        return x + self.positions


class TokenMean(nn.Module):
    """The mean of all tokens. (n, tokens, dim) -> (n, dim)."""

    def forward(self, x: Tensor) -> Tensor:
        """One vector for each image."""
        return x.mean(dim=1)


def vit(architecture: Architecture) -> Network:
    """Square patches of 4x4 pixels (2x2 below 16) as tokens, then blocks; `sizes` are the width and the depth."""
    dim, depth = architecture.sizes or (64, 4)
    channels, height, width = architecture.shape
    side = 4 if min(height, width) >= 16 else 2
    n_tokens = (height // side) * (width // side)
    return Network(
        architecture,
        [
            ("patches", nn.Conv2d(channels, dim, side, stride=side)),  # (n, 64, 7, 7)
            ("tokens", Tokens()),  # (n, 49, 64)
            ("positions", Positions(n_tokens, dim)),
            *((f"block{i}", Block(dim, dim // HEAD_DIM)) for i in range(1, depth + 1)),
            ("norm", nn.LayerNorm(dim)),
            ("mean", TokenMean()),  # (n, 64)
            ("output", nn.Linear(dim, architecture.n_classes)),
        ],
    )
