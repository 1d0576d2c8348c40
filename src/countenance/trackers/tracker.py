"""What every tracker offers: pixels in, named coefficients out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from countenance.arrays import Floats, Image, Mask
from countenance.media.frames import Frame
from countenance.motion.sequence import Motion
from countenance.motion.spaces import MotionSpace
from countenance.portrait.crop import Crop


@dataclass(frozen=True, eq=False)
class Face:
    """One face in one picture.

    Attributes:
        landmarks_px: (L, 3): x right, y down in px of the picture, z in the same scale, larger is nearer.
        coefficients: (D,) in the tracker's space, but position and size still in px of the picture; a tracker's
            :meth:`Tracker.motion` makes them relative to a crop.
    """

    landmarks_px: Floats
    coefficients: Floats

    @property
    def box_px(self) -> Floats:
        """(4,): left, top, right, bottom of the landmarks."""
        flat = self.landmarks_px[:, :2]
        return np.concatenate([flat.min(0), flat.max(0)]).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Track:
    """A face followed through a clip: a few hundred bytes a frame, however long the clip.

    Attributes:
        coefficients: (T, D) as in :class:`Face`, bridged where no face was seen.
        boxes_px: (T, 4) likewise.
        observed: (T,) False where no face was seen.
        fps: frames a second.
        first: the first face seen.
        landmarks_px: (T, L, 3) likewise, or None: they take kilobytes a frame and are kept on request.
    """

    coefficients: Floats
    boxes_px: Floats
    observed: Mask
    fps: float
    first: Face
    landmarks_px: Floats | None = None


class Tracker(Protocol):
    """Turns pictures into motion of one space."""

    @property
    def space(self) -> MotionSpace:
        """The space of its coefficients."""
        ...

    def faces(self, image: Image) -> list[Face]:
        """All faces in a still picture, largest first; empty where there is none."""
        ...

    def follow(self, frames: Iterable[Frame], face: int = 1) -> Iterator[Face | None]:
        """One face through consecutive frames; None where it isn't seen.

        Args:
            frames: in order.
            face: 1 for the largest in the first frame with a face, 2 for the next ...

        Raises:
            FaceNotThere: that frame has fewer faces.
        """
        ...

    def motion(self, coefficients: Floats, crop: Crop, fps: float, observed: Mask | None = None) -> Motion:
        """Coefficients (T, D) in px of the picture -> motion relative to a crop."""
        ...


def bridged(rows: Floats, observed: Mask) -> Floats:
    """Fills gaps by straight lines between neighbours; ends repeat.

    Args:
        rows: (T, D); what stands where nothing was seen does not matter.
        observed: (T,) True where something was seen, at least once.

    Returns:
        (T, D) float32.
    """
    seen = np.flatnonzero(observed)
    filled = np.array(rows, np.float32)
    for i in np.flatnonzero(~observed).tolist():
        after = int(np.searchsorted(seen, i))
        left, right = int(seen[max(after - 1, 0)]), int(seen[min(after, len(seen) - 1)])
        share = (i - left) / (right - left) if right > left else 0.0
        filled[i] = filled[left] + np.clip(share, 0, 1) * (filled[right] - filled[left])
    return filled
