"""L(I, I^) of Sec. 3.4: how far drawn pictures are from real ones. The same in training and in inversion."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from countenance.arrays import Floats
from countenance.errors import BadValue, DependencyMissing, LossLeftOut, WeightsMissing
from countenance.face.mediapipe_topology import IBUG_68, VERTEX_COUNT
from countenance.losses.arcface import load_grey_arcface
from countenance.losses.backbones import EfficientNetLite0Features, VGG19Features, load_backbone
from countenance.losses.dlib_face import load_dlib_face
from countenance.losses.perceptual import Features, PerceptualLoss
from countenance.renderers.otavatar.config import AnimatorConfig, LossConfig
from countenance.renderers.otavatar.losses import (
    LANDMARK_SIDE,
    Recogniser,
    embedded,
    identity_loss,
    local_loss,
    region_mask,
)

_LEAST_PX = 32  # side of a picture that both backbones can take; smaller ones are enlarged


class Moments(NamedTuple):
    """Frames of people, with all that is known of them; B frames.

    Attributes:
        pictures: (B, 3, S, S) in [-1, 1].
        windows: (B, D, 27) of motion.
        cameras: (B, 25).
        landmarks: (B, 68, 2) in px of pictures of 512 x 512.
    """

    pictures: Tensor
    windows: Tensor
    cameras: Tensor
    landmarks: Tensor


class Wanted(NamedTuple):
    """What pictures of one size are compared with; computed once.

    Attributes:
        pictures: (B, 3, s, s) in [-1, 1].
        features: of the perceptual loss.
        landmarks: (B, 68, 2) in px of 512.
        large: the pictures are the super-resolved ones.
        people: (B, D), their embeddings; None without L_id.
    """

    pictures: Tensor
    features: Features
    landmarks: Tensor
    large: bool
    people: Tensor | None = None


class AnimationLoss(nn.Module):
    """The weighted terms, for the small and for the large picture.

    Args:
        config: weights.
        backbone: of L_c and L_s.
        recogniser: E of Eq. 14; None leaves L_id out.
    """

    def __init__(
        self,
        config: LossConfig,
        backbone: VGG19Features | EfficientNetLite0Features,
        recogniser: Recogniser | None = None,
    ) -> None:
        super().__init__()
        self.config, self.recogniser = config, recogniser
        self.small = PerceptualLoss(backbone, config.small_scales, config.style)
        self.large = PerceptualLoss(backbone, config.large_scales, config.style)

    def wanted(self, moments: Moments, side: int, *, large: bool) -> Wanted:
        """The real pictures at ``side``, by area as the authors shrink them."""
        perceptual = self.large if large else self.small
        with torch.no_grad():
            pictures = _resized(moments.pictures, side)
            people = None
            if self.config.identity and self.recogniser is not None:
                people = embedded(self.recogniser, pictures, moments.landmarks)
            return Wanted(pictures, _features(perceptual, pictures), moments.landmarks, large, people)

    def terms(self, pictures: Tensor, wanted: Wanted) -> dict[str, Tensor]:
        """Weighted scalars by name, of pictures (B, 3, s, s); terms that count nothing are left out."""
        config = self.config
        perceptual = self.large if wanted.large else self.small
        terms = {
            "perceptual": config.perceptual
            * perceptual.distance(_features(perceptual, pictures), wanted.features)
        }
        if config.local:
            local = local_loss(pictures, wanted.pictures, wanted.landmarks, eyes=config.local_eyes)
            terms["local"] = config.local * local
        if config.pixel:
            mask = region_mask(wanted.landmarks, pictures.shape[-1], config.outside)
            differences = F.smooth_l1_loss(pictures, wanted.pictures, reduction="none")
            terms["pixel"] = config.pixel * (differences * mask).mean()
        if self.recogniser is not None and wanted.people is not None:
            seen = embedded(self.recogniser, pictures, wanted.landmarks)
            terms["identity"] = config.identity * identity_loss(seen, wanted.people)
        return terms


def load_objective(config: LossConfig, sizes: AnimatorConfig, backbone: str | None = None) -> AnimationLoss:
    """The loss with the networks that are on this machine; what is left out for want of one is said once.

    Args:
        config: weights. Without VGG-19 the style term is off, as its weight is made for VGG-19's features.
        sizes: of the pictures; levels of the pyramids that are too small for a backbone are left out.
        backbone: "vgg19" or "efficientnet-lite0"; VGG-19 where it is at hand if None.

    Raises:
        WeightsMissing: the backbone can't be had.
    """
    if backbone is None:
        try:
            features = load_backbone("vgg19", fetch=False)
        except WeightsMissing as missing:
            _say(f"EfficientNet-Lite0 stands in for VGG-19 in the loss: {missing}")
            features = load_backbone("efficientnet-lite0")
    else:
        features = load_backbone(backbone)
    if not isinstance(features, VGG19Features):
        config = replace(config, style=0.0)
    config = replace(
        config,
        small_scales=_large_enough(config.small_scales, sizes.generator.neural_rendering_resolution),
        large_scales=_large_enough(config.large_scales, sizes.size),
    )
    recogniser: Recogniser | None = None
    if config.identity:
        try:
            recogniser = load_grey_arcface() if config.recogniser == "arcface" else load_dlib_face()
        except (WeightsMissing, DependencyMissing) as missing:
            _say(f"the loss does without identity (Eq. 14): {missing}")
    return AnimationLoss(config, features, recogniser)


def _large_enough(scales: tuple[int, ...], side: int) -> tuple[int, ...]:
    return tuple(scale for scale in scales if side >> scale >= _LEAST_PX) or (0,)


def _features(perceptual: PerceptualLoss, pictures: Tensor) -> Features:
    return perceptual.features(_resized(pictures, max(pictures.shape[-1], _LEAST_PX)))


@lru_cache(maxsize=8)
def _say(message: str) -> None:
    """Once, however often a loss is loaded."""
    warnings.warn(LossLeftOut(message), stacklevel=3)


def ibug_landmarks(landmarks_px: Floats, side: int) -> Floats:
    """A tracker's landmarks as the loss takes them.

    Args:
        landmarks_px: (..., 478 or 68, 2 or more) in px of a picture.
        side: of that picture.

    Returns:
        (..., 68, 2) in px of 512.

    Raises:
        BadValue: another number of landmarks.
    """
    count = landmarks_px.shape[-2]
    if count not in (VERTEX_COUNT, len(IBUG_68)):
        raise BadValue(
            f"a face has {count} landmarks; the loss knows MediaPipe's {VERTEX_COUNT} and iBUG's 68"
        )
    points = landmarks_px[..., IBUG_68, :] if count == VERTEX_COUNT else landmarks_px
    return np.asarray(points[..., :2] * (LANDMARK_SIDE / side), np.float32)


def summed(terms: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Terms of the same name added up."""
    names = dict.fromkeys(name for some in terms for name in some)
    return {name: torch.stack([some[name] for some in terms if name in some]).sum() for name in names}


def _resized(pictures: Tensor, side: int) -> Tensor:
    if pictures.shape[-1] == side:
        return pictures
    if side < pictures.shape[-1]:
        return F.interpolate(pictures, (side, side), mode="area")
    return F.interpolate(pictures, (side, side), mode="bilinear", align_corners=False)
