"""Blinks for motion that has none."""

from __future__ import annotations

import numpy as np

from countenance.arrays import Floats
from countenance.errors import BadValue
from countenance.motion.sequence import Motion
from countenance.motion.spaces import ARKIT

_EVERY_S = (
    3.8  # median pause: between the 26 blinks a minute of talk and the 17 of rest (Bentivoglio et al. 1997)
)
_SPREAD = 0.5  # of their logarithm
_CLOSING_S, _SHUT_S, _OPENING_S = 0.08, 0.04, 0.16
_BLINK = 0.4  # of eyeBlink: above it the eye is shut
_LIDS = ("eyeBlinkLeft", "eyeBlinkRight")


def blinks(frames: int, fps: float, seed: int = 0) -> Floats:
    """(T,) in [0, 1]: how far the lids are shut, at rest between blinks; the same for the same seed.

    Raises:
        BadValue: fewer than one frame.
    """
    if frames < 1:
        raise BadValue(f"blinks for {frames} frames were asked for; ask for 1 or more")
    generator = np.random.default_rng(seed)
    times = np.arange(frames) / fps
    shut = np.zeros(frames)
    moment = generator.uniform(0.5, _EVERY_S)
    while moment < times[-1]:
        since = times - moment
        closing = (since + _CLOSING_S) / _CLOSING_S
        opening = 1 - (since - _SHUT_S) / _OPENING_S
        shut = np.maximum(shut, np.minimum(closing, opening).clip(0, 1))
        moment += float(generator.lognormal(np.log(_EVERY_S), _SPREAD)) + _CLOSING_S + _SHUT_S + _OPENING_S
    return np.asarray(shut * shut * (3 - 2 * shut), np.float32)


def with_blinks(motion: Motion, seed: int = 0) -> Motion:
    """``motion`` with blinks, unless it blinks by itself at least half as often as people do.

    Args:
        motion: in ``arkit``; others come back as they are.
        seed: of the moments.
    """
    if motion.space != ARKIT:
        return motion
    lids = motion["eyeBlinkLeft", "eyeBlinkRight"]
    shut = lids.mean(1) > _BLINK
    own = int((np.diff(shut.astype(np.int8)) > 0).sum())
    if own * 2 * _EVERY_S >= motion.duration_s:
        return motion
    added = blinks(len(motion), motion.fps, seed)
    return motion.set(**{name: np.maximum(lids[:, k], added) for k, name in enumerate(_LIDS)})
