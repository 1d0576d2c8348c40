"""Tracks of the clips that are evaluated on: measured once, kept on disk."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from countenance.arrays import Floats, Image, Mask
from countenance.atomic import replacing
from countenance.errors import NoFaceFound
from countenance.media.video import VideoReader
from countenance.stored.npz import read_npz
from countenance.trackers.following import follow_face
from countenance.trackers.tracker import Face, Tracker

UNUSABLE = (
    LookupError,
    OSError,
    TypeError,
    ValueError,
)
"""What reading a kept file may raise that is not there or was damaged, as by a crash: it is made anew."""


@dataclass(frozen=True, eq=False)
class ClipTrack:
    """The largest face of the first frame that has one, through a clip.

    Attributes:
        fps: frames a second.
        coefficients: (T, D) as in :class:`~countenance.trackers.tracker.Face`, bridged where no face was seen.
        landmarks_px: (T, L, 3) likewise.
        observed: (T,) False where no face was seen.
        has_sound: the clip has sound.
    """

    fps: float
    coefficients: Floats
    landmarks_px: Floats
    observed: Mask
    has_sound: bool

    def __len__(self) -> int:
        """Number of frames."""
        return len(self.coefficients)

    def face(self, frame: int) -> Face:
        """The face in one frame."""
        return Face(self.landmarks_px[frame], self.coefficients[frame])

    def seen(self, start: int = 0, stop: int | None = None) -> list[int]:
        """Numbers of the frames in [start, stop) with a face."""
        return [start + int(i) for i in np.flatnonzero(self.observed[start:stop])]


def track_clip(path: Path, tracker: Tracker) -> ClipTrack:
    """Follow the face through the whole clip.

    Raises:
        MediaUnreadable: no video, or a damaged one.
        NoFaceFound: in no frame.
    """
    with VideoReader(path) as video:
        track = follow_face(video.frames(), tracker, video.fps, where=str(path), keep_landmarks=True)
        video.expect_whole()
        sound = video.has_audio
    if track.landmarks_px is None:
        raise NoFaceFound(str(path))
    return ClipTrack(track.fps, track.coefficients, track.landmarks_px, track.observed, sound)


def save_track(path: Path, track: ClipTrack) -> None:
    """Write a track; see :func:`load_track`.

    Raises:
        OutputUnwritable: the folder or the disk.
    """
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez(
            file,
            allow_pickle=False,
            fps=track.fps,
            coefficients=track.coefficients,
            landmarks_px=track.landmarks_px,
            observed=track.observed,
            has_sound=track.has_sound,
        )


def load_track(path: Path) -> ClipTrack | None:
    """Read a track that :func:`save_track` wrote; None where there is none, or a damaged one."""
    try:
        kept = read_npz(path)
        return ClipTrack(
            float(kept["fps"]),
            kept["coefficients"],
            kept["landmarks_px"],
            kept["observed"],
            bool(kept["has_sound"]),
        )
    except UNUSABLE:
        return None


def pictures_at(path: Path, numbers: list[int]) -> Iterator[Image]:
    """Some frames of a clip, one at a time, in the order of their numbers."""
    wanted = set(numbers)
    last = max(wanted, default=-1)
    with VideoReader(path) as video:
        for number, frame in enumerate(video.frames()):
            if number in wanted:
                yield frame.image
            if number >= last:
                return
