"""One picture of a video, with its time."""

from __future__ import annotations

from dataclasses import dataclass

from countenance.arrays import Image


@dataclass(frozen=True, eq=False)
class Frame:
    """A picture and when it is shown.

    Attributes:
        image: H x W x 3 uint8 RGB.
        time_s: seconds since the start of its video.
    """

    image: Image
    time_s: float
