"""Motion in ``flame``, as GDPW and PVP measure it: DECA's coarse encoder on a loose crop.

Faces are found by another tracker, whose landmarks give the box; the authors take it from a 68-point detector, so
numbers can differ by the little that the points do.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from countenance.arrays import Doubles, Floats, Image, Mask
from countenance.face.deca_code import CROP_PX, DecaCode
from countenance.face.mediapipe_topology import IBUG_68
from countenance.motion.sequence import Motion
from countenance.motion.spaces import FLAME, MotionSpace
from countenance.portrait.crop import Crop
from countenance.trackers.deca_network import load_deca
from countenance.trackers.remeasured import RemeasuringTracker
from countenance.trackers.tracker import Face, Tracker

IDENTITY = 100
_BOX_OF_POINTS, _LOOSE = 1.1, 1.25  # DECA's: from landmarks to a face box, and from that to its crop


class DecaTracker(RemeasuringTracker):
    """See :class:`countenance.trackers.tracker.Tracker`.

    Coefficients of a :class:`Face` are the 65 of ``flame``, with the camera in px of the picture (scale in px per
    metre, then where FLAME's origin appears), and 100 of identity.

    Args:
        finder: finds faces; its landmarks are MediaPipe's 478.
        weights: ``deca_model.tar``.
        device: where the encoder runs.

    Raises:
        WeightsMissing: no such file.
        WeightsDamaged: it is something else.
    """

    def __init__(self, finder: Tracker, weights: Path, *, device: str = "cpu") -> None:
        super().__init__(finder, load_deca(weights), device)

    @property
    def space(self) -> MotionSpace:
        """``flame``."""
        return FLAME

    def motion(self, coefficients: Floats, crop: Crop, fps: float, observed: Mask | None = None) -> Motion:
        """The camera in half sides of the crop; the identity is the mean over the frames."""
        rows = np.array(coefficients, np.float32).reshape(-1, FLAME.size + IDENTITY)
        values = rows[:, : FLAME.size].copy()
        scale, x, y = rows[:, FLAME.size - 3 : FLAME.size].T
        center_x, center_y = crop.center_px
        camera = [scale / (crop.side / 2), (x - center_x) / scale, (center_y - y) / scale]
        values[:, -3:] = np.stack(camera, 1)
        return Motion(values, FLAME, fps, identity=rows[:, FLAME.size :].mean(0), observed=observed)

    def _measured(self, image: Image, face: Face) -> Face:
        to_crop = crop_matrix(face.landmarks_px[list(IBUG_68), :2])
        cut = cv2.warpAffine(image, to_crop, (CROP_PX, CROP_PX), flags=cv2.INTER_LINEAR)
        code = DecaCode.split(self._numbers(np.asarray(cut, np.uint8))[None])
        return Face(face.landmarks_px, flame_row(code, to_crop))


def crop_matrix(points_px: Floats) -> Doubles:
    """(2, 3) from px of the picture to px of DECA's crop: a square around the landmarks (N, 2)."""
    low, high = points_px.min(0).astype(np.float64), points_px.max(0).astype(np.float64)
    side = max(int((high - low).mean() * _BOX_OF_POINTS * _LOOSE), 1)
    scale = (CROP_PX - 1) / side
    corner = (low + high) / 2 - side / 2
    return np.array([[scale, 0, -scale * corner[0]], [0, scale, -scale * corner[1]]])


def flame_row(code: DecaCode, to_crop: Doubles) -> Floats:
    """(165,) of one face: ``flame`` with the camera in px of the picture, and identity."""
    scale, shift_x, shift_y = (float(v) for v in code.camera[0])
    px_per_crop = 1 / to_crop[0, 0]
    per_metre = scale * CROP_PX / 2 * px_per_crop
    middle = (CROP_PX / 2 - to_crop[:, 2]) * px_per_crop
    camera = [per_metre, middle[0] + per_metre * shift_x, middle[1] - per_metre * shift_y]
    turn, jaw, eyes = code.pose[0, :3], code.pose[0, 3:], np.zeros(6)
    return np.concatenate([code.expression[0], jaw, turn, eyes, camera, code.identity[0]]).astype(np.float32)
