"""GDPW (Zhong et al., BMVC 2022): rendered geometry guides the progressive warping of features."""

from __future__ import annotations

from countenance.renderers.spec import RendererSpec

SPECS = (
    RendererSpec(
        name="gdpw-lite",
        summary="the geometric renderer, corrected and completed by a small network with weights of ours",
        motion_space="arkit",
        licence="MIT (weights trained on the clips named in its model card)",
        paper="Geometry Driven Progressive Warping for One-Shot Face Animation, BMVC 2022",
        crop_scale=1.2,
        redrives_video=True,
    ),
)
