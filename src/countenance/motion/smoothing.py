"""Smoothing that takes tracking jitter away and leaves blinks and speech alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from countenance.arrays import Doubles
from countenance.motion.sequence import Motion
from countenance.motion.spaces import Region, Unit

WIDTH_S: Final[dict[Region, float]] = {
    "pose": 0.09,
    "brows": 0.09,
    "expression": 0.09,
    "lips": 0.04,
    "eyes": 0.04,
}
"""Standard deviation of the Gaussian, seconds, at strength 1: narrow where the face is fast."""

JITTER: Final[dict[Unit, float]] = {
    "weight": 0.03,
    "sigma": 0.1,
    "rad": 0.02,
    "crop sides": 0.005,
    "log ratio": 0.02,
    "dm": 0.02,
    "m": 0.002,
    "1/m": 0.1,
}
"""The most that counts as a tracker's jitter (standard deviation). Continuous speech looks like noise to any
estimate made from neighbouring frames; this ceiling keeps it."""

_SHRINKAGE = 3.0  # residuals below sqrt(3) times the expected jitter vanish


def smooth(motion: Motion, strength: float | Mapping[str, float] = 1.0) -> Motion:
    """Takes jitter off every coefficient without delay and without flattening fast movements.

    Each coefficient is smoothed with a symmetric Gaussian. What that takes away is then given back where it
    is locally stronger than the coefficient's own jitter: the gain is 1 - 3 J / E, at least 0, where E is the
    residual's local energy and J the energy that jitter alone would leave (a Wiener filter on the residual).
    So a blink or a plosive stays, and a face at rest comes to rest. Jitter is the median absolute second
    difference, scaled to a standard deviation, and at most :data:`JITTER`. Angles are unwrapped first.

    Args:
        motion: any length; motions under 3 frames come back as they are.
        strength: multiplies :data:`WIDTH_S`; 0 changes nothing. A mapping gives one for each region, 1
            elsewhere.

    Returns:
        The same motion, smoothed. No value leaves the range that its coefficient had, angles aside.

    Raises:
        BadValue: a negative strength.
        UnknownName: a strength for something that is no region.
    """
    if not isinstance(strength, Mapping):
        strength = {"pose": strength, "expression": strength}
    if len(motion) < 3:
        return motion
    space = motion.space
    factors = space.per_coefficient(strength, 1.0)
    limits = [JITTER[c.unit] for c in space.coefficients]
    widths = factors * [WIDTH_S[c.region] for c in space.coefficients] * motion.fps
    smoothed = motion.values.copy()
    for column, (coefficient, width, limit) in enumerate(
        zip(space.coefficients, widths, limits, strict=True)
    ):
        if width > 0:
            values = motion.values[:, column : column + 1].astype(np.float64)
            if coefficient.unit == "rad":
                values = np.unwrap(values, axis=0)
            jitter = np.minimum(_jitter(values), limit)
            smoothed[:, column : column + 1] = _calm(values, jitter, float(width))
    return motion.with_values(smoothed)


def _jitter(values: Doubles) -> Doubles:
    """(T, D) -> (D,) standard deviation of white noise with the same median second difference."""
    second = np.abs(np.diff(values, n=2, axis=0))
    spread: Doubles = np.median(second, axis=0) / (0.6745 * np.sqrt(6.0))
    return spread


def _calm(values: Doubles, jitter: Doubles, width: float) -> Doubles:
    from scipy.ndimage import gaussian_filter1d

    calm = gaussian_filter1d(values, width, axis=0, mode="nearest")
    impulse = np.zeros(2 * int(4 * width + 0.5) + 3)
    impulse[len(impulse) // 2] = 1
    kernel = gaussian_filter1d(impulse, width)
    left_by_jitter = jitter**2 * np.sum((impulse - kernel) ** 2)
    residual = values - calm
    energy = gaussian_filter1d(residual**2, 1.0, axis=0, mode="nearest")
    with np.errstate(divide="ignore", invalid="ignore"):
        gain = np.where(energy > 0, 1 - _SHRINKAGE * left_by_jitter / energy, 0.0)
    return calm + np.maximum(gain, 0) * residual
