"""What moves a person: films, pictures and motion files become :class:`Motion`."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np

from countenance.errors import MediaDamaged, MediaUnreadable, expect_type
from countenance.media.kinds import kind_of
from countenance.media.video import VideoReader
from countenance.motion.files import load_motion
from countenance.motion.interpolation import interpolate
from countenance.motion.sequence import Motion
from countenance.motion.smoothing import smooth
from countenance.pipeline.sources import load_portrait
from countenance.portrait.crop import Crop
from countenance.progress import Progress, silent
from countenance.ranges import FACE_NUMBER, FRAME_RATE, STRENGTH
from countenance.trackers.catalogue import load_tracker
from countenance.trackers.following import follow_face
from countenance.trackers.tracker import Track, Tracker

_EASE_S = 0.6  # how long a face takes to become that of a picture


def track(
    path: Path | str,
    *,
    face: int = 1,
    fps: float | None = None,
    smoothing: float = 0.0,
    tracker: Tracker | None = None,
    progress: Progress[Any] = silent,
) -> Motion:
    """Measure a person's motion in a film or picture, relative to one fixed crop around the clip's face.

    Args:
        path: a film, or a picture (one frame).
        face: 1 for the largest, 2 for the next ...
        fps: frames a second to sample at; the film's own by default.
        smoothing: strength, of a film; see :func:`countenance.motion.smoothing.smooth`.
        tracker: MediaPipe by default.
        progress: shows how far it is.

    Raises:
        MediaUnreadable: no film or picture.
        NoFaceFound: in no frame.
        FaceNotThere: fewer faces than ``face``.
        BadValue: a frame rate, strength or number of a face that can't be.
    """
    expect_type(path, (Path, str), "what is tracked", "give the path of a film or picture")
    FACE_NUMBER.check(face, "the face's number")
    STRENGTH.check(smoothing, "the smoothing")
    if fps is not None:
        FRAME_RATE.check(fps, "the frame rate")
    path, using = Path(path), tracker or load_tracker()
    kind = kind_of(path)
    if kind in ("audio", "motion"):
        is_one = "sound without pictures" if kind == "audio" else "motion already"
        raise MediaUnreadable(path, f"it is {is_one}", "give a film or picture that shows a face")
    if kind == "image":
        return load_portrait(path, face=face, tracker=using).motion
    followed = follow_film(path, using, face=face, fps=fps, progress=progress)
    crop = Crop.around(followed.boxes_px)
    motion = using.motion(followed.coefficients, crop, followed.fps, followed.observed)
    return smooth(motion, smoothing) if smoothing > 0 else motion


def follow_film(
    path: Path, tracker: Tracker, *, face: int = 1, fps: float | None = None, progress: Progress[Any] = silent
) -> Track:
    """Follow one face through a film; see :func:`countenance.trackers.following.follow_face`."""
    with VideoReader(path) as film:
        rate = fps or film.fps
        frames = progress(film.frames(fps), f"tracking {path.name}", film.frame_count_estimate)
        followed = follow_face(frames, tracker, rate, face, where=str(path))
    note_damage(film, len(followed.observed))
    return followed


def note_damage(film: VideoReader, used: int) -> None:
    """Warn (:class:`MediaDamaged`) of what was wrong with a film that was read, if anything was.

    Args:
        film: read to its end.
        used: how many frames of it are used.
    """
    if film.damage:
        note = MediaDamaged(f"{film.path}: {film.damage}; {used} frames are used")
        warnings.warn(note, stacklevel=3)


def driver_motion(
    path: Path | str,
    *,
    face: int = 1,
    smoothing: float = 1.0,
    tracker: Tracker | None = None,
    progress: Progress[Any] = silent,
) -> Motion:
    """The motion of a driver: a motion file is read, a film or picture is tracked.

    Args:
        path: the driver.
        face: 1 for the largest, 2 for the next ...
        smoothing: strength, of a film, as the command line's ``--smooth``.
        tracker: MediaPipe by default.
        progress: shows how far it is.

    Returns:
        T frames; one, of a picture (see :func:`held`).

    Raises:
        MediaUnreadable: a sound file, which can't drive by itself, or nothing readable.
        MotionUnreadable: a damaged motion file.
        NoFaceFound: a film without a face.
    """
    expect_type(path, (Path, str), "a driver", "give the path of a film, a picture or a motion file")
    path = Path(path)
    kind = kind_of(path)
    if kind == "motion":
        return load_motion(path)
    if kind == "audio":
        raise MediaUnreadable(path, "it is sound without pictures", "let it speak with: countenance talk")
    return track(path, face=face, smoothing=smoothing, tracker=tracker, progress=progress)


def held(target: Motion, own: Motion, seconds: float, fps: float) -> Motion:
    """What a picture as driver means: a face goes to the picture's expression and pose, and stays there.

    Args:
        target: one frame, where it goes; its place and size in the crop are not taken over.
        own: one frame, where it begins.
        seconds: length of all.
        fps: frames a second.
    """
    count = max(1, round(seconds * fps))
    share = np.clip(np.arange(count) / max(1, round(_EASE_S * fps)), 0, 1)
    coefficients = own.space.coefficients
    place = [c.name for c in coefficients if c.region == "pose" and c.unit != "rad"]
    end = target.set(**{name: float(own[name][0]) for name in place})
    moved = interpolate(own[0].still(count), end.still(count), share * share * (3 - 2 * share))
    return Motion(moved.values, own.space, fps, crop=moved.crop, identity=own.identity)
