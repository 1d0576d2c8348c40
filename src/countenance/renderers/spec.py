"""What is known of a renderer without loading it; importing this loads nothing else."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from countenance.errors import WeightsDamaged
from countenance.motion.spaces import SPACES
from countenance.ranges import CROP_SCALE

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


def spec_of_file(
    file: WeightFile, like: RendererSpec, path: Path, motion_space: str | None = None
) -> RendererSpec:
    """The spec of weights that somebody trained or converted: like a known one, with the file's name and crop.

    Args:
        file: of weights.
        like: the known one.
        path: of the file.
        motion_space: the file's own, if it says so.

    Raises:
        WeightsDamaged: its crop has an impossible size, or there is no such space.
    """
    from countenance.weights.weight_files import name_of_weights

    space = motion_space or like.motion_space
    if space not in SPACES:
        raise WeightsDamaged(path, f"'{space[:40]}' is no motion space", "update countenance")
    crop_scale = file.notes.get("crop_scale", like.crop_scale)
    if not CROP_SCALE.holds(crop_scale) or isinstance(crop_scale, str):
        raise WeightsDamaged(path, f"its crop_scale is none; {CROP_SCALE} belongs there")
    return replace(like, name=name_of_weights(path), motion_space=space, crop_scale=float(crop_scale))
