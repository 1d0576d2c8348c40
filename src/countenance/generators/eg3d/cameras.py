"""Cameras as EG3D takes them: 25 numbers, a 4 x 4 camera-to-world matrix and 3 x 3 intrinsics, row by row.

The world is right-handed: y up, the face at the origin looks along +z. A camera is OpenCV's: x to image right, y down,
z forward. Intrinsics are divided by the picture's side: 0.5 is its centre.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from countenance.face.rotations import rotation_from_angles

RADIUS = 2.7
"""Distance of FFHQ's cameras from the origin."""
LOOK_AT = (0.0, 0.0, 0.2)
"""Where FFHQ's average camera looks."""
FFHQ_FOV_DEG = 18.837
_FFHQ_FOCAL = 2985.29 / 700  # focal length / side of the pictures in px, of every cropped picture
_POLES = 1e-5  # rad; straight above and below, "up" has no meaning
_DISTANCE_DM = 10.0  # of the face model from its camera
_WORLD_PER_DM = 0.27
_WORLD_ORIGIN = (0.0, 0.006, 0.161)  # of the face model, in EG3D's world
_CENTRED_ON = (0.0, 0.0, 0.175)
_MIRRORED_ENTRIES = ((0, 1), (0, 2), (1, 0), (2, 0), (0, 3))


def camera_vector(pose: Tensor, intrinsics: Tensor) -> Tensor:
    """pose (B, 4, 4), intrinsics (3, 3) or (B, 3, 3) -> (B, 25)."""
    return torch.cat([pose.flatten(1), intrinsics.expand(len(pose), 3, 3).flatten(1)], 1)


def pose_of(camera: Tensor) -> Tensor:
    """camera (B, 25) -> camera-to-world (B, 4, 4)."""
    return camera[:, :16].reshape(-1, 4, 4)


def intrinsics_of(camera: Tensor) -> Tensor:
    """camera (B, 25) -> intrinsics (B, 3, 3)."""
    return camera[:, 16:].reshape(-1, 3, 3)


def intrinsics_from_fov(fov_deg: float) -> Tensor:
    """(3, 3) intrinsics of a full angle of view along the picture's *diagonal*, in degrees.

    The constants are the authors' 3.14159 and 1.414, so that their numbers come out.
    """
    focal = 1 / (math.tan(fov_deg * 3.14159 / 360) * 1.414)
    return _intrinsics(focal)


def look_at_pose(
    horizontal_rad: Tensor, vertical_rad: Tensor, look_at: Sequence[float] = LOOK_AT, radius: float = RADIUS
) -> Tensor:
    """Cameras on a sphere around the origin.

    Args:
        horizontal_rad: (B,), pi / 2 is in front; less is to image right.
        vertical_rad: (B,), pi / 2 is level; less is from above. It is *not* the polar angle, which is
            arccos(1 - 2 v / pi): even v gives even areas of the sphere.
        look_at: where they look.
        radius: of the sphere, whatever they look at.

    Returns:
        (B, 4, 4) camera-to-world.
    """
    vertical = vertical_rad.clamp(_POLES, math.pi - _POLES)
    polar = torch.arccos(1 - 2 * vertical / math.pi)
    around = math.pi - horizontal_rad
    direction = [polar.sin() * around.cos(), polar.cos(), polar.sin() * around.sin()]
    origin = radius * torch.stack(direction, 1)
    return camera_to_world(origin.new_tensor(look_at) - origin, origin)


def sampled_poses(
    count: int,
    *,
    horizontal_rad: float = math.pi / 2,
    vertical_rad: float = math.pi / 2,
    horizontal_spread_rad: float = 0,
    vertical_spread_rad: float = 0,
    even: bool = False,
    look_at: Sequence[float] = LOOK_AT,
    radius: float = RADIUS,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Random cameras around a mean one.

    Args:
        count: B.
        horizontal_rad: mean, see :func:`look_at_pose`.
        vertical_rad: likewise.
        horizontal_spread_rad: standard deviation; or, if even, half the range.
        vertical_spread_rad: likewise.
        even: drawn evenly from the range, not normally.
        look_at: see :func:`look_at_pose`.
        radius: likewise.
        generator: of the random numbers.

    Returns:
        (B, 4, 4) camera-to-world.
    """
    if even:
        h, v = 2 * torch.rand(2, count, generator=generator) - 1
    else:
        h, v = torch.randn(2, count, generator=generator)
    return look_at_pose(
        horizontal_rad + horizontal_spread_rad * h, vertical_rad + vertical_spread_rad * v, look_at, radius
    )


def camera_to_world(forward: Tensor, origin: Tensor) -> Tensor:
    """Upright cameras.

    Args:
        forward: (B, 3), where they look; any length.
        origin: (B, 3), where they stand.

    Returns:
        (B, 4, 4).
    """
    forward = torch.nn.functional.normalize(forward, dim=1)
    up = forward.new_tensor([0.0, 1.0, 0.0]).expand_as(forward)
    right = -torch.nn.functional.normalize(torch.cross(up, forward, dim=1), dim=1)
    down = torch.nn.functional.normalize(torch.cross(forward, right, dim=1), dim=1)
    return _pose(torch.stack([right, down, forward], 2), origin)


def face_camera(angles_rad: Tensor, translation_dm: Tensor, *, centred: bool = False) -> Tensor:
    """The camera of a face that Deep3DFaceReconstruction has measured, as FFHQ was labelled for training.

    Args:
        angles_rad: (B, 3) pitch, yaw, roll, see docs/conventions.md.
        translation_dm: (B, 3), of the face model 10 dm before its camera.
        centred: put the camera at distance 2.7 from (0, 0, 0.175); else at 2.7 from the origin, as for the published
            models.

    Returns:
        (B, 25).
    """
    pose = face_pose(angles_rad, translation_dm)
    centre = pose.new_tensor(_CENTRED_ON if centred else (0.0, 0.0, 0.0))
    ray = pose[:, :3, 3] - centre
    pose = _pose(pose[:, :3, :3], centre + RADIUS * torch.nn.functional.normalize(ray, dim=1))
    return camera_vector(pose, _intrinsics(_FFHQ_FOCAL).to(pose))


def face_pose(angles_rad: Tensor, translation_dm: Tensor) -> Tensor:
    """The same as camera-to-world (B, 4, 4), at the distance that was measured."""
    rotation = torch.as_tensor(rotation_from_angles(angles_rad)).transpose(1, 2)
    toward = translation_dm - translation_dm.new_tensor([0, 0, _DISTANCE_DM])
    centre = -(rotation @ toward[:, :, None])[:, :, 0] * _WORLD_PER_DM
    flipped = rotation * rotation.new_tensor([1, -1, -1])  # to OpenCV's y down and z forward
    return _pose(flipped, centre + centre.new_tensor(_WORLD_ORIGIN))


def mirrored(pose: Tensor) -> Tensor:
    """The camera (B, 4, 4) of the picture with left and right exchanged."""
    signs = torch.ones_like(pose[0])
    for row, column in _MIRRORED_ENTRIES:
        signs[row, column] = -1
    return pose * signs


def _intrinsics(focal: float) -> Tensor:
    return torch.tensor([[focal, 0, 0.5], [0, focal, 0.5], [0, 0, 1]])


def _pose(rotation: Tensor, origin: Tensor) -> Tensor:
    top = torch.cat([rotation, origin[:, :, None]], 2)
    bottom = top.new_tensor([0, 0, 0, 1]).expand(len(top), 1, 4)
    return torch.cat([top, bottom], 1)
