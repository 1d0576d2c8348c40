"""w to pictures (StyleGAN2, Fig. 7b: output skips)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from countenance.errors import BadValue
from countenance.generators.stylegan2.config import StyleGAN2Config
from countenance.generators.stylegan2.layers import RESAMPLE_TAPS, NoiseMode, SynthesisLayer, ToRGBLayer
from countenance.generators.stylegan2.mapping import StyleMapping
from countenance.generators.stylegan2.ops import setup_filter, upsample2d


class SynthesisBlock(nn.Module):
    """One resolution: one or two layers of features, and what they add to the picture.

    Args:
        inputs: channels of the features that come in; 0 for the first block, which starts from a constant.
        outputs: channels of the features.
        w_dim: length of w.
        resolution: side of the output, in px.
        img_channels: of the picture.
        up: 2 doubles the size, 1 keeps it.
        conv_clamp: layers' outputs lie in +- this; None for no clamp.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        w_dim: int,
        resolution: int,
        img_channels: int,
        *,
        up: int = 2,
        conv_clamp: float | None,
    ) -> None:
        super().__init__()
        self.up = up
        self.const = None if inputs else nn.Parameter(torch.randn(outputs, resolution, resolution))
        self.register_buffer("resample_filter", setup_filter(RESAMPLE_TAPS))
        self.resample_filter: Tensor
        self.conv0 = (
            SynthesisLayer(inputs, outputs, w_dim, resolution, up=up, conv_clamp=conv_clamp)
            if inputs
            else None
        )
        self.conv1 = SynthesisLayer(outputs, outputs, w_dim, resolution, up=1, conv_clamp=conv_clamp)
        self.torgb = ToRGBLayer(outputs, img_channels, w_dim, conv_clamp=conv_clamp)

    def forward(
        self,
        x: Tensor | None,
        img: Tensor | None,
        ws: Tensor,
        noise: NoiseMode = "const",
        generator: torch.Generator | None = None,
    ) -> tuple[Tensor, Tensor]:
        """One level.

        Args:
            x: (B, inputs, H, W) features; None for the first block.
            img: (B, C, H, W) picture so far; None if there is none.
            ws: (B, 2 or 3, w_dim): of conv0, if there is one, conv1 and torgb.
            noise: see :class:`SynthesisNetwork`.
            generator: likewise.

        Returns:
            features (B, outputs, H up, W up), picture (B, C, H up, W up).
        """
        if self.const is not None:
            x = self.const.expand(len(ws), -1, -1, -1)
        if x is None:
            raise BadValue("this block needs features to start from")
        # twice as fast as channel by channel on CPUs
        x = x.contiguous(memory_format=torch.channels_last)
        if self.conv0 is not None:
            x = self.conv0(x, ws[:, 0], noise, generator)
        x = self.conv1(x, ws[:, -2], noise, generator)
        colours = self.torgb(x, ws[:, -1])
        if img is None:
            return x, colours
        if self.up == 1:
            return x, img + colours
        return x, upsample2d(img, self.resample_filter, self.up).add_(colours)


class SynthesisNetwork(nn.Module):
    """g: w -> picture.

    Args:
        config: sizes.

    Block b4 reads w 0 and 1; block bR reads three from 2 log2(R) - 5 on. Its last is the next block's first.
    """

    def __init__(self, config: StyleGAN2Config) -> None:
        super().__init__()
        self.config = config
        inputs = 0
        for side, width in config.widths.items():
            block = SynthesisBlock(
                inputs, width, config.w_dim, side, config.img_channels, conv_clamp=config.conv_clamp
            )
            self.add_module(f"b{side}", block)
            inputs = width

    def forward(
        self, ws: Tensor, noise: NoiseMode = "const", generator: torch.Generator | None = None
    ) -> Tensor:
        """The picture.

        Args:
            ws: (B, num_ws, w_dim), one w a layer (W+); the same w in all for W.
            noise: ``const`` adds the stored noise, ``random`` a fresh one for each picture, ``none`` nothing.
            generator: of the fresh noise.

        Returns:
            (B, C, H, W), about [-1, 1].

        Raises:
            BadValue: another number of w.
        """
        if ws.shape[1:] != (self.config.num_ws, self.config.w_dim):
            wants = f"{self.config.num_ws} w of {self.config.w_dim} numbers"
            raise BadValue(f"ws has shape {tuple(ws.shape)}; this network takes {wants} for each picture")
        x: Tensor | None = None
        img: Tensor | None = None
        start = 0
        for side in self.config.widths:
            count = 2 if side == 4 else 3
            x, img = self.get_submodule(f"b{side}")(x, img, ws[:, start : start + count], noise, generator)
            start += count - 1
        if img is None:
            raise BadValue("the network has no blocks")
        return img


class Generator(nn.Module):
    """Mapping and synthesis together.

    Args:
        config: sizes.
    """

    def __init__(self, config: StyleGAN2Config) -> None:
        super().__init__()
        self.config = config
        self.synthesis = SynthesisNetwork(config)
        self.mapping = StyleMapping(
            config.z_dim, config.c_dim, config.w_dim, config.mapping_layers, config.num_ws
        )

    def forward(
        self,
        z: Tensor,
        c: Tensor | None = None,
        *,
        truncation_psi: float = 1,
        truncation_cutoff: int | None = None,
        noise: NoiseMode = "const",
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """z (B, z_dim), label (B, c_dim) -> (B, C, H, W), about [-1, 1]."""
        ws = self.mapping(z, c, truncation_psi, truncation_cutoff)
        return self.synthesis(ws, noise, generator)  # type: ignore[no-any-return]
