"""Cameras of EG3D from motion in ``arkit``: the head stays at the origin, the camera and its film move.

The world is :mod:`countenance.generators.eg3d.cameras`'s. Its origin is the head's, 1 unit is 37 cm.
"""

from __future__ import annotations

import numpy as np

from countenance.arrays import Floats
from countenance.errors import BadValue
from countenance.generators.eg3d.cameras import RADIUS
from countenance.motion.pose import rotation_matrix
from countenance.motion.spaces import ARKIT
from countenance.trackers.arkit_pose import REFERENCE_SPAN_CM

UNITS_PER_CM = 0.027
"""FFHQ's labels have 0.27 units a decimetre of the face model."""
FOCAL = RADIUS / (REFERENCE_SPAN_CM * UNITS_PER_CM)
"""Focal length in sides of the picture at logScale 0, so that a side spans 25 cm at the origin; FFHQ's is 4.26."""

_POSE = ARKIT.indices(["yaw", "pitch", "roll", "x", "y", "logScale"])


def arkit_cameras(values: Floats) -> Floats:
    """Cameras that see a head at the origin where the tracker saw it.

    A camera stands on EG3D's sphere and looks at the origin. Where the head lies in the crop and how large it is goes
    into the intrinsics. The tracker's perspective is weak and EG3D's is not: sizes agree at the origin's depth, and
    what lies d units nearer is larger by about d / 2.7.

    Args:
        values: (T, 58) of ``arkit``, relative to the crop that is to be drawn.

    Returns:
        (T, 25): 4 x 4 camera-to-world, then 3 x 3 intrinsics over the picture's side, row by row.

    Raises:
        BadValue: another shape, or values that are not finite.
    """
    if values.ndim != 2 or values.shape[1] != ARKIT.size or not np.isfinite(values).all():
        raise BadValue(
            f"motion has shape {values.shape}; cameras need finite numbers (frames, {ARKIT.size}) of {ARKIT.name}"
        )
    yaw, pitch, roll, x, y, log_scale = values[:, _POSE].astype(np.float64).T
    turned = np.swapaxes(rotation_matrix(yaw, pitch, roll), 1, 2)  # of the camera around the head
    matrix = np.tile(np.eye(4), (len(values), 1, 1))
    matrix[:, :3, :3] = turned * [1, -1, -1]  # y down, z forward
    matrix[:, :3, 3] = turned[:, :, 2] * RADIUS
    intrinsics = np.tile(np.eye(3), (len(values), 1, 1))
    intrinsics[:, [0, 1], [0, 1]] = (FOCAL * np.exp(log_scale))[:, None]
    intrinsics[:, 0, 2], intrinsics[:, 1, 2] = 0.5 + x, 0.5 - y
    return np.concatenate([matrix.reshape(-1, 16), intrinsics.reshape(-1, 9)], 1).astype(np.float32)
