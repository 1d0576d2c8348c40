"""How steady a video is, without a true one to compare it with.

Both figures are ours. They are second differences over time, so that what moves or fades evenly counts nothing. They
also count real movement, and grow as the frame rate falls: compare them with the same movement in real video, or with
another result for it, at one rate.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from countenance.arrays import Doubles, Floats, Image
from countenance.errors import BadValue

_SIDE = 32  # px; small enough that a head's movement changes little, and noise is averaged


def landmark_jitter_percent(landmarks_px: Floats | Doubles) -> float:
    """Mean length of the landmarks' second difference over time, in percent of the face's height; lower is steadier.

    |p(t-1) - 2 p(t) + p(t+1)|, averaged over landmarks and then over all three frames in a row in which the face was
    seen. The height is that of frame t, as in :func:`countenance.evaluation.metrics.motion.landmark_distance_percent`.
    0 for a still. 14 filmed clips of 24 to 30 fps, tracked frame by frame with MediaPipe, have 0.16 to 1.03, in the
    median 0.35: the tracker's noise and quick movement.

    Args:
        landmarks_px: (T, L, 2 or 3), L at least 2; only x and y count. A frame in which the face was not seen is NaN.

    Returns:
        0 or more; NaN where no three frames in a row have a face.

    Raises:
        BadValue: an array of another shape.
    """
    points = np.asarray(landmarks_px, np.float64)
    if points.ndim != 3 or points.shape[1] < 2 or points.shape[2] not in (2, 3):
        raise BadValue(f"landmarks of shape {points.shape} are not (frames, 2 landmarks or more, 2 or 3)")
    points = points[..., :2]
    bends = np.linalg.norm(np.diff(points, 2, axis=0), axis=-1).mean(1)
    percent = 100 * bends / np.ptp(points[1:-1, :, 1], axis=1)
    seen = percent[~np.isnan(percent)]
    return float(seen.mean()) if len(seen) else float("nan")


def flicker(pictures: Sequence[Image]) -> float:
    """Mean absolute second difference over time of the brightness, in levels of 0..255; lower is steadier.

    |Y(t-1) - 2 Y(t) + Y(t+1)|, averaged over frames and over the pixels of the luma Y (ITU-R BT.601), shrunk to
    32 x 32 by area so that movement counts little. 0 for a still. The same 14 filmed clips, of 256 x 256 px, have 0.2
    to 3.9, in the median 0.8; most of it is movement.

    Args:
        pictures: T pictures, H x W x 3 each.

    Returns:
        0 or more; NaN for fewer than 3 pictures.

    Raises:
        BadValue: pictures of different sizes.
    """
    sizes = sorted({picture.shape for picture in pictures})
    if len(sizes) > 1:
        raise BadValue(f"pictures of {sizes[0]} and {sizes[1]} can't be compared; resize one")
    if len(pictures) < 3:
        return float("nan")
    lumas = np.stack([_small_luma(picture) for picture in pictures])
    return float(np.abs(np.diff(lumas, 2, axis=0)).mean())


def _small_luma(picture: Image) -> Doubles:
    # in floats from the start: rounding to whole levels would count as flicker
    luma = cv2.cvtColor(picture.astype(np.float32), cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.resize(luma, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA), np.float64)
