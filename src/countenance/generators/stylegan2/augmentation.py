"""Adaptive discriminator augmentation (Karras et al. 2020, "Training GANs with Limited Data", Sec. 2, App. B).

The critic sees every picture, real or made, changed at random, so that it can't learn few pictures by heart. How likely
changes are follows from how sure it is of real ones. Everything can be differentiated twice, as R1 needs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from countenance.errors import BadValue
from countenance.generators.stylegan2.ops import downsample2d, setup_filter, upsample2d

COLOURS = 3
# fmt: off
_SYM6 = (
    0.015404109327027373, 0.0034907120842174702, -0.11799011114819057, -0.048311742585633, 0.4910559419267466,
    0.787641141030194, 0.3379294217276218, -0.07263752278646252, -0.021060292512300564, 0.04472490177066578,
    0.0017677118642428036, -0.007800708325034148,
)
# fmt: on
_REACH = 6  # px of the large picture that the filter's 12 taps reach to each side
_SHIFT = 0.125  # of the side
_SCALE_OCTAVES = 0.2
_BRIGHTNESS, _CONTRAST_OCTAVES, _SATURATION_OCTAVES = 0.2, 0.5, 1.0


@dataclass(frozen=True)
class AugmentationConfig:
    """What is changed, and how fast the probability p follows. The defaults are the paper's.

    Attributes:
        target: mean sign of the logits of real pictures that is aimed at; p rises above it and falls below.
        pictures: real ones that the critic sees while p rises from 0 to 1.
        every: batches between two changes of p.
        blits: mirror, quarter turns, shifts by whole pixels.
        geometry: scale, rotation, stretch, shift.
        colour: brightness, contrast, inverted lightness, hue, saturation.
    """

    target: float = 0.6
    pictures: int = 500_000
    every: int = 4
    blits: bool = True
    geometry: bool = True
    colour: bool = True


class AdaptiveAugmentation(nn.Module):
    """Changes pictures with a probability that it adapts. Its state is in buffers, and so in checkpoints.

    Args:
        config: what and how fast.
    """

    def __init__(self, config: AugmentationConfig) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("p", torch.zeros(()))
        self.register_buffer("seen", torch.zeros(3))
        self.p: Tensor
        self.seen: Tensor  # sum of signs, logits, batches since p was changed

    @torch.no_grad()
    def observe(self, real_logits: Tensor) -> None:
        """Adapt p to what the critic says of a batch of real pictures: (B, ...)."""
        signs = real_logits.detach().sign()
        self.seen += signs.new_tensor([float(signs.sum()), signs.numel(), 1])
        if int(self.seen[2]) < self.config.every:
            return
        mean, step = self.seen[0] / self.seen[1], self.seen[1] / self.config.pictures
        self.p.copy_((self.p + (mean - self.config.target).sign() * step).clamp(0, 1))
        self.seen.zero_()

    def forward(self, pictures: Tensor) -> Tensor:
        """Changed pictures.

        Args:
            pictures: (B, C, H, W) in about [-1, 1]; C is a multiple of 3, and each three are RGB of the same scene.
        """
        if pictures.shape[1] % COLOURS:
            raise BadValue(f"pictures have {pictures.shape[1]} channels; give a multiple of {COLOURS}")
        if not float(self.p):
            return pictures
        config = self.config
        if config.blits or config.geometry:
            pictures = resampled(pictures, self._placement(pictures))
        return self._recoloured(pictures) if config.colour else pictures

    def _gated(self, values: Tensor, p: Tensor | None = None) -> Tensor:
        """Values (B, ...) for which 0 changes nothing, most of them set to 0."""
        chosen = torch.rand(len(values), device=values.device) < (self.p if p is None else p)
        return values * chosen.view(-1, *[1] * (values.ndim - 1))

    def _placement(self, pictures: Tensor) -> Tensor:
        """(B, 3, 3) from px of the result to px of the picture, both from the centre."""
        count, (height, width) = len(pictures), pictures.shape[2:]
        size = pictures.new_tensor([width, height])

        def uniform(*shape: int) -> Tensor:
            return torch.rand(count, *shape, device=pictures.device)

        def normal(*shape: int) -> Tensor:
            return torch.randn(count, *shape, device=pictures.device)

        matrix = torch.eye(3, device=pictures.device).repeat(count, 1, 1)
        if self.config.blits:
            mirror = 1 - 2 * self._gated((uniform() < 0.5).float())
            turns = self._gated((4 * uniform()).floor())
            shift = self._gated((2 * uniform(2) - 1) * _SHIFT)
            matrix = matrix @ _scaling(mirror, torch.ones_like(mirror)) @ _rotation(turns * (math.pi / 2))
            matrix = matrix @ _translation((shift * size).round())
        if self.config.geometry:
            scale = torch.exp2(self._gated(_SCALE_OCTAVES * normal()))
            # twice a rotation of this probability is a rotation at all with p
            turning = 1 - (1 - self.p).sqrt()
            first, second = (self._gated((2 * uniform() - 1) * math.pi, turning) for _ in range(2))
            stretch = torch.exp2(self._gated(_SCALE_OCTAVES * normal()))
            shift = self._gated(_SHIFT * normal(2))
            matrix = matrix @ _scaling(scale, scale) @ _rotation(first) @ _scaling(stretch, 1 / stretch)
            matrix = matrix @ _rotation(second) @ _translation(shift * size)
        return matrix

    def _recoloured(self, pictures: Tensor) -> Tensor:
        """An affine map of the colours of each picture, the same for all its triples."""
        count, device = len(pictures), pictures.device
        unit = torch.eye(3, device=device, dtype=pictures.dtype)
        grey = unit.sum(0) / math.sqrt(3)
        along = torch.outer(grey, grey)
        across = unit - along

        def each(values: Tensor) -> Tensor:
            return values[:, None, None]

        brightness = self._gated(_BRIGHTNESS * torch.randn(count, device=device))
        contrast = torch.exp2(self._gated(_CONTRAST_OCTAVES * torch.randn(count, device=device)))
        inverted = self._gated((torch.rand(count, device=device) < 0.5).float())
        hue = self._gated((2 * torch.rand(count, device=device) - 1) * math.pi)
        saturation = torch.exp2(self._gated(_SATURATION_OCTAVES * torch.randn(count, device=device)))
        skew = torch.linalg.cross(grey.expand(3, 3), unit).T
        # Lightness lies along grey, hue turns about it, and saturation stretches what lies across it.
        chroma = each(saturation * hue.cos()) * across + each(saturation * hue.sin()) * skew
        matrix = each(contrast) * (each(1 - 2 * inverted) * along + chroma)
        offset = each(brightness * contrast * (1 - 2 * inverted)).expand(-1, 3, 1)
        triples = pictures.reshape(count, -1, COLOURS, pictures[0, 0].numel())
        mapped: Tensor = matrix.to(unit)[:, None] @ triples + offset.to(unit)[:, None]
        return mapped.reshape(pictures.shape)


def resampled(pictures: Tensor, matrix: Tensor) -> Tensor:
    """Pictures moved by affine maps, at twice the resolution and through a filter that loses nothing at rest (sym6).

    Args:
        pictures: (B, C, H, W).
        matrix: (B, 3, 3) from px of the result to px of the picture, (x right, y down) from the centre.

    Returns:
        (B, C, H, W); beyond the border the picture is mirrored.
    """
    height, width = pictures.shape[2:]
    taps = setup_filter(_SYM6, separable=True).to(pictures)
    margins = _margins(matrix, width, height)
    sides = [margins[0], margins[0], margins[1], margins[1]]
    large = upsample2d(F.pad(pictures, sides, mode="reflect"), taps)
    # The filter's centre is half a pixel of the large picture before the pixel's.
    x, y = (torch.arange(-_REACH, 2 * n + _REACH, device=pictures.device) + 1.0 - n for n in (width, height))
    across, down = torch.meshgrid(x, y, indexing="xy")
    places = torch.stack([across, down, torch.full_like(across, 2)]).flatten(1)  # in half px
    there = matrix[:, :2] @ places.to(matrix)
    columns, rows = (there[:, axis] + (large.shape[3 - axis] / 2 - 1) for axis in (0, 1))
    moved = _bilinear(large, columns, rows)
    return downsample2d(moved.reshape(*moved.shape[:2], *across.shape), taps.flip(0), padding=-_REACH)


def _margins(matrix: Tensor, width: int, height: int) -> list[int]:
    """By how many px (x, y) the result looks beyond the picture's borders, as far as it can be mirrored there."""
    half = matrix.new_tensor([width / 2, height / 2])
    reach = half + _REACH / 2
    corners = matrix.new_tensor([[-1, -1, 1, 1], [-1, 1, -1, 1]]) * reach[:, None]
    there = matrix[:, :2, :2] @ corners + matrix[:, :2, 2:]
    beyond = (there.abs().amax((0, 2)) - half).ceil().clamp(min=0) + _REACH // 2
    return [min(int(far), n - 1) for far, n in zip(beyond, (width, height), strict=True)]


