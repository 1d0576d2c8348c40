"""Layers with weights. All of them scale stored weights when they run (Karras et al. 2018, Sec. 4.1)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from countenance.generators.stylegan2.ops import (
    ACTIVATIONS,
    bias_act,
    conv2d_resample,
    modulated_conv2d,
    setup_filter,
)

NoiseMode = Literal["const", "none", "random"]
RESAMPLE_TAPS: Sequence[float] = (1, 3, 3, 1)
_SLOPE, _GAIN = ACTIVATIONS["lrelu"].slope, ACTIVATIONS["lrelu"].gain


class FullyConnected(nn.Module):
    """act(x W^T lr / sqrt(inputs) + b lr).

    Args:
        inputs: length of x.
        outputs: length of the result.
        activation: a name of :data:`~countenance.generators.stylegan2.ops.ACTIVATIONS`.
        lr_multiplier: lr; stored weights are this much larger than those that work, and so learn this much slower.
        bias_init: bias before training; None for no bias.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        activation: str = "linear",
        lr_multiplier: float = 1,
        bias_init: float | None = 0,
    ) -> None:
        super().__init__()
        self.activation = activation
        self.lr_multiplier = lr_multiplier
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / lr_multiplier)
        self.bias = None if bias_init is None else nn.Parameter(torch.full((outputs,), float(bias_init)))

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs) -> (B, outputs)."""
        weight = self.weight * (self.lr_multiplier / math.sqrt(self.weight.shape[1]))
        bias = self.bias if self.bias is None or self.lr_multiplier == 1 else self.bias * self.lr_multiplier
        return bias_act(F.linear(x, weight, bias), act=self.activation)


class ConvLayer(nn.Module):
    """Convolution of the discriminator, with resampling, bias and activation.

    Args:
        inputs: channels.
        outputs: channels.
        kernel: side of the kernel, odd.
        bias: has one.
        activation: a name of :data:`~countenance.generators.stylegan2.ops.ACTIVATIONS`.
        up: enlarges by this.
        down: shrinks by this.
        conv_clamp: the output lies in +- conv_clamp * gain; None for no clamp.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        *,
        bias: bool = True,
        activation: str = "lrelu",
        up: int = 1,
        down: int = 1,
        conv_clamp: float | None = None,
    ) -> None:
        super().__init__()
        self.activation, self.up, self.down, self.conv_clamp = activation, up, down, conv_clamp
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        self.register_buffer("resample_filter", setup_filter(RESAMPLE_TAPS))
        self.resample_filter: Tensor

    def forward(self, x: Tensor, gain: float = 1) -> Tensor:
        """(B, inputs, H, W) -> (B, outputs, H', W'), times ``gain``."""
        weight = self.weight / math.sqrt(self.weight[0].numel())
        x = conv2d_resample(
            x,
            weight,
            self.resample_filter,
            up=self.up,
            down=self.down,
            padding=weight.shape[2] // 2,
            flip_weight=self.up == 1,
        )
        gain_of_all = ACTIVATIONS[self.activation].gain * gain
        clamp = None if self.conv_clamp is None else self.conv_clamp * gain
        return bias_act(x, self.bias, self.activation, gain=gain_of_all, clamp=clamp)


class SynthesisLayer(nn.Module):
    """Modulated 3 x 3 convolution, noise, bias, LeakyReLU (StyleGAN2, Fig. 2d).

    Args:
        inputs: channels.
        outputs: channels.
        w_dim: length of w.
        resolution: side of the output, in px.
        up: 2 doubles the size, 1 keeps it.
        conv_clamp: the output lies in +- this; None for no clamp.
    """

    def __init__(
        self, inputs: int, outputs: int, w_dim: int, resolution: int, *, up: int, conv_clamp: float | None
    ) -> None:
        super().__init__()
        self.up, self.conv_clamp, self.resolution = up, conv_clamp, resolution
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 3, 3))
        self.noise_strength = nn.Parameter(torch.zeros(()))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.register_buffer("resample_filter", setup_filter(RESAMPLE_TAPS))
        self.register_buffer("noise_const", torch.randn(resolution, resolution))
        self.resample_filter: Tensor
        self.noise_const: Tensor
        self.affine = FullyConnected(w_dim, inputs, bias_init=1)

    def forward(
        self, x: Tensor, w: Tensor, noise: NoiseMode = "const", generator: torch.Generator | None = None
    ) -> Tensor:
        """x (B, inputs, H, W), w (B, w_dim) -> (B, outputs, H up, W up)."""
        # LeakyReLU(g x) = g LeakyReLU(x) for g > 0: the gain goes where numbers are few.
        x = modulated_conv2d(
            x,
            self.weight,
            self.affine(w),
            noise=self._noise(x, noise, generator),
            f=self.resample_filter,
            up=self.up,
            padding=1,
            flip_weight=self.up == 1,
            gain=_GAIN,
        )
        return _clamped(F.leaky_relu_(_biased(x, self.bias * _GAIN), _SLOPE), self.conv_clamp)

    def _noise(self, x: Tensor, mode: NoiseMode, generator: torch.Generator | None) -> Tensor | None:
        if mode == "none":
            return None
        if mode == "const":
            return self.noise_const * (self.noise_strength * _GAIN)
        shape = (len(x), 1, self.resolution, self.resolution)
        place = x.device if generator is None else generator.device
        fresh = torch.randn(shape, generator=generator, device=place, dtype=x.dtype).to(x.device)
        return fresh * (self.noise_strength * _GAIN)


class ToRGBLayer(nn.Module):
    """Features to colours: a modulated 1 x 1 convolution without demodulation.

    Args:
        inputs: channels.
        outputs: channels.
        w_dim: length of w.
        conv_clamp: the output lies in +- this; None for no clamp.
    """

    def __init__(self, inputs: int, outputs: int, w_dim: int, *, conv_clamp: float | None) -> None:
        super().__init__()
        self.conv_clamp = conv_clamp
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 1, 1))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.affine = FullyConnected(w_dim, inputs, bias_init=1)

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """x (B, inputs, H, W), w (B, w_dim) -> (B, outputs, H, W)."""
        styles = self.affine(w) / math.sqrt(self.weight.shape[1])
        x = modulated_conv2d(x, self.weight, styles, demodulate=False)
        return _clamped(_biased(x, self.bias), self.conv_clamp)


def _biased(x: Tensor, bias: Tensor) -> Tensor:
    """x (B, C, H, W) + bias (C,), in x's memory: a fresh picture costs more than the sum."""
    return x.add_(bias[:, None, None])


def _clamped(x: Tensor, limit: float | None) -> Tensor:
    """x in [-limit, limit], in x's memory unless what made x needs it to go backward."""
    if limit is None:
        return x
    return x.clamp(-limit, limit) if x.requires_grad else x.clamp_(-limit, limit)
