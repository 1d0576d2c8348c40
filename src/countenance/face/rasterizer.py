"""Meshes to pixels: which triangle each pixel shows, where on it, and how near. In C, for one CPU core.

Conventions, the same in :mod:`countenance.face.rasterizer_torch`:

* Vertices are (x, y, z). x and y are in pixels, x to the right and y DOWN, pixel centres at half-integers
  (the top-left pixel's centre is (0.5, 0.5)). z is any depth of which LARGER IS NEARER, as it is along the
  head frame's z axis; both cameras of :mod:`countenance.face.cameras` give such vertices.
  For a renderer whose z grows away from the camera, pass -z.
* The front of a triangle is the side from which its corners run counter-clockwise in the picture as seen:
  the side that the normal (v1 - v0) x (v2 - v0) points to in the head frame (y up).
* A pixel shows a triangle if its centre lies inside. A centre on an edge belongs to the triangle to the right
  of it, or below a horizontal edge (the top-left rule), so that neighbours never share or miss a pixel.
* The nearest triangle wins; at equal depth, the one that comes first in the list.
* Depth and attributes vary linearly over a triangle in the image. This is exact under weak perspective, and
  close under a pinhole as long as triangles are small beside their distance.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from countenance.arrays import Floats, Indices, Mask
from countenance.errors import BadValue
from countenance.face import _rasterizer


@dataclass(frozen=True, eq=False)
class Raster:
    """What every pixel of an H x W picture shows of a mesh."""

    triangle_index: Indices
    """H x W; row of ``triangles``, -1 at the background."""
    barycentric: Floats
    """H x W x 3; shares in [0, 1] of the triangle's corners, in order, adding up to 1; 0 at background."""
    depth: Floats
    """H x W; interpolated z, larger is nearer; -inf at the background."""
    triangles: Indices
    """T x 3; the triangles that were drawn."""

    @property
    def covered(self) -> Mask:
        """H x W; True where there is a triangle."""
        return self.triangle_index >= 0


def rasterize(
    vertices: NDArray[np.floating[Any]],
    triangles: NDArray[np.integer[Any]],
    size: tuple[int, int],
    *,
    cull_back_faces: bool = False,
) -> Raster:
    """Draw a mesh with a z-buffer. Axes, winding and the fill rule are in the module's docstring.

    Triangles without area, with a NaN or infinite vertex, or outside the picture leave no pixel. The GIL is
    released while drawing.

    Args:
        vertices: V x 3, float (drawn in float32): x and y in pixels, z larger is nearer.
        triangles: T x 3, integer, rows of ``vertices``.
        size: (height, width) of the picture in pixels.
        cull_back_faces: leave out triangles seen from behind, so that what lies behind them shows.

    Raises:
        BadValue: a wrong shape or dtype, an index that names no vertex, or a size below 1 x 1.
    """
    points = _as_floats("vertices", vertices, columns=3)
    corners = _as_triangles(triangles, len(points))
    height, width = checked_size(size)
    triangle_index = np.empty((height, width), np.int32)
    barycentric = np.empty((height, width, 3), np.float32)
    depth = np.empty((height, width), np.float32)
    _rasterizer.rasterize(points, corners, height, width, cull_back_faces, triangle_index, barycentric, depth)
    return Raster(triangle_index, barycentric, depth, corners)


def interpolate(raster: Raster, attributes: NDArray[np.floating[Any]]) -> Floats:
    """Spread values given at the vertices over the pixels that show them.

    Args:
        raster: from :func:`rasterize`.
        attributes: V x C, float, C >= 1: one row for each vertex of the mesh that was drawn.

    Returns:
        H x W x C, float32; 0 at the background.

    Raises:
        BadValue: a wrong shape or dtype, or fewer rows than the mesh has vertices.
    """
    values = _as_floats("attributes", attributes, columns=None)
    triangles = _as_triangles(raster.triangles, len(values))
    index = np.ascontiguousarray(raster.triangle_index, np.int32)
    barycentric = np.ascontiguousarray(raster.barycentric, np.float32)
    out = np.empty((*index.shape, values.shape[1]), np.float32)
    try:
        _rasterizer.interpolate(index, barycentric, triangles, values, values.shape[1], out)
    except ValueError as error:
        raise BadValue(
            f"the raster contradicts itself ({error}); pass one that rasterize() returned"
        ) from error
    return out


def front_facing(vertices: NDArray[np.floating[Any]], triangles: NDArray[np.integer[Any]]) -> Mask:
    """Tell which triangles are seen from their front (T, bool); those without area count as neither.

    Args:
        vertices: V x 3, float; x and y in pixels, y down, as in :func:`rasterize`.
        triangles: T x 3, integer.

    Raises:
        BadValue: as in :func:`rasterize`.
    """
    points = _as_floats("vertices", vertices, columns=3).astype(np.float64)
    a, b, c = (points[corner, :2] for corner in _as_triangles(triangles, len(points)).T)
    return (b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0] < 0


def checked_size(size: tuple[int, int]) -> tuple[int, int]:
    """Return (height, width) if both are at least 1.

    Raises:
        BadValue: otherwise.
    """
    height, width = size
    if height < 1 or width < 1:
        raise BadValue(f"size is (height, width) = ({height}, {width}); give at least 1 pixel each way")
    return height, width


def _as_floats(name: str, values: NDArray[np.floating[Any]], columns: int | None) -> Floats:
    array = np.asarray(values)
    wide_enough = array.ndim == 2 and (array.shape[1] == columns if columns else array.shape[1] >= 1)
    if array.dtype.kind != "f" or not wide_enough:
        expected = f"V x {columns or 'C'}"
        raise BadValue(f"{name} are {array.dtype} of shape {array.shape}; give floats of shape {expected}")
    return np.ascontiguousarray(array, np.float32)


def _as_triangles(triangles: NDArray[np.integer[Any]], vertex_count: int) -> Indices:
    array = np.asarray(triangles)
    if array.dtype.kind not in "iu" or array.ndim != 2 or array.shape[1] != 3:
        raise BadValue(f"triangles are {array.dtype} of shape {array.shape}; give integers of shape T x 3")
    if array.size and (array.min() < 0 or array.max() >= vertex_count):
        raise BadValue(
            f"triangles name vertices {array.min()} to {array.max()}, but there are {vertex_count}; "
            f"pass the vertices that belong to these triangles (indices from 0)"
        )
    return np.ascontiguousarray(array, np.int32)
