"""PIRenderer (Ren et al., ICCV 2021): mapping, warping and editing networks, driven by coefficients."""

from __future__ import annotations

from countenance.renderers.spec import RendererSpec

_PAPER = "PIRenderer: Controllable Portrait Image Generation via Semantic Neural Rendering, ICCV 2021"

SPECS = (
    RendererSpec(
        name="pirenderer-lite",
        summary="a small PIRenderer with weights of ours; hair, neck and mouth move by what it learnt (experimental)",
        motion_space="arkit",
        licence="MIT (weights trained on the clips named in its model card)",
        paper=_PAPER,
        crop_scale=1.2,
    ),
    RendererSpec(
        name="pirenderer",
        summary="the published network; needs the authors' checkpoint, converted by you",
        motion_space="bfm",
        licence="of the checkpoint",
        paper=_PAPER,
    ),
)
