"""Where the camera stands: a tracked head's pose as the 25 numbers of EG3D, and their correction during inversion.

The 25 numbers are the camera-to-world matrix (4 x 4, row by row; x right, y down, z forward; the world is the head,
y up, looking along +z) and the intrinsics (3 x 3, row by row, in picture sides).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from countenance.arrays import Doubles, Floats
from countenance.errors import BadValue, MotionSpaceMismatch
from countenance.face.bfm import FOCAL_PX
from countenance.generators.eg3d.cameras import (
    LOOK_AT,
    RADIUS,
    camera_vector,
    face_pose,
    intrinsics_of,
    look_at_pose,
    sampled_poses,
)
from countenance.generators.eg3d.tracked_cameras import arkit_cameras
from countenance.motion.pose import rotation_matrix
from countenance.motion.sequence import Motion

CAMERA_NUMBERS = 25
_HEAD_TO_CAMERA_DM = 10.0  # between Deep3DFaceReconstruction's camera and a head with translation 0
_UNITS_PER_DM = 0.27 * 2.7 / 4  # of the scene; unlike EG3D's own preparation, no fixed distance afterwards
_ORIGIN_DM = np.array([0, 0.015, 0.161]) / 0.27  # the scene's, in the head's
_FOCAL = 2985.29 / 700  # EG3D's focal length in picture sides ...
_FOCAL_PX = 1050.0  # ... where the tracker says this
_ROTATION = (0, 1, 2, 4, 5, 6, 8, 9, 10)  # places of the rotation in the 4 x 4 matrix
_MATRIX = 16
_CROP_PX = 256  # the size of the crop that ``Motion.crop`` counts in
_DEMO_RAD, _DEMO_LIFT_RAD = 0.5, 0.05  # of the authors' rotating views


def motion_cameras(motion: Motion) -> Floats:
    """Cameras (T, 25) that see the head where a tracker of this package saw it in its crop.

    In ``bfm``, Deep3DFaceReconstruction's camera looks at an aligned crop, and ``Motion.crop`` says where that lies in
    ours. The camera is moved to EG3D's distance along its line of sight, with a focal length that keeps the head's
    size, for rays begin and end at fixed distances. Without ``Motion.crop`` the intrinsics are EG3D's.

    Raises:
        MotionSpaceMismatch: motion in ``flame``.
    """
    if motion.space.name == "arkit":
        return arkit_cameras(motion.values)
    if motion.space.name != "bfm":
        raise MotionSpaceMismatch(motion.space.name, "bfm", "the camera")
    angles = torch.from_numpy(motion["pitch", "yaw", "roll"].copy())
    pose = face_pose(angles, torch.from_numpy(motion["tx", "ty", "tz"].copy()))
    nearer = RADIUS / torch.linalg.vector_norm(pose[:, :3, 3], dim=1)
    pose[:, :3, 3] *= nearer[:, None]
    intrinsics = torch.eye(3).repeat(len(motion), 1, 1)
    intrinsics[:, :2, 2] = 0.5
    focal = torch.full((len(motion),), _FOCAL)
    if motion.crop is not None:
        scale, x, y_up = torch.from_numpy(motion.crop.copy()).unbind(1)
        focal = FOCAL_PX / (scale * _CROP_PX) * nearer
        intrinsics[:, 0, 2], intrinsics[:, 1, 2] = x / _CROP_PX, 1 - (y_up + 1) / _CROP_PX
    intrinsics[:, 0, 0] = intrinsics[:, 1, 1] = focal
    return camera_vector(pose, intrinsics).numpy()


def swinging_cameras(motion: Motion, yaw_rad: Doubles) -> Floats:
    """Cameras that go sideways round a head, which stays as large and where it is in its crop.

    Args:
        motion: one frame, the pose that they start from; see :func:`countenance.editing.turned_to_front`.
        yaw_rad: (T,), added to the pose's: above 0 the nose points to image right.

    Returns:
        (T, 25).

    Raises:
        MotionSpaceMismatch: as :func:`motion_cameras`.
    """
    return motion_cameras(motion.still(len(yaw_rad)).set(yaw=motion["yaw"][0] + yaw_rad))


def head_placements(cameras: Floats) -> Floats:
    """Where cameras (T, 25) see the head in the plane of their pictures, whichever way it looks.

    Returns:
        (T, 2, 3): turns, scales and moves a point of the head's own plane, x right and y down in the scene's units, to
        sides of the picture.
    """
    numbers = np.asarray(cameras, np.float64)
    pose, intrinsics = numbers[:, :_MATRIX].reshape(-1, 4, 4), numbers[:, _MATRIX:].reshape(-1, 3, 3)
    to_camera = np.linalg.inv(pose)
    middle = to_camera[:, :3, 3]  # the scene's origin
    down = -to_camera[:, :2, 1]
    down /= np.linalg.norm(down, axis=1, keepdims=True)
    focal = intrinsics[:, 0, 0] / middle[:, 2]
    turned = np.stack([np.stack([down[:, 1], -down[:, 0]], 1), down], 2)
    seen = (intrinsics @ middle[:, :, None])[:, :2] / middle[:, 2:, None]
    return np.concatenate([focal[:, None, None] * turned, seen], 2).astype(np.float32)


def turning_cameras(count: int, like: Floats) -> Floats:
    """The authors' views all around a person: the camera goes round an ellipse in front of the face once.

    Args:
        count: T, of the cameras.
        like: (25,), whose intrinsics they have.

    Returns:
        (T, 25).
    """
    turn = 2 * math.pi * torch.arange(count) / count
    across = math.pi / 2 + _DEMO_RAD * turn.sin()
    down = math.pi / 2 - _DEMO_LIFT_RAD + _DEMO_RAD * turn.cos()
    intrinsics = torch.from_numpy(np.array(like[_MATRIX:], np.float32)).reshape(3, 3)
    return camera_vector(look_at_pose(across, down, LOOK_AT, RADIUS), intrinsics).numpy()


def tracked_cameras(conditions: NDArray[Any]) -> Floats:
    """Cameras of a clip that was tracked as AD-NeRF does (Sec. 4.1).

    The pose is smoothed as in the authors' code: a frame has the plain mean of the matrices of itself and its
    neighbours, but the clip's last frame never takes part, and stands where the one before it stands alone. A mean of
    rotations is not quite one. In a clip of one frame the authors take the mean of nothing, which is NaN; here such a
    frame stands where it is.

    Args:
        conditions: (T, 7 or more): three Euler angles in radians, of which the first two turn the other way than those
            of :mod:`countenance.motion.pose` (pitch, yaw, roll), translation in dm, and, last, the focal length in px.

    Returns:
        (T, 25).

    Raises:
        BadValue: another shape, no frame, or values that are not finite.
    """
    given = np.asarray(conditions, np.float64)
    if given.ndim != 2 or len(given) == 0 or given.shape[1] < 7 or not np.isfinite(given).all():
        raise BadValue(
            f"tracked poses have shape {given.shape}; they must be finite numbers (frames, 7 or more): angles, "
            "translation, focal length"
        )
    pitch, yaw, roll = given[:, :3].T
    rotation = rotation_matrix(yaw=-yaw, pitch=-pitch, roll=roll)
    return head_cameras(_smoothed(rotation), _smoothed(given[:, 3:6]), given[:, -1])


def head_cameras(rotation: Doubles, translation_dm: Doubles, focal_px: Doubles) -> Floats:
    """Cameras that see the head where it was seen.

    Args:
        rotation: (T, 3, 3) of the head, as :meth:`countenance.motion.sequence.Motion.rotation` has it.
        translation_dm: (T, 3), relative to a head 10 dm before the camera, as in ``bfm``.
        focal_px: (T,), of AD-NeRF's tracker: 1050 is EG3D's.

    Returns:
        (T, 25).
    """
    turned = np.swapaxes(rotation, 1, 2)
    from_camera = translation_dm - [0, 0, _HEAD_TO_CAMERA_DM]
    matrix = np.tile(np.eye(4), (len(turned), 1, 1))
    matrix[:, :3, :3] = turned * [1, -1, -1]
    matrix[:, :3, 3] = (_ORIGIN_DM - (turned @ from_camera[:, :, None])[:, :, 0]) * _UNITS_PER_DM
    intrinsics = np.tile([[1.0, 0, 0.5], [0, 1, 0.5], [0, 0, 1]], (len(turned), 1, 1))
    intrinsics[:, [0, 1], [0, 1]] = (_FOCAL * focal_px / _FOCAL_PX)[:, None]
    return np.concatenate([matrix.reshape(-1, 16), intrinsics.reshape(-1, 9)], 1).astype(np.float32)


def beside(cameras: Tensor, reach_rad: float, numbers: torch.Generator | None = None) -> Tensor:
    """Random cameras of the same heads, with the same intrinsics.

    Args:
        cameras: (B, 25).
        reach_rad: how far to either side of the head's front they go; up and down a third of it.
        numbers: where they come from; torch's own if None.

    Returns:
        (B, 25).
    """
    pose = sampled_poses(
        len(cameras),
        horizontal_spread_rad=reach_rad,
        vertical_spread_rad=reach_rad / 3,
        even=True,
        look_at=(0.0, 0.0, 0.0),
        generator=numbers,
    )
    return camera_vector(pose.to(cameras), intrinsics_of(cameras))


def corrected(cameras: Tensor, intrinsics: Tensor, rotation: Tensor | None = None) -> Tensor:
    """Cameras with the correction that is learnt together with an identity code; the paper does not name it.

    Each of the nine numbers k becomes k (1 + tanh s) + t, the zeros and the one of the matrices too. ``cameras`` stays
    as it is; the authors write a corrected rotation into it.

    Args:
        cameras: (B, 25).
        intrinsics: (B, 18) nine s and nine t; zeros change nothing.
        rotation: the same for the camera's rotation; None leaves it.
    """
    matrix, scene = cameras[:, :_MATRIX], cameras[:, _MATRIX:]
    if rotation is not None:
        places = torch.tensor(_ROTATION, device=cameras.device)
        matrix = matrix.index_copy(1, places, _corrected(matrix[:, places], rotation))
    return torch.cat([matrix, _corrected(scene, intrinsics)], 1)


def _corrected(numbers: Tensor, correction: Tensor) -> Tensor:
    scale, shift = correction.chunk(2, 1)
    return numbers * (1 + torch.tanh(scale)) + shift


def _smoothed(values: Doubles) -> Doubles:
    """See :func:`tracked_cameras`; of (T, ...), over T."""
    count = len(values)
    if count == 1:
        return values
    return np.stack([values[max(i - 1, 0) : min(i + 2, count - 1)].mean(0) for i in range(count)])
