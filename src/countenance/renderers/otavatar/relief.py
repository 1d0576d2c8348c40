"""A face is about as deep as the mean face: it keeps a volume learnt from few views from being a flat picture.

Not in the paper, whose generator has learnt relief from 70 000 people before. In clips of talking people heads turn
little, and a flat picture in the head's place explains most of what is seen.
"""

from __future__ import annotations

from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

from countenance.face.mediapipe_model import mediapipe_model
from countenance.generators.eg3d.cameras import intrinsics_of, pose_of
from countenance.generators.eg3d.tracked_cameras import UNITS_PER_CM

_FACING = 0.4  # cosine between a point's normal and the way to the camera, from which on it counts as seen


def relief_loss(depth: Tensor, cameras: Tensor) -> Tensor:
    """How far the surface that rays meet is from the mean face: mean square in cm over the points that cameras see.

    The square is for noses: few points are on them, and with the mean distance they stayed too flat.

    Args:
        depth: (B, 1, r, r), distances along rays, in the scene's units.
        cameras: (B, 25), of :func:`~countenance.generators.eg3d.tracked_cameras.arkit_cameras`.
    """
    points, normals = (part.to(cameras) for part in mean_face())
    pose, intrinsics = pose_of(cameras), intrinsics_of(cameras)
    to_camera = pose[:, None, :3, 3] - points
    distance = torch.linalg.vector_norm(to_camera, dim=2)
    seen = ((to_camera * normals).sum(2) / distance > _FACING).to(depth)
    in_camera = -to_camera @ pose[:, :3, :3]  # x right, y down, z forward
    at = (in_camera / in_camera[..., 2:]) @ intrinsics.mT  # in sides of the picture
    found = F.grid_sample(depth, (2 * at[..., :2] - 1)[:, None], padding_mode="border", align_corners=False)
    off_cm = (found[:, 0, 0] - distance) / UNITS_PER_CM
    off: Tensor = (off_cm.square() * seen).sum() / seen.sum().clamp(min=1)
    return off


@cache
def mean_face() -> tuple[Tensor, Tensor]:
    """(478, 3) points of the mean face at rest in the scene, and their normals of length 1, pointing outwards."""
    model = mediapipe_model()
    points = torch.from_numpy(model.mean) * UNITS_PER_CM
    corners = points[torch.from_numpy(model.triangles).long()]
    across = torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals = torch.zeros_like(points)
    for corner in torch.from_numpy(model.triangles).long().unbind(1):
        normals.index_add_(0, corner, across)
    normals = F.normalize(normals, dim=1)
    return points, normals * normals[:, 2].mean().sign()  # most of a face looks forward
