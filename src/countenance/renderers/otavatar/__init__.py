"""OTAvatar (Ma et al., CVPR 2023): a motion controller steers a tri-plane generator."""

from __future__ import annotations

from countenance.renderers.spec import RendererSpec

SPECS = (
    RendererSpec(
        name="otavatar",
        summary="a head in 3D from one photo, seen from any side; needs the authors' checkpoint, converted by you",
        motion_space="bfm",
        licence="of the checkpoint",
        paper="OTAvatar: One-shot Talking Face Avatar with Controllable Tri-plane Rendering, CVPR 2023",
    ),
)
