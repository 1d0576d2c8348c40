"""GDPW's encoder, and its decoder of progressive warping modules (Sec. 3.3, Fig. 1b)."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from countenance.renderers.blocks.flow import warp
from countenance.renderers.gdpw.config import GDPWConfig

SLOPE = 0.1


class Guidance(NamedTuple):
    """The geometric patterns, drawn at the picture's size / ``config.patch``; 0 outside the mesh.

    Attributes:
        displacement: (B, 2, H, W) from the driving to the source mesh, drawn on the driving one; x right and y down,
            2 is the whole picture. None without it.
        driving_codes: (B, d, H, W) codes on the driving mesh; None without them.
        source_codes: (B, d, H, W) codes on the source mesh.
        start: (B, 3, H, W) the picture that the mesh alone gives, at the picture's size; None without it.
    """

    displacement: Tensor | None = None
    driving_codes: Tensor | None = None
    source_codes: Tensor | None = None
    start: Tensor | None = None


class Encoded(NamedTuple):
    """What is computed once per person.

    Attributes:
        shortcuts: F_s, features to warp, fine to coarse without the coarsest level.
        coarsest: features of the coarsest level.
    """

    shortcuts: list[Tensor]
    coarsest: Tensor


class Decoded(NamedTuple):
    """What is computed for every frame.

    Attributes:
        flows: fine to coarse without the coarsest level, (B, 2, h, w) in px of their own grid.
        correction: (B, 2, h, w) what the finest flow adds to the mesh's; the flow itself without a mesh start.
        painted: (B, 3, H, W) in [0, 1].
        mask: (B, 1, H, W), share of ``painted``.
    """

    flows: list[Tensor]
    correction: Tensor
    painted: Tensor
    mask: Tensor


class Rendered(NamedTuple):
    """What the network gives; pictures in [0, 1].

    Attributes:
        flows: see :class:`Decoded`.
        correction: likewise.
        warped: (B, 3, H, W) the source, warped by the finest flow; or the start picture, warped by the correction.
        painted: (B, 3, H, W).
        mask: (B, 1, H, W), share of ``painted``.
        picture: (B, 3, H, W), the result.
    """

    flows: list[Tensor]
    correction: Tensor
    warped: Tensor
    painted: Tensor
    mask: Tensor
    picture: Tensor


class NormalizedConv(nn.Conv2d):
    """A convolution that is spectrally normalised while it is trained; for use the norm is folded into its weight."""


class ConvBlock(nn.Module):
    """Convolution, batch norm, LeakyReLU."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = NormalizedConv(inputs, outputs, 3, padding=1)
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C', H, W)."""
        return F.leaky_relu(self.norm(self.conv(x)), SLOPE)


