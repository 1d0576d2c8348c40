"""What is known of a renderer without loading it; importing this loads nothing else."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from countenance.weights.weight_files import WeightFile


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
        edits_shape: it shows a face in another shape than the portrait's, if ``Motion.identity`` says so.
    """

    name: str
    summary: str
    motion_space: str
    licence: str
    paper: str = ""
    crop_scale: float = 1.0
    redrives_video: bool = False
    edits_shape: bool = False


def spec_of_file(file: WeightFile, like: RendererSpec, path: Path) -> RendererSpec:
    """The spec of weights that somebody trained or converted: like a known one, with the file's name and crop."""
    crop_scale = float(file.notes.get("crop_scale", like.crop_scale))
    return replace(like, name=path.stem, crop_scale=crop_scale)
