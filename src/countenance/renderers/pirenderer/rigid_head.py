"""How the picture moves when the head only turns and moves: closed form, the head taken as a ball (lite only).

In ``arkit`` the pose of the head is known to the network in numbers, so it need not learn what a turn does to a
picture: a ball is turned in its place, and the network adds the rest. The ball is the one that fits the default face
model's vertices best; on pairs of real frames it explains five sixths of the landmarks' way.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from countenance.face.rotations import rotation_from_angles
from countenance.motion.spaces import ARKIT
from countenance.trackers.arkit_pose import REFERENCE_SPAN_CM

POSE = slice(ARKIT.index("yaw"), ARKIT.index("yaw") + 6)
"""yaw, pitch, roll, x, y, logScale among the coefficients of ``arkit``."""

_ANGLES = [1, 0, 2]  # pitch, yaw, roll

RADIUS_CM = 7.7
CENTER_CM = (0.0, -0.76, -1.36)
"""The ball in the head's frame: least squares on the 478 vertices of the mean face, mean distance 0.75 cm."""


class RigidHead(NamedTuple):
    """What is known of each place of the result before any network looks at it.

    Attributes:
        flow: (B, 2, h, w) in px of its own grid, to where the place lies in the source.
        surface: (B, 3, h, w) the point of the ball that is seen there, in the head's frame, relative to the ball's
            center and in its radii; beyond the outline a point beside it.
    """

    flow: Tensor
    surface: Tensor


def rigid_head(driving: Tensor, own: Tensor, height: int, width: int) -> RigidHead:
    """The ball in the driving pose, seen from the camera, and where its points lie in the source's pose.

    Args:
        driving: (B, 6), see :data:`POSE`.
        own: (B, 6), the source's.
        height: of the grid.
        width: of the grid.
    """
    driving, own = driving.float(), own.float()
    right = ((torch.arange(width, device=own.device) + 0.5) / width - 0.5).expand(height, width)
    up = (0.5 - (torch.arange(height, device=own.device) + 0.5) / height)[:, None].expand(height, width)
    here = torch.stack([right, up])[None]  # in sides of the crop
    turn, turn_back = (rotation_from_angles(pose[:, _ANGLES]) for pose in (own, driving))
    turn_back = turn_back.transpose(1, 2)
    center = own.new_tensor(CENTER_CM)
    offset = _places(here - driving[:, 3:5, None, None], driving[:, 5])
    offset = offset - torch.einsum("bji,j->bi", turn_back, center)[:, :2, None, None]
    depth = (RADIUS_CM**2 - offset.square().sum(1, keepdim=True)).clamp(min=0).sqrt()
    surface = torch.einsum("bij,bjhw->bihw", turn_back, torch.cat([offset, depth], 1))
    seen = torch.einsum("bij,bjhw->bihw", turn[:, :2], surface + center[:, None, None])
    there = seen * (own[:, 5].exp() / REFERENCE_SPAN_CM)[:, None, None, None] + own[:, 3:5, None, None]
    flow = (there - here) * own.new_tensor([width, -height])[:, None, None]
    return RigidHead(flow, surface / RADIUS_CM)


def surface_encoding(surface: Tensor) -> Tensor:
    """(B, 3, h, w) -> (B, 15, h, w): the point, and its sines and cosines at two frequencies."""
    surface = surface.clamp(-2, 2)
    waves = [f(torch.pi * k * surface) for k in (1, 2) for f in (torch.sin, torch.cos)]
    return torch.cat([surface, *waves], 1)


def _places(sides: Tensor, log_scale: Tensor) -> Tensor:
    """Sides of the crop -> cm at the head."""
    return sides * (REFERENCE_SPAN_CM / log_scale.exp())[:, None, None, None]