class SPADE(nn.Module):
    """Spatially adaptive normalisation by the guidance map (Park et al. 2019): norm(x) (1 + gamma) + beta."""

    def __init__(self, channels: int, hidden: int, modulation: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.shared = NormalizedConv(modulation, hidden, 3, padding=1)
        self.gamma = NormalizedConv(hidden, channels, 3, padding=1)
        self.beta = NormalizedConv(hidden, channels, 3, padding=1)

    def forward(self, x: Tensor, guidance: Tensor) -> Tensor:
        """x (B, C, h, w), guidance (B, M, h, w) -> (B, C, h, w)."""
        hidden = F.leaky_relu(self.shared(guidance), SLOPE)
        return torch.addcmul(self.beta(hidden), self.norm(x), 1 + self.gamma(hidden))


class SPADEResBlock(nn.Module):
    """Two convolutions, each after SPADE and LeakyReLU, and a shortcut."""

    def __init__(self, inputs: int, outputs: int, modulation: int, hidden: int) -> None:
        super().__init__()
        self.spade_1 = SPADE(inputs, hidden, modulation)
        self.conv_1 = NormalizedConv(inputs, outputs, 3, padding=1)
        self.spade_2 = SPADE(outputs, hidden, modulation)
        self.conv_2 = NormalizedConv(outputs, outputs, 3, padding=1)
        self.shortcut = NormalizedConv(inputs, outputs, 1) if inputs != outputs else None

    def forward(self, x: Tensor, guidance: Tensor) -> Tensor:
        """x (B, C, h, w), guidance (B, M, h, w) -> (B, C', h, w)."""
        y = self.conv_1(F.leaky_relu(self.spade_1(x, guidance), SLOPE))
        y = self.conv_2(F.leaky_relu(self.spade_2(y, guidance), SLOPE))
        return y + (x if self.shortcut is None else self.shortcut(x))  # type: ignore[no-any-return]


class ProgressiveWarping(nn.Module):
    """PWM at one level: SPADE by the guidance, the full displacement of the next level, doubled features."""

    def __init__(self, inputs: int, width: int, finer: int, modulation: int, hidden: int) -> None:
        super().__init__()
        self.spade = SPADEResBlock(inputs, width, modulation, hidden)
        self.flow = nn.Conv2d(width, 2, 3, padding=1)
        self.up = ConvBlock(width, finer)

    def forward(self, x: Tensor, guidance: Tensor) -> tuple[Tensor, Tensor]:
        """x (B, C, h, w) -> features (B, C', 2h, 2w), flow (B, 2, 2h, 2w) in px of that grid."""
        x = self.spade(x, guidance)
        flow = F.interpolate(self.flow(x), scale_factor=2, mode="bilinear", align_corners=False)
        return self.up(F.interpolate(x, scale_factor=2, mode="nearest")), flow


class GDPW(nn.Module):
    """The whole generator.

    Args:
        config: sizes and options.

    ``codes`` (vertices, d) are E of Sec. 3.2, attached to the mesh; whoever draws the guidance reads them here.
    """

    def __init__(self, config: GDPWConfig) -> None:
        super().__init__()
        self.config = config
        strides = [1 << level for level in range(config.levels)]
        widths = [config.width(stride) for stride in strides]
        self.codes = (
            nn.Parameter(torch.randn(config.vertices, config.code_channels)) if config.uses_codes else None
        )
        pixels = config.patch**2
        inputs = 3 * pixels + config.code_channels * config.uses_codes
        self.encoder = nn.ModuleList(
            ConvBlock(a, b) for a, b in zip([inputs, *widths[:-1]], widths, strict=True)
        )
        self.shortcuts = nn.ModuleList(ConvBlock(width, width) for width in widths[:-1])
        self.decoder = nn.ModuleList(  # coarse to fine; every input is two routes side by side
            ProgressiveWarping(
                2 * widths[level],
                widths[level],
                widths[level - 1],
                config.modulation_channels,
                config.spade_width or widths[level],
            )
            for level in range(config.levels - 1, 0, -1)
        )
        last = 2 * widths[0]
        self.finish = ConvBlock(last + 3 * pixels, widths[0]) if config.start_picture else None
        self.out = nn.Conv2d(widths[0] if config.start_picture else last, 4 * pixels, 3, padding=1)

    def encode(self, source: Tensor, source_codes: Tensor | None) -> Encoded:
        """Features of the source; once per person, unless the codes change.

        Args:
            source: (B, 3, H, W) in [0, 1]; sides are multiples of ``config.multiple``.
            source_codes: of :class:`Guidance`.
        """
        x = self._patches(source)
        if source_codes is not None:
            x = torch.cat([x, source_codes], 1)
        routes = []
        for level, block in enumerate(self.encoder):
            x = block(x)
            if level:
                x = F.avg_pool2d(x, 2)
            if level < len(self.shortcuts):
                routes.append(self.shortcuts[level](x))
        return Encoded(routes, x)

    def decode(self, encoded: Encoded, guidance: Guidance) -> Decoded:
        """Flows and colours of one frame, with what ``config.guidance`` names."""
        config, deepest = self.config, self.config.levels - 1
        exact = config.exact_grid
        maps = [part for part in (guidance.driving_codes, guidance.displacement) if part is not None]
        modulation = torch.cat(maps, 1)
        coarsest = encoded.coarsest
        small = self._reduced(modulation, deepest)
        mesh_flow = small[:, -2:] if guidance.displacement is not None else torch.zeros_like(coarsest[:, :2])
        x = torch.cat([coarsest, warp(coarsest, in_px(mesh_flow, exact), exact)], 1)
        flows: list[Tensor] = []
        correction = mesh_flow
        for level, block in zip(range(deepest, 0, -1), self.decoder, strict=True):
            x, correction = block(x, small)
            small = self._reduced(modulation, level - 1)
            flow = correction + in_px(small[:, -2:], exact) if config.mesh_start else correction
            x = torch.cat([x, warp(encoded.shortcuts[level - 1], flow, exact)], 1)
            flows.insert(0, flow)
        if self.finish is not None and guidance.start is not None:
            x = self.finish(torch.cat([x, self._patches(guidance.start)], 1))
        out = torch.sigmoid(self._pixels(self.out(x)).float())
        return Decoded(flows, correction, out[:, :3], out[:, 3:])

    def _reduced(self, modulation: Tensor, level: int) -> Tensor:
        if self.config.exact_grid:
            return F.avg_pool2d(modulation, 1 << level) if level else modulation
        return blurred_and_reduced(modulation, 1 << level)

    def _patches(self, picture: Tensor) -> Tensor:
        return picture if self.config.patch == 1 else F.pixel_unshuffle(picture, self.config.patch)

    def _pixels(self, patches: Tensor) -> Tensor:
        """(B, 4 p^2, h, w) -> (B, 4, p h, p w)."""
        return patches if self.config.patch == 1 else F.pixel_shuffle(patches, self.config.patch)

    def forward(self, source: Tensor, guidance: Guidance) -> Rendered:
        """See :meth:`encode`, :meth:`decode` and :meth:`rendered`."""
        decoded = self.decode(self.encode(source, guidance.source_codes), guidance)
        return self.rendered(source, decoded, guidance)

    def rendered(self, source: Tensor, decoded: Decoded, guidance: Guidance) -> Rendered:
        """The picture at the network's own size."""
        flows, correction, painted, mask = decoded
        if self.config.start_picture and guidance.start is not None:
            warped = warp(guidance.start, correction, self.config.exact_grid)
        else:
            warped = warp(source, flows[0], self.config.exact_grid)
        picture = torch.lerp(warped.float(), painted, mask) if self.config.blend else painted
        return Rendered(flows, correction, warped, painted, mask, picture)


def in_px(flow: Tensor, exact: bool) -> Tensor:
    """Flow (B, 2, h, w) in units where 2 is the whole picture -> px of its own grid.

    The published grid puts -1 and 1 on the first and last centres, so that the whole is one px less.
    """
    height, width = flow.shape[2:]
    whole = (width, height) if exact else (width - 1, height - 1)
    return flow * (flow.new_tensor(whole) / 2)[:, None, None]


def blurred_and_reduced(picture: Tensor, stride: int) -> Tensor:
    """Gaussian blur with sigma (stride - 1) / 2, then every stride-th pixel, beginning with the first.

    Args:
        picture: (B, C, H, W); beyond its edge lie zeros.
        stride: a power of 2; 1 gives the picture itself.
    """
    if stride == 1:
        return picture
    kernel = gaussian(stride).to(picture)
    channels, radius = picture.shape[1], len(kernel) // 2
    for axis in (2, 3):  # a Gaussian is separable, and rows that are not kept need not be blurred
        shape, step, pad = [1, 1, 1, 1], [1, 1], [0, 0]
        shape[axis], step[axis - 2], pad[axis - 2] = len(kernel), stride, radius
        weight = kernel.reshape(shape).expand(channels, 1, *shape[2:])
        picture = F.conv2d(picture, weight, stride=step, padding=pad, groups=channels)
    return picture


def gaussian(stride: int) -> Tensor:
    """(K,) weights that add up to 1, K = 2 round(4 sigma) + 1 with sigma = (stride - 1) / 2."""
    sigma = (stride - 1) / 2
    radius = round(4 * sigma)
    x = torch.arange(-radius, radius + 1, dtype=torch.float64)
    weights = torch.exp(-(x**2) / (2 * sigma**2))
    return weights / weights.sum()
