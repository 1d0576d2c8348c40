"""PIRenderer's three networks: mapping, warping, editing (Sec. 3.2; sizes: appendix D.1, Fig. D.11)."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from countenance.renderers.blocks.flow import warp
from countenance.renderers.pirenderer.config import PIRendererConfig
from countenance.renderers.pirenderer.layers import (
    ConvDown,
    ConvNorm,
    LayerNorm2d,
    Modulation,
    ResBlock,
    ResBlockUp,
    leaky,
)
from countenance.renderers.pirenderer.rigid_head import POSE, RigidHead, rigid_head, surface_encoding

Stage = Literal["warp", "all"]
_PLACE_CHANNELS = 17  # surface_encoding and the rigid flow
_FIRST_TRUST = 2.0  # bias of the rigid flow's share: an untrained network takes sigmoid(2) = 88 % of it
_FIRST_MASK = -3.0  # bias of an untrained blending mask: sigmoid(-3) = 5 % of the picture is painted over


class Rendered(NamedTuple):
    """What the network gives.

    Attributes:
        flow: (B, 2, h, w), see :mod:`countenance.renderers.blocks.flow`.
        warped: (B, 3, H, W), the coarse picture in [-1, 1].
        picture: (B, 3, H, W) in [-1, 1]; None for ``stage="warp"``.
        paint: (B, 3, H, W) and (B, 1, H, W), colours and mask that ``picture`` blends over ``warped``; None
            without ``config.blend``.
    """

    flow: Tensor
    warped: Tensor
    picture: Tensor | None
    paint: tuple[Tensor, Tensor] | None = None


class MappingNetwork(nn.Module):
    """Motion descriptor -> latent vector z (Eq. 2)."""

    def __init__(self, config: PIRendererConfig) -> None:
        super().__init__()
        single = config.window == 1
        channels = config.descriptor_channels
        self.first = nn.Conv1d(config.descriptor_inputs, channels, 1 if single else 7)
        self.layers = nn.ModuleList(
            nn.Conv1d(channels, channels, 1) if single else nn.Conv1d(channels, channels, 3, dilation=3)
            for _ in range(config.mapping_layers)
        )
        self._cut = 0 if single else 3

    def before_mean(self, descriptor: Tensor) -> Tensor:
        """(B, D, T) -> (B, C, T') with T' = T - 6 - 6 layers."""
        x = self.first(descriptor)
        for layer in self.layers:
            x = layer(leaky(x)) + x[:, :, self._cut : x.shape[2] - self._cut]
        return x  # type: ignore[no-any-return]

    def forward(self, descriptor: Tensor) -> Tensor:
        """(B, D, T) -> (B, C)."""
        return self.before_mean(descriptor).mean(2)


class WarpingNetwork(nn.Module):
    """Source picture + z -> flow (Sec. 3.2, "The Warping Network")."""

    def __init__(self, config: PIRendererConfig) -> None:
        super().__init__()
        z, hidden, kernel = config.descriptor_channels, config.adain_width, config.outer_kernel
        widths = [min(config.warp_width * 2**i, config.max_width) for i in range(config.warp_levels + 1)]
        self.coordinates = config.coordinates
        self.input = nn.Conv2d(5 if self.coordinates else 3, widths[0], kernel, padding=kernel // 2)
        self.encoder = nn.ModuleList(ConvDown(a, b, z, hidden) for a, b in pairwise(widths))
        self.decoder = nn.ModuleList()
        inputs = widths[-1]
        for level in reversed(range(config.warp_levels - config.warp_ups, config.warp_levels)):
            self.decoder.append(ResBlockUp(inputs, widths[level], z, hidden))
            inputs = 2 * widths[level]  # the encoder's features of this size follow the decoder's
        self.flow_norm = LayerNorm2d(inputs)
        self.onto_head = OntoHead(inputs, inputs // 3, z, hidden) if config.rigid_start else None
        outputs = 2
        if self.onto_head is not None:
            inputs, outputs = inputs + inputs // 3, 3
        self.flow = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2)

    def features(self, picture: Tensor) -> Tensor:
        """The part that depends on the source alone: (B, 3, H, W) -> (B, C, H, W)."""
        if self.coordinates:
            batch, _, height, width = picture.shape
            right = torch.linspace(-1, 1, width, device=picture.device).expand(batch, 1, height, width)
            down = torch.linspace(-1, 1, height, device=picture.device)[:, None].expand(
                batch, 1, height, width
            )
            picture = torch.cat([picture, right, down], 1)
        return self.input(picture)  # type: ignore[no-any-return]

    def forward(self, features: Tensor, z: Tensor, poses: Tensor) -> Tensor:
        """:meth:`features`, z (B, C), poses -> (B, 2, h, w) flow in px of its own grid.

        With ``config.rigid_start`` poses are the driving and the source's (B, 12), and the network says how far the
        rigid flow holds and what is to be added; else they are empty (B, 0).
        """
        levels = [features]
        for down in self.encoder:
            levels.append(down(levels[-1], z))
        x = levels.pop()
        for up in self.decoder:
            x = torch.cat([up(x, z), levels.pop()], 1)
        x = leaky(self.flow_norm(x))
        if self.onto_head is None:
            return self.flow(x)  # type: ignore[no-any-return]
        rigid = rigid_head(poses[:, :6], poses[:, 6:], x.shape[2], x.shape[3])
        outputs = self.flow(torch.cat([x, self.onto_head(x, rigid, z)], 1)).float()
        flow: Tensor = rigid.flow * torch.sigmoid(outputs[:, 2:] + _FIRST_TRUST) + outputs[:, :2]
        return flow


class OntoHead(nn.Module):
    """Features of where on the head each place lies, for the flow's last layer (lite; not in the paper)."""

    def __init__(self, inputs: int, outputs: int, descriptor: int, hidden: int) -> None:
        super().__init__()
        self.conv_0 = nn.Conv2d(inputs + _PLACE_CHANNELS, outputs, 3, padding=1)
        self.modulation_0 = Modulation(outputs, descriptor, hidden)
        self.conv_1 = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.modulation_1 = Modulation(outputs, descriptor, hidden)

    def forward(self, x: Tensor, rigid: RigidHead, z: Tensor) -> Tensor:
        """x (B, C, h, w) -> (B, C', h, w). Modulation follows the nonlinearity: a sum of places, weighted by z."""
        place = torch.cat([surface_encoding(rigid.surface), rigid.flow / x.shape[3]], 1).to(x.dtype)
        x = self.modulation_0(leaky(self.conv_0(torch.cat([x, place], 1))), z)
        return self.modulation_1(leaky(self.conv_1(x)), z)  # type: ignore[no-any-return]


class EditingNetwork(nn.Module):
    """Source picture + warped picture + z -> final picture (Sec. 3.2, "The Editing Network")."""

    def __init__(self, config: PIRendererConfig) -> None:
        super().__init__()
        z, hidden, kernel = config.descriptor_channels, config.adain_width, config.outer_kernel
        self.patch, self.blend = config.edit_patch, config.blend
        widths = [min(config.edit_width * 2**i, config.max_width) for i in range(config.edit_levels + 1)]
        self.first = ConvNorm(6 * self.patch**2, widths[0], kernel)
        self.down = nn.ModuleList(ConvNorm(a, b) for a, b in pairwise(widths))
        self.blocks, self.up, self.jump = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        for level in reversed(range(config.edit_levels)):
            deep, shallow = widths[level + 1], widths[level]
            self.blocks.append(nn.ModuleList(ResBlock(deep, z, hidden) for _ in range(config.edit_blocks)))
            self.up.append(ConvNorm(deep, shallow))
            self.jump.append(ConvNorm(shallow, shallow))
        outputs = (4 if self.blend else 3) * self.patch**2
        self.final = nn.Conv2d(widths[0], outputs, kernel, padding=kernel // 2)

    def forward(
        self, source: Tensor, warped: Tensor, z: Tensor
    ) -> tuple[Tensor, tuple[Tensor, Tensor] | None]:
        """Two pictures (B, 3, H, W), z (B, C) -> picture, and colours and mask with ``config.blend``."""
        x = torch.cat([source, warped], 1)
        if self.patch > 1:
            x = F.pixel_unshuffle(x, self.patch)
        levels = [self.first(x)]
        for down in self.down:
            levels.append(F.avg_pool2d(down(levels[-1]), 2))
        x = levels.pop()
        for blocks, up, jump in zip(self.blocks, self.up, self.jump, strict=True):
            for block in blocks:  # type: ignore[attr-defined]
                x = block(x, z)
            x = up(F.interpolate(x, scale_factor=2, mode="nearest")) + jump(levels.pop())
        x = self.final(x).to(warped.dtype)
        if self.patch > 1:
            x = F.pixel_shuffle(x, self.patch)
        if not self.blend:
            return torch.tanh(x), None
        colours, mask = torch.tanh(x[:, :3]), torch.sigmoid(x[:, 3:] + _FIRST_MASK)
        return torch.lerp(warped, colours, mask), (colours, mask)


class PIRenderer(nn.Module):
    """The whole generator.

    Args:
        config: sizes and options.

    Buffers ``motion_mean`` and ``motion_std`` (motion_channels,) make the coefficients comparable; the published
    network takes them as they are (0 and 1).
    """

    motion_mean: Tensor
    motion_std: Tensor

    def __init__(self, config: PIRendererConfig) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("motion_mean", torch.zeros(config.motion_channels))
        self.register_buffer("motion_std", torch.ones(config.motion_channels))
        self.mapping = MappingNetwork(config)
        self.warping = WarpingNetwork(config)
        self.editing = EditingNetwork(config)

    def latent(self, window: Tensor, own: Tensor | None = None) -> Tensor:
        """z of motion descriptors; with ``config.rigid_start`` followed by the driving and the source's pose (12).

        Args:
            window: (B, D, T) the driving motion around each frame.
            own: (B, D) the source's own motion; needed with ``config.source_motion``.
        """
        mean, std = self.motion_mean[:, None], self.motion_std[:, None]
        descriptor = (window - mean) / std
        if self.config.source_motion:
            if own is None:
                raise ValueError("this network also needs the source's own motion")
            descriptor = torch.cat([descriptor, descriptor - (own[:, :, None] - mean) / std], 1)
        z: Tensor = self.mapping(descriptor)
        if self.config.rigid_start and own is not None:
            z = torch.cat([z, window[:, POSE, window.shape[2] // 2], own[:, POSE]], 1)
        return z

    def source_features(self, source: Tensor) -> Tensor:
        """What the warping network computes of the source alone; once per person."""
        shrink = self.config.warp_shrink
        return self.warping.features(F.avg_pool2d(source, shrink) if shrink > 1 else source)

    def render(self, source: Tensor, features: Tensor, z: Tensor, stage: Stage = "all") -> Rendered:
        """Pictures of latent vectors.

        Args:
            source: (B, 3, H, W) in [-1, 1]; H and W multiples of ``config.multiple``.
            features: of :meth:`source_features`.
            z: of :meth:`latent`.
            stage: "warp" stops before the editing network (the first stage of training, Sec. 4).
        """
        flow = self.flow(features, z)
        warped = warp(source, flow, self.config.exact_grid)
        if stage == "warp":
            return Rendered(flow, warped, None)
        picture, paint = self.paint(source, warped, z)
        return Rendered(flow, warped, picture, paint)

    def flow(self, features: Tensor, z: Tensor) -> Tensor:
        """The warping network's part of :meth:`render`."""
        channels = self.config.descriptor_channels
        return self.warping(features, z[:, :channels], z[:, channels:])  # type: ignore[no-any-return]

    def paint(self, source: Tensor, warped: Tensor, z: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor] | None]:
        """The editing network's part of :meth:`render`."""
        return self.editing(source, warped, z[:, : self.config.descriptor_channels])  # type: ignore[no-any-return]

    def forward(
        self, source: Tensor, window: Tensor, own: Tensor | None = None, stage: Stage = "all"
    ) -> Rendered:
        """See :meth:`latent` and :meth:`render`."""
        return self.render(source, self.source_features(source), self.latent(window, own), stage)