def _bilinear(pictures: Tensor, columns: Tensor, rows: Tensor) -> Tensor:
    """Pictures (B, C, H, W) at places (B, N) in px from the first pixel's centre -> (B, C, N), mirrored outside.

    As sums of gathered pixels, for torch's grid_sample can't be differentiated twice.
    """
    height, width = pictures.shape[2:]
    flat, channels = pictures.flatten(2), pictures.shape[1]
    left, top = columns.floor(), rows.floor()
    right_share, low_share = (columns - left)[:, None], (rows - top)[:, None]
    result = torch.zeros_like(right_share)
    for dy, vertical in ((0, 1 - low_share), (1, low_share)):
        row = _mirrored(top.long() + dy, height)
        for dx, horizontal in ((0, 1 - right_share), (1, right_share)):
            place = row * width + _mirrored(left.long() + dx, width)
            found = flat.gather(2, place[:, None].expand(-1, channels, -1))
            result = result + found * (vertical * horizontal)
    return result


def _mirrored(index: Tensor, count: int) -> Tensor:
    """Whole numbers folded into 0 ... count - 1, as if mirrors stood at both borders."""
    folded = index.remainder(2 * count)
    return torch.minimum(folded, 2 * count - 1 - folded)


def _scaling(x: Tensor, y: Tensor) -> Tensor:
    """(B,), (B,) -> (B, 3, 3)."""
    return torch.diag_embed(torch.stack([x, y, torch.ones_like(x)], 1))


def _rotation(angle: Tensor) -> Tensor:
    """(B,) rad -> (B, 3, 3)."""
    zero, one, sine, cosine = torch.zeros_like(angle), torch.ones_like(angle), angle.sin(), angle.cos()
    return torch.stack([cosine, -sine, zero, sine, cosine, zero, zero, zero, one], 1).reshape(-1, 3, 3)


def _translation(shift: Tensor) -> Tensor:
    """(B, 2) -> (B, 3, 3)."""
    matrix = torch.eye(3, device=shift.device).repeat(len(shift), 1, 1)
    matrix[:, :2, 2] = shift
    return matrix
