"""Sizes and options of the networks; importing this does not import torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from countenance.errors import BadValue
from countenance.ranges import LAYERS, NETWORK_SIDE_PX

Architecture = Literal["resnet", "skip", "orig"]


def widths(resolution: int, channel_base: int, channel_max: int) -> dict[int, int]:
    """Channels of the features at each resolution, 4 px to ``resolution``.

    Raises:
        BadValue: the resolution is no power of 2 from 4 up.
    """
    if resolution < 4 or resolution & (resolution - 1):
        raise BadValue(f"a picture of {resolution} px is not possible; take a power of 2 from 4 up")
    sides = [1 << power for power in range(2, resolution.bit_length())]
    return {side: min(channel_base // side, channel_max) for side in sides}


@dataclass(frozen=True)
class StyleGAN2Config:
    """Everything that decides what the generator computes. The defaults are FFHQ's at 1024 px (configuration F).

    Attributes:
        z_dim: length of the latent vector z.
        c_dim: length of the label c; 0 without labels.
        w_dim: length of w.
        img_resolution: side of the picture in px, a power of 2.
        img_channels: of the picture.
        channel_base: features have channel_base / side channels ...
        channel_max: ... but no more than this.
        mapping_layers: of the mapping network.
        conv_clamp: every layer's output is clamped to +- this; None for no clamp.
    """

    z_dim: int = 512
    c_dim: int = 0
    w_dim: int = 512
    img_resolution: Annotated[int, NETWORK_SIDE_PX] = 1024
    img_channels: int = 3
    channel_base: int = 32768
    channel_max: int = 512
    mapping_layers: Annotated[int, LAYERS] = 8
    conv_clamp: float | None = 256

    @property
    def widths(self) -> dict[int, int]:
        """Channels by resolution, from 4 px."""
        return widths(self.img_resolution, self.channel_base, self.channel_max)

    @property
    def num_ws(self) -> int:
        """How many w a picture takes: 2 log2(side) - 2; 18 at 1024 px."""
        return 2 * (self.img_resolution.bit_length() - 1) - 2


@dataclass(frozen=True)
class DiscriminatorConfig:
    """Everything that decides what the discriminator computes. The defaults are FFHQ's at 1024 px.

    Attributes:
        c_dim: length of the label; 0 without labels.
        img_resolution: side of the picture in px, a power of 2 from 8 up.
        img_channels: of the picture.
        architecture: ``resnet`` as published; ``skip`` looks at the picture at every resolution; ``orig`` is a chain.
        channel_base: see :class:`StyleGAN2Config`.
        channel_max: likewise.
        mapping_layers: of the label's mapping network.
        cmap_dim: length of the mapped label; None for the width at 4 px.
        mbstd_group_size: pictures whose spread is measured together; None for the whole batch.
        mbstd_num_channels: channels that carry the spread.
        conv_clamp: see :class:`StyleGAN2Config`.
    """

    c_dim: int = 0
    img_resolution: Annotated[int, NETWORK_SIDE_PX] = 1024
    img_channels: int = 3
    architecture: Architecture = "resnet"
    channel_base: int = 32768
    channel_max: int = 512
    mapping_layers: Annotated[int, LAYERS] = 8
    cmap_dim: int | None = None
    mbstd_group_size: int | None = 4
    mbstd_num_channels: int = 1
    conv_clamp: float | None = 256

    @property
    def widths(self) -> dict[int, int]:
        """Channels by resolution, from 4 px."""
        return widths(self.img_resolution, self.channel_base, self.channel_max)

    @property
    def label_width(self) -> int:
        """Length of the mapped label; 0 without labels."""
        if self.c_dim == 0:
            return 0
        return self.widths[4] if self.cmap_dim is None else self.cmap_dim


def debug() -> StyleGAN2Config:
    """A few thousand weights, for tests."""
    return StyleGAN2Config(
        z_dim=8, w_dim=8, img_resolution=16, channel_base=64, channel_max=8, mapping_layers=2
    )
