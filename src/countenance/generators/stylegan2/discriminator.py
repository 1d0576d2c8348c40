"""The critic (StyleGAN2, Fig. 7c: a residual network; or with input skips, Fig. 7b; or a plain chain, Fig. 7a)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from countenance.generators.stylegan2.config import DiscriminatorConfig
from countenance.generators.stylegan2.layers import RESAMPLE_TAPS, ConvLayer, FullyConnected
from countenance.generators.stylegan2.mapping import MappingNetwork
from countenance.generators.stylegan2.ops import downsample2d, minibatch_std, setup_filter


class DiscriminatorBlock(nn.Module):
    """One resolution: two convolutions, the second halves.

    Args:
        config: sizes and architecture.
        resolution: side of what comes in, in px.
    """

    def __init__(self, config: DiscriminatorConfig, resolution: int) -> None:
        super().__init__()
        width, narrower = config.widths[resolution], config.widths[resolution // 2]
        first, clamp = resolution == config.img_resolution, config.conv_clamp
        self.architecture = config.architecture
        self.register_buffer("resample_filter", setup_filter(RESAMPLE_TAPS))
        self.resample_filter: Tensor
        sees_picture = first or config.architecture == "skip"
        self.fromrgb = ConvLayer(config.img_channels, width, 1, conv_clamp=clamp) if sees_picture else None
        self.conv0 = ConvLayer(width, width, 3, conv_clamp=clamp)
        self.conv1 = ConvLayer(width, narrower, 3, down=2, conv_clamp=clamp)
        self.skip = (
            ConvLayer(width, narrower, 1, bias=False, activation="linear", down=2)
            if config.architecture == "resnet"
            else None
        )

    def forward(self, x: Tensor | None, img: Tensor) -> tuple[Tensor, Tensor]:
        """x (B, C, H, W) or None for the first block, img (B, C, H, W) -> features at half the size, picture.

        With input skips the picture comes back at half its size, else as it is.
        """
        if self.fromrgb is not None:
            seen = self.fromrgb(img)
            x = seen if x is None else x + seen
        if self.architecture == "skip":
            img = downsample2d(img, self.resample_filter)
        if self.skip is None:
            return self.conv1(self.conv0(x)), img
        shortcut = self.skip(x, gain=math.sqrt(0.5))
        return shortcut + self.conv1(self.conv0(x), gain=math.sqrt(0.5)), img


class DiscriminatorEpilogue(nn.Module):
    """4 x 4 px features to a number, or to a vector that a label is compared with.

    Args:
        config: sizes and architecture.
    """

    def __init__(self, config: DiscriminatorConfig) -> None:
        super().__init__()
        width, clamp = config.widths[4], config.conv_clamp
        self.group_size, self.spreads = config.mbstd_group_size, config.mbstd_num_channels
        skips = config.architecture == "skip"
        self.fromrgb = ConvLayer(config.img_channels, width, 1) if skips else None
        self.conv = ConvLayer(width + self.spreads, width, 3, conv_clamp=clamp)
        self.fc = FullyConnected(width * 4 * 4, width, "lrelu")
        self.out = FullyConnected(width, config.label_width or 1)

    def forward(self, x: Tensor, img: Tensor, label: Tensor | None) -> Tensor:
        """x (B, C, 4, 4), img (B, C, 4, 4), mapped label (B, M) -> (B, 1)."""
        if self.fromrgb is not None:
            x = x + self.fromrgb(img)
        if self.spreads:
            x = minibatch_std(x, self.group_size, self.spreads)
        # Features are flattened channel by channel, whatever their layout in memory.
        x = self.out(self.fc(self.conv(x).flatten(1)))
        return x if label is None else (x * label).sum(1, keepdim=True) / math.sqrt(label.shape[1])


class Discriminator(nn.Module):
    """Pictures to one number each: large for real.

    Args:
        config: sizes and architecture.
    """

    def __init__(self, config: DiscriminatorConfig) -> None:
        super().__init__()
        self.config = config
        self._sides = [side for side in reversed(config.widths) if side > 4]
        for side in self._sides:
            self.add_module(f"b{side}", DiscriminatorBlock(config, side))
        self.mapping = (
            MappingNetwork(0, config.c_dim, config.label_width, config.mapping_layers)
            if config.c_dim
            else None
        )
        self.b4 = DiscriminatorEpilogue(config)

    def forward(self, img: Tensor, c: Tensor | None = None) -> Tensor:
        """img (B, C, H, W) in about [-1, 1], label (B, c_dim) -> logits (B, 1)."""
        img = img.contiguous(memory_format=torch.channels_last)
        x: Tensor | None = None
        for side in self._sides:
            x, img = self.get_submodule(f"b{side}")(x, img)
        label = None if self.mapping is None else self.mapping(None, c)
        return self.b4(x, img, label)  # type: ignore[no-any-return]
