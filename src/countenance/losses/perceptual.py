"""Perceptual and style losses (PIRenderer, Sec. 3.2, Eq. 5, 7, 8), on any backbone."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from countenance.losses.backbones import EfficientNetLite0Features, VGG19Features

Features = dict[int, list[Tensor]]
"""Scale -> features, shallow to deep; scale s is the picture at 1 / 2^s of its size."""

Reduction = Callable[[Tensor, int], Tensor]
"""Pictures (B, 3, H, W) in [0, 1] and a power of two -> the pictures at that part of their size."""


class PerceptualTerms(NamedTuple):
    """The parts of a perceptual loss.

    Attributes:
        content: (scales, layers), the mean absolute difference of the features; not yet weighted.
        style: (layers,) the same of Gram matrices at the first scale; zeros where it is off.
    """

    content: Tensor
    style: Tensor


class PerceptualLoss(nn.Module):
    """Distance of two pictures in the features of a network, over a pyramid of scales.

    Args:
        backbone: gives the features.
        scales: levels of the pyramid, 0 is the picture itself. The paper takes 0 to 3 at 256 px.
        style: weight of the style term relative to the content term: 250 in the paper (lambda_s / lambda_c of
            Eq. 9 is 1000 / 4), 0 turns it off.
        reduction: makes every scale of the full size. None: halve again and again, as PIRenderer does.
    """

    layer_weights: Tensor

    def __init__(
        self,
        backbone: VGG19Features | EfficientNetLite0Features,
        scales: Sequence[int] = (0, 1, 2, 3),
        style: float = 0.0,
        reduction: Reduction | None = None,
    ) -> None:
        super().__init__()
        self.backbone, self.scales, self.style = backbone, tuple(scales), style
        self._reduction = reduction
        self.register_buffer("layer_weights", torch.tensor(backbone.layer_weights), persistent=False)

    def forward(self, picture: Tensor, target: Tensor) -> Tensor:
        """Eq. 7 + style * Eq. 8 of (B, 3, H, W) pictures in [-1, 1]; a scalar. No gradient flows into ``target``."""
        with torch.no_grad():
            wanted = self.features(target)
        return self.distance(self.features(picture), wanted)

    def features(self, picture: Tensor, scales: Collection[int] = ()) -> Features:
        """Features at ``scales``, or at this loss's; a target's can be computed once for several losses."""
        scales = scales or self.scales
        pyramid = enumerate(self._pyramid(picture, max(scales)))
        return {scale: self.backbone(prepared) for scale, prepared in pyramid if scale in scales}

    def _pyramid(self, picture: Tensor, deepest: int) -> Iterator[Tensor]:
        """Prepared pictures of scale 0, 1 ... ``deepest``."""
        prepared = self.backbone.prepare(picture)
        yield prepared
        for scale in range(1, deepest + 1):
            if self._reduction is None:
                prepared = halved(prepared)
            else:
                prepared = self.backbone.prepare(2 * self._reduction((picture + 1) / 2, 1 << scale) - 1)
            yield prepared

    def distance(self, ours: Features, theirs: Features) -> Tensor:
        """The loss of features; ``theirs`` may hold more scales than this loss compares."""
        terms = self.terms(ours, theirs)
        return (terms.content * self.layer_weights).sum() + self.style * (
            terms.style * self.layer_weights
        ).sum()

    def terms(self, ours: Features, theirs: Features) -> PerceptualTerms:
        """The parts."""
        content = [_differences(ours[scale], theirs[scale]) for scale in self.scales]
        first = self.scales[0]
        style = (
            _differences([gram(f) for f in ours[first]], [gram(f) for f in theirs[first]])
            if self.style
            else torch.zeros_like(content[0])
        )
        return PerceptualTerms(torch.stack(content), style)


def _differences(ours: list[Tensor], theirs: list[Tensor]) -> Tensor:
    return torch.stack([(a.float() - b.float()).abs().mean() for a, b in zip(ours, theirs, strict=True)])


def halved(picture: Tensor) -> Tensor:
    """Half the size, rounded down; for even sizes the mean of 2 x 2 pixels."""
    height, width = picture.shape[2:]
    return F.interpolate(picture, (height // 2, width // 2), mode="bilinear", align_corners=False)


def gram(features: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, C, C): products of channels, over H W C (Eq. 8)."""
    batch, channels, height, width = features.shape
    flat = features.float().reshape(batch, channels, height * width)
    return flat @ flat.transpose(1, 2) / (channels * height * width)
