"""The person in the picture: one photo (or one frame of a video), with its face, crop and own motion."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from countenance.arrays import Floats, Image
from countenance.motion.sequence import Motion
from countenance.portrait.crop import Crop


@dataclass(frozen=True, eq=False)
class Portrait:
    """What a renderer enrolls.

    Attributes:
        image: the whole picture, H x W x 3 uint8.
        crop: the square that is animated.
        landmarks_px: (L, 3) in px of the picture, z larger is nearer.
        motion: one frame: the person's own pose and expression, relative to ``crop``.
        cutout: of a photo that is transparent somewhere, H x W x 4 uint8 RGBA as its file has it, colours not
            multiplied by alpha; ``image`` is this over white, which trackers and renderers see. None for others.
    """

    image: Image
    crop: Crop
    landmarks_px: Floats
    motion: Motion
    cutout: Image | None = None

    @property
    def square(self) -> Image:
        """The crop's pixels at their own size."""
        return self.crop.cut(self.image)

    @property
    def box_px(self) -> Floats:
        """(4,): left, top, right, bottom of the landmarks in the picture."""
        flat = self.landmarks_px[:, :2]
        return np.concatenate([flat.min(0), flat.max(0)])

    @property
    def landmarks_in_crop_px(self) -> Floats:
        """(L, 3) landmarks in px of the crop."""
        return self.crop.to_crop(self.landmarks_px)
