"""Put an animated crop back into its picture: feathered at the border, without a step in colour."""

from __future__ import annotations

import cv2
import numpy as np

from countenance.arrays import Floats, Image
from countenance.portrait.crop import Crop

_FEATHER = 0.06  # of the crop's side


class Compositor:
    """Pastes pictures of one crop into one picture size.

    Args:
        crop: where the square lies.
        height: of the whole picture in px.
        width: of the whole picture in px.
    """

    def __init__(self, crop: Crop, height: int, width: int) -> None:
        rows, columns, own_rows, own_columns = crop.overlap(height, width)
        self._place, self._own = (rows, columns), (own_rows, own_columns)
        weight = feathered(crop, height, width)[self._own]
        self._weight = np.ascontiguousarray(weight)
        self._rest = np.ascontiguousarray(1 - weight)
        self._rim = ((weight > 0.02) & (weight < 0.5)).astype(np.uint8)

    def paste(self, picture: Image, background: Image) -> Image:
        """A copy of ``background`` with the crop's ``picture`` in it.

        Args:
            picture: S x S x 3, the rendered crop at its own size.
            background: H x W x 3, the source picture.
        """
        out = background.copy()
        under = np.ascontiguousarray(background[self._place])
        over = self._matched(np.ascontiguousarray(picture[self._own]), under)
        out[self._place] = cv2.blendLinear(over, under, self._weight, self._rest)
        return out

    def _matched(self, over: Image, under: Image) -> Image:
        """``over`` with its colour shifted so that it meets the picture at the rim, if it doesn't."""
        if not self._rim.any():
            return over
        shift = np.subtract(cv2.mean(under, self._rim), cv2.mean(over, self._rim))[:3]
        if np.abs(shift).max() < 1.0:
            return over
        shifted: Image = (over + shift.astype(np.float32)).round().clip(0, 255).astype(np.uint8)
        return shifted


def feathered(crop: Crop, height: int, width: int) -> Floats:
    """(S, S) weight of the crop: 0 at borders inside the picture, 1 elsewhere."""
    side = crop.side
    ramp = np.arange(side, dtype=np.float32) + 0.5
    feather = max(_FEATHER * side, 1.0)

    def profile(starts_inside: bool, ends_inside: bool) -> Floats:
        weight = np.ones(side, np.float32)
        if starts_inside:
            weight = np.minimum(weight, ramp / feather)
        if ends_inside:
            weight = np.minimum(weight, (side - ramp) / feather)
        return weight.astype(np.float32)

    across = profile(crop.left > 0, crop.left + side < width)
    down = profile(crop.top > 0, crop.top + side < height)
    weight = np.minimum(down[:, None], across[None, :])
    smooth: Floats = (weight * weight * (3 - 2 * weight)).astype(np.float32)
    return smooth
