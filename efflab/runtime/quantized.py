"""Layers on grids: what a quantized network knows about itself before an integer kernel runs it.

The weights are still floats and the layer is still a linear layer or a convolution, so it is as slow and as large in
memory as before, and whatever takes such a layer takes this one: this is *simulated* quantization. What is new lies
beside the weights: the scales, the zero points and the number of bits, from which come the integers that would be
stored, and their bytes. A layer may also read its inputs from a grid, and put onto one what it gives.

    granularity    scale of a linear layer    scale of a convolution
    per tensor     ()                         ()
    per channel    (out, 1)                   (out, 1, 1, 1)
    per group      (out, groups)              (out, groups): a row of groups for the inputs of each output

Reference: Jacob et al., Quantization and training of neural networks for efficient integer-arithmetic-only inference,
2018, arXiv 1712.05877, which trains with such a simulation.

Where we simplify: biases stay float; integers of weights are signed, those of activations are not, and all values of
an activation share one scale. At work: the integer kernels of your runtime, which read the integers and the scales.
"""

import torch
from torch import Tensor, nn

from efflab.runtime.coded import Coded

OFF_GRID = 0.25
"""Steps that a weight may be away from its integer: what half precision may round, and no training stays below."""


class ActivationGrid(nn.Module):
    """Moves activations onto the integers from 0 to 2**bits - 1, and back: values of any shape -> the same shape.

    scale: (), floating point; zero_point: (), int32, the integer that stands for 0.0. A gradient passes unchanged
    where nothing is clipped, as if nothing had been rounded.
    """

    scale: Tensor
    zero_point: Tensor

    def __init__(self, scale: Tensor, zero_point: Tensor, bits: int = 8) -> None:
        super().__init__()
        self.register_buffer("scale", scale)
        self.register_buffer("zero_point", zero_point)
        self.bits = bits

    def forward(self, x: Tensor) -> Tensor:
        """The nearest values of the grid; what lies beyond it goes to its end."""
        last = 2**self.bits - 1
        if self.bits < 8 and torch.onnx.is_in_onnx_export():  # its nodes know grids of 8 bits only
            return ((x / self.scale).round() + self.zero_point).clamp(0, last).sub(self.zero_point).mul(self.scale)
        return torch.fake_quantize_per_tensor_affine(x, self.scale, self.zero_point, 0, last)

    def extra_repr(self) -> str:
        """What printing the network says about the grid."""
        return f"{bits_text(self.bits)}, scale={float(self.scale):.3g}, zero_point={int(self.zero_point)}"


class OnGrid(Coded):
    """What the two kinds have in common: `weight` is (integers - zero_point) * scale.

    bits: of each integer; 0 where the weight is float, and only activations lie on a grid. is_symmetric: whether all
    zero points are 0, and need not be stored. group_size: inputs that share a scale, or None where all inputs of an
    output do. scale, zero_point: as in the table above, floating point and int32. reads, gives: the grids of what the
    layer reads and of what it gives, or None where these stay float.
    """

    beside = ("scale", "zero_point", "bits", "is_symmetric", "group_size", "reads", "gives")
    encode = "quantize"
    scale: Tensor
    zero_point: Tensor
    bits: int
    is_symmetric: bool
    group_size: int | None
    reads: ActivationGrid | None
    gives: ActivationGrid | None

    def forward(self, x: Tensor) -> Tensor:
        """What the plain layer makes of its inputs, each of both on its grid."""
        outputs: Tensor = super().forward(x if self.reads is None else self.reads(x))
        return outputs if self.gives is None else self.gives(outputs)

    @property
    def has_coded_weight(self) -> bool:
        """Whether the weight lies on a grid."""
        return self.bits > 0

    @property
    def code(self) -> str:
        """What lies where, for a sentence."""
        return f"its weights on a grid of {bits_text(self.bits)}" if self.bits else "its activations on a grid"

    @property
    def has_zero(self) -> bool:
        """Whether 0.0 is on the grid: on all but the symmetric one of 1 bit, which is -scale and +scale."""
        return self.bits > 1 or not self.is_symmetric

    def integers(self) -> Tensor:
        """What would be stored: the shape of the weight, int8.

        Raises:
            ValueError: a weight does not lie on the grid any more.
        """
        steps = self.weight.detach() / self.spread(self.scale)
        whole = steps.round()
        if not bool(((steps - whole).abs() <= OFF_GRID).all()):
            raise ValueError(
                f"a weight of this {type(self).__name__} has left its grid of {bits_text(self.bits)}, so there is no "
                "integer for it: quantize the float network again"
            )
        return (whole + self.spread(self.zero_point)).to(torch.int8)

    def nearest(self, values: Tensor) -> Tensor:
        """The numbers of the grid that are nearest to some values; what lies beyond goes to the end of the grid.

        values: the shape of the weight -> same shape.
        """
        steps, zero_point = values / self.spread(self.scale), self.spread(self.zero_point)
        if not self.has_zero:
            whole = torch.where(steps < 0, -1.0, 1.0)
        else:
            whole = (steps.round() + zero_point).clamp(*self.ends) - zero_point
        return whole * self.spread(self.scale)

    def is_inside(self, values: Tensor) -> Tensor:
        """Where the nearest integer is one of the grid: the shape of the weight -> same shape, bool."""
        if not self.has_zero:
            return torch.ones_like(values, dtype=torch.bool)
        first, last = self.ends
        integers = (values / self.spread(self.scale)).round() + self.spread(self.zero_point)
        return (integers >= first) & (integers <= last)

    @property
    def ends(self) -> tuple[int, int]:
        """The smallest and the largest integer of a weight."""
        return signed_ends(self.bits, is_symmetric=self.is_symmetric)

    def spread(self, stored: Tensor) -> Tensor:
        """Scales or zero points in a shape that broadcasts against the weight."""
        if self.group_size is None:
            return stored
        n_inputs = self.weight[0].numel()
        return stored.repeat_interleave(self.group_size, dim=1)[:, :n_inputs].reshape(self.weight.shape)

    def __repr__(self) -> str:
        has_grids = self.reads is not None or self.gives is not None  # torch would print a line for each that misses
        return super().__repr__() if has_grids else f"{type(self).__name__}({self.extra_repr()})"

    def extra_repr(self) -> str:
        """What printing the network says about the layer."""
        if not self.bits:
            return super().extra_repr()
        form = "symmetric" if self.is_symmetric else "affine"
        return f"{super().extra_repr()}, weights of {bits_text(self.bits)}, {form}, scale{tuple(self.scale.shape)}"


