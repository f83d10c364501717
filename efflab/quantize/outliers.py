"""Outliers: one channel that is a hundred times larger than the others, and what it does to all of them at 8 bits.

In large transformers a few channels of the activations are far beyond the rest, at the same places in every token. The
scale must reach them, so all others fall on few integers. Three ways to multiply activations x with a weight:

    per tensor     one scale for all of x, one for all of the weight
    per row        a scale for each row of x (a token) and one for each output of the weight
    mixed          per row, but columns of x that hold an outlier are multiplied in floats: LLM.int8()

A scale per row does not help against an outlier in every row. A scale per column would, but inside a product of
integers no column can have one: the sum runs over them. So the few columns leave the integers.

Reference: Dettmers et al., LLM.int8(): 8-bit matrix multiplication for transformers at scale, 2022, arXiv 2208.07339.

Where we simplify: outliers are planted, for a small transformer has none; the columns in floats are float32, not
float16; and integers are multiplied as they are, without a fast kernel. At work: bitsandbytes, by the author, or
SmoothQuant, which moves the outliers into the weight.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from efflab.quantize.grids import Bits, Grid, check_finite, quantize, scale_and_zero_point
from efflab.quantize.observers import observe
from efflab.quantize.sharing import Granularity

THRESHOLD = 6.0
"""Magnitudes beyond this are outliers, behind a layer norm; so the paper."""
FACTORS = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0)
WAYS = ("per tensor", "per row", "mixed")

Product = Callable[[Tensor, Tensor], Tensor]
"""Activations (..., in) and a weight (out, in) -> (..., out)."""


@dataclass(frozen=True)
class OutlierErrors:
    """What a planted outlier does to the answers, for each way to multiply.

    factors: how much larger the channel was made. errors: {way: one for each factor}, the root of the mean squared
    error of the answers over that of the answers themselves, a fraction. n_float: columns that the mixed way
    multiplied in floats, of the `n_columns` of both products together.
    """

    factors: tuple[float, ...]
    errors: Mapping[str, tuple[float, ...]]
    n_float: tuple[int, ...]
    n_columns: int


def integer_product(x: Tensor, weight: Tensor, bits: Bits = 8, granularity: Granularity = "per channel") -> Tensor:
    """X times the transposed weight, both put onto symmetric grids, multiplied as integers and scaled back.

    x: (..., in), weight: (out, in) -> (..., out). "per tensor" gives each one scale; "per channel" a scale to each row
    of x and to each output. Products are added up in 32 bits, which is exact for up to 133,000 inputs.

    Example:
        >>> x, weight = torch.tensor([[1.0, 0.5]]), torch.tensor([[2.0, -1.0]])
        >>> integer_product(x, weight, bits=2)  # (1, 0) times (1, 0), and a step of 1 times a step of 2
        tensor([[2.]])

    Raises:
        TypeError, ValueError: bits is out of range, a value is not finite, the shapes do not fit, or as `observe`.

    Reference: Dettmers et al., 2022, arXiv 2208.07339, section 2.1.
    """
    _check(x, weight)
    grid, rows = Grid(bits), x.reshape(-1, x.shape[-1])
    integers, scales = [], []
    for one in (rows, weight):
        scale, zero_point = scale_and_zero_point(*observe(one, grid, granularity=granularity), grid)
        integers.append(quantize(one.detach(), scale, zero_point, grid).to(torch.int32))
        scales.append(scale.reshape(-1, 1))  # (rows or out, 1), or (1, 1)
    product = integers[0] @ integers[1].T  # (rows, out), int32
    return (product * (scales[0] * scales[1].T)).reshape(*x.shape[:-1], len(weight))


def mixed_product(x: Tensor, weight: Tensor, bits: Bits = 8, threshold: float = THRESHOLD) -> Tensor:
    """The same, per row and output, but columns of x with a magnitude beyond `threshold` are multiplied in floats.

    x: (..., in), weight: (out, in) -> (..., out).

    Example:
        >>> x, weight = torch.tensor([[1.0, 0.5, 60.0]]), torch.tensor([[2.0, 2.0, 0.1]])
        >>> mixed_product(x, weight), integer_product(x, weight)  # 9 is right
        (tensor([[9.0079]]), tensor([[8.5039]]))

    Raises:
        TypeError, ValueError: `threshold` is below 0, or as `integer_product`.

    Reference: Dettmers et al., 2022, arXiv 2208.07339, section 2.2.
    """
    _check(x, weight)
    is_outlier = outlier_columns(x, threshold)
    product = F.linear(x[..., is_outlier], weight[:, is_outlier])
    if bool(is_outlier.all()):
        return product
    return product + integer_product(x[..., ~is_outlier], weight[:, ~is_outlier], bits)


def outlier_columns(x: Tensor, threshold: float = THRESHOLD) -> Tensor:
    """Which columns of x hold a magnitude beyond `threshold`. x: (..., in) -> (in,), bool.

    Raises:
        ValueError: `threshold` is below 0 or NaN.
    """
    if not threshold >= 0:
        raise ValueError(
            f"threshold must be 0 or more, the magnitude beyond which a value is an outlier, not {threshold}"
        )
    return (x.abs() > threshold).reshape(-1, x.shape[-1]).any(dim=0)


def plant_outlier(x: Tensor, weight: Tensor, channel: int, factor: float) -> tuple[Tensor, Tensor]:
    """Activations with one channel `factor` times as large, and the weight that reads it as much smaller.

    x: (..., in), weight: (out, in) -> the same shapes; their product stays.

    Raises:
        ValueError: there is no such channel, or the factor is not above 0.
    """
    _check(x, weight)
    if not 0 <= channel < x.shape[-1]:
        raise ValueError(f"channel must be one of 0 to {x.shape[-1] - 1}, not {channel}")
    if not factor > 0:
        raise ValueError(f"factor must be above 0, not {factor}")
    large, small = x.clone(), weight.detach().clone()
    large[..., channel] *= factor
    small[:, channel] /= factor
    return large, small


def scan_outliers(
    x: Tensor,
    hidden: nn.Linear,
    output: nn.Linear,
    *,
    factors: Sequence[float] = FACTORS,
    channel: int = 0,
    bits: Bits = 8,
    threshold: float = THRESHOLD,
) -> OutlierErrors:
    """What an outlier in the inputs of a feed-forward network does to its answers: `hidden`, GELU, `output`.

    x: (..., in), such as what `norm2` of a `Block` in `efflab.models` gives. Both products are made in the same way.

    Raises:
        TypeError, ValueError: as `plant_outlier` and `mixed_product`.

    Reference: Dettmers et al., 2022, arXiv 2208.07339, figure 1 (where outliers grow with the size of the model).
    """
    ways: dict[str, Product] = {
        "per tensor": partial(integer_product, bits=bits, granularity="per tensor"),
        "per row": partial(integer_product, bits=bits),
        "mixed": partial(mixed_product, bits=bits, threshold=threshold),
    }
    errors: dict[str, list[float]] = {way: [] for way in ways}
    n_float = []
    with torch.no_grad():
        expected, _ = _feed_forward(x.double(), hidden.weight.double(), hidden, output, F.linear)
        for factor in factors:
            planted = plant_outlier(x, hidden.weight, channel, factor)
            for way, product in ways.items():
                answers, between = _feed_forward(*planted, hidden, output, product)
                errors[way].append(_relative_error(answers, expected))
            n_float.append(sum(int(outlier_columns(one, threshold).sum()) for one in (planted[0], between)))
    return OutlierErrors(
        tuple(factors),
        {way: tuple(some) for way, some in errors.items()},
        tuple(n_float),
        hidden.in_features + output.in_features,
    )


def _feed_forward(
    x: Tensor, weight: Tensor, hidden: nn.Linear, output: nn.Linear, product: Product
) -> tuple[Tensor, Tensor]:
    """The answers, and what lies between the two layers; `weight` is that of `hidden`."""
    between = F.gelu(product(x, weight) + _bias(hidden, x))
    return product(between, output.weight.to(x.dtype)) + _bias(output, x), between


def _bias(layer: nn.Linear, x: Tensor) -> Tensor | float:
    return 0.0 if layer.bias is None else layer.bias.to(x.dtype)


def _relative_error(answers: Tensor, expected: Tensor) -> float:
    return float((answers.double() - expected).norm() / expected.norm().clamp(min=1e-300))


def _check(x: Tensor, weight: Tensor) -> None:
    if weight.ndim != 2 or x.ndim < 1 or x.shape[-1] != weight.shape[1]:
        raise ValueError(
            f"x must be (..., in) and weight (out, in), with one number of inputs, not {tuple(x.shape)} and "
            f"{tuple(weight.shape)}"
        )
    check_finite("x", x)
    check_finite("weight", weight)
