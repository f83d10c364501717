"""Well-known architectures with random weights, each as short as its idea allows; all take what `SHAPE` says.

VGG: arXiv 1409.1556. ResNet: 1512.03385. MobileNetV2: 1801.04381. Squeeze-excite: 1709.01507, in MobileNetV3:
1905.02244. DenseNet: 1608.06993. U-Net: 1505.04597. ResNeXt: 1611.05431. Group normalisation: 1803.08494. ShuffleNet:
1707.01083. Vision transformer: 2010.11929. ConvNeXt: 2201.03545. MLP-Mixer: 2105.01601.
"""

from collections.abc import Callable

import networks
import torch
from torch import Tensor, nn

SHAPE = (3, 16, 16)
N_CLASSES = 5


def conv(c_in: int, c_out: int, side: int = 3, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """A convolution, its batch norm and a relu."""
    return nn.Sequential(*networks.convolution(c_in, c_out, side, stride, groups), nn.ReLU())


def head(channels: int) -> nn.Sequential:
    """The mean of each channel, and the classes."""
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, N_CLASSES))


def vgg() -> nn.Module:
    """Convolutions and pooling in a row, and three linear layers."""
    body = [conv(3, 8), conv(8, 8), nn.MaxPool2d(2), conv(8, 16), conv(16, 16), nn.MaxPool2d(2), nn.Flatten()]
    return nn.Sequential(*body, nn.Linear(256, 32), nn.ReLU(), nn.Dropout(), nn.Linear(32, N_CLASSES))


def residual() -> nn.Module:
    """Two blocks, of which the second needs a convolution in its shortcut."""
    one = nn.Sequential(conv(8, 8), *networks.convolution(8, 8, 3))
    two = nn.Sequential(conv(8, 16, stride=2), *networks.convolution(16, 16, 3))
    shortcut = nn.Sequential(*networks.convolution(8, 16, 1, stride=2))
    blocks = [networks.Shortcut(one, nn.Identity()), nn.ReLU(), networks.Shortcut(two, shortcut), nn.ReLU()]
    return nn.Sequential(conv(3, 8), *blocks, head(16))


def inverted(c_in: int, wide: int, *between: nn.Module) -> nn.Module:
    """MobileNet's block: wide inside, channel by channel, and a sum."""
    layers = [conv(c_in, wide, 1), conv(wide, wide, groups=wide), *between, *networks.convolution(wide, c_in, 1)]
    return networks.Shortcut(nn.Sequential(*layers), nn.Identity())


def mobilenet_v2() -> nn.Module:
    """Depthwise convolutions."""
    return nn.Sequential(conv(3, 8, stride=2), inverted(8, 24), inverted(8, 24), conv(8, 32, 1), head(32))


class SqueezeExcite(nn.Module):
    """A factor for each channel, from the means of all; by convolutions, as in MobileNetV3, or linear, as first."""

    def __init__(self, channels: int, linear: bool) -> None:
        super().__init__()
        self.linear = linear
        layer = nn.Linear if linear else lambda a, b: nn.Conv2d(a, b, 1)
        self.squeeze, self.excite = layer(channels, channels // 4), layer(channels // 4, channels)

    def forward(self, x: Tensor) -> Tensor:
        mean = x.mean((2, 3)) if self.linear else x.mean((2, 3), keepdim=True)
        factor = torch.sigmoid(self.excite(torch.relu(self.squeeze(mean))))
        return x * (factor[:, :, None, None] if self.linear else factor)


def mobilenet_v3() -> nn.Module:
    """Squeeze-excite by convolutions."""
    return nn.Sequential(
        conv(3, 8, stride=2), inverted(8, 24, SqueezeExcite(24, linear=False)), conv(8, 32, 1), head(32)
    )


def senet() -> nn.Module:
    """Squeeze-excite by linear layers, whose factors get a height and a width."""
    return nn.Sequential(
        conv(3, 8, stride=2), inverted(8, 24, SqueezeExcite(24, linear=True)), conv(8, 32, 1), head(32)
    )


class Dense(nn.Module):
    """Its input and what it makes of it, side by side."""

    def __init__(self, c_in: int, growth: int) -> None:
        super().__init__()
        self.norm, self.conv = nn.BatchNorm2d(c_in), nn.Conv2d(c_in, growth, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, self.conv(torch.relu(self.norm(x)))], 1)


