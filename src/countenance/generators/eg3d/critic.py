"""The dual discriminator (Chan et al., "dual discrimination") and how it is trained.

It sees the enlarged picture and the rendered one together, so that the two must agree, and it knows the camera.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from countenance.errors import BadValue
from countenance.generators.stylegan2.augmentation import AdaptiveAugmentation, AugmentationConfig
from countenance.generators.stylegan2.config import DiscriminatorConfig
from countenance.generators.stylegan2.discriminator import Discriminator
from countenance.generators.stylegan2.ops import filter2d, setup_filter
from countenance.losses.adversarial import critic_loss, r1_penalty

VIEWS: Final = ("image", "raw")
_CHANNELS = 6
_KIND: Final = "non-saturating"
_BLUR_REACH = 3  # deviations

Views = Mapping[str, Tensor]
"""``image`` (B, 3, S, S) and ``raw`` (B, 3, r, r), about [-1, 1]; ``camera`` (B, 25) that they were taken with."""


class DualCritic(nn.Module):
    """StyleGAN2's discriminator on six channels, behind adaptive augmentation.

    Args:
        config: of the discriminator: 6 channels and a label of 25 numbers.
        augmentation: None for none.
    """

    def __init__(self, config: DiscriminatorConfig, augmentation: AugmentationConfig | None) -> None:
        super().__init__()
        if config.img_channels != _CHANNELS or not config.c_dim:
            raise BadValue(
                "the dual discriminator sees 6 channels and the camera; set img_channels and c_dim"
            )
        self.discriminator = Discriminator(config)
        self.augmentation = None if augmentation is None else AdaptiveAugmentation(augmentation)

    def forward(self, several: Sequence[Views], blur_px: float = 0) -> list[Tensor]:
        """Logits (B, 1) of each.

        All in one call, which distributed training needs, but each by itself, for pictures of a batch are compared.

        Args:
            several: real ones, made ones.
            blur_px: deviation of the blur (in octaves: where it falls to a half) of the enlarged picture.
        """
        return [self._judged(views, blur_px) for views in several]

    def _judged(self, views: Views, blur_px: float) -> Tensor:
        image = blurred(views["image"], blur_px)
        both = torch.cat([image, resized(views["raw"], image.shape[-1])], 1)
        if self.augmentation is not None:
            both = self.augmentation(both)
        return self.discriminator(both, views["camera"])  # type: ignore[no-any-return]


def resized(pictures: Tensor, side: int) -> Tensor:
    """(B, C, S, S) -> (B, C, side, side); smaller ones are filtered."""
    if pictures.shape[-1] == side:
        return pictures
    return F.interpolate(pictures, (side, side), mode="bilinear", align_corners=False, antialias=True)


def blurred(pictures: Tensor, deviation_px: float) -> Tensor:
    """Pictures (B, C, H, W) under a bell 2^-(x / deviation)^2, cut off at three deviations."""
    reach = int(deviation_px * _BLUR_REACH)
    if not reach:
        return pictures
    taps = torch.exp2(-(torch.arange(-reach, reach + 1) / deviation_px).square())
    return filter2d(pictures, setup_filter(taps, separable=True).to(pictures))


@dataclass(frozen=True)
class DualAdversary:
    """The critic and its loss; see :class:`countenance.training.recipe.Adversary`.

    Attributes:
        sizes: of the discriminator.
        augmentation: adaptive; None for none.
        r1_weight: gamma; half of it multiplies the gradient penalty.
        r1_every: steps between two penalties, which count that many times.
        blur_px: of what the critic sees at the start.
        blur_steps: after which it sees clearly.
    """

    sizes: DiscriminatorConfig
    augmentation: AugmentationConfig | None = None
    r1_weight: float = 1.0
    r1_every: int = 16
    blur_px: float = 0.0
    blur_steps: int = 1

    def build(self) -> DualCritic:
        """The untrained critic."""
        return DualCritic(self.sizes, self.augmentation)

    def blur(self, step: int) -> float:
        """In px at a step."""
        return self.blur_px * max(0.0, 1 - step / self.blur_steps)

    def loss(self, critic: nn.Module, real: Views, fake: Views, step: int) -> Tensor:
        """The non-saturating loss, and R1 where it is due."""
        penalised = bool(self.r1_weight) and step % self.r1_every == 0
        if penalised:
            real = {**real, **{name: real[name].detach().requires_grad_() for name in VIEWS}}
        seen, made = critic([real, fake], self.blur(step))
        loss = critic_loss([seen], [made], _KIND)
        if penalised:
            share = self.r1_weight / 2 * self.r1_every
            loss = loss + share * r1_penalty(seen, [real[name] for name in VIEWS])
        judge: Any = getattr(critic, "module", critic)
        if judge.augmentation is not None:
            judge.augmentation.observe(seen)
        return loss
