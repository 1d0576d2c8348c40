"""The network's render on CPUs, compiled: worth it from some frames on, since compiling takes seconds."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from countenance.renderers.blocks.flow import warp
from countenance.renderers.openvino_engine import OpenVINONetwork
from countenance.renderers.pirenderer.config import PIRendererConfig
from countenance.renderers.pirenderer.network import PIRenderer, Rendered


def frames_worth(config: PIRendererConfig) -> int:
    """From how many frames on compiling saves time: 3 s against 20 ms a frame (lite), 9 s against 500 ms."""
    return 150 if config.blend else 18


class FastPIRenderer:
    """:meth:`PIRenderer.render`, compiled for one size of picture.

    The flow is computed in float32, as a displaced edge is seen at once. Painting is computed in bfloat16 where the CPU
    has it and the network paints the whole picture (the published one): that is nine tenths of its work. Measured in
    ``benchmarks/pirenderer.py``.

    Args:
        network: with its weights; they are copied.
        source: (1, 3, H, W), only its size counts.
        features: of that source.
        z: a latent vector.
    """

    def __init__(self, network: PIRenderer, source: Tensor, features: Tensor, z: Tensor) -> None:
        self._blend = network.config.blend
        self._warping = OpenVINONetwork(_Warping(network), (source, features, z))
        painting = _Painting(network)
        self._painting = OpenVINONetwork(
            painting, (source, torch.zeros_like(source), z), "f32" if self._blend else "bf16"
        )

    def render(self, source: Tensor, features: Tensor, z: Tensor) -> Rendered:
        """See :meth:`PIRenderer.render`."""
        flow, warped = self._warping(source, features, z)
        picture, *paint = self._painting(source, warped, z)
        return Rendered(flow, warped, picture, (paint[0], paint[1]) if self._blend else None)


class _Warping(nn.Module):
    def __init__(self, network: PIRenderer) -> None:
        super().__init__()
        self.network = network

    def forward(self, source: Tensor, features: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
        flow = self.network.flow(features, z)
        return flow, warp(source, flow, self.network.config.exact_grid)


class _Painting(nn.Module):
    def __init__(self, network: PIRenderer) -> None:
        super().__init__()
        self.network = network

    def forward(self, source: Tensor, warped: Tensor, z: Tensor) -> tuple[Tensor, ...]:
        picture, paint = self.network.paint(source, warped, z)
        return (picture, *(paint or ()))
