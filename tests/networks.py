"""Two networks of published papers with random weights, built by hand: what others print about them is a reference.

ResNet-18: He et al., Deep residual learning for image recognition, 2015, arXiv 1512.03385, table 1.
MobileNetV2: Sandler et al., 2018, arXiv 1801.04381, table 2.

And `Calls`, a network of one function that a test writes.
"""

from collections.abc import Callable

from torch import Tensor, nn


class Shortcut(nn.Module):
    """F(x) + x, where `shortcut` makes x fit."""

    def __init__(self, body: nn.Module, shortcut: nn.Module) -> None:
        super().__init__()
        self.body, self.shortcut = body, shortcut

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x) + self.shortcut(x)


def convolution(c_in: int, c_out: int, side: int, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    """A convolution without bias, and its normalisation."""
    kernel = nn.Conv2d(c_in, c_out, side, stride, padding=side // 2, groups=groups, bias=False)
    return [kernel, nn.BatchNorm2d(c_out)]


def head(channels: int) -> list[nn.Module]:
    """The mean of each channel, and a thousand classes."""
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 1000)]


def resnet18() -> nn.Module:
    """(n, 3, 224, 224) -> (n, 1000). 11,689,512 parameters."""
    layers = [*convolution(3, 64, 7, stride=2), nn.ReLU(), nn.MaxPool2d(3, 2, padding=1)]
    c_in = 64
    for c_out, first in ((64, 1), (128, 2), (256, 2), (512, 2)):
        for stride in (first, 1):
            body = [*convolution(c_in, c_out, 3, stride), nn.ReLU(), *convolution(c_out, c_out, 3)]
            fits = stride == 1 and c_in == c_out
            shortcut = nn.Identity() if fits else nn.Sequential(*convolution(c_in, c_out, 1, stride))
            layers += [Shortcut(nn.Sequential(*body), shortcut), nn.ReLU()]
            c_in = c_out
    return nn.Sequential(*layers, *head(512)).eval()


def mobilenet_v2() -> nn.Module:
    """(n, 3, 224, 224) -> (n, 1000). 3,504,872 parameters."""
    layers: list[nn.Module] = [*convolution(3, 32, 3, stride=2), nn.ReLU6()]
    c_in = 32
    rows = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
    for expansion, c_out, n_blocks, first in rows:
        for stride in (first, *[1] * (n_blocks - 1)):
            wide = expansion * c_in
            body = [*convolution(c_in, wide, 1), nn.ReLU6()] if expansion > 1 else []
            body += [*convolution(wide, wide, 3, stride, groups=wide), nn.ReLU6(), *convolution(wide, c_out, 1)]
            block = nn.Sequential(*body)
            layers.append(Shortcut(block, nn.Identity()) if stride == 1 and c_in == c_out else block)
            c_in = c_out
    return nn.Sequential(*layers, *convolution(320, 1280, 1), nn.ReLU6(), *head(1280)).eval()


class Calls(nn.Module):
    """A module whose forward pass is a function of the input and the weights named here."""

    def __init__(self, function: Callable[..., Tensor], **weights: Tensor) -> None:
        super().__init__()
        self.function = function
        for name, weight in weights.items():
            self.register_parameter(name, nn.Parameter(weight, requires_grad=weight.is_floating_point()))

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self, x)
