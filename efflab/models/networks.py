"""Four of five networks that a learner can read whole: `mlp`, `lenet5`, `cnn`, `resnet8`; `vit` is in `transformer.py`.

Each is built from an `Architecture`, plain numbers that fit into JSON, so that a checkpoint can say what it holds.

References:
    LeNet-300-100 and LeNet-5: LeCun et al., Gradient-based learning applied to document recognition, 1998.
    ResNet-8: He et al., Deep residual learning for image recognition, 2016, arXiv 1512.03385, in the shape of MLPerf
    Tiny (Banbury et al., 2021, arXiv 2106.07597).

Where we simplify: LeNet-5 has ReLU and max pooling, as in the pruning papers, not the tanh and scaling of 1998.
At work: torchvision or timm have larger ones, with trained weights.
"""

import itertools
from collections import OrderedDict
from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True)
class Architecture:
    """What it takes to build a network again.

    `shape` is channels, height and width of one image. `sizes` are the widths: hidden units of an `mlp`, channels of
    the first layer of a `cnn` or `resnet8`, width and number of blocks of a `vit`; empty means the usual ones.
    """

    name: str
    shape: tuple[int, int, int] = (1, 28, 28)
    n_classes: int = 10
    sizes: tuple[int, ...] = ()


class Network(nn.Sequential):
    """A chain of named layers that knows its architecture. images: (n, channels, height, width) -> (n, classes).

    `architecture` says what it was built as. One that was cut by surgery keeps it: it is what the network was cut from,
    and the widths of the layers say what is left (`efflab.models.layer_shapes`).
    """

    def __init__(self, architecture: Architecture, layers: list[tuple[str, nn.Module]]) -> None:
        super().__init__(OrderedDict(layers))
        self.architecture = architecture


class Residual(nn.Module):
    """Two 3x3 convolutions beside a shortcut: F(x) + x. (n, c_in, h, w) -> (n, c_out, h/stride, w/stride)."""

    def __init__(self, c_in: int, c_out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(c_in, c_out, 3, stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(c_out)
        self.conv2 = nn.Conv2d(c_out, c_out, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(c_out)
        same = stride == 1 and c_in == c_out
        self.shortcut = nn.Identity() if same else nn.Conv2d(c_in, c_out, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        """F(x) + x, and ReLU."""
        y = F.relu(self.norm1(self.conv1(x)))
        y = self.norm2(self.conv2(y))
        return F.relu(y + self.shortcut(x))


def mlp(architecture: Architecture) -> Network:
    """Fully connected layers with ReLU between them; LeNet-300-100 when sizes are (300, 100)."""
    channels, height, width = architecture.shape
    widths = [channels * height * width, *(architecture.sizes or (300, 100))]
    layers: list[tuple[str, nn.Module]] = [("flatten", nn.Flatten())]
    for i, (n_in, n_out) in enumerate(itertools.pairwise(widths), start=1):
        layers += [(f"hidden{i}", nn.Linear(n_in, n_out)), (f"relu{i}", nn.ReLU())]
    return Network(architecture, [*layers, ("output", nn.Linear(widths[-1], architecture.n_classes))])


def lenet5(architecture: Architecture) -> Network:
    """Two 5x5 convolutions (20 and 50 channels), each pooled, then 500 hidden units; 431,080 parameters on 28x28."""
    channels, height, width = architecture.shape
    rows, columns = ((side - 4) // 2 - 4 for side in (height, width))
    flat = 50 * (rows // 2) * (columns // 2)
    return Network(
        architecture,
        [
            ("conv1", nn.Conv2d(channels, 20, 5)),  # (n, 20, 24, 24)
            ("relu1", nn.ReLU()),
            ("pool1", nn.MaxPool2d(2)),  # (n, 20, 12, 12)
            ("conv2", nn.Conv2d(20, 50, 5)),  # (n, 50, 8, 8)
            ("relu2", nn.ReLU()),
            ("pool2", nn.MaxPool2d(2)),  # (n, 50, 4, 4)
            ("flatten", nn.Flatten()),
            ("hidden", nn.Linear(flat, 500)),
            ("relu3", nn.ReLU()),
            ("output", nn.Linear(500, architecture.n_classes)),
        ],
    )


def cnn(architecture: Architecture) -> Network:
    """Three convolutions whose channels double while strides shrink the picture, then the mean of each channel."""
    (width,) = architecture.sizes or (16,)
    channels, n_classes = architecture.shape[0], architecture.n_classes
    return Network(
        architecture,
        [
            ("conv1", nn.Conv2d(channels, width, 5, stride=2, padding=2, bias=False)),  # (n, 16, 14, 14)
            ("norm1", nn.BatchNorm2d(width)),
            ("relu1", nn.ReLU()),
            ("conv2", nn.Conv2d(width, 2 * width, 3, stride=2, padding=1, bias=False)),  # (n, 32, 7, 7)
            ("norm2", nn.BatchNorm2d(2 * width)),
            ("relu2", nn.ReLU()),
            ("conv3", nn.Conv2d(2 * width, 4 * width, 3, padding=1, bias=False)),  # (n, 64, 7, 7)
            ("norm3", nn.BatchNorm2d(4 * width)),
            ("relu3", nn.ReLU()),
            ("pool", nn.AdaptiveAvgPool2d(1)),  # (n, 64, 1, 1)
            ("flatten", nn.Flatten()),
            ("output", nn.Linear(4 * width, n_classes)),
        ],
    )


def resnet8(architecture: Architecture) -> Network:
    """A stem and three residual blocks; 16, 32 and 64 channels unless another first width is asked for."""
    (width,) = architecture.sizes or (16,)
    return Network(
        architecture,
        [
            ("conv1", nn.Conv2d(architecture.shape[0], width, 3, padding=1, bias=False)),
            ("norm1", nn.BatchNorm2d(width)),
            ("relu1", nn.ReLU()),
            ("block1", Residual(width, width, stride=1)),
            ("block2", Residual(width, 2 * width, stride=2)),
            ("block3", Residual(2 * width, 4 * width, stride=2)),
            ("pool", nn.AdaptiveAvgPool2d(1)),
            ("flatten", nn.Flatten()),
            ("output", nn.Linear(4 * width, architecture.n_classes)),
        ],
    )
