"""Several people of one picture, each pasted back by itself: whose pixels are shown where their squares overlap."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from countenance.arrays import Floats, Image
from countenance.compose.paste import feathered
from countenance.portrait.crop import Crop

_SHARPNESS = (
    16.0  # how quickly one person's share falls off, an e-fold for 1/16 of a side nearer to the other
)


class GroupCompositor:
    """Unites pictures in each of which another person moved.

    Where the regions of two people overlap, the nearer person counts more, distances measured in sides of their
    crops. Shares go to nothing at a region's border, so that no edge shows.

    Args:
        crops: one a person.
        height: of the picture in px.
        width: of the picture in px.
        reach: half the side of a person's region, in sides of the crop: 0.5 where only the crop changes.
    """

    def __init__(self, crops: Sequence[Crop], height: int, width: int, reach: float = 0.5) -> None:
        regions = [_enlarged(crop, 2 * reach) for crop in crops]
        self._places = [region.overlap(height, width)[:2] for region in regions]
        total = np.zeros((height, width), np.float32)
        self._shares: list[Floats] = []
        for crop, region, place in zip(crops, regions, self._places, strict=True):
            nearness = (
                _nearness(crop, place) * feathered(region, height, width)[region.overlap(height, width)[2:]]
            )
            total[place] += nearness
            self._shares.append(nearness)
        for k, place in enumerate(self._places):
            there = total[place]
            self._shares[k] = np.divide(
                self._shares[k], there, out=np.zeros_like(there), where=there > 1e-12
            )[..., None]

    def paste(self, pictures: Sequence[Image], background: Image) -> Image:
        """One picture of all people.

        Args:
            pictures: H x W x 3, one a person: the background with that person moved.
            background: H x W x 3, the photo.
        """
        out = background.astype(np.float32)
        for picture, place, share in zip(pictures, self._places, self._shares, strict=True):
            out[place] += share * (picture[place].astype(np.float32) - background[place])
        return np.asarray(np.rint(out.clip(0, 255)), np.uint8)


def _enlarged(crop: Crop, scale: float) -> Crop:
    """The square about the same centre."""
    grown = round((scale - 1) * crop.side / 2)
    return Crop(crop.left - grown, crop.top - grown, crop.side + 2 * grown)


def _nearness(crop: Crop, place: tuple[slice, slice]) -> Floats:
    """Falls off with the distance to the crop's centre."""
    (x, y), (rows, columns) = crop.center_px, place
    across = (np.arange(columns.start, columns.stop, dtype=np.float32) + 0.5 - x) / crop.side
    down = (np.arange(rows.start, rows.stop, dtype=np.float32) + 0.5 - y) / crop.side
    return np.exp(-_SHARPNESS * np.hypot(down[:, None], across[None, :])).astype(np.float32)
