"""Volume rendering of tri-planes in two passes, a bounded number of rays at a time (Chan et al., Sec. 4.2)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from countenance.generators.eg3d.config import RayOptions
from countenance.generators.eg3d.decoder import Decoder
from countenance.generators.eg3d.planes import TriPlanes
from countenance.generators.eg3d.rays import (
    Marched,
    box_limits_of_all,
    distortion,
    importance_depths,
    march,
    mean_depth,
    stratified_depths,
)

RAYS_AT_A_TIME = 1024
"""96 samples of 1024 rays have features that fit a core's cache, and take about 60 MB together."""


class Randomness(NamedTuple):
    """Where samples lie. The defaults give the same picture every time.

    Attributes:
        jitter: of the first pass, see :func:`~countenance.generators.eg3d.rays.stratified_depths`: one number, or
            (B, R, D).
        importance: of the second, in [0, 1], (B, R, N); evenly spaced if None.
    """

    jitter: Tensor | float = 0.5
    importance: Tensor | None = None

    @classmethod
    def drawn(
        cls,
        volumes: int,
        rays: int,
        options: RayOptions,
        generator: torch.Generator | None = None,
        device: torch.device | None = None,
    ) -> Randomness:
        """As the network was trained: every sample at random."""
        counts = (options.depth_resolution, options.depth_resolution_importance)
        jitter, fine = (
            torch.rand(volumes, rays, count, generator=generator, device=device) for count in counts
        )
        return cls(jitter, fine)

    def of_rays(self, rays: slice) -> Randomness:
        """For some of the rays."""
        jitter, importance = self
        return Randomness(
            jitter[:, rays] if isinstance(jitter, Tensor) else jitter,
            None if importance is None else importance[:, rays],
        )


class Followed(NamedTuple):
    """Some rays with all that was computed on the way; B volumes, R rays, C features.

    Attributes:
        features: (B, R, C), about [-1, 1].
        depth: (B, R), infinite where nothing is.
        weight_sum: (B, R), 1 where nothing shines through.
        depths_coarse: (B, R, D).
        densities_coarse: (B, R, D).
        coarse: of the first pass.
        depths_fine: (B, R, N); without a second pass N is 0.
        depths: (B, R, D + N), rising.
        densities: (B, R, D + N).
        final: of all samples.
    """

    features: Tensor
    depth: Tensor
    weight_sum: Tensor
    depths_coarse: Tensor
    densities_coarse: Tensor
    coarse: Marched
    depths_fine: Tensor
    depths: Tensor
    densities: Tensor
    final: Marched


class RenderedRays(NamedTuple):
    """What rays see.

    Attributes:
        features: (B, R, C), about [-1, 1]; the first three are colours.
        depth: (B, R), distance along the ray.
        weight_sum: (B, R), 1 where nothing shines through.
        distortion: (B, R), see :func:`~countenance.generators.eg3d.rays.distortion`.
    """

    features: Tensor
    depth: Tensor
    weight_sum: Tensor
    distortion: Tensor


