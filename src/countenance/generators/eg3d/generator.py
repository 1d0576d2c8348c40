"""The whole network: z and a camera -> w -> feature planes -> a rendered picture -> an enlarged one."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from countenance.generators.eg3d.config import PLANES, EG3DConfig
from countenance.generators.eg3d.decoder import Decoder
from countenance.generators.eg3d.planes import TriPlanes
from countenance.generators.eg3d.rays import camera_rays
from countenance.generators.eg3d.rendering import RAYS_AT_A_TIME, Randomness, RenderedRays, render_rays
from countenance.generators.eg3d.superresolution import COLOURS, SuperResolution
from countenance.generators.stylegan2.layers import NoiseMode
from countenance.generators.stylegan2.synthesis import Generator


class Rendered(NamedTuple):
    """A volume seen by a camera.

    Attributes:
        features: (B, C, r, r), about [-1, 1]; the first three are colours.
        depth: (B, 1, r, r), distance along the ray.
        weight_sum: (B, 1, r, r), 1 where nothing shines through.
        distortion: (B, 1, r, r), in the units of depth, near 0 where a ray meets one thin surface.
    """

    features: Tensor
    depth: Tensor
    weight_sum: Tensor
    distortion: Tensor

    @classmethod
    def of(cls, rays: RenderedRays, side: int) -> Rendered:
        """Rays of square pictures, row by row."""
        square = (len(rays.features), -1, side, side)
        features = rays.features.transpose(1, 2).reshape(square)
        return cls(features, *(each.reshape(square) for each in rays[1:]))

    @property
    def colours(self) -> Tensor:
        """(B, 3, r, r) raw picture, about [-1, 1]."""
        return self.features[:, :COLOURS]


class Picture(NamedTuple):
    """What the network gives.

    Attributes:
        image: (B, 3, S, S), about [-1, 1].
        rendered: what it was enlarged from.
    """

    image: Tensor
    rendered: Rendered


class EG3D(nn.Module):
    """The generator.

    Args:
        config: sizes.

    A volume is made once and seen by many cameras::

        planes = network.planes(ws)
        for camera in cameras:
            image = network.enlarge(network.render(planes, camera).features, ws)
    """

    def __init__(self, config: EG3DConfig) -> None:
        super().__init__()
        self.config = config
        self.backbone = Generator(config.backbone)
        self.superresolution = SuperResolution(config)
        self.decoder = Decoder(config.feature_channels, config.decoder_lr_mul)

    def mapping(
        self, z: Tensor, camera: Tensor, truncation_psi: float = 1, truncation_cutoff: int | None = None
    ) -> Tensor:
        """z (B, z_dim), the camera (B, 25) that conditions w -> ws (B, num_ws, w_dim).

        That camera may be another than the one that renders: a fixed one keeps the face the same from all sides.
        """
        scale = 0.0 if self.config.c_gen_conditioning_zero else self.config.c_scale
        return self.backbone.mapping(z, camera * scale, truncation_psi, truncation_cutoff)  # type: ignore[no-any-return]

    def planes(
        self, ws: Tensor, noise: NoiseMode = "const", generator: torch.Generator | None = None
    ) -> TriPlanes:
        """ws (B, num_ws, w_dim) -> B volumes."""
        pictures = self.backbone.synthesis(ws, noise, generator)
        side = self.config.plane_resolution
        return TriPlanes.of(pictures.reshape(len(ws), PLANES, -1, side, side))

    def render(
        self,
        planes: TriPlanes,
        camera: Tensor,
        resolution: int | None = None,
        randomness: Randomness | None = None,
        rays_at_a_time: int = RAYS_AT_A_TIME,
    ) -> Rendered:
        """Volumes as cameras see them.

        Args:
            planes: of B volumes, or of one for all cameras.
            camera: (B, 25).
            resolution: side in px; the configuration's if None.
            randomness: where samples lie; the same every time if None.
            rays_at_a_time: bounds the memory.
        """
        side = self.config.neural_rendering_resolution if resolution is None else resolution
        origins, directions = camera_rays(camera, side)
        rays = render_rays(planes, self.decoder, origins, directions, self.config, randomness, rays_at_a_time)
        return Rendered.of(rays, side)

    def enlarge(
        self,
        features: Tensor,
        ws: Tensor,
        noise: NoiseMode = "none",
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Rendered features (B, C, r, r), ws (B, num_ws, w_dim) -> (B, 3, S, S), about [-1, 1]."""
        return self.superresolution(features, ws, noise, generator)  # type: ignore[no-any-return]

    def at(self, planes: TriPlanes, points: Tensor) -> tuple[Tensor, Tensor]:
        """Points (B, N, 3) -> density before its activation (B, N, 1), colours (B, N, C) in [-0.001, 1.001]."""
        density, colours = self.decoder(planes.at(points, self.config.box_warp))
        return density, self.decoder.widened(colours)

    def forward(
        self,
        ws: Tensor,
        camera: Tensor,
        *,
        resolution: int | None = None,
        randomness: Randomness | None = None,
        noise: NoiseMode = "const",
        rays_at_a_time: int = RAYS_AT_A_TIME,
    ) -> Picture:
        """ws (B, num_ws, w_dim), camera (B, 25) -> the picture; see :meth:`planes`, :meth:`render`, :meth:`enlarge`."""
        planes = self.planes(ws, noise)
        rendered = self.render(planes, camera, resolution, randomness, rays_at_a_time)
        return Picture(self.enlarge(rendered.features, ws), rendered)
