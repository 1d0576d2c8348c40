"""Cameras: from centimetres in camera axes to pixels, and back.

Camera axes are the head frame's: x to image right, y up, z toward the camera, which looks along -z.
Pixels have x to the right and y DOWN, the top-left pixel's centre at (0.5, 0.5). The third number of a
projected point is its z in cm, kept as it is, so LARGER IS NEARER: what
:func:`countenance.face.rasterizer.rasterize` takes.

Turning a head (R = Rz(roll) Ry(yaw) Rx(pitch)) therefore looks the same through either camera: yaw > 0 moves
the nose to image right, pitch > 0 moves it down, roll > 0 moves the top of the head to image left.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from countenance.errors import BadValue

_Real = TypeVar("_Real", bound=np.floating[Any])


@dataclass(frozen=True)
class WeakPerspective:
    """All points are seen at one scale, whatever their depth; their origin appears at (x_px, y_px)."""

    scale_px_per_cm: float
    x_px: float
    y_px: float

    def __post_init__(self) -> None:
        _check_positive("scale_px_per_cm", self.scale_px_per_cm)

    def project(self, points_cm: NDArray[_Real]) -> NDArray[_Real]:
        """Project (..., 3) points in cm to (..., 3): x in px, y in px (down), z in cm (larger is nearer).

        Raises:
            BadValue: the last axis is not 3 long, or the points are not floats.
        """
        points = _checked(points_cm)
        scale = self.scale_px_per_cm
        out = np.empty_like(points)
        out[..., 0] = self.x_px + scale * points[..., 0]
        out[..., 1] = self.y_px - scale * points[..., 1]
        out[..., 2] = points[..., 2]
        return out

    def unproject(self, points_px: NDArray[_Real]) -> NDArray[_Real]:
        """Undo :meth:`project`: (..., 3) of x in px, y in px, z in cm to points in cm.

        Raises:
            BadValue: the last axis is not 3 long, or the points are not floats.
        """
        points = _checked(points_px)
        out = np.empty_like(points)
        out[..., 0] = (points[..., 0] - self.x_px) / self.scale_px_per_cm
        out[..., 1] = (self.y_px - points[..., 1]) / self.scale_px_per_cm
        out[..., 2] = points[..., 2]
        return out

    def as_pinhole(self, distance_cm: float) -> Pinhole:
        """Return the pinhole that sees the same from a distance: show it p - (0, 0, distance_cm) for p.

        The two agree at the depth of the origin. A point z nearer looks larger by distance / (distance - z),
        so they become the same as the distance grows.

        Raises:
            BadValue: the distance is not positive and finite.
        """
        _check_positive("distance_cm", distance_cm)
        return Pinhole(self.scale_px_per_cm * distance_cm, self.x_px, self.y_px)


@dataclass(frozen=True)
class Pinhole:
    """Perspective from the origin of the camera axes: what the camera sees has z < 0.

    ``focal_px`` is the distance of the picture from the pinhole in pixels; what is straight ahead appears
    at (cx_px, cy_px).
    """

    focal_px: float
    cx_px: float
    cy_px: float

    def __post_init__(self) -> None:
        _check_positive("focal_px", self.focal_px)

    @classmethod
    def from_fov(cls, vertical_fov_rad: float, size: tuple[int, int]) -> Pinhole:
        """Return the camera with this angle of view, looking through the middle of a (height, width) picture.

        Raises:
            BadValue: the angle, measured from the top edge to the bottom edge, is not between 0 and pi.
        """
        if not 0.0 < vertical_fov_rad < math.pi:
            raise BadValue(f"vertical_fov_rad is {vertical_fov_rad}; give radians between 0 and pi")
        height, width = size
        return cls(height / 2 / math.tan(vertical_fov_rad / 2), width / 2, height / 2)

    def project(self, points_cm: NDArray[_Real]) -> NDArray[_Real]:
        """Project (..., 3) points in cm to (..., 3): x in px, y in px (down), z in cm (larger is nearer).

        A point not in front of the camera (z >= 0) comes out as NaN; the rasterizer leaves its triangles out.

        Raises:
            BadValue: the last axis is not 3 long, or the points are not floats.
        """
        points = _checked(points_cm)
        z = points[..., 2]
        in_front = z < 0
        scale = np.divide(-self.focal_px, z, out=np.full_like(z, np.nan), where=in_front)
        out = np.empty_like(points)
        out[..., 0] = self.cx_px + scale * points[..., 0]
        out[..., 1] = self.cy_px - scale * points[..., 1]
        out[..., 2] = np.where(in_front, z, np.nan)
        return out

    def unproject(self, points_px: NDArray[_Real]) -> NDArray[_Real]:
        """Undo :meth:`project`: (..., 3) of x in px, y in px, z in cm (negative) to points in cm.

        Raises:
            BadValue: the last axis is not 3 long, or the points are not floats.
        """
        points = _checked(points_px)
        distance = -points[..., 2]
        out = np.empty_like(points)
        out[..., 0] = (points[..., 0] - self.cx_px) * distance / self.focal_px
        out[..., 1] = (self.cy_px - points[..., 1]) * distance / self.focal_px
        out[..., 2] = points[..., 2]
        return out

    def weak_at(self, origin_cm: ArrayLike) -> WeakPerspective:
        """Return the weak perspective that shows points relative to ``origin_cm`` (3, z < 0) as seen here.

        It is the limit of this camera for points whose depth differs little from the origin's.

        Raises:
            BadValue: the origin is not three numbers in front of the camera.
        """
        origin = np.asarray(origin_cm, np.float64)
        if origin.shape != (3,) or not np.isfinite(origin).all() or origin[2] >= 0:
            raise BadValue(f"origin_cm is {origin.tolist()}; give (x, y, z) in front of the camera, z < 0")
        x_px, y_px, z = (float(value) for value in self.project(origin))
        return WeakPerspective(self.focal_px / -z, x_px, y_px)


def _check_positive(name: str, value: float) -> None:
    if not (math.isfinite(value) and value > 0):
        raise BadValue(f"{name} is {value}; give a positive number")


def _checked(points: NDArray[_Real]) -> NDArray[_Real]:
    array = np.asarray(points)
    if array.dtype.kind != "f" or array.ndim < 1 or array.shape[-1] != 3:
        raise BadValue(f"points are {array.dtype} of shape {array.shape}; give floats of shape (..., 3)")
    return array
