"""Following one face through a whole clip, in memory that does not grow with its pictures."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from countenance.arrays import Floats
from countenance.errors import NoFaceFound
from countenance.media.frames import Frame
from countenance.trackers.tracker import Track, Tracker, bridged


def follow_face(
    frames: Iterable[Frame], tracker: Tracker, fps: float, face: int = 1, where: str = "the video"
) -> Track:
    """Track a clip.

    Args:
        frames: the clip at a constant rate.
        tracker: measures each frame.
        fps: that rate.
        face: 1 for the largest face of the first frame that has one, 2 for the next ...
        where: what messages call the clip.

    Raises:
        NoFaceFound: in no frame.
        FaceNotThere: fewer faces than ``face``.
    """
    rows: list[Floats | None] = []
    boxes: list[Floats | None] = []
    first = None
    for seen in tracker.follow(frames, face):
        first = first or seen
        rows.append(None if seen is None else seen.coefficients)
        boxes.append(None if seen is None else seen.box_px)
    if first is None:
        raise NoFaceFound(where, "use a video in which one face is clearly visible")
    coefficients, observed = bridged(rows)
    return Track(np.asarray(coefficients), bridged(boxes)[0], observed, fps, first)