def render_rays(
    planes: TriPlanes,
    decoder: Decoder,
    origins: Tensor,
    directions: Tensor,
    options: RayOptions,
    randomness: Randomness | None = None,
    rays_at_a_time: int = RAYS_AT_A_TIME,
) -> RenderedRays:
    """What rays see of a volume; memory grows with ``rays_at_a_time`` and not with the rays.

    Args:
        planes: of B volumes, or of one for all.
        decoder: features to density and colours.
        origins: (B, R, 3).
        directions: (B, R, 3), of length 1.
        options: where samples lie.
        randomness: likewise.
        rays_at_a_time: of all volumes together. With gradients, all that is kept for going back adds up all the same.
    """
    randomness = Randomness() if randomness is None else randomness
    starts, ends = depth_limits(origins, directions, options)
    step = max(1, rays_at_a_time // len(origins))
    features, depths, sums, distortions, nearest, farthest = [], [], [], [], [], []
    for first in range(0, origins.shape[1], step):
        some = slice(first, first + step)
        rays = follow(
            planes,
            decoder,
            (origins[:, some], directions[:, some]),
            (starts[:, some], ends[:, some]),
            options,
            randomness.of_rays(some),
        )
        features.append(rays.features)
        depths.append(rays.depth)
        sums.append(rays.weight_sum)
        distortions.append(distortion(rays.final.weights, rays.depths))
        nearest.append(rays.depths[..., 0].min())
        farthest.append(rays.depths[..., -1].max())
    # QUIRK: the range is that of the whole batch.
    depth = torch.cat(depths, 1).clamp(torch.stack(nearest).min(), torch.stack(farthest).max())
    return RenderedRays(torch.cat(features, 1), depth, torch.cat(sums, 1), torch.cat(distortions, 1))


def follow(
    planes: TriPlanes,
    decoder: Decoder,
    rays: tuple[Tensor, Tensor],
    limits: tuple[Tensor, Tensor],
    options: RayOptions,
    randomness: Randomness,
) -> Followed:
    """Some rays, all at once.

    Args:
        planes: see :func:`render_rays`.
        decoder: likewise.
        rays: origins and directions, (B, R, 3).
        limits: first and last depth, (B, R, 1).
        options: likewise.
        randomness: likewise.
    """

    axes = list(zip(*(part.unbind(-1) for part in rays), strict=True))

    def seen(depths: Tensor) -> tuple[Tensor, Tensor]:
        along = [torch.addcmul(o[..., None], d[..., None], depths) for o, d in axes]
        points = torch.stack(along).flatten(2).movedim(0, -1)  # each coordinate's numbers lie together
        density, colours = decoder(planes.at(points, options.box_warp))
        return density.reshape(depths.shape), colours.reshape(*depths.shape, -1)

    start, end = limits
    count, more = options.depth_resolution, options.depth_resolution_importance
    coarse_depths = stratified_depths(
        start, end, count, randomness.jitter, disparity=options.disparity_space_sampling
    )
    coarse_densities, coarse_colours = seen(coarse_depths)
    coarse = march(coarse_densities, coarse_depths)
    if not more:
        fine_depths = coarse_depths[..., :0]
        depths, densities, final = coarse_depths, coarse_densities, coarse
        features = _mixed(coarse.shares, coarse_colours)
    else:
        fine_depths = importance_depths(coarse_depths, coarse.weights, more, randomness.importance)
        fine_densities, fine_colours = seen(fine_depths)
        depths, order = torch.cat([coarse_depths, fine_depths], -1).sort(-1)
        densities = torch.cat([coarse_densities, fine_densities], -1).gather(-1, order)
        final = march(densities, depths)
        # Shares go back to where the samples came from, for they are fewer than the colours.
        shares = torch.zeros_like(final.shares).scatter(-1, order, final.shares)
        features = _mixed(shares[..., :count], coarse_colours) + _mixed(shares[..., count:], fine_colours)
    weight_sum = final.weights.sum(-1)
    features = decoder.widened(features, weight_sum[..., None])
    if options.white_back:
        features = features + (1 - weight_sum[..., None])
    return Followed(
        features * 2 - 1,
        mean_depth(final, depths),
        weight_sum,
        coarse_depths,
        coarse_densities,
        coarse,
        fine_depths,
        depths,
        densities,
        final,
    )


def _mixed(shares: Tensor, colours: Tensor) -> Tensor:
    """shares (B, R, N), colours (B, R, N, C) -> (B, R, C)."""
    return (shares[:, :, None] @ colours)[:, :, 0]


def depth_limits(origins: Tensor, directions: Tensor, options: RayOptions) -> tuple[Tensor, Tensor]:
    """First and last depth (B, R, 1) of rays (B, R, 3)."""
    start, end = options.ray_start, options.ray_end
    if isinstance(start, str) or isinstance(end, str):
        return box_limits_of_all(origins, directions, options.box_warp)
    shape = (*origins.shape[:2], 1)
    return origins.new_full(shape, start), origins.new_full(shape, end)
