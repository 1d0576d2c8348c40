"""Rotations of the head: the one place where the signs of yaw, pitch and roll are stated.

The head frame is right-handed: x to the person's left (image right for a frontal face), y up, z out of the
face toward the camera. All angles are right-hand rotations in radians, applied to column vectors:

    R = Rz(roll) @ Ry(yaw) @ Rx(pitch)

======  =============================================================
yaw > 0    turns the nose to image right
pitch > 0  turns the nose down
roll > 0   tilts the top of the head to image left (counter-clockwise as the viewer sees it)
======  =============================================================

Deep3DFaceReconstruction (the space ``bfm``) uses the same order and signs. Everything here is vectorised over
leading axes and computes in float64.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from countenance.arrays import Doubles

_GIMBAL = 1e-9  # cosine of yaw below which pitch and roll turn about the same axis
_SMALL = 1e-12  # half-angles below this have no axis


def rotation_matrix(yaw: ArrayLike, pitch: ArrayLike, roll: ArrayLike) -> Doubles:
    """The rotation of a head with these angles.

    Args:
        yaw: (...) radians; the three broadcast against each other.
        pitch: (...) radians.
        roll: (...) radians.

    Returns:
        (..., 3, 3), to be applied to column vectors.
    """
    y, p, r = np.broadcast_arrays(*(np.asarray(a, dtype=np.float64) for a in (yaw, pitch, roll)))
    sy, sp, sr = np.sin(y), np.sin(p), np.sin(r)
    cy, cp, cr = np.cos(y), np.cos(p), np.cos(r)
    rows = [
        [cr * cy, cr * sy * sp - sr * cp, cr * sy * cp + sr * sp],
        [sr * cy, sr * sy * sp + cr * cp, sr * sy * cp - cr * sp],
        [-sy, cy * sp, cy * cp],
    ]
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


def rotation_angles(rotation: ArrayLike) -> tuple[Doubles, Doubles, Doubles]:
    """Yaw, pitch and roll of a rotation; the inverse of :func:`rotation_matrix`.

    At yaw = +-90 degrees only a sum or difference of pitch and roll is defined; pitch is 0 there, and the
    angles still make up the given rotation.

    Args:
        rotation: (..., 3, 3).

    Returns:
        yaw in [-pi/2, pi/2], pitch and roll in [-pi, pi]; each (...), radians.
    """
    m = np.asarray(rotation, dtype=np.float64)
    cos_yaw = np.hypot(m[..., 2, 1], m[..., 2, 2])
    yaw = np.arctan2(-m[..., 2, 0], cos_yaw)
    pitch = np.where(cos_yaw > _GIMBAL, np.arctan2(m[..., 2, 1], m[..., 2, 2]), 0.0)
    # Taking the pitch off first keeps roll right even where cos(yaw) is nearly zero.
    sp, cp = np.sin(pitch), np.cos(pitch)
    roll = np.arctan2(m[..., 0, 2] * sp - m[..., 0, 1] * cp, m[..., 1, 1] * cp - m[..., 1, 2] * sp)
    return yaw, pitch, roll


def axis_angle_matrix(axis_angle: ArrayLike) -> Doubles:
    """Rodrigues' formula: R = I + sin(a) K + (1 - cos(a)) K K.

    Args:
        axis_angle: (..., 3) unit axis times angle in radians.

    Returns:
        (..., 3, 3).
    """
    v = np.asarray(axis_angle, dtype=np.float64)
    angle = np.linalg.norm(v, axis=-1)[..., None, None]
    x, y, z = v[..., 0], v[..., 1], v[..., 2]
    zero = np.zeros_like(x)
    cross = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], axis=-1).reshape(*v.shape[:-1], 3, 3)
    # sinc keeps both factors finite and exact at angle 0.
    first = np.sinc(angle / np.pi)
    second = 0.5 * np.sinc(angle / (2 * np.pi)) ** 2
    rotation: Doubles = np.eye(3) + first * cross + second * (cross @ cross)
    return rotation


def matrix_axis_angle(rotation: ArrayLike) -> Doubles:
    """Axis times angle of a rotation, the angle in [0, pi]; the inverse of :func:`axis_angle_matrix`.

    Goes through the quaternion whose largest part is found first (Shepperd 1978), so that it is accurate
    near 0 and near pi alike.

    Args:
        rotation: (..., 3, 3).

    Returns:
        (..., 3), radians.
    """
    m = np.asarray(rotation, dtype=np.float64)
    d0, d1, d2 = m[..., 0, 0], m[..., 1, 1], m[..., 2, 2]
    xy, xz, yz = m[..., 0, 1] + m[..., 1, 0], m[..., 0, 2] + m[..., 2, 0], m[..., 1, 2] + m[..., 2, 1]
    wx, wy, wz = m[..., 2, 1] - m[..., 1, 2], m[..., 0, 2] - m[..., 2, 0], m[..., 1, 0] - m[..., 0, 1]
    rows = [
        [1 + d0 - d1 - d2, xy, xz, wx],
        [xy, 1 - d0 + d1 - d2, yz, wy],
        [xz, yz, 1 - d0 - d1 + d2, wz],
        [wx, wy, wz, 1 + d0 + d1 + d2],
    ]
    # Each row is the quaternion (x, y, z, w) times four times one of its own parts.
    products = np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)
    largest = np.argmax(np.diagonal(products, axis1=-2, axis2=-1), axis=-1)
    quaternion = np.take_along_axis(products, largest[..., None, None], axis=-2)[..., 0, :]
    quaternion = quaternion / np.linalg.norm(quaternion, axis=-1, keepdims=True)
    quaternion = np.where(quaternion[..., 3:] < 0, -quaternion, quaternion)
    sine = np.linalg.norm(quaternion[..., :3], axis=-1, keepdims=True)
    angle = 2 * np.arctan2(sine, quaternion[..., 3:])
    vector: Doubles = quaternion[..., :3] * np.where(sine > _SMALL, angle / np.maximum(sine, _SMALL), 2.0)
    return vector


def relative_rotation(start: ArrayLike, end: ArrayLike) -> Doubles:
    """The rotation that leads from ``start`` to ``end`` in the camera's axes: end @ start^T.

    Args:
        start: (..., 3, 3).
        end: (..., 3, 3).

    Returns:
        (..., 3, 3), with ``relative_rotation(start, end) @ start == end``.
    """
    return np.asarray(end, dtype=np.float64) @ np.swapaxes(np.asarray(start, dtype=np.float64), -1, -2)


def scaled_rotation(rotation: ArrayLike, factor: ArrayLike) -> Doubles:
    """The same axis with ``factor`` times the angle.

    Args:
        rotation: (..., 3, 3).
        factor: (...); 0 gives no rotation, 1 the given one, more than 1 goes beyond it.

    Returns:
        (..., 3, 3).
    """
    return axis_angle_matrix(matrix_axis_angle(rotation) * np.asarray(factor, dtype=np.float64)[..., None])


def slerp(start: ArrayLike, end: ArrayLike, alpha: ArrayLike) -> Doubles:
    """The rotation a share ``alpha`` of the shortest way from ``start`` to ``end``.

    Args:
        start: (..., 3, 3).
        end: (..., 3, 3).
        alpha: (...); below 0 and above 1 extrapolate.

    Returns:
        (..., 3, 3).
    """
    return scaled_rotation(relative_rotation(start, end), alpha) @ np.asarray(start, dtype=np.float64)


def mean_rotation(rotations: ArrayLike) -> Doubles:
    """The rotation nearest to all in the least-squares sense: the projection of their mean on SO(3).

    Args:
        rotations: (N, 3, 3).

    Returns:
        (3, 3).
    """
    u, _, vt = np.linalg.svd(np.mean(np.asarray(rotations, dtype=np.float64), axis=0))
    nearest: Doubles = u @ np.diag([1.0, 1.0, np.linalg.det(u @ vt)]) @ vt
    return nearest
