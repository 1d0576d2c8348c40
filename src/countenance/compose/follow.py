"""Put a head that was drawn anew into its photo: the photo moves along, and its own pixels go on where the head ends.

A renderer that draws what is around a head as well can't meet the photo at a square's border once the head moves: hair
above the border stays behind, a collar is cut. So the photo is first bent, all of the head as the drawn one moves in
the picture's plane and less and less around it, and the drawing is laid in by an outline that moves with the head.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from countenance.arrays import Doubles, Floats, Image
from countenance.compose.paste import feathered
from countenance.portrait.crop import Crop

# Distances from the head's middle, in sides of the crop.
_STIFF, _REACH = 0.45, 1.1  # up to here everything moves with the head; from here on nothing does
_BELOW = 1.2  # downwards they are so many times as short, as shoulders stay
_COARSE_PX = 8  # the bend is smooth: it is computed at every so many pixels
# In halves of the side.
_OUTLINE = 0.92  # how far the drawn part reaches
_SOFT = 0.27  # the width over which it fades
_ROUND = 3  # exponent of the outline: 2 is an ellipse, more is nearer to a square


class FollowingCompositor:
    """Lays pictures of one crop into one picture.

    Args:
        crop: where the square lies.
        height: of the whole picture in px.
        width: of the whole picture in px.
        own: (2, 3) where the head is in the photo, see :class:`countenance.renderers.renderer.DrawsSurroundings`.
    """

    def __init__(self, crop: Crop, height: int, width: int, own: Floats) -> None:
        self._crop, self._size = crop, (height, width)
        self._own = _in_picture(own, crop)
        self._place = crop.overlap(height, width)
        self._square = np.ascontiguousarray(feathered(crop, height, width)[self._place[2:]])

    def paste(self, picture: Image, background: Image, placement: Floats) -> Image:
        """A copy of ``background`` with the drawn head in it.

        Args:
            picture: S x S x 3, the drawn crop at its own size.
            background: H x W x 3, the source picture.
            placement: (2, 3), where the head is in the drawing.
        """
        there = _in_picture(placement, self._crop)
        back = _product(self._own, cv2.invertAffineTransform(there))  # from the drawn head to the photo's
        out = self._bent(background, there, back)
        rows, columns, own_rows, own_columns = self._place
        under = np.ascontiguousarray(out[rows, columns])
        weight = self._square * self._outlined(back, rows, columns)
        over = np.ascontiguousarray(picture[own_rows, own_columns])
        out[rows, columns] = cv2.blendLinear(over, under, weight, 1 - weight)
        return out

    def _bent(self, background: Image, there: Doubles, back: Doubles) -> Image:
        """The photo with its head where the drawn one is, and all else where it was."""
        out = background.copy()
        if np.abs(back - np.eye(2, 3)).max() < 1e-6:
            return out
        height, width = self._size
        growth = max(1.0, float(np.hypot(*there[:, 0]) / np.hypot(*self._own[:, 0])))
        reach = _REACH * self._crop.side * growth
        (left, top), (right, bottom) = there[:, 2] - reach, there[:, 2] + reach
        rows, columns = _whole(top, bottom, height), _whole(left, right, width)
        shape = rows.stop - rows.start, columns.stop - columns.start
        if min(shape) < 1:
            return out
        here = _coarse(rows, columns)
        moved = here @ back[:, :2].T + back[:, 2]
        offset = (moved - self._own[:, 2]) / self._crop.side
        offset[..., 1] *= np.where(offset[..., 1] > 0, _BELOW, 1)
        share = _smooth((_REACH - np.hypot(offset[..., 0], offset[..., 1])) / (_REACH - _STIFF))[..., None]
        away = _between((share * (moved - here)).astype(np.float32), shape)
        x = np.arange(columns.start, columns.stop, dtype=np.float32) + away[..., 0]
        y = np.arange(rows.start, rows.stop, dtype=np.float32)[:, None] + away[..., 1]
        out[rows, columns] = cv2.remap(background, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return out

    def _outlined(self, back: Doubles, rows: slice, columns: slice) -> Floats:
        """Weight of the drawing: 1 around the head, 0 where the photo goes on."""
        crop = self._crop
        half, middle = crop.side / 2, np.array(crop.center_px)
        off = np.abs(_coarse(rows, columns) @ back[:, :2].T + back[:, 2] - middle) / half
        distance = np.cbrt((off**_ROUND).sum(2))
        shape = rows.stop - rows.start, columns.stop - columns.start
        return _between(_smooth((_OUTLINE - distance) / _SOFT), shape)


def _coarse(rows: slice, columns: slice) -> Doubles:
    """(h, w, 2), x and y: middles of the cells that cover an area. What is smooth is computed there."""
    y, x = (np.arange(at.start, at.stop, _COARSE_PX) + _COARSE_PX / 2 for at in (rows, columns))
    return np.stack(np.meshgrid(x, y), -1)


def _in_picture(placement: Floats, crop: Crop) -> Doubles:
    """(2, 3) in sides of the crop -> in px of the picture."""
    scaled = placement.astype(np.float64) * crop.side
    scaled[:, 2] += (crop.left, crop.top)
    return scaled


def _product(outer: Doubles, inner: cv2.typing.MatLike) -> Doubles:
    """``outer`` after ``inner``, both (2, 3)."""
    made = outer @ np.vstack([inner, (0, 0, 1)])
    return np.asarray(made, np.float64)


def _whole(start: float, end: float, size: int) -> slice:
    """Whole px of an interval, inside a picture."""
    first = min(max(int(np.floor(start)), 0), size)
    return slice(first, max(min(int(np.ceil(end)), size), first))


def _between(cells: Floats, shape: tuple[int, int]) -> Floats:
    """Numbers (h, w, ...) at the middles of cells for every pixel of the area."""
    covered = cells.shape[1] * _COARSE_PX, cells.shape[0] * _COARSE_PX
    enlarged = cv2.resize(cells, covered, interpolation=cv2.INTER_LINEAR)
    return np.ascontiguousarray(enlarged[: shape[0], : shape[1]], np.float32)


def _smooth(share: NDArray[np.floating[Any]]) -> Floats:
    """From 0 to 1 without kinks."""
    held = np.clip(share, 0, 1)
    return np.asarray(held * held * (3 - 2 * held), np.float32)
