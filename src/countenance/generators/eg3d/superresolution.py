"""The rendered features, enlarged to the picture (Chan et al., Sec. 4.3): two more blocks of StyleGAN2."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from countenance.generators.eg3d.config import EG3DConfig
from countenance.generators.stylegan2.layers import RESAMPLE_TAPS, NoiseMode
from countenance.generators.stylegan2.ops import setup_filter
from countenance.generators.stylegan2.synthesis import SynthesisBlock

COLOURS = 3


class SuperResolution(nn.Module):
    """Features and colours of a rendered picture to the picture.

    Args:
        config: sizes. ``8XDC`` doubles twice (512 px from 128), ``4X`` once (256 px from 128).
    """

    def __init__(self, config: EG3DConfig) -> None:
        super().__init__()
        self.input_side, self.antialias = config.sr_input_resolution, config.sr_antialias
        self.doubles_twice = config.superresolution == "8XDC"
        if not self.doubles_twice:
            self.register_buffer("resample_filter", setup_filter(RESAMPLE_TAPS))  # in their files, not used
        first = 2 if self.doubles_twice else 1
        widths = (config.feature_channels, config.sr_inner_channels, config.sr_outer_channels)
        sides = (first * self.input_side, 2 * first * self.input_side)
        self.block0 = SynthesisBlock(
            widths[0], widths[1], config.w_dim, sides[0], COLOURS, up=first, conv_clamp=config.sr_conv_clamp
        )
        self.block1 = SynthesisBlock(
            widths[1], widths[2], config.w_dim, sides[1], COLOURS, up=2, conv_clamp=config.sr_conv_clamp
        )

    def forward(
        self,
        features: Tensor,
        ws: Tensor,
        noise: NoiseMode = "none",
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """The picture.

        Args:
            features: (B, C, r, r); the first three are its colours.
            ws: (B, num_ws, w_dim), of which only the last is used.
            noise: see :class:`~countenance.generators.stylegan2.synthesis.SynthesisNetwork`; none as published.
            generator: likewise.

        Returns:
            (B, 3, S, S), about [-1, 1].
        """
        last = ws[:, -1:].expand(-1, 3, -1)
        side = features.shape[2]
        # QUIRK: 4X makes small ones larger, and takes large ones as they are.
        if side != self.input_side if self.doubles_twice else side < self.input_side:
            size = (self.input_side, self.input_side)
            features = F.interpolate(
                features, size, mode="bilinear", align_corners=False, antialias=self.antialias
            )
        x, img = self.block0(features, features[:, :COLOURS], last, noise, generator)
        return self.block1(x, img, last, noise, generator)[1]  # type: ignore[no-any-return]
