"""Codes and cameras to pictures, one at a time: planes are kept while codes stay, networks compiled for long films."""

from __future__ import annotations

import torch
from torch import Tensor

from countenance.generators.eg3d.config import PLANES
from countenance.generators.eg3d.generator import Picture
from countenance.generators.eg3d.planes import TriPlanes
from countenance.renderers.openvino_engine import OpenVINONetwork
from countenance.renderers.otavatar.network import Animator

# At this size compiling takes 3 s and saves 140 ms a volume, and 1330 ms a super-resolved picture.
_LARGE_PX = 512
_VOLUMES_WORTH, _PICTURES_WORTH = 24, 4
_SMALL_WORTH = 120  # of smaller networks, either


class Drawing:
    """The last planes are kept: as long as codes stay the same, only rays and super-resolution are computed.

    Args:
        animator: in evaluation mode.
        compiled: use OpenVINO for long motions: planes in float32, as the authors' in theirs; super-resolution in
            bfloat16 where the CPU has it, as the authors' is in half precision.
    """

    def __init__(self, animator: Animator, *, compiled: bool) -> None:
        self.animator, self._compiled = animator, compiled
        self._held: tuple[Tensor, TriPlanes] | None = None
        self._backbone: OpenVINONetwork | None = None
        self._enlarging: OpenVINONetwork | None = None

    def picture(self, ws: Tensor, camera: Tensor, count: int) -> Picture:
        """A picture (1, 3, S, S), about [-1, 1], and what rays gave for it. Without gradients.

        Args:
            ws: (1, codes, code_width).
            camera: (1, 25).
            count: how many pictures there will be of this generator.
        """
        generator = self.animator.generator
        rendered = generator.render(self._planes(ws, count), camera)
        features = rendered.features
        if self._enlarging is None and self._worth(count, _PICTURES_WORTH):
            self._enlarging = OpenVINONetwork(generator.superresolution, (features, ws), "bf16")
        if self._enlarging is None:
            return Picture(generator.enlarge(features, ws), rendered)
        return Picture(self._enlarging(features, ws)[0], rendered)

    def _planes(self, ws: Tensor, count: int) -> TriPlanes:
        if self._held is None or not torch.equal(self._held[0], ws):
            # The first code may be the only one, seen by many cameras: it is not worth compiling for.
            worth = self._held is not None and self._worth(count, _VOLUMES_WORTH)
            self._held = ws, self._fresh(ws, worth)
        return self._held[1]

    def _fresh(self, ws: Tensor, worth: bool) -> TriPlanes:
        generator = self.animator.generator
        if self._backbone is None and worth:
            self._backbone = OpenVINONetwork(generator.backbone.synthesis, (ws,), "f32")
        if self._backbone is None:
            return generator.planes(ws)
        side = self.animator.config.generator.plane_resolution
        return TriPlanes.of(self._backbone(ws)[0].reshape(1, PLANES, -1, side, side))

    def _worth(self, count: int, at_large_size: int) -> bool:
        large = self.animator.config.size >= _LARGE_PX
        return self._compiled and count >= (at_large_size if large else _SMALL_WORTH)
