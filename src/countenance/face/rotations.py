"""Rotation matrices from angles, for numpy and torch alike.

All rotations follow the right-hand rule in the head frame (x to the person's left, y up, z out of the face).
"""

from __future__ import annotations

from array_api_compat import array_namespace, device

from countenance.face.model_arrays import Array


def rotation_from_angles(angles_rad: Array) -> Array:
    """R = Rz(roll) Ry(yaw) Rx(pitch), to be applied to column vectors.

    Yaw > 0 turns the nose to image right, pitch > 0 turns it down, roll > 0 tilts the top of the head to
    image left. Deep3DFaceReconstruction has the same order; its published matrix is the transpose, for rows.

    Args:
        angles_rad: (B, 3) pitch, yaw, roll in radians.

    Returns:
        (B, 3, 3).
    """
    xp = array_namespace(angles_rad)
    sin, cos = xp.sin(angles_rad), xp.cos(angles_rad)
    sx, sy, sz = sin[:, 0], sin[:, 1], sin[:, 2]
    cx, cy, cz = cos[:, 0], cos[:, 1], cos[:, 2]
    rows = [
        xp.stack([cz * cy, cz * sy * sx - sz * cx, cz * sy * cx + sz * sx], axis=-1),
        xp.stack([sz * cy, sz * sy * sx + cz * cx, sz * sy * cx - cz * sx], axis=-1),
        xp.stack([-sy, cy * sx, cy * cx], axis=-1),
    ]
    return xp.stack(rows, axis=-2)


def rotation_from_axis_angle(axis_angle_rad: Array) -> Array:
    """Rodrigues' formula as SMPL and FLAME codes use it: R = I + sin(a) K + (1 - cos(a)) K K.

    The angle is a = |r + 1e-8|, which keeps the gradient finite at r = 0, where R is the identity.

    Args:
        axis_angle_rad: (B, 3) axis times angle, radians.

    Returns:
        (B, 3, 3), to be applied to column vectors.
    """
    xp = array_namespace(axis_angle_rad)
    shifted = axis_angle_rad + 1e-8
    angle = xp.sqrt(xp.sum(shifted * shifted, axis=-1, keepdims=True))
    axis = axis_angle_rad / angle
    x, y, z = axis[:, 0], axis[:, 1], axis[:, 2]
    zero = xp.zeros_like(x)
    cross = xp.stack([zero, -z, y, z, zero, -x, -y, x, zero], axis=-1)
    cross = xp.reshape(cross, (-1, 3, 3))
    identity = xp.eye(3, dtype=cross.dtype, device=device(cross))
    angle = angle[:, :, None]
    return identity + xp.sin(angle) * cross + (1 - xp.cos(angle)) * xp.matmul(cross, cross)
