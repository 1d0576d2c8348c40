"""Three feature planes, looked up at points (Chan et al., Sec. 3).

QUIRK of the published network: the planes are (x, y), (x, z) and (z, x); there is no (y, z). The third, transposed, is
therefore read exactly where the second is, and the two are added once and for all instead of being read at every point.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor

COORDINATES: Final = ((0, 1), (0, 2), (2, 0))
"""Of a point, which coordinate goes along each plane's picture: (to the right, down)."""


_BORDER = 3  # zeros: one before and two after, so that what lies outside is looked up like anything else


@dataclass(frozen=True, eq=False)
class TriPlanes:
    """Feature planes of one or several volumes, laid out for looking up.

    Attributes:
        table: (B * places, C): the features of each place of each plane, rows of a picture after one another, with a
            border of zeros.
        sides: (height, width) of each plane, without the border.
        axes: which coordinate goes along each plane's picture, (to the right, down).
        volumes: B.
    """

    table: Tensor
    sides: Sequence[tuple[int, int]]
    axes: Sequence[tuple[int, int]]
    volumes: int

    @classmethod
    def of(cls, planes: Tensor) -> TriPlanes:
        """planes (B, 3, C, H, W), divided by their number: what is looked up is their mean, as published.

        The paper says sum. Half precision becomes float32: places between two are found by shares of them.
        """
        planes = planes.to(torch.promote_types(planes.dtype, torch.float32))
        volumes, channels = len(planes), planes.shape[2]
        first, second, third = (planes / len(COORDINATES)).unbind(1)
        transposed = third.transpose(2, 3)
        pictures = [first, second, transposed]
        if second.shape == transposed.shape:
            pictures = [first, second + transposed]
        sides = [(picture.shape[2], picture.shape[3]) for picture in pictures]
        places = [(height + _BORDER) * (width + _BORDER) for height, width in sides]
        table = planes.new_zeros(volumes, sum(places), channels)
        start = 0
        for picture, (height, width), count in zip(pictures, sides, places, strict=True):
            rows = table[:, start : start + count].view(volumes, height + _BORDER, width + _BORDER, channels)
            rows[:, 1 : 1 + height, 1 : 1 + width] = picture.permute(0, 2, 3, 1)
            start += count
        axes = [COORDINATES[0], COORDINATES[1], COORDINATES[2][::-1]][: len(pictures)]
        return cls(table.flatten(0, 1), sides, axes, volumes)

    def at(self, points: Tensor, box_warp: float) -> Tensor:
        """Mean features of the planes at points, interpolated bilinearly; 0 outside the box.

        Args:
            points: (B, N, 3); one volume serves any number B.
            box_warp: side of the box that the planes cover, centred at the origin.

        Returns:
            (B, N, C).
        """
        places, shares = [], []
        start = 0
        coordinates = points.unbind(-1)
        for (height, width), (right, down) in zip(self.sides, self.axes, strict=True):
            column, to_right = _place(coordinates[right], width, box_warp)
            row, to_down = _place(coordinates[down], height, box_warp)
            stride = width + _BORDER
            corner = (row * stride + column).long() + start
            places.append(corner[..., None] + corner.new_tensor([0, 1, stride, stride + 1]))
            not_right, not_down = 1 - to_right, 1 - to_down
            shares += [not_down * not_right, not_down * to_right, to_down * not_right, to_down * to_right]
            start += (height + _BORDER) * stride
        place = torch.cat(places, -1)
        if self.volumes > 1:
            place = place + torch.arange(self.volumes, device=place.device)[:, None, None] * start
        # Weighted sums of rows: what grid_sample does for one plane, in one pass for all, features last.
        found = F.embedding_bag(
            place.flatten(0, 1),
            self.table,
            per_sample_weights=torch.stack(shares, -1).flatten(0, 1),
            mode="sum",
        )
        return found.reshape(*points.shape[:2], -1)


def _place(along: Tensor, side: int, box_warp: float) -> tuple[Tensor, Tensor]:
    """Between which two places of one axis points lie.

    Args:
        along: (B, N) coordinate; +- box_warp / 2 are the picture's borders, half a place outside the outermost centres.
        side: places, without the border.
        box_warp: see :meth:`TriPlanes.at`.

    Returns:
        (B, N) the first of the two, counted from the border's first, a whole number; (B, N) the second's share.
    """
    x = (along * (side / box_warp) + (side - 1) / 2).clamp(-1, side)
    first = x.floor()
    return first + 1, x - first