class QuantizedLinear(OnGrid, nn.Linear):
    """A linear layer whose weight lies on a grid. inputs: (..., in) -> (..., out), computed in floats."""


class QuantizedConv2d(OnGrid, nn.Conv2d):
    """A convolution whose weight lies on a grid. inputs: (n, in, h, w) -> (n, out, h, w), computed in floats."""


KINDS: dict[type[nn.Module], type[OnGrid]] = {nn.Linear: QuantizedLinear, nn.Conv2d: QuantizedConv2d}
"""Plain layers, and what they become."""


def put_on_grid(
    layer: nn.Module, scale: Tensor, zero_point: Tensor, *, bits: int, is_symmetric: bool, group_size: int | None = None
) -> OnGrid:
    """The layer itself, turned into a quantized one; its weight must lie on the grid, and is not changed.

    Args:
        layer: an `nn.Linear` or `nn.Conv2d`, no subclass. Hooks and flags stay, as with `torch.nn.utils.parametrize`,
            which turns a layer into one of another class, too.
        scale: as in the table at the top of this module.
        zero_point: of the same shape, int32.
        bits: of each integer, 1 to 8.
        is_symmetric: whether the zero points are all 0.
        group_size: inputs that share a scale; None unless the scale is per group.

    Raises:
        TypeError: the layer is of another kind.
        ValueError: a weight does not lie on the grid.

    Reference: Jacob et al., 2018, arXiv 1712.05877.
    """
    layer = _on_grid(layer, is_for_weight=True)
    layer.register_buffer("scale", scale)
    layer.register_buffer("zero_point", zero_point)
    layer.bits, layer.is_symmetric, layer.group_size = bits, is_symmetric, group_size
    layer.integers()
    return layer


def put_activations_on_grid(layer: nn.Module, reads: ActivationGrid, gives: ActivationGrid | None = None) -> OnGrid:
    """The layer itself, turned into one that reads its inputs from a grid, and gives its outputs on one if asked to.

    Args:
        layer: an `nn.Linear` or `nn.Conv2d`, no subclass, or one whose weight lies on a grid.
        reads: the grid of its inputs.
        gives: the grid of its outputs; None where whoever reads them has one.

    Raises:
        TypeError: the layer is of another kind.

    Reference: Jacob et al., 2018, arXiv 1712.05877.
    """
    layer = _on_grid(layer, is_for_weight=False)
    layer.reads, layer.gives = reads, gives
    return layer


def _on_grid(layer: nn.Module, *, is_for_weight: bool) -> OnGrid:
    """The layer itself, turned into one that has a place for grids."""
    if isinstance(layer, OnGrid) and not (layer.bits and is_for_weight):
        return layer
    if type(layer) not in KINDS:
        raise TypeError(f"layer must be a plain nn.Linear or nn.Conv2d, not {type(layer).__name__}")
    layer.__class__ = KINDS[type(layer)]
    assert isinstance(layer, OnGrid)
    layer.register_buffer("scale", None)
    layer.register_buffer("zero_point", None)
    layer.bits, layer.is_symmetric, layer.group_size = 0, True, None
    layer.register_module("reads", None)
    layer.register_module("gives", None)
    return layer


def on_grid(model: nn.Module) -> dict[str, OnGrid]:
    """The layers whose weights or activations lie on a grid, by name; the model itself is "model"."""
    return {name or "model": layer for name, layer in model.named_modules() if isinstance(layer, OnGrid)}


def quantized_layers(model: nn.Module) -> dict[str, OnGrid]:
    """The layers whose weights lie on a grid, by name; the model itself is "model"."""
    return {name: layer for name, layer in on_grid(model).items() if layer.bits}


def signed_ends(bits: int, *, is_symmetric: bool) -> tuple[int, int]:
    """The smallest and the largest integer with a sign; symmetric ones have as many below zero as above.

    Example:
        >>> signed_ends(4, is_symmetric=True), signed_ends(4, is_symmetric=False)
        ((-7, 7), (-8, 7))
    """
    half = 2 ** (bits - 1)
    if not is_symmetric:
        return -half, half - 1
    last = max(half - 1, 1)  # 1 bit: -1 and 1
    return -last, last


def bits_text(bits: int) -> str:
    """The number with its word: 1 bit, 8 bits."""
    return f"{bits} bit" if bits == 1 else f"{bits} bits"
