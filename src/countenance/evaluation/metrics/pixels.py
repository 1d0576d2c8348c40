"""How close two pictures are, pixel by pixel."""

from __future__ import annotations

import numpy as np

from countenance.arrays import Image
from countenance.errors import BadValue, DependencyMissing


def psnr(picture: Image, truth: Image) -> float:
    """Peak signal-to-noise ratio in dB: 10 log10(255^2 / mean squared error). Higher is better; equal: infinity.

    Raises:
        BadValue: pictures of different sizes.
    """
    _same_size(picture, truth)
    error = np.mean((picture.astype(np.float64) - truth) ** 2)
    return float(10 * np.log10(255.0**2 / error)) if error else float("inf")


def ssim(picture: Image, truth: Image) -> float:
    """Structural similarity (Wang et al. 2004) in [-1, 1], higher is better; scikit-image, 7 x 7 window, per channel.

    Raises:
        BadValue: pictures of different sizes.
        DependencyMissing: scikit-image.
    """
    _same_size(picture, truth)
    try:
        from skimage.metrics import structural_similarity
    except ImportError as error:
        raise DependencyMissing("scikit-image", "evaluation", "SSIM") from error
    return float(structural_similarity(picture, truth, channel_axis=2))  # type: ignore[no-untyped-call]


def _same_size(picture: Image, truth: Image) -> None:
    if picture.shape != truth.shape:
        raise BadValue(f"pictures of {picture.shape} and {truth.shape} can't be compared; resize one")
