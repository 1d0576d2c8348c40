"""Following one face through a whole clip, in memory that does not grow with its pictures."""

from __future__ import annotations

from array import array
from collections.abc import Iterable

import numpy as np

from countenance.arrays import Floats
from countenance.errors import NoFaceFound
from countenance.media.frames import Frame
from countenance.trackers.tracker import Track, Tracker, bridged


def follow_face(
    frames: Iterable[Frame],
    tracker: Tracker,
    fps: float,
    face: int = 1,
    where: str = "the video",
    *,
    keep_landmarks: bool = False,
) -> Track:
    """Track a clip.

    Args:
        frames: the clip at a constant rate.
        tracker: measures each frame.
        fps: that rate.
        face: 1 for the largest face of the first frame that has one, 2 for the next ...
        where: what messages call the clip.
        keep_landmarks: of every frame, too.

    Raises:
        NoFaceFound: in no frame.
        FaceNotThere: fewer faces than ``face``.
    """
    rows, boxes, landmarks = _Rows(), _Rows(), _Rows()
    observed: list[bool] = []
    first = None
    for seen in tracker.follow(frames, face):
        first = first or seen
        observed.append(seen is not None)
        rows.append(None if seen is None else seen.coefficients)
        boxes.append(None if seen is None else seen.box_px)
        if keep_landmarks:
            landmarks.append(None if seen is None else seen.landmarks_px.ravel())
    if first is None:
        raise NoFaceFound(where, "use a video in which one face is clearly visible")
    there = np.array(observed)
    kept = bridged(landmarks.array(), there).reshape(len(there), -1, 3) if keep_landmarks else None
    return Track(bridged(rows.array(), there), bridged(boxes.array(), there), there, fps, first, kept)


class _Rows:
    """Rows of numbers, packed: as separate arrays ten minutes of them take three times the memory."""

    def __init__(self) -> None:
        self._numbers, self._size, self._empty = array("f"), 0, 0

    def append(self, row: Floats | None) -> None:
        """Add a row; None adds zeros."""
        if row is None:
            self._empty += 1
            return
        self._size = len(row)
        self._flush()
        self._numbers.frombytes(np.asarray(row, np.float32).tobytes())

    def array(self) -> Floats:
        """(T, D); at least one row must have been given."""
        self._flush()
        return np.frombuffer(self._numbers, np.float32).reshape(-1, self._size)

    def _flush(self) -> None:
        self._numbers.frombytes(bytes(4 * self._size * self._empty))
        self._empty = 0
