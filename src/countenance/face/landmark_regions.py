"""Vertices of lips, eyes, brows and nose, found from the 68 iBUG landmarks of a mesh."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from countenance.arrays import Floats, Indices

IBUG_GROUPS: Final[dict[str, slice]] = {
    "right_brow": slice(17, 22),
    "left_brow": slice(22, 27),
    "nose": slice(27, 36),
    "right_eye": slice(36, 42),
    "left_eye": slice(42, 48),
    "lips": slice(48, 60),
}
"""The 68 landmarks by feature; left and right are the person's. ``lips`` is the outer line."""

_MARGIN = 0.06  # of the distance between the eyes: half the height of a brow
_DEPTH = 0.5  # of the same distance: keeps the back of the head out


def landmark_regions(
    mean: Floats, landmarks: Floats, among: NDArray[np.bool_] | None = None
) -> dict[str, Indices]:
    """The vertices that lie, seen from the front, in or near the convex hull of a feature's landmarks.

    Args:
        mean: (V, 3) vertices of a frontal face in the head frame, any unit.
        landmarks: (68, 3) in iBUG order.
        among: (V,) vertices to choose from; all if absent.

    Returns:
        Name -> sorted vertex indices, for every name of :data:`IBUG_GROUPS`. Empty where no vertex lies.
    """
    from scipy.spatial import ConvexHull

    eyes = [landmarks[IBUG_GROUPS[side]].mean(axis=0) for side in ("left_eye", "right_eye")]
    eye_distance = float(np.linalg.norm(eyes[0] - eyes[1]))
    regions = {}
    for name, group in IBUG_GROUPS.items():
        points = landmarks[group]
        # QJ lets landmarks on one line or one spot pass.
        sides = ConvexHull(points[:, :2], qhull_options="QJ").equations
        near = (mean[:, :2] @ sides[:, :2].T + sides[:, 2] <= _MARGIN * eye_distance).all(axis=1)
        near &= mean[:, 2] >= points[:, 2].min() - _DEPTH * eye_distance
        if among is not None:
            near &= among
        regions[name] = np.flatnonzero(near).astype(np.int32)
    return regions
