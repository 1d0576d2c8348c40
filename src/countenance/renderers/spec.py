"""What is known of a renderer without loading it; importing this loads nothing else."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RendererSpec:
    """What is known of a renderer without loading it.

    Attributes:
        name: for ``--model``.
        summary: one line.
        motion_space: the space it is driven in.
        licence: of code and weights.
        paper: where it is described, or empty.
        crop_scale: size of the square that it works on, relative to the standard crop.
        redrives_video: it can enroll every frame of a source video cheaply, so that a video can be the source.
    """

    name: str
    summary: str
    motion_space: str
    licence: str
    paper: str = ""
    crop_scale: float = 1.0
    redrives_video: bool = False
