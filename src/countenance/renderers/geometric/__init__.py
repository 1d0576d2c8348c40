"""Weight-free renderer: the portrait itself, warped by a tracked mesh. The reference that always runs."""

from __future__ import annotations

from countenance.renderers.spec import RendererSpec

SPEC = RendererSpec(
    name="geometric",
    summary="warps the photo with a 3-D face mesh; no trained weights, real time on a CPU",
    motion_space="arkit",
    licence="MIT",
    crop_scale=1.4,
    redrives_video=True,
    edits_shape=True,
)
SPECS = (SPEC,)