def densenet() -> nn.Module:
    """Dense connections."""
    return nn.Sequential(conv(3, 8), Dense(8, 6), Dense(14, 6), Dense(20, 6), conv(26, 12, 1), head(12))


class UNet(nn.Module):
    """Down, up, and a connection across; a class for each pixel."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.bottom, self.pool = conv(3, 8), conv(8, 16), nn.MaxPool2d(2)
        self.up, self.right, self.end = nn.ConvTranspose2d(16, 8, 2, stride=2), conv(16, 8), nn.Conv2d(8, N_CLASSES, 1)

    def forward(self, x: Tensor) -> Tensor:
        left = self.left(x)
        return self.end(self.right(torch.cat([left, self.up(self.bottom(self.pool(left)))], 1)))


def resnext() -> nn.Module:
    """A convolution in four groups."""
    body = nn.Sequential(conv(8, 16, 1), conv(16, 16, groups=4), *networks.convolution(16, 8, 1))
    return nn.Sequential(conv(3, 8), networks.Shortcut(body, nn.Identity()), nn.ReLU(), conv(8, 16), head(16))


def group_norm() -> nn.Module:
    """Group norms in place of batch norms."""
    layers = [nn.Conv2d(3, 8, 3), nn.GroupNorm(2, 8), nn.ReLU(), nn.Conv2d(8, 16, 3), nn.GroupNorm(4, 16), nn.ReLU()]
    return nn.Sequential(*layers, head(16))


class Shuffle(nn.Module):
    """Half of the channels go through a convolution, and then the halves are dealt like cards."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.branch = conv(channels // 2, channels // 2)

    def forward(self, x: Tensor) -> Tensor:
        left, right = x.chunk(2, dim=1)
        y = torch.stack([left, self.branch(right)], 2)  # (n, channels / 2, 2, h, w)
        return y.flatten(1, 2)


def shufflenet() -> nn.Module:
    """Channels that are split and shuffled, and a layer after them that is not."""
    return nn.Sequential(conv(3, 8), Shuffle(8), conv(8, 16), head(16))


class Attention(nn.Module):
    """Four heads from four linear layers. (n, tokens, dim) -> the same."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.q, self.k, self.v, self.out = (nn.Linear(dim, dim) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (one(x).unflatten(2, (4, -1)).transpose(1, 2) for one in (self.q, self.k, self.v))
        weights = (q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5).softmax(-1)  # (n, 4, tokens, tokens)
        return self.out((weights @ v).transpose(1, 2).flatten(2))


class Block(nn.Module):
    """Attention, and two linear layers for each token."""

    def __init__(self, dim: int, attention: nn.Module) -> None:
        super().__init__()
        self.norm1, self.attention, self.norm2 = nn.LayerNorm(dim), attention, nn.LayerNorm(dim)
        self.mlp = nn.Sequential(nn.Linear(dim, 2 * dim), nn.GELU(), nn.Linear(2 * dim, dim))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm1(x)
        x = x + (self.attention(y, y, y)[0] if isinstance(self.attention, nn.MultiheadAttention) else self.attention(y))
        return x + self.mlp(self.norm2(x))


class Transformer(nn.Module):
    """Patches of 4 x 4 pixels as tokens, with a vector for each place."""

    def __init__(self, make: Callable[[int], nn.Module], dim: int = 16) -> None:
        super().__init__()
        self.patches, self.places = nn.Conv2d(3, dim, 4, stride=4), nn.Parameter(torch.randn(1, 16, dim))
        self.blocks = nn.Sequential(*(Block(dim, make(dim)) for _ in range(2)))
        self.norm, self.end = nn.LayerNorm(dim), nn.Linear(dim, N_CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.patches(x).flatten(2).transpose(1, 2) + self.places  # (n, 16, dim)
        return self.end(self.norm(self.blocks(tokens)).mean(1))


def vit() -> nn.Module:
    """A transformer whose attention is four linear layers."""
    return Transformer(Attention)


def vit_torch() -> nn.Module:
    """A transformer with torch's own attention."""
    return Transformer(lambda dim: nn.MultiheadAttention(dim, 4, batch_first=True))


