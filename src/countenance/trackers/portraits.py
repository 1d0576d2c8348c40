"""Photo -> Portrait, through a tracker."""

from __future__ import annotations

import numpy as np

from countenance.arrays import Image
from countenance.errors import FaceNotThere, NoFaceFound
from countenance.portrait.crop import Crop
from countenance.portrait.portrait import Portrait
from countenance.trackers.tracker import Face, Tracker

_STILL_FPS = 25.0  # a still has no rate of its own; a Motion needs one


def portrait_from_image(
    image: Image, tracker: Tracker, face: int = 1, crop_scale: float = 1.0, where: str = "the picture"
) -> Portrait:
    """Find and measure a face.

    Args:
        image: H x W x 3 uint8.
        tracker: measures it.
        face: 1 for the largest, 2 for the next ...
        crop_scale: size of the crop relative to the standard one.
        where: what messages call the picture.

    Raises:
        NoFaceFound: nobody there.
        FaceNotThere: fewer faces than ``face``.
    """
    found = tracker.faces(image)
    if not found:
        raise NoFaceFound(where)
    if not 1 <= face <= len(found):
        raise FaceNotThere(where, face, len(found))
    return portrait_of_face(image, found[face - 1], tracker, crop_scale)


def portrait_of_face(
    image: Image,
    face: Face,
    tracker: Tracker,
    crop_scale: float = 1.0,
    crop: Crop | None = None,
    cutout: Image | None = None,
) -> Portrait:
    """A portrait of a face that was measured already; ``crop`` overrides the crop rule."""
    square = crop or Crop.around(face.box_px, crop_scale)
    motion = tracker.motion(np.asarray(face.coefficients)[None], square, _STILL_FPS)
    return Portrait(image, square, face.landmarks_px, motion, cutout)
