"""GDPW (Zhong et al., BMVC 2022): rendered geometry guides the progressive warping of features."""

from __future__ import annotations

from countenance.renderers.spec import RendererSpec

_PAPER = "Geometry Driven Progressive Warping for One-Shot Face Animation, BMVC 2022"

SPECS = (
    RendererSpec(
        name="gdpw-lite",
        summary="the geometric renderer, corrected and completed by a small network with weights of ours",
        motion_space="arkit",
        licence="MIT (weights trained on the clips named in its model card)",
        paper=_PAPER,
        crop_scale=1.2,
        redrives_video=True,
        edits_shape=True,
    ),
    RendererSpec(
        name="gdpw",
        summary="the published network on FLAME's mesh; needs the authors' checkpoint, FLAME and DECA",
        motion_space="flame",
        licence="of the checkpoint and of FLAME",
        paper=_PAPER,
        edits_shape=True,
    ),
)
