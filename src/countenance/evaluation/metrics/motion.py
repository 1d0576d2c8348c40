"""How well a result moves: the tracker is run again on the output and compared with the truth's track.

Published definitions of AED and APD differ by factors of a thousand, so the names here say tracker, set of
coefficients and unit. All errors are 0 or more, and lower is better.
"""

from __future__ import annotations

import numpy as np

from countenance.arrays import Doubles, Floats
from countenance.face.mediapipe_topology import INNER_LIPS_LOWER, INNER_LIPS_UPPER, REGIONS
from countenance.motion.pose import matrix_axis_angle, relative_rotation, rotation_matrix
from countenance.motion.spaces import ARKIT, ARKIT_SHAPES

_ANGLES = [ARKIT.index(name) for name in ("yaw", "pitch", "roll")]
_LIPS = list(REGIONS["lips"])
_UPPER, _LOWER = (chain[len(chain) // 2] for chain in (INNER_LIPS_UPPER, INNER_LIPS_LOWER))
_FEWEST = 3  # frames that a correlation over time needs
_STILL = 0.1  # percent of the face's height: a driver's spread below which its lips do not move
_STILL_SHARE = 0.2  # of the driver's spread; frozen mouths have up to 0.2 of it, models 0.5 and more


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


def lip_distance_percent(landmarks_px: Floats, truth_px: Floats) -> float:
    """LMD: mean distance of the lips' landmarks, their centres laid upon each other, in percent of the face's height.

    Chen et al. 2018, "Lip movements generation at a glance", who also take out where the mouth is.

    Args:
        landmarks_px: (..., 478, 2 or 3) of the result.
        truth_px: (..., 478, 2 or 3) of the truth.
    """
    found, true = (np.asarray(p)[..., _LIPS, :2] for p in (landmarks_px, truth_px))
    height = np.ptp(np.asarray(truth_px)[..., 1], axis=-1)[..., None]
    apart = (found - found.mean(-2, keepdims=True)) - (true - true.mean(-2, keepdims=True))
    return float((100 * np.linalg.norm(apart, axis=-1) / height).mean())


def lip_opening_percent(landmarks_px: Floats) -> Doubles:
    """(...) distance of the inner lips' middles, in percent of the face's height; landmarks (..., 478, 2 or 3)."""
    points = np.asarray(landmarks_px, np.float64)[..., :2]
    gap = np.linalg.norm(points[..., _UPPER, :] - points[..., _LOWER, :], axis=-1)
    return np.asarray(100 * gap / np.ptp(points[..., 1], axis=-1))


def opening_correlation(landmarks_px: Floats, wanted_px: Floats) -> float:
    """Correlation over time of :func:`lip_opening_percent`, in [-1, 1], higher is better.

    0 for lips that move less than a fifth as much as the driver's: the tracker sees a little of that in a frozen mouth
    when the head moves, and in step with it.

    Args:
        landmarks_px: (T, 478, 2 or 3) of the result; frames with NaN are left out.
        wanted_px: (T, 478, 2 or 3) of the driver.

    Returns:
        NaN where the driver's own lips do not move, or fewer than 3 frames are left.
    """
    found, wanted = lip_opening_percent(landmarks_px), lip_opening_percent(wanted_px)
    there = np.isfinite(found) & np.isfinite(wanted)
    found, wanted = found[there], wanted[there]
    if len(found) < _FEWEST or wanted.std() < _STILL:
        return float("nan")
    if found.std() < _STILL_SHARE * wanted.std():
        return 0.0
    return float(np.corrcoef(found, wanted)[0, 1])
