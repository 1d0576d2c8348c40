"""The building blocks of appendix D.1 (Fig. D.10)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SLOPE = 0.1
_EPSILON = 1e-5


def leaky(x: Tensor) -> Tensor:
    """LeakyReLU with the slope that the whole network uses."""
    return F.leaky_relu(x, SLOPE)


class Modulation(nn.Module):
    """A gain and a bias for each channel, from z; the gain is 1 + gamma(z), so that gamma = 0 does nothing.

    Args:
        channels: C of the feature maps.
        descriptor: length of z.
        hidden: channels between z and (gamma, beta).
    """

    def __init__(self, channels: int, descriptor: int, hidden: int) -> None:
        super().__init__()
        self.shared = nn.Linear(descriptor, hidden)
        self.gamma = nn.Linear(hidden, channels)
        self.beta = nn.Linear(hidden, channels)

    def gain_and_bias(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """z (B, D) -> (B, C), (B, C)."""
        hidden = F.relu(self.shared(z))
        return 1 + self.gamma(hidden), self.beta(hidden)

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        """x (B, C, H, W), z (B, D) -> (B, C, H, W)."""
        gain, bias = self.gain_and_bias(z)
        return torch.addcmul(bias[:, :, None, None], x, gain[:, :, None, None]).to(x.dtype)


class AdaIN(Modulation):
    """Adaptive instance normalisation (Eq. 3): :class:`Modulation` of features with mean 0 and variance 1."""

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        """x (B, C, H, W), z (B, D) -> (B, C, H, W)."""
        gain, bias = self.gain_and_bias(z)
        variance, mean = torch.var_mean(x, (2, 3), correction=0)
        scale = gain * torch.rsqrt(variance + _EPSILON)
        shift = bias - mean * scale
        return torch.addcmul(shift[:, :, None, None], x, scale[:, :, None, None]).to(x.dtype)


class LayerNorm2d(nn.Module):
    """Normalises over channels and space together; gain and bias per channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels, 1, 1))
        self.bias = nn.Parameter(torch.zeros(channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> the same shape."""
        variance, mean = torch.var_mean(x, (1, 2, 3), correction=0, keepdim=True)
        scale = self.weight * torch.rsqrt(variance + _EPSILON)
        return torch.addcmul(self.bias - mean * scale, x, scale).to(x.dtype)


class ConvDown(nn.Module):
    """Warping encoder: 4 x 4 stride 2, then 3 x 3, each after AdaIN and LeakyReLU (Fig. D.10 a)."""

    def __init__(self, inputs: int, outputs: int, descriptor: int, hidden: int) -> None:
        super().__init__()
        self.norm_0 = AdaIN(inputs, descriptor, hidden)
        self.conv_0 = nn.Conv2d(inputs, outputs, 4, stride=2, padding=1)
        self.norm_1 = AdaIN(outputs, descriptor, hidden)
        self.conv_1 = nn.Conv2d(outputs, outputs, 3, padding=1)

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C', H/2, W/2)."""
        x = self.conv_0(leaky(self.norm_0(x, z)))
        return self.conv_1(leaky(self.norm_1(x, z)))  # type: ignore[no-any-return]


class ResBlockUp(nn.Module):
    """Warping decoder: doubles the size by transposed convolutions on both paths (Fig. D.10 c)."""

    def __init__(self, inputs: int, outputs: int, descriptor: int, hidden: int) -> None:
        super().__init__()
        middle = min(inputs, outputs)
        self.norm_0 = AdaIN(inputs, descriptor, hidden)
        self.conv_0 = nn.Conv2d(inputs, middle, 3, padding=1)
        self.norm_1 = AdaIN(middle, descriptor, hidden)
        self.conv_1 = nn.ConvTranspose2d(middle, outputs, 3, stride=2, padding=1, output_padding=1)
        self.norm_side = AdaIN(inputs, descriptor, hidden)
        self.conv_side = nn.ConvTranspose2d(inputs, outputs, 3, stride=2, padding=1, output_padding=1)

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C', 2H, 2W)."""
        main = self.conv_0(leaky(self.norm_0(x, z)))
        main = self.conv_1(leaky(self.norm_1(main, z)))
        side = self.conv_side(leaky(self.norm_side(x, z)))
        return main + side  # type: ignore[no-any-return]


class ConvNorm(nn.Module):
    """Convolution, layer normalisation, LeakyReLU: the editing network's plain layer."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2)
        self.norm = LayerNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C', H, W)."""
        return leaky(self.norm(self.conv(x)))


class ResBlock(nn.Module):
    """x + AdaIN(conv(x)).

    Fig. D.10 b draws two convolutions. The published network stores both, but its result leaves the first
    out, and it was trained so; the reader of its checkpoints drops the unused one.
    """

    def __init__(self, channels: int, descriptor: int, hidden: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)
        self.norm = AdaIN(channels, descriptor, hidden)

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        """(B, C, H, W) -> the same shape."""
        return x + self.norm(self.conv(x), z)  # type: ignore[no-any-return]
