"""Sizes and options of the network; importing this does not import torch."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Literal

from countenance.errors import BadValue
from countenance.ranges import LAYERS, PATCH, TRAINING_SIDE_PX

Patterns = Literal["geom_disp", "neural_codes", "both"]
Mesh = Literal["flame", "head"]


@dataclass(frozen=True)
class GDPWConfig:
    """Everything that decides the shapes of the weights. The defaults are the published network.

    Attributes:
        guidance: the geometric pattern (Sec. 3.2): displacement field, posed neural codes, or both.
        levels: L, resolutions of the pyramid; the smallest is 1 / 2^(levels - 1) of the picture.
        base_width: channels at the picture's size, doubled at each halving.
        min_width: no level has fewer channels.
        max_width: no level has more.
        code_channels: d, length of a vertex's code.
        mesh: what guides it: FLAME's mesh, or the default tracker's as the geometric renderer completes it.
        vertices: of the mesh that carries the codes.
        size: side of the pictures that it was trained on, in px.
        blend: the last level paints over the warped source through a mask instead of painting all (off as published).
        exact_grid: a zero flow samples the picture itself; False is the published sampling, see
            :mod:`countenance.renderers.blocks.flow`. True also reduces the guidance by means of squares.
        patch: the network sees squares of this many pixels as one, with their colours as channels; the published one
            sees pixels.
        mesh_start: levels predict how the flow differs from the displacement field, instead of the flow.
        start_picture: the result starts from a picture that the mesh alone gives, and the network corrects it.
        spade_width: channels inside SPADE; 0 as published: as many as the block's.
    """

    guidance: Patterns = "neural_codes"
    levels: Annotated[int, LAYERS] = 6
    base_width: int = 32
    min_width: int = 16
    max_width: int = 1024
    code_channels: int = 16
    mesh: Mesh = "flame"
    vertices: int = 5023
    size: Annotated[int, TRAINING_SIDE_PX] = 256
    blend: bool = False
    exact_grid: bool = False
    patch: Annotated[int, PATCH] = 1
    mesh_start: bool = False
    start_picture: bool = False
    spade_width: int = 0

    def __post_init__(self) -> None:
        if self.levels < 2:
            raise BadValue(f"levels is {self.levels}; the encoder and decoder need 2 or more")
        if self.mesh_start and not self.uses_displacement:
            raise BadValue("mesh_start needs the displacement field; choose guidance geom_disp or both")

    def width(self, stride: int) -> int:
        """Channels at 1 / stride of the picture's size."""
        return min(self.max_width, max(self.base_width * stride, self.min_width))

    @property
    def uses_codes(self) -> bool:
        """Posed neural codes are drawn on both meshes."""
        return self.guidance != "geom_disp"

    @property
    def uses_displacement(self) -> bool:
        """The displacement field guides the decoder."""
        return self.guidance != "neural_codes"

    @property
    def modulation_channels(self) -> int:
        """Channels of the guidance map: codes, then displacement."""
        return self.code_channels * self.uses_codes + 2 * self.uses_displacement

    @property
    def multiple(self) -> int:
        """Sides of pictures must be a multiple of this."""
        return self.patch << (self.levels - 1)


def paper(guidance: Patterns = "neural_codes") -> GDPWConfig:
    """The published network: 142 million parameters at 256 x 256."""
    return GDPWConfig(guidance=guidance)


HEAD_VERTICES = 478 + 2 * (9 + 9) + 2 * 11 + 8 * 36
"""Of :mod:`countenance.renderers.geometric.head_mesh`: face, rims of eyes and mouth, rings."""


def lite(guidance: Patterns = "both") -> GDPWConfig:
    """Real time on two CPU cores, on the geometric renderer's mesh; what differs from the paper is in the README."""
    return GDPWConfig(
        guidance=guidance,
        levels=5,
        base_width=24,
        max_width=128,
        code_channels=8,
        mesh="head",
        vertices=HEAD_VERTICES,
        blend=True,
        exact_grid=True,
        patch=2,
        mesh_start=guidance != "neural_codes",
        start_picture=guidance != "neural_codes",
        spade_width=16,
    )


def debug(guidance: Patterns = "both") -> GDPWConfig:
    """A few thousand weights, for tests: the lite architecture at 32 px."""
    return replace(
        lite(guidance),
        levels=3,
        base_width=4,
        min_width=4,
        max_width=8,
        code_channels=2,
        size=32,
        spade_width=4,
    )


PRESETS = {"paper": paper, "lite": lite, "debug": debug}
