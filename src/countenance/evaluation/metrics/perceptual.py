"""How alike pictures look to a network trained on ImageNet, one by one and as sets."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from countenance.arrays import Doubles, Image
from countenance.errors import DependencyMissing
from countenance.evaluation.metrics.frechet import frechet

if TYPE_CHECKING:
    from countenance.losses.perceptual import PerceptualLoss

SIDE = 256  # pictures are compared at this size, so that the figures do not depend on the clip's


def perceptual_lite0(picture: Image, truth: Image) -> float:
    """Distance of the features of EfficientNet-Lite0: 0 for equal pictures, lower is better.

    Sum over five depths of the mean absolute difference, each depth divided by its mean magnitude on portraits
    (:class:`countenance.losses.backbones.EfficientNetLite0Features`), at 256 x 256. Not LPIPS, and not to be
    compared with it.

    Raises:
        DependencyMissing: PyTorch.
        WeightsMissing: the network's weights can't be had.
    """
    import torch

    with torch.inference_mode():
        return float(_loss()(_planes(picture), _planes(truth)))


def features_lite0(picture: Image) -> Doubles:
    """(1280,) features of EfficientNet-Lite0 before its classifier, averaged over the picture at 256 x 256."""
    import torch

    backbone: Any = _loss().backbone
    with torch.inference_mode():
        return np.asarray(backbone.pooled(backbone.prepare(_planes(picture)))[0], np.float64)


def frechet_lite0(features: Doubles, truth: Doubles) -> float:
    """Fréchet distance of two sets of :func:`features_lite0`, as Gaussians. Lower is better; this is not FID.

    The formula is that of :func:`countenance.evaluation.metrics.frechet.frechet`, on other features than FID's.

    Args:
        features: (N, 1280) of results.
        truth: (M, 1280) of true pictures.

    Raises:
        BadValue: fewer than 2 pictures in a set.
    """
    return frechet(features, truth)


def _planes(picture: Image) -> Any:
    import cv2
    import torch

    if picture.shape[:2] != (SIDE, SIDE):
        how = cv2.INTER_AREA if min(picture.shape[:2]) > SIDE else cv2.INTER_LINEAR
        picture = np.asarray(cv2.resize(picture, (SIDE, SIDE), interpolation=how), np.uint8)
    return torch.tensor(picture).permute(2, 0, 1)[None].float() / 127.5 - 1


@lru_cache(maxsize=1)
def _loss() -> PerceptualLoss:
    try:
        from countenance.losses.backbones import load_backbone
        from countenance.losses.perceptual import PerceptualLoss
    except ImportError as error:
        raise DependencyMissing("torch", "torch", "the perceptual distance") from error
    return PerceptualLoss(load_backbone("efficientnet-lite0"), (0,))
