"""Points that ride on a mesh, given by a triangle and barycentric weights in it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from array_api_compat import array_namespace, device
from numpy.typing import ArrayLike

from countenance.arrays import Floats, Indices
from countenance.face.model_arrays import Array


@dataclass(frozen=True, eq=False)
class SurfacePoints:
    """Points of a mesh that move with it: landmarks, for example.

    Attributes:
        corners: (..., 3) the three vertices around each point.
        weights: (..., 3) how much of each, summing to one.
    """

    corners: Indices
    weights: Floats

    @classmethod
    def at_vertices(cls, vertices: ArrayLike) -> SurfacePoints:
        """Points that are vertices (L,)."""
        index = np.asarray(vertices, np.int32)
        weights = np.zeros((*index.shape, 3), np.float32)
        weights[..., 0] = 1
        return cls(np.stack([index] * 3, axis=-1), weights)

    @classmethod
    def on_triangles(cls, triangles: Indices, which: ArrayLike, weights: ArrayLike) -> SurfacePoints:
        """Points in the triangles ``which`` (...) of a mesh (F, 3), with barycentric ``weights`` (..., 3)."""
        return cls(triangles[np.asarray(which, np.int64)], np.asarray(weights, np.float32))

    def __len__(self) -> int:
        return len(self.corners)


def interpolate(vertices: Array, corners: Array, weights: Array) -> Array:
    """Where surface points lie on moved vertices.

    Args:
        vertices: (B, V, 3).
        corners: (L, 3) int64 vertex indices, or (B, L, 3) if they differ within the batch.
        weights: barycentric weights of the same shape.

    Returns:
        (B, L, 3), in the unit of the vertices.
    """
    xp = array_namespace(vertices, corners, weights)
    batch, count, _ = vertices.shape
    if corners.ndim == 2:
        at_corners = xp.take(vertices, xp.reshape(corners, (-1,)), axis=1)
    else:
        # The array API takes along one axis only, so that batch and vertex become one index.
        first = xp.arange(batch, dtype=corners.dtype, device=device(corners)) * count
        flat = xp.reshape(corners + first[:, None, None], (-1,))
        at_corners = xp.take(xp.reshape(vertices, (-1, 3)), flat, axis=0)
    at_corners = xp.reshape(at_corners, (batch, -1, 3, 3))
    return xp.sum(at_corners * weights[..., None], axis=-2)
