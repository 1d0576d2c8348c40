"""What keeps a volume's density sensible: no fog, no hollow heads (EG3D's code; OTAvatar, Sec. 3.4)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

_DOWN_THE_HEAD = 256  # steps of the monotonic loss in a box

Density = Callable[[Tensor], Tensor]
"""Points (B, N, 3) of the scene -> what the decoder says there before softplus, (B, N) or (B, N, 1)."""


def scene_points(uniform: Tensor) -> Tensor:
    """Where the density is looked at: random numbers (B, N, 3) in [0, 1) as points between -1 and 1.

    The planes cover half of that in each direction, so most points lie where the density does not depend on them.
    """
    return 2 * uniform - 1


def monotonic_loss(density: Density, points: Tensor, box: float) -> Tensor:
    """How much density falls from a point to the one behind it, so that heads are not hollow (EG3D's code).

    Args:
        density: of the scene.
        points: (B, N, 3).
        box: side of the cube that the planes cover.
    """
    behind = points - torch.tensor([0, 0, box / _DOWN_THE_HEAD]).to(points)
    return torch.relu(density(points) - density(behind)).mean()


def total_variation_loss(
    density: Density, points: Tensor, normal: Tensor, *, distance: float, weight: float
) -> Tensor:
    """How much density differs between near points (EG3D's code).

    Args:
        density: of the scene.
        points: (B, N, 3).
        normal: (B, N, 3) random numbers of a normal distribution.
        distance: deviation of the step to the other point.
        weight: factor.
    """
    return (density(points) - density(points + distance * normal)).abs().mean() * weight
