"""Sizes and options of the network; importing this does not import torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from countenance.errors import BadValue
from countenance.ranges import KERNEL, LAYERS, PATCH, TRAINING_SIDE_PX, WINDOW


@dataclass(frozen=True)
class PIRendererConfig:
    """Everything that decides the shapes of the weights. The defaults are the published network.

    Attributes:
        motion_space: name of the space that drives it.
        motion_channels: coefficients a frame: 73 for ``bfm`` with its crop, 58 for ``arkit``.
        window: frames in a motion descriptor; 1 is the ablation of appendix B.
        size: side of the pictures that it was trained on, in px.
        descriptor_channels: length of the latent vector z.
        mapping_layers: residual layers of the mapping network.
        warp_levels: halvings in the warping network's encoder.
        warp_ups: doublings in its decoder; the flow has 1 / 2^(levels - ups) of its input's size.
        warp_width: channels at its first level, doubled at each halving.
        edit_levels: halvings in the editing network.
        edit_blocks: residual blocks at each of its levels.
        edit_width: channels at its first level, doubled at each halving.
        max_width: no level has more channels.
        adain_width: hidden channels between z and a normalisation's gain and bias.
        outer_kernel: of the first and last convolution of the warping and editing networks.
        warp_shrink: the warping network sees the picture reduced by this factor (lite; 1 in the paper).
        edit_patch: the editing network works on patches of this size as channels (lite; 1 in the paper).
        source_motion: the descriptor also holds the source's own motion, as the difference to the driving one, so
            that the network need not read the source's pose from its pixels (lite; not in the paper).
        blend: the editing network paints over the warped picture through a mask (lite) instead of painting all
            of it (paper).
        coordinates: the warping network also sees where each pixel lies (lite; not in the paper).
        rigid_start: the flow starts from that of a ball in the head's place, see
            :mod:`countenance.renderers.pirenderer.rigid_head` (lite, ``arkit`` only; not in the paper).
        exact_grid: a zero flow samples the picture itself (lite); False is the published sampling, see
            :mod:`countenance.renderers.blocks.flow`.
    """

    motion_space: str = "bfm"
    motion_channels: int = 73
    window: Annotated[int, WINDOW] = 27
    size: Annotated[int, TRAINING_SIDE_PX] = 256
    descriptor_channels: int = 256
    mapping_layers: Annotated[int, LAYERS] = 3
    warp_levels: Annotated[int, LAYERS] = 5
    warp_ups: Annotated[int, LAYERS] = 3
    warp_width: int = 32
    edit_levels: Annotated[int, LAYERS] = 3
    edit_blocks: Annotated[int, LAYERS] = 2
    edit_width: int = 64
    max_width: int = 256
    adain_width: int = 128
    outer_kernel: Annotated[int, KERNEL] = 7
    warp_shrink: Annotated[int, PATCH] = 1
    edit_patch: Annotated[int, PATCH] = 1
    source_motion: bool = False
    blend: bool = False
    coordinates: bool = False
    rigid_start: bool = False
    exact_grid: bool = False

    def __post_init__(self) -> None:
        shortest = 1 if self.window == 1 else 6 + 6 * self.mapping_layers + 1
        if self.window < shortest or self.window % 2 == 0:
            raise BadValue(f"window is {self.window}; it must be 1 or an odd number from {shortest} on")
        if not 0 < self.warp_ups <= self.warp_levels:
            raise BadValue(f"warp_ups is {self.warp_ups}; it must be 1 to warp_levels = {self.warp_levels}")
        if self.rigid_start and not (self.motion_space == "arkit" and self.source_motion and self.exact_grid):
            raise BadValue("rigid_start needs motion_space 'arkit', source_motion and exact_grid")

    @property
    def radius(self) -> int:
        """Frames on either side of the descriptor's centre."""
        return self.window // 2

    @property
    def descriptor_inputs(self) -> int:
        """Channels of the mapping network's input."""
        return self.motion_channels * (2 if self.source_motion else 1)

    @property
    def multiple(self) -> int:
        """Sides of pictures must be a multiple of this."""
        sides: tuple[int, int] = (self.warp_shrink << self.warp_levels, self.edit_patch << self.edit_levels)
        return max(sides)


def paper() -> PIRendererConfig:
    """The published network: 22.5 million parameters at 256 x 256."""
    return PIRendererConfig()


def lite() -> PIRendererConfig:
    """Real time on two CPU cores, driven by ``arkit``; what differs from the paper is named in the README."""
    return PIRendererConfig(
        motion_space="arkit",
        motion_channels=58,
        descriptor_channels=128,
        warp_levels=4,
        warp_ups=3,
        warp_width=24,
        edit_levels=3,
        edit_blocks=1,
        edit_width=16,
        max_width=128,
        adain_width=64,
        outer_kernel=3,
        warp_shrink=2,
        edit_patch=2,
        source_motion=True,
        blend=True,
        coordinates=True,
        rigid_start=True,
        exact_grid=True,
    )


def debug(motion_channels: int = 58, motion_space: str = "arkit") -> PIRendererConfig:
    """A few thousand weights, for tests: the lite architecture at 32 px."""
    return PIRendererConfig(
        motion_space=motion_space,
        motion_channels=motion_channels,
        size=32,
        descriptor_channels=8,
        mapping_layers=1,
        window=13,
        warp_levels=2,
        warp_ups=1,
        warp_width=4,
        edit_levels=2,
        edit_blocks=1,
        edit_width=4,
        max_width=8,
        adain_width=4,
        outer_kernel=3,
        warp_shrink=2,
        edit_patch=2,
        source_motion=True,
        blend=True,
        coordinates=True,
        rigid_start=True,
        exact_grid=True,
    )


PRESETS = {"paper": paper, "lite": lite, "debug": debug}
