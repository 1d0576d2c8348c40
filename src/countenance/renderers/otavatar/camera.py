"""Where the camera stands: a tracked head's pose as the 25 numbers of EG3D, and their correction during inversion.

The 25 numbers are the camera-to-world matrix (4 x 4, row by row; x right, y down, z forward; the world is the head,
y up, looking along +z) and the intrinsics (3 x 3, row by row, in picture sides).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from countenance.arrays import Doubles, Floats
from countenance.errors import BadValue
from countenance.motion.pose import rotation_matrix

CAMERA_NUMBERS = 25
_HEAD_TO_CAMERA_DM = 10.0  # between Deep3DFaceReconstruction's camera and a head with translation 0
_UNITS_PER_DM = 0.27 * 2.7 / 4  # of the scene; unlike EG3D's own preparation, no fixed distance afterwards
_ORIGIN_DM = np.array([0, 0.015, 0.161]) / 0.27  # the scene's, in the head's
_FOCAL = 2985.29 / 700  # EG3D's focal length in picture sides ...
_FOCAL_PX = 1050.0  # ... where the tracker says this
_ROTATION = (0, 1, 2, 4, 5, 6, 8, 9, 10)  # places of the rotation in the 4 x 4 matrix
_MATRIX = 16


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
