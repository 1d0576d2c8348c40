"""Geometric patterns (Sec. 3.2): what two meshes of one face say about where its pixels go.

Any mesh will do, as long as source and driving mesh have the same triangles: FLAME's, BFM's, ICT-FaceKit's or the
default face model's.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from countenance.face import rasterizer
from countenance.face.rasterizer_torch import RasterBatch, interpolate, rasterize
from countenance.renderers.gdpw.network import Guidance


def draw_guidance(
    source: Tensor,
    driving: Tensor,
    triangles: Tensor,
    size: tuple[int, int],
    *,
    codes: Tensor | None = None,
    displacement: bool = True,
) -> Guidance:
    """Draw what guides the network.

    Args:
        source: (B, V, 3) the source's mesh M_s: x right and y down, -1 to 1 across the picture; z in any unit, larger
            is nearer.
        driving: (B, V, 3) the driving mesh M_d; the source's shape in the driving pose and expression (Sec. 4.2).
        triangles: (T, 3).
        size: (height, width) of the picture in px.
        codes: (V, d) posed neural codes E; gradients flow to them. None leaves them out.
        displacement: draw V_{d->s} = P(M_s) - P(M_d) on the driving mesh.
    """
    views = [_visible(vertices, triangles, size) for vertices in (driving, source)]
    drawn = [None if codes is None else _planes(interpolate(view, codes)) for view in views]
    way = _planes(interpolate(views[0], source[..., :2] - driving[..., :2])) if displacement else None
    return Guidance(way, drawn[0], drawn[1])


def mean_face_coordinates(mean: Tensor) -> Tensor:
    """NMFC of HeadGAN (Sec. 4.5), the ablation's codes: each vertex of the mean face, every axis scaled to [0, 1].

    Args:
        mean: (V, 3).

    Returns:
        (V, 3), for ``codes`` of :func:`draw_guidance`.
    """
    low, high = mean.amin(0), mean.amax(0)
    return (mean - low) / (high - low)


def _visible(vertices: Tensor, triangles: Tensor, size: tuple[int, int]) -> RasterBatch:
    """The front of the mesh.

    The published renderer drops back faces after its depth test: one in front leaves a hole. (It also blends its
    patterns at silhouettes, over less than a pixel; we do not.)
    """
    height, width = size
    scale = vertices.new_tensor([width / 2, height / 2, 1])
    shift = vertices.new_tensor([width / 2, height / 2, 0])
    points = (vertices * scale + shift).detach()
    raster = _rasterize(points, triangles, size)
    corners = points[:, raster.triangles, :2]
    ahead, aside = corners[:, :, 1] - corners[:, :, 0], corners[:, :, 2] - corners[:, :, 0]
    is_back = ahead[..., 0] * aside[..., 1] - ahead[..., 1] * aside[..., 0] > 0  # clockwise as seen, y down
    number = raster.triangle_index.long()
    picture = torch.arange(len(number), device=number.device)[:, None, None]
    hidden = (number < 0) | is_back[picture, number.clamp(min=0)]
    index = torch.where(hidden, torch.full_like(raster.triangle_index, -1), raster.triangle_index)
    return replace(raster, triangle_index=index)


def _rasterize(points: Tensor, triangles: Tensor, size: tuple[int, int]) -> RasterBatch:
    """On CPUs in C, mesh by mesh, which is many times as fast."""
    if points.device.type != "cpu":
        return rasterize(points, triangles, size)
    corners = triangles.numpy()
    drawn = [rasterizer.rasterize(mesh, corners, size) for mesh in points.float().numpy()]
    stacked = [
        np.stack([getattr(r, name) for r in drawn]) for name in ("triangle_index", "barycentric", "depth")
    ]
    index, shares, depth = (torch.from_numpy(array) for array in stacked)
    return RasterBatch(index, shares, depth, triangles.long())


def _planes(picture: Tensor) -> Tensor:
    return picture.permute(0, 3, 1, 2)
