"""Which way rays go, where samples lie on them, and what of each sample is seen (Chan et al., Sec. 4.2; NeRF).

Depths are distances along the ray, in the world's unit. Randomness is an argument everywhere.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from countenance.generators.eg3d.cameras import intrinsics_of, pose_of

_BLUR_FLOOR = 0.01  # of the blurred weights: no part of a ray is left out
_PDF_FLOOR = 1e-5
_OPAQUE = 1e-10  # what light the densest interval lets through
_DENSITY_SHIFT = 1  # a fresh decoder is nearly transparent (MipNeRF)


class Marched(NamedTuple):
    """What is seen along rays.

    Attributes:
        weights: (..., N - 1) of the intervals between samples; what is left of 1 is background.
        shares: (..., N) of the samples, which halve the intervals beside them.
    """

    weights: Tensor
    shares: Tensor


def camera_rays(camera: Tensor, resolution: int) -> tuple[Tensor, Tensor]:
    """A ray through the centre of each pixel, row by row.

    Args:
        camera: (B, 25), see :mod:`countenance.generators.eg3d.cameras`.
        resolution: side of the picture in px.

    Returns:
        origins and unit directions, (B, resolution^2, 3).
    """
    pose, intrinsics = pose_of(camera), intrinsics_of(camera)
    fx, skew, cx = (intrinsics[:, 0, column, None] for column in range(3))
    fy, cy = (intrinsics[:, 1, column, None] for column in (1, 2))
    centres = (torch.arange(resolution, device=camera.device, dtype=camera.dtype) + 0.5) / resolution
    u, v = centres.repeat(resolution), centres.repeat_interleave(resolution)
    y = (v - cy) / fy
    x = (u - cx - skew * y) / fx
    directions = torch.stack([x, y, torch.ones_like(x)], 2) @ pose[:, :3, :3].transpose(1, 2)
    return pose[:, None, :3, 3].expand_as(directions), F.normalize(directions, dim=2)


def box_limits(origins: Tensor, directions: Tensor, side: float) -> tuple[Tensor, Tensor]:
    """Where rays enter and leave a box around the origin.

    Args:
        origins: (..., 3).
        directions: (..., 3).
        side: of the box.

    Returns:
        two (..., 1): negative behind the origin; -1 and -2 where the ray misses.
    """
    a, b = ((sign * side / 2 - origins) / directions for sign in (-1, 1))
    enters = torch.minimum(a, b).amax(-1, keepdim=True)
    leaves = torch.maximum(a, b).amin(-1, keepdim=True)
    misses = enters > leaves
    return enters.masked_fill(misses, -1), leaves.masked_fill(misses, -2)


def box_limits_of_all(origins: Tensor, directions: Tensor, side: float) -> tuple[Tensor, Tensor]:
    """The same, with some limits for rays that miss.

    QUIRK: these begin where the first of all others enters, and end where the last *enters*, not leaves.
    """
    starts, ends = box_limits(origins, directions, side)
    hits = ends > starts
    if not hits.any():
        return starts, ends
    entered = starts[hits]
    return torch.where(hits, starts, entered.min()), torch.where(hits, ends, entered.max())


def stratified_depths(
    start: Tensor, end: Tensor, count: int, jitter: Tensor | float, *, disparity: bool = False
) -> Tensor:
    """Samples of the first pass: one in each of equal steps.

    Args:
        start: (..., 1) of the ray.
        end: (..., 1); the last sample lies up to one step beyond.
        count: D, samples a ray.
        jitter: in [0, 1), where in its step each sample lies: one number, or (..., D).
        disparity: steps are equal in 1 / depth.

    Returns:
        (..., D).
    """
    steps = torch.linspace(0, 1, count, device=start.device, dtype=start.dtype)
    at = steps + torch.as_tensor(jitter, device=start.device, dtype=start.dtype) / (count - 1)
    if disparity:
        return 1 / (1 / start * (1 - at) + 1 / end * at)
    return start + (end - start) * at


def march(densities: Tensor, depths: Tensor) -> Marched:
    """What of each sample is seen.

    N samples have N - 1 intervals, whose density is the mean of their ends': alpha = 1 - exp(-softplus(density - 1)
    length), weight_i = alpha_i prod_{j < i} (1 - alpha_j).

    Args:
        densities: (..., N), before the softplus.
        depths: (..., N), rising.
    """
    middle = (densities[..., 1:] + densities[..., :-1]) / 2
    passing = torch.exp(-F.softplus(middle - _DENSITY_SHIFT) * depths.diff(dim=-1))
    through = torch.cumprod(passing + _OPAQUE, -1)
    before = F.pad(through[..., :-1], (1, 0), value=1)
    weights = (1 - passing) * before
    return Marched(weights, (F.pad(weights, (1, 0)) + F.pad(weights, (0, 1))) / 2)


def mean_depth(marched: Marched, depths: Tensor) -> Tensor:
    """(...) mean depth of what is seen at depths (..., N); infinite where there is nothing, to be clamped."""
    total = marched.weights.sum(-1)
    something = total > 0
    # No 0 / 0, whose gradient is NaN.
    depth = (marched.shares * depths).sum(-1) / torch.where(something, total, 1)
    return torch.where(something, depth, torch.inf)


def distortion(weights: Tensor, depths: Tensor) -> Tensor:
    """How far apart that is which a ray sees: near 0 for one thin surface (Barron et al., Mip-NeRF 360, Eq. 15).

    sum_ij w_i w_j |m_i - m_j| + sum_i w_i^2 l_i / 3, with middles m and lengths l of the intervals. As depths rise,
    the double sum is one of running sums.

    Args:
        weights: (..., N - 1).
        depths: (..., N), rising; the result has their units.

    Returns:
        (...).
    """
    middles = (depths[..., 1:] + depths[..., :-1]) / 2 - depths[..., :1]  # small numbers, for the sums' sake
    before = weights.cumsum(-1) - weights
    moments = (weights * middles).cumsum(-1) - weights * middles
    apart = 2 * (weights * (middles * before - moments)).sum(-1)
    return apart + (weights**2 * depths.diff(dim=-1)).sum(-1) / 3


def importance_depths(depths: Tensor, weights: Tensor, count: int, u: Tensor | None) -> Tensor:
    """Samples of the second pass: more where the first saw something (NeRF, Sec. 5.2).

    QUIRK: of the D - 1 middles of intervals only the first D - 2 are ever reached, so that the last interval is never
    refined, and weights belong to the gap before their own.

    Args:
        depths: (..., D) of the first pass, rising.
        weights: (..., D - 1) of its intervals.
        count: samples.
        u: (..., count) numbers in [0, 1]; evenly spaced if None.

    Returns:
        (..., count), as u is ordered.
    """
    # The larger of neighbours, then their mean: a blur that does not lose thin matter (MipNeRF).
    larger = torch.cat(
        [weights[..., :1], torch.maximum(weights[..., 1:], weights[..., :-1]), weights[..., -1:]], -1
    )
    blurred = (larger[..., 1:] + larger[..., :-1]) / 2 + _BLUR_FLOOR
    middles = (depths[..., 1:] + depths[..., :-1]) / 2
    if u is None:
        even = torch.linspace(0, 1, count, device=depths.device, dtype=depths.dtype)
        u = even.expand(*depths.shape[:-1], count)
    return from_histogram(middles, blurred[..., 1:-1].detach(), u)


def from_histogram(edges: Tensor, weights: Tensor, u: Tensor) -> Tensor:
    """The inverse of a cumulative distribution that is linear between edges.

    Args:
        edges: (..., M), rising; those after the first n + 1 are not used.
        weights: (..., n), not negative.
        u: (..., count) in [0, 1].

    Returns:
        (..., count).
    """
    raised = weights + _PDF_FLOOR
    cdf = F.pad(torch.cumsum(raised / raised.sum(-1, keepdim=True), -1), (1, 0))
    after = torch.searchsorted(cdf, u.contiguous(), right=True)
    below, above = (after - 1).clamp(min=0), after.clamp(max=weights.shape[-1])
    low, high = cdf.gather(-1, below), cdf.gather(-1, above)
    step = high - low
    share = (u - low) / torch.where(step < _PDF_FLOOR, 1, step)
    from_edge = edges.gather(-1, below)
    return from_edge + share * (edges.gather(-1, above) - from_edge)
