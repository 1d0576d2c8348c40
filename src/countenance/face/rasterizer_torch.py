"""The rasterizer of :mod:`countenance.face.rasterizer` for batches and any device, in plain torch.

Axes, winding, fill rule and background are the same, and so are the pixels. The work grows with the boxes
around the triangles, not with triangles times pixels: every pixel of a triangle's box is one candidate, and
candidates are tested in chunks, so that memory stays bounded however large the triangles are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from countenance.errors import BadValue
from countenance.face.rasterizer import checked_size

CANDIDATES_PER_CHUNK = 1 << 21
"""About 0.6 GB of scratch at the worst; less if the meshes need less."""


@dataclass(frozen=True, eq=False)
class RasterBatch:
    """What every pixel of B pictures shows of B meshes with the same triangles; fields as in ``Raster``."""

    triangle_index: Tensor
    """B x H x W, int32; row of ``triangles``, -1 at the background."""
    barycentric: Tensor
    """B x H x W x 3, float32; shares of the triangle's corners; 0 at the background."""
    depth: Tensor
    """B x H x W, float32; larger is nearer; -inf at the background."""
    triangles: Tensor
    """T x 3, int64."""


@dataclass(frozen=True, eq=False)
class _Edge:
    """One edge of each of F triangles; see ``Edge`` in _rasterizer.c, which this mirrors step by step."""

    ax: Tensor
    ay: Tensor
    dx: Tensor
    dy: Tensor
    keeps_ties: Tensor

    @classmethod
    def between(cls, a: Tensor, b: Tensor, sign: Tensor) -> _Edge:
        swap = (b[:, 1] < a[:, 1]) | ((b[:, 1] == a[:, 1]) & (b[:, 0] < a[:, 0]))
        start, end = torch.where(swap[:, None], b, a), torch.where(swap[:, None], a, b)
        step = torch.where(swap, -sign, sign)[:, None] * (end - start)[:, :2]
        dx, dy = step.unbind(1)
        return cls(start[:, 0], start[:, 1], dx, dy, (dy < 0) | ((dy == 0) & (dx > 0)))

    def weight(self, face: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Weights of pixel centres for the triangles ``face``, and whether they count as inside."""
        weight = self.dx[face] * (y - self.ay[face]) - self.dy[face] * (x - self.ax[face])
        return weight, (weight > 0) | ((weight == 0) & self.keeps_ties[face])


@torch.no_grad()
def rasterize(
    vertices: Tensor, triangles: Tensor, size: tuple[int, int], *, cull_back_faces: bool = False
) -> RasterBatch:
    """Draw B meshes with a z-buffer, on the device of ``vertices``. No gradient flows through the result.

    Args:
        vertices: B x V x 3, float (drawn in float32): x and y in pixels (y down), z larger is nearer.
        triangles: T x 3, integer, rows of the vertices; the same for all meshes.
        size: (height, width) of the pictures in pixels.
        cull_back_faces: leave out triangles seen from behind, so that what lies behind them shows.

    Raises:
        BadValue: a wrong shape or dtype, an index that names no vertex, or a size below 1 x 1.
    """
    _check_mesh(vertices, triangles)
    height, width = checked_size(size)
    batch, device = len(vertices), vertices.device
    corners = triangles.to(device, torch.int64)
    pixel_count = batch * height * width
    index = torch.full((pixel_count,), -1, dtype=torch.int32, device=device)
    barycentric = torch.zeros((pixel_count, 3), dtype=torch.float32, device=device)
    depth = torch.full((pixel_count,), -torch.inf, dtype=torch.float32, device=device)

    # Metal has no float64; there a pixel centre within rounding of an edge may fall on the other side.
    exact = torch.float32 if device.type == "mps" else torch.float64
    faces = vertices.to(torch.float32).to(exact)[:, corners].reshape(-1, 3, 3)
    picture = torch.arange(batch, device=device).repeat_interleave(len(corners))
    number = torch.arange(len(corners), device=device).repeat(batch)
    area = _doubled_area(faces)
    drawn = torch.isfinite(faces).all(dim=(1, 2)) & (area != 0)
    if cull_back_faces:
        drawn &= area < 0
    faces, picture, number, sign = faces[drawn], picture[drawn], number[drawn], area[drawn].sign()
    a, b, c = faces.unbind(1)
    edges = (_Edge.between(b, c, sign), _Edge.between(c, a, sign), _Edge.between(a, b, sign))

    for face, row, column in _candidates(faces[..., :2], height, width):
        x, y = column.to(exact) + 0.5, row.to(exact) + 0.5
        (w0, in0), (w1, in1), (w2, in2) = (edge.weight(face, x, y) for edge in edges)
        hit = (in0 & in1 & in2).nonzero().squeeze(1)
        face = face[hit]
        weights = torch.stack((w0[hit], w1[hit], w2[hit]), 1)
        shares = weights * (1.0 / (weights[:, 0] + weights[:, 1] + weights[:, 2]))[:, None]
        z = (shares * faces[face, :, 2]).sum(1).to(torch.float32)
        pixel = (picture[face] * height + row[hit]) * width + column[hit]
        winner = _nearest(depth, pixel, z, number[face])
        index[pixel[winner]] = number[face[winner]].to(torch.int32)
        barycentric[pixel[winner]] = shares[winner].to(torch.float32)

    shape = (batch, height, width)
    return RasterBatch(index.view(shape), barycentric.view(*shape, 3), depth.view(shape), corners)


def interpolate(raster: RasterBatch, attributes: Tensor) -> Tensor:
    """Spread values given at the vertices over the pixels that show them; gradients flow to the attributes.

    Args:
        raster: from :func:`rasterize`.
        attributes: V x C for all pictures or B x V x C, float, on the raster's device.

    Returns:
        B x H x W x C in the attributes' dtype; 0 at the background.

    Raises:
        BadValue: a wrong shape or dtype, or fewer rows than the mesh has vertices.
    """
    batch = len(raster.triangle_index)
    if attributes.ndim == 2:
        attributes = attributes.expand(batch, *attributes.shape)
    if attributes.ndim != 3 or len(attributes) != batch or not attributes.is_floating_point():
        given = f"{attributes.dtype} of shape {tuple(attributes.shape)}"
        raise BadValue(f"attributes are {given}; give floats of shape V x C or {batch} x V x C")
    _check_indices(raster.triangles, attributes.shape[1])
    covered = (raster.triangle_index >= 0).nonzero()
    picture, row, column = covered.unbind(1)
    corners = raster.triangles[raster.triangle_index[picture, row, column].to(torch.int64)]
    shares = raster.barycentric[picture, row, column].to(attributes.dtype)
    values = sum(shares[:, k, None] * attributes[picture, corners[:, k]] for k in range(3))
    out = attributes.new_zeros((*raster.triangle_index.shape, attributes.shape[2]))
    return out.index_put((picture, row, column), torch.as_tensor(values))


def _candidates(faces_xy: Tensor, height: int, width: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Yield (face, row, column) of all pixels in the boxes around F x 3 x 2 corners, in order, in chunks."""
    count = torch.tensor((width, height), dtype=faces_xy.dtype, device=faces_xy.device)
    # Clamped while still float: far-off corners do not fit an integer.
    zero = torch.zeros_like(count)
    first = (faces_xy.amin(1) - 0.5).ceil().clamp(zero, count).to(torch.int64)
    stop = (faces_xy.amax(1) + 0.5).ceil().clamp(zero, count).to(torch.int64)
    box_width, box_height = (stop - first).unbind(1)
    ends = (box_width * box_height).cumsum(0)
    total = int(ends[-1]) if len(ends) else 0
    for begin in range(0, total, CANDIDATES_PER_CHUNK):
        candidate = torch.arange(begin, min(begin + CANDIDATES_PER_CHUNK, total), device=faces_xy.device)
        face = torch.searchsorted(ends, candidate, right=True)
        place = candidate - (ends[face] - box_width[face] * box_height[face])
        yield face, first[face, 1] + place // box_width[face], first[face, 0] + place % box_width[face]


def _nearest(depth: Tensor, pixel: Tensor, z: Tensor, number: Tensor) -> Tensor:
    """Update the flat z-buffer ``depth`` in place and return which hits now show, one for each pixel at most.

    Equal depths go to the smallest triangle number: between chunks because they come in that order, within a
    chunk by the second reduction.
    """
    nearer = (z > depth[pixel]).nonzero().squeeze(1)
    depth.scatter_reduce_(0, pixel[nearer], z[nearer], "amax")
    nearest = nearer[z[nearer] == depth[pixel[nearer]]]
    smallest = torch.full_like(depth, torch.iinfo(torch.int64).max, dtype=torch.int64)
    smallest.scatter_reduce_(0, pixel[nearest], number[nearest], "amin")
    return nearest[number[nearest] == smallest[pixel[nearest]]]


def _doubled_area(faces: Tensor) -> Tensor:
    (ax, ay), (bx, by), (cx, cy) = (corner[:, :2].unbind(1) for corner in faces.unbind(1))
    return (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)


def _check_mesh(vertices: Tensor, triangles: Tensor) -> None:
    if not vertices.is_floating_point() or vertices.ndim != 3 or vertices.shape[2] != 3:
        given = f"{vertices.dtype} of shape {tuple(vertices.shape)}"
        raise BadValue(f"vertices are {given}; give floats of shape B x V x 3")
    is_integer = not (
        triangles.is_floating_point() or triangles.is_complex() or triangles.dtype == torch.bool
    )
    if not is_integer or triangles.ndim != 2 or triangles.shape[1] != 3:
        given = f"{triangles.dtype} of shape {tuple(triangles.shape)}"
        raise BadValue(f"triangles are {given}; give integers of shape T x 3")
    _check_indices(triangles, vertices.shape[1])


def _check_indices(triangles: Tensor, vertex_count: int) -> None:
    if triangles.numel() and (int(triangles.min()) < 0 or int(triangles.max()) >= vertex_count):
        raise BadValue(
            f"triangles name vertices {int(triangles.min())} to {int(triangles.max())}, but there are "
            f"{vertex_count}; pass the vertices that belong to these triangles (indices from 0)"
        )
