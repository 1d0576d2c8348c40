"""OTAvatar (Ma et al., CVPR 2023): a motion controller steers a tri-plane generator."""

from __future__ import annotations

from countenance.renderers.spec import RendererSpec

_PAPER = "OTAvatar: One-shot Talking Face Avatar with Controllable Tri-plane Rendering, CVPR 2023"

SPECS = (
    RendererSpec(
        name="otavatar-lite",
        summary="a small head in 3D from one photo, seen from any side, with weights of ours; soft (experimental)",
        motion_space="arkit",
        licence="MIT (weights trained on the clips named in its model card)",
        paper=_PAPER,
    ),
    RendererSpec(
        name="otavatar",
        summary="a head in 3D from one photo, seen from any side; needs the authors' checkpoint, converted by you",
        motion_space="bfm",
        licence="of the checkpoint",
        paper=_PAPER,
    ),
)
