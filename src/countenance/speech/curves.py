"""Motion as a picture of curves, to look at while training."""

from __future__ import annotations

import cv2
import numpy as np

from countenance.arrays import Floats, Image
from countenance.motion.spaces import MotionSpace

_SHOWN = ("jawOpen", "mouthPucker", "mouthClose", "mouthSmileLeft", "browInnerUp", "eyeBlinkLeft")
_WIDTH, _HEIGHT = 480, 96
_TRUTH, _MADE = (40, 40, 40), (210, 60, 30)


def curve_sheet(space: MotionSpace, truth: Floats, made: Floats) -> Image:
    """A row a sample, a column a coefficient; dark: the truth, red: what was made.

    Args:
        space: of the motion; its first coefficients are shown where it has none of the usual names.
        truth: (B, T, K) the first K coefficients.
        made: (B, T, K).
    """
    named = [space.index(name) for name in _SHOWN if name in space.names]
    shown = named or list(range(min(len(_SHOWN), truth.shape[2])))
    rows = [
        np.hstack([_plot(one[:, k], other[:, k]) for k in shown])
        for one, other in zip(truth, made, strict=True)
    ]
    return np.vstack(rows)


def _plot(truth: Floats, made: Floats) -> Image:
    picture = np.full((_HEIGHT, _WIDTH, 3), 255, np.uint8)
    low, high = float(min(truth.min(), made.min(), 0)), float(max(truth.max(), made.max(), 0.1))
    for values, colour in ((truth, _TRUTH), (made, _MADE)):
        x = np.linspace(0, _WIDTH - 1, len(values))
        y = (_HEIGHT - 4) - (values - low) / (high - low) * (_HEIGHT - 8)
        points = np.rint(np.stack([x, y], 1)).astype(np.int32)
        cv2.polylines(picture, [points], False, colour, 1, cv2.LINE_AA)
    return picture
