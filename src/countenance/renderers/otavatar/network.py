"""The 3D animator (Sec. 3.1): identity code and motion to tri-planes, and pictures of them from any camera."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from countenance.generators.eg3d.density_losses import Density
from countenance.generators.eg3d.generator import EG3D, Rendered
from countenance.generators.eg3d.planes import TriPlanes
from countenance.generators.eg3d.rays import camera_rays
from countenance.generators.eg3d.rendering import RAYS_AT_A_TIME, Randomness, RenderedRays, render_rays
from countenance.generators.eg3d.superresolution import COLOURS
from countenance.renderers.otavatar.config import AnimatorConfig
from countenance.renderers.otavatar.controller import MotionController, combined

MODEL = "otavatar"
_RAYS_KEPT = 8192  # with gradients; about 1 GB at 24 samples of 16 channels
Look = Callable[[Density], dict[str, Tensor]]
"""What is to be found out about a scene's density, by name."""


class Beside(NamedTuple):
    """The same scenes from other cameras.

    Attributes:
        cameras: (B, 25).
        seen: by them.
    """

    cameras: Tensor
    seen: Rendered


class Drawn(NamedTuple):
    """Scenes as cameras see them, and what was asked of their density.

    Attributes:
        small: (B, 3, r, r) as the rays give it, about [-1, 1].
        large: (B, 3, S, S) super-resolved, about [-1, 1]; None if nobody asked for it.
        depth: (B, 1, r, r), distances along the rays.
        distortion: (B, 1, r, r), how far apart that is which a ray sees, likewise.
        beside: the same from other cameras; None if nobody asked for it.
        looked: see :data:`Look`.
        table: of the planes that were seen, see :class:`TriPlanes`.
    """

    small: Tensor
    large: Tensor | None
    depth: Tensor
    distortion: Tensor
    beside: Beside | None
    looked: dict[str, Tensor]
    table: Tensor


class Animator(nn.Module):
    """G of Eq. 5 and R of Eq. 1.

    Args:
        config: sizes, and the motion that moves it.

    Attributes:
        spread: (code_width, code_width), how the identity codes of people differ from the mean code: rows are
            directions, as long as codes deviate along them. A unit matrix where that is not known. Identity codes are
            learnt in its coordinates, which keeps them near people's (the P_N space of Zhu et al., "Improved StyleGAN
            Embedding: Where are the Good Latents?", 2020).
    """

    def __init__(self, config: AnimatorConfig) -> None:
        super().__init__()
        self.config = config
        self.generator = EG3D(config.generator)
        self.controller = MotionController(config.controller)
        self.register_buffer("spread", torch.eye(config.controller.code_width))
        self.spread: Tensor

    @property
    def mean_code(self) -> Tensor:
        """w_avg (code_width,), where identity codes start."""
        return self.generator.backbone.mapping.w_avg

    def ws(self, identity: Tensor, windows: Tensor) -> Tensor:
        """w = w_id + C(x) (Eq. 4).

        Args:
            identity: (B, 1 or codes, code_width).
            windows: (B, coefficients or more, 27).

        Returns:
            (B, codes, code_width).
        """
        return combined(identity, self.controller(windows))

    def seen(self, planes: TriPlanes, camera: Tensor, randomness: Randomness | None = None) -> Rendered:
        """What the rays of cameras (B, 25) see of B volumes.

        With gradients, many rays go through again on the way back, a part at a time; so memory does not grow with them.
        """
        side = self.config.generator.neural_rendering_resolution
        some = len(camera) * side * side <= _RAYS_KEPT
        if some or not torch.is_grad_enabled():
            at_a_time = _RAYS_KEPT if some and torch.is_grad_enabled() else RAYS_AT_A_TIME
            return self.generator.render(planes, camera, randomness=randomness, rays_at_a_time=at_a_time)
        randomness = Randomness() if randomness is None else randomness
        origins, directions = camera_rays(camera, side)
        step = max(1, RAYS_AT_A_TIME // len(camera))
        parts = [
            checkpoint(
                self._seen,
                planes,
                origins[:, first : first + step],
                directions[:, first : first + step],
                randomness.of_rays(slice(first, first + step)),
                use_reentrant=False,
                preserve_rng_state=False,
            )
            for first in range(0, side * side, step)
        ]
        return Rendered.of(RenderedRays(*(torch.cat(part, 1) for part in zip(*parts, strict=True))), side)

    def forward(
        self,
        ws: Tensor,
        camera: Tensor,
        randomness: Randomness | None = None,
        *,
        enlarge: bool = True,
        look: Look | None = None,
        beside: Tensor | None = None,
    ) -> Drawn:
        """Scenes of codes ws (B, codes, code_width), seen by cameras (B, 25), and by those ``beside``, if there are.

        What is not finite gives pictures of NaN, where looking up features would fail.
        """
        planes = self.generator.planes(ws)
        if not self._finite(planes, camera):
            nothing = (ws.sum() * math.nan).expand(len(ws), COLOURS, 1, 1)
            sides = (self.config.generator.neural_rendering_resolution, self.config.size)
            empty = [nothing.expand(-1, -1, side, side) for side in sides]
            large = empty[1] if enlarge else None
            return Drawn(empty[0], large, empty[0][:, :1], empty[0][:, :1], None, {}, planes.table)
        seen = self.seen(planes, camera, randomness)
        large = self.generator.enlarge(seen.features, ws) if enlarge else None
        looked = {} if look is None else look(lambda points: self.generator.at(planes, points)[0])
        other = None if beside is None else Beside(beside, self.seen(planes, beside, randomness))
        return Drawn(seen.colours, large, seen.depth, seen.distortion, other, looked, planes.table)

    def _finite(self, planes: TriPlanes, camera: Tensor) -> bool:
        parts = (planes.table, camera, *self.generator.decoder.parameters())
        return all(bool(torch.isfinite(part).all()) for part in parts)

    def _seen(
        self, planes: TriPlanes, origins: Tensor, directions: Tensor, randomness: Randomness
    ) -> RenderedRays:
        options = self.config.generator
        return render_rays(planes, self.generator.decoder, origins, directions, options, randomness)
