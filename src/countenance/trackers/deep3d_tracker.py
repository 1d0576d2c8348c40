"""Motion in ``bfm``, as the authors of PIRenderer measure it: five points, 224 x 224 crop, coefficient network.

Faces are found by another tracker, whose landmarks give the five points; the authors take them from a 68-point
detector, so numbers can differ by the little that the points do.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from countenance.arrays import Floats, Image, Mask
from countenance.face.alignment import align, load_standard_landmarks
from countenance.motion.sequence import Motion
from countenance.motion.spaces import BFM, MotionSpace
from countenance.portrait.crop import Crop
from countenance.trackers.deep3d_network import load_deep3d
from countenance.trackers.remeasured import RemeasuringTracker
from countenance.trackers.tracker import Face, Tracker

CROP_SIZE = 256
"""The crop numbers are those of the crop at this size, on which PIRenderer works."""

_IBUG_OF_MEDIAPIPE = {36: 33, 39: 133, 42: 362, 45: 263, 30: 1, 48: 61, 54: 291}
_EXPRESSION, _ANGLES, _TRANSLATION = slice(80, 144), slice(224, 227), slice(254, 257)


class Deep3DTracker(RemeasuringTracker):
    """See :class:`countenance.trackers.tracker.Tracker`; coefficients are 70 of ``bfm`` and 3 of the alignment.

    Args:
        finder: finds faces; its landmarks are MediaPipe's 478.
        weights: ``epoch_20.pth`` of Deep3DFaceRecon_pytorch.
        standard_landmarks: its ``similarity_Lm3D_all.mat``.
        device: where the coefficient network runs.

    Raises:
        WeightsMissing: one of the files.
        WeightsDamaged: one of them is something else.
    """

    def __init__(
        self, finder: Tracker, weights: Path, standard_landmarks: Path, *, device: str = "cpu"
    ) -> None:
        super().__init__(finder, load_deep3d(weights), device)
        self._standard = load_standard_landmarks(standard_landmarks)

    @property
    def space(self) -> MotionSpace:
        """``bfm``."""
        return BFM

    def motion(self, coefficients: Floats, crop: Crop, fps: float, observed: Mask | None = None) -> Motion:
        """70 coefficients as they are; the alignment's scale and centre as in the crop at 256 x 256, y up."""
        rows = np.array(coefficients, np.float32).reshape(-1, BFM.size + 3)
        shrink = CROP_SIZE / crop.side
        scale, x, y = rows[:, BFM.size :].T
        aligned = [scale / shrink, (x - crop.left) * shrink, CROP_SIZE - 1 - (y - crop.top) * shrink]
        return Motion(rows[:, : BFM.size], BFM, fps, crop=np.stack(aligned, 1), observed=observed)

    def _measured(self, image: Image, face: Face) -> Face:
        points = np.zeros((68, 2), np.float32)
        for ibug, mediapipe in _IBUG_OF_MEDIAPIPE.items():
            points[ibug] = face.landmarks_px[mediapipe, :2]
        aligned = align(image, points, self._standard)
        numbers = self._numbers(aligned.image)
        x, y_up = aligned.center_up_px
        place = np.array(
            [aligned.scale, x, image.shape[0] - 1 - y_up], np.float32
        )  # y down, like all pictures
        kept = np.concatenate([numbers[_EXPRESSION], numbers[_ANGLES], numbers[_TRANSLATION], place])
        return Face(face.landmarks_px, kept.astype(np.float32))
