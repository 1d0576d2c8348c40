"""How close two pictures are, pixel by pixel."""

from __future__ import annotations

import cv2
import numpy as np

from countenance.arrays import Doubles, Image
from countenance.errors import BadValue, DependencyMissing

_SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # Wang, Simoncelli, Bovik 2003, section 3.2
_WINDOW, _WINDOW_SIGMA = 11, 1.5
SMALLEST_MS_SSIM = (_WINDOW - 1) * 2 ** (len(_SCALE_WEIGHTS) - 1) + 1
"""Least side, in px: the window must fit the last scale."""


def l1(picture: Image, truth: Image) -> float:
    """Mean absolute difference of H x W x 3 pictures scaled to [0, 1]: 0 to 1, lower is better; equal: 0.

    Some papers give it in levels of 0..255; that is 255 times as much.

    Raises:
        BadValue: pictures of different sizes.
    """
    _same_size(picture, truth)
    return float(np.abs(picture.astype(np.float64) - truth).mean() / 255)


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


def ms_ssim(picture: Image, truth: Image) -> float:
    """Structural similarity over five scales, in [0, 1], higher is better; equal: 1.

    Wang, Simoncelli, Bovik 2003, Eq. 7 with the weights of section 3.2: contrast and structure at every scale,
    luminance at the last only. H x W x 3 pictures; an 11 x 11 Gaussian window of sigma 1.5 that stays inside the
    picture; each channel by itself, then their mean. Between scales, 2 x 2 pixels are averaged. A mean below 0 counts
    as 0. These choices, and zeros before the first row or column where a side is odd, are those of the package
    ``pytorch-msssim`` with ``data_range=255``.

    Raises:
        BadValue: pictures of different sizes, or a side below 161 px.
    """
    _same_size(picture, truth)
    if min(picture.shape[:2]) < SMALLEST_MS_SSIM:
        height, width = picture.shape[:2]
        raise BadValue(
            f"MS-SSIM needs {SMALLEST_MS_SSIM} x {SMALLEST_MS_SSIM} px or more, not {width} x {height}"
        )
    first, second = (p.astype(np.float64) for p in (picture, truth))
    score = np.ones(picture.shape[2])
    for scale, weight in enumerate(_SCALE_WEIGHTS, 1):
        luminance, contrast = _luminance_and_contrast(first, second)
        term = luminance * contrast if scale == len(_SCALE_WEIGHTS) else contrast
        score *= np.maximum(term.mean((0, 1)), 0) ** weight
        first, second = _halved(first), _halved(second)
    return float(score.mean())


def _luminance_and_contrast(first: Doubles, second: Doubles) -> tuple[Doubles, Doubles]:
    """The two factors of SSIM (Wang et al. 2004, Eq. 6, and Eqs. 9 and 10 in one) wherever the window fits."""
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    mean1, mean2 = _windowed(first), _windowed(second)
    product, squares = mean1 * mean2, mean1**2 + mean2**2
    covariance = _windowed(first * second) - product
    variances = _windowed(first**2 + second**2) - squares  # only their sum is needed
    return (2 * product + c1) / (squares + c1), (2 * covariance + c2) / (variances + c2)


def _windowed(planes: Doubles) -> Doubles:
    kernel, margin = cv2.getGaussianKernel(_WINDOW, _WINDOW_SIGMA), _WINDOW // 2
    smooth = cv2.sepFilter2D(planes, cv2.CV_64F, kernel, kernel)
    return np.asarray(smooth[margin:-margin, margin:-margin], np.float64)


def _halved(planes: Doubles) -> Doubles:
    height, width = planes.shape[:2]
    even = np.pad(planes, ((height % 2, 0), (width % 2, 0), (0, 0)))
    rows = even[::2] + even[1::2]
    return np.asarray((rows[:, ::2] + rows[:, 1::2]) / 4, np.float64)


def _same_size(picture: Image, truth: Image) -> None:
    if picture.shape != truth.shape:
        raise BadValue(f"pictures of {picture.shape} and {truth.shape} can't be compared; resize one")
