"""How well a result moves: the tracker is run again on the output and compared with the truth's track.

Published definitions of AED and APD differ by factors of a thousand, so the names here say tracker, set of
coefficients and unit. All are 0 or more, and lower is better.
"""

from __future__ import annotations

import numpy as np

from countenance.arrays import Floats
from countenance.motion.pose import matrix_axis_angle, relative_rotation, rotation_matrix
from countenance.motion.spaces import ARKIT, ARKIT_SHAPES

_ANGLES = [ARKIT.index(name) for name in ("yaw", "pitch", "roll")]


def expression_error_arkit(values: Floats, truth: Floats) -> float:
    """Mean absolute difference of the 52 ARKit weights (AED on ``arkit``).

    Args:
        values: (..., 58) coefficients of the result.
        truth: (..., 58) of the truth.
    """
    shapes = len(ARKIT_SHAPES)
    return float(np.abs(np.asarray(values)[..., :shapes] - np.asarray(truth)[..., :shapes]).mean())


def pose_error_deg(values: Floats, truth: Floats) -> float:
    """Mean angle between the head rotations, in degrees (a geodesic APD).

    Args:
        values: (..., 58) coefficients of the result.
        truth: (..., 58) of the truth.
    """
    first, second = (
        rotation_matrix(*np.moveaxis(np.asarray(v)[..., _ANGLES], -1, 0)) for v in (values, truth)
    )
    turns = matrix_axis_angle(relative_rotation(first, second))
    return float(np.degrees(np.linalg.norm(turns, axis=-1)).mean())


def landmark_distance_percent(landmarks_px: Floats, truth_px: Floats) -> float:
    """Mean distance of all landmarks in the picture, in percent of the height of the true face.

    Args:
        landmarks_px: (..., L, 2 or 3) of the result.
        truth_px: (..., L, 2 or 3) of the truth.
    """
    found, true = np.asarray(landmarks_px)[..., :2], np.asarray(truth_px)[..., :2]
    height = np.ptp(true[..., 1], axis=-1)[..., None]
    return float((100 * np.linalg.norm(found - true, axis=-1) / height).mean())