class ConvNextBlock(nn.Module):
    """A wide depthwise convolution, then a norm and two linear layers with the channels last."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.depthwise, self.norm = nn.Conv2d(dim, dim, 7, padding=3, groups=dim), nn.LayerNorm(dim)
        self.wide, self.narrow, self.scale = (
            nn.Linear(dim, 4 * dim),
            nn.Linear(4 * dim, dim),
            nn.Parameter(torch.ones(dim)),
        )

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.depthwise(x).permute(0, 2, 3, 1))  # (n, h, w, dim)
        y = self.scale * self.narrow(nn.functional.gelu(self.wide(y)))
        return x + y.permute(0, 3, 1, 2)


def convnext() -> nn.Module:
    """Layer norms, and linear layers as convolutions."""
    return nn.Sequential(nn.Conv2d(3, 12, 4, stride=4), ConvNextBlock(12), ConvNextBlock(12), head(12))


class MixerBlock(nn.Module):
    """Linear layers over the tokens, then over the channels."""

    def __init__(self, tokens: int, dim: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.over_tokens = nn.Sequential(nn.Linear(tokens, 24), nn.GELU(), nn.Linear(24, tokens))
        self.over_channels = nn.Sequential(nn.Linear(dim, 32), nn.GELU(), nn.Linear(32, dim))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.over_tokens(self.norm1(x).transpose(1, 2)).transpose(1, 2)
        return x + self.over_channels(self.norm2(x))


def mixer() -> nn.Module:
    """Linear layers across tokens, and no attention."""
    patches = [nn.Conv2d(3, 16, 4, stride=4), nn.Flatten(2), networks.Calls(lambda _, x: x.transpose(1, 2))]
    ends = [nn.LayerNorm(16), networks.Calls(lambda _, x: x.mean(1)), nn.Linear(16, N_CLASSES)]
    return nn.Sequential(*patches, MixerBlock(16, 16), MixerBlock(16, 16), *ends)


class Recurrent(nn.Module):
    """The rows of an image one after the other, through a recurrent layer."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.read, self.layer, self.end = nn.Linear(48, 12), layer, nn.Linear(10, N_CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        rows = x.transpose(1, 2).flatten(2)  # (n, 16, 48)
        return self.end(self.layer(torch.relu(self.read(rows)))[0][:, -1])


def rnn() -> nn.Module:
    """A recurrent layer."""
    return Recurrent(nn.RNN(12, 10, batch_first=True))


def lstm() -> nn.Module:
    """A long short-term memory."""
    return Recurrent(nn.LSTM(12, 10, batch_first=True))


ARCHITECTURES: dict[str, Callable[[], nn.Module]] = {
    "VGG": vgg,
    "ResNet": residual,
    "MobileNetV2": mobilenet_v2,
    "MobileNetV3": mobilenet_v3,
    "SENet": senet,
    "DenseNet": densenet,
    "U-Net": UNet,
    "ResNeXt": resnext,
    "Group norm": group_norm,
    "ShuffleNet": shufflenet,
    "ViT": vit,
    "ViT of torch": vit_torch,
    "ConvNeXt": convnext,
    "MLP-Mixer": mixer,
    "RNN": rnn,
    "LSTM": lstm,
}


def build(name: str) -> nn.Module:
    """The architecture with random weights that are always the same, and batch norms that do something."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = ARCHITECTURES[name]()
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                nn.init.uniform_(module.weight, 0.5, 1.5)
                nn.init.normal_(module.bias, std=0.1)
                nn.init.normal_(module.running_mean, std=0.1)
                nn.init.uniform_(module.running_var, 0.5, 1.5)
    return model.eval()
