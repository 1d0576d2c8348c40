"""Landmarks and blendshape scores -> the 58 numbers of ``arkit``, through the default face model."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from countenance.arrays import Floats, Mask
from countenance.face.mediapipe_model import mediapipe_model, pose_weights
from countenance.face.procrustes import similarity
from countenance.motion.pose import rotation_angles, rotation_matrix
from countenance.motion.sequence import Motion
from countenance.motion.spaces import ARKIT, ARKIT_SHAPES
from countenance.portrait.crop import Crop

REFERENCE_SPAN_CM = 25.0
"""logScale is 0 where the side of the crop spans this much at the head."""

_YAW, _X, _Y, _SCALE = (ARKIT.index(n) for n in ("yaw", "x", "y", "logScale"))


def picture_coefficients(landmarks_px: Floats, shapes: Floats) -> Floats:
    """Fit the head's pose under weak perspective.

    The face model with these shapes is laid onto the landmarks by the similarity that fits best, weighted as
    MediaPipe weights its own pose fit. (MediaPipe's matrix assumes a camera with 63 degrees of view in front
    of the whole picture, which a crop never is.)

    Args:
        landmarks_px: (478, 3), y down, z larger is nearer.
        shapes: (52,) weights in Apple's order.

    Returns:
        (58,): shapes, yaw, pitch, roll in rad, then x and y of the head's origin in px of the picture and the
        natural logarithm of px per cm.
    """
    model = mediapipe_model()
    expected = model.mean + np.tensordot(shapes, model.expression_basis, 1)
    upright = landmarks_px.astype(np.float64) * (1.0, -1.0, 1.0)
    scale, rotation, shift = similarity(expected, upright, pose_weights())
    yaw, pitch, roll = rotation_angles(rotation)
    pose = [yaw, pitch, roll, shift[0], -shift[1], np.log(scale)]
    return np.concatenate([shapes, pose]).astype(np.float32)


def arkit_motion(coefficients: Floats, crop: Crop, fps: float, observed: Mask | None = None) -> Motion:
    """Picture coefficients (T, 58) -> motion relative to ``crop``; angles lose their 2 pi jumps."""
    values = np.array(coefficients, np.float32).reshape(-1, ARKIT.size)
    center_x, center_y = crop.center_px
    values[:, _X] = (values[:, _X] - center_x) / crop.side
    values[:, _Y] = (center_y - values[:, _Y]) / crop.side
    values[:, _SCALE] += np.log(REFERENCE_SPAN_CM / crop.side)
    angles = slice(_YAW, _YAW + 3)
    values[:, angles] = np.unwrap(values[:, angles], axis=0)
    values[:, : len(ARKIT_SHAPES)] = values[:, : len(ARKIT_SHAPES)].clip(0, 1)
    return Motion(values, ARKIT, fps, observed=observed)


def crop_points(values: Floats) -> tuple[Floats, Mask]:
    """Where the default face model has its landmarks at these coefficients: what :func:`arkit_motion` undoes.

    Args:
        values: (N, 58) of ``arkit``.

    Returns:
        (N, 478, 2): x right and y down, -1 to 1 across the crop; and (N, 478), True where the mean face's surface
        is turned toward the camera.
    """
    model = mediapipe_model()
    shapes = values[:, : len(ARKIT_SHAPES)].astype(np.float64)
    yaw, pitch, roll = (values[:, _YAW + i] for i in range(3))
    rotation = rotation_matrix(yaw, pitch, roll)
    head_cm = model.mean + np.tensordot(shapes, model.expression_basis, 1)
    turned = np.einsum("nij,nvj->nvi", rotation, head_cm)
    scale = np.exp(values[:, _SCALE].astype(np.float64)) / REFERENCE_SPAN_CM  # crop sides a cm
    origin = values[:, [_X, _Y]].astype(np.float64)
    up = origin[:, None] + scale[:, None, None] * turned[..., :2]
    facing = np.einsum("nj,vj->nv", rotation[:, 2], _mean_normals()) > 0.1
    return (2 * up * (1.0, -1.0)).astype(np.float32), facing


@lru_cache(maxsize=1)
def _mean_normals() -> Floats:
    """(478, 3) unit normals of the mean face; 0 where a vertex is in no triangle."""
    model = mediapipe_model()
    corners = model.mean[model.triangles]
    flat = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    summed = np.zeros_like(model.mean)
    for corner in range(3):
        np.add.at(summed, model.triangles[:, corner], flat)
    return np.asarray(summed / np.maximum(np.linalg.norm(summed, axis=1, keepdims=True), 1e-9), np.float32)
