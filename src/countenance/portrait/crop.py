"""The square that is cut out of a picture around a face, and the way back."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from countenance.arrays import Floats, Image
from countenance.errors import BadValue

# Margins around the union of a clip's face boxes, in face heights, so that a still face fills 1/1.6 of the
# side: the crop of the First Order Motion Model's preprocessing, which PIRenderer follows (Sec. 4).
MARGIN_ABOVE, MARGIN_BELOW, MARGIN_SIDE = 0.36, 0.27, 0.30


@dataclass(frozen=True)
class Crop:
    """An axis-aligned square in a picture; it may reach beyond the picture.

    Attributes:
        left: x of its left edge in px.
        top: y of its upper edge in px.
        side: in px, >= 1. Whole numbers, so that cutting at the native size moves no pixel.
    """

    left: int
    top: int
    side: int

    @classmethod
    def around(cls, boxes_px: Floats, scale: float = 1.0) -> Crop:
        """One fixed square for a clip: the union of its face boxes and margins.

        Args:
            boxes_px: (T, 4) face boxes: left, top, right, bottom.
            scale: enlarges the square about its centre.

        Raises:
            BadValue: a box without area.
        """
        boxes = np.asarray(boxes_px, np.float64).reshape(-1, 4)
        height = float((boxes[:, 3] - boxes[:, 1]).mean())
        left = boxes[:, 0].min() - MARGIN_SIDE * height
        right = boxes[:, 2].max() + MARGIN_SIDE * height
        top = boxes[:, 1].min() - MARGIN_ABOVE * height
        bottom = boxes[:, 3].max() + MARGIN_BELOW * height
        side = max(right - left, bottom - top) * scale
        if not side >= 1:
            raise BadValue("the face box has no area; track the picture again")
        whole = int(np.ceil(side))
        return cls(round((left + right - whole) / 2), round((top + bottom - whole) / 2), whole)

    @property
    def center_px(self) -> tuple[float, float]:
        """(x, y) in px of the picture."""
        return self.left + self.side / 2, self.top + self.side / 2

    def cut(self, image: Image, size: int | None = None) -> Image:
        """The square's pixels, edges repeated where it reaches beyond the picture.

        Args:
            image: H x W x 3.
            size: side of the result in px; the square's own by default.
        """
        height, width = image.shape[:2]
        inside = image[max(self.top, 0) : self.top + self.side, max(self.left, 0) : self.left + self.side]
        beyond = (
            max(-self.top, 0),
            max(self.top + self.side - height, 0),
            max(-self.left, 0),
            max(self.left + self.side - width, 0),
        )
        if any(beyond):
            inside = np.asarray(cv2.copyMakeBorder(inside, *beyond, cv2.BORDER_REPLICATE), np.uint8)
        if size is not None and size != self.side:
            shrink = size < self.side
            how = cv2.INTER_AREA if shrink else cv2.INTER_CUBIC
            inside = np.asarray(cv2.resize(inside, (size, size), interpolation=how), np.uint8)
        return np.ascontiguousarray(inside)

    def overlap(self, height: int, width: int) -> tuple[slice, slice, slice, slice]:
        """Where square and picture overlap: rows and columns of the picture, rows and columns of the square."""
        top, left = max(self.top, 0), max(self.left, 0)
        bottom, right = min(self.top + self.side, height), min(self.left + self.side, width)
        return (
            slice(top, bottom),
            slice(left, right),
            slice(top - self.top, bottom - self.top),
            slice(left - self.left, right - self.left),
        )

    def to_crop(self, points_px: Floats) -> Floats:
        """Points (..., 2 or 3) of the picture in px of the square; a third number is kept."""
        moved = np.array(points_px, np.float32)
        moved[..., 0] -= self.left
        moved[..., 1] -= self.top
        return moved

    def to_picture(self, points_px: Floats) -> Floats:
        """Undoes :meth:`to_crop`."""
        return Crop(-self.left, -self.top, self.side).to_crop(points_px)
