"""A clip for measuring: all frames with a face, tracked one by one so that no frame knows of its neighbours."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from countenance.arrays import Image
from countenance.errors import NoFaceFound
from countenance.media.video import VideoReader
from countenance.trackers.tracker import Face, Tracker


@dataclass(frozen=True)
class TrackedClip:
    """Frames with a face.

    Attributes:
        pictures: H x W x 3 uint8 each.
        faces: the largest face of each.
    """

    pictures: list[Image]
    faces: list[Face]


def tracked_clip(path: Path, tracker: Tracker, most: int | None = None) -> TrackedClip:
    """Read and track a short clip, or its first ``most`` frames; it is held in memory.

    Raises:
        NoFaceFound: in no frame.
    """
    with VideoReader(path) as video:
        pictures = [frame.image for frame in islice(video.frames(), most)]
    seen = [(picture, found[0]) for picture in pictures if (found := tracker.faces(picture))]
    if not seen:
        raise NoFaceFound(str(path))
    return TrackedClip([picture for picture, _ in seen], [face for _, face in seen])
