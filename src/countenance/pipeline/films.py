"""A film as source: its person is measured shot by shot, then re-driven in every frame that shows them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from countenance.animation import Animation, redrive
from countenance.arrays import Floats, Image
from countenance.errors import FaceNotThere, NoFaceFound
from countenance.media.frames import Frame
from countenance.media.shots import shots
from countenance.media.video import VideoReader
from countenance.motion.interpolation import interpolate
from countenance.motion.sequence import Motion
from countenance.motion.transfer import Mode, Reference, transfer
from countenance.pipeline.drivers import note_damage
from countenance.portrait.crop import Crop
from countenance.portrait.portrait import Portrait
from countenance.progress import Progress, silent
from countenance.renderers.renderer import Renderer
from countenance.trackers.following import follow_face
from countenance.trackers.portraits import portrait_of_face
from countenance.trackers.tracker import Track, Tracker


@dataclass(frozen=True, eq=False)
class Shot:
    """One shot of a film, from cut to cut.

    Attributes:
        start: number of its first frame.
        frames: how many.
        crop: one square for the shot; None where it shows nobody.
        motion: the person's own, as many frames, relative to the crop; None where it shows nobody.
        boxes_px: (T, 4) of the face in the picture; None where it shows nobody.
    """

    start: int
    frames: int
    crop: Crop | None = None
    motion: Motion | None = None
    boxes_px: Floats | None = None


@dataclass(frozen=True, eq=False)
class Film:
    """A source film, measured.

    Attributes:
        path: of the file.
        fps: frames a second.
        shots: in order; at least one shows the person.
        face: number of the face that is followed in each shot.
        tracker: what measured it.
    """

    path: Path
    fps: float
    shots: tuple[Shot, ...]
    face: int
    tracker: Tracker

    @property
    def frames(self) -> int:
        """How many frames it has."""
        return sum(shot.frames for shot in self.shots)

    @property
    def crop(self) -> Crop:
        """The standard square around the person in all shots."""
        return Crop.around(np.concatenate([s.boxes_px for s in self.shots if s.boxes_px is not None]))

    def faceless(self, frames: int) -> int:
        """How many of the first ``frames`` frames show nobody."""
        shown = [
            shot.motion.observed[: max(0, frames - shot.start)].sum()
            if shot.motion.observed is not None
            else min(shot.frames, max(0, frames - shot.start))
            for shot in self.shots
            if shot.motion is not None
        ]
        return min(frames, self.frames) - int(sum(shown))

    def pictures(self) -> Iterator[Portrait | Image]:
        """Each frame's portrait, or its picture where it shows nobody; read again, so that none is kept."""
        with VideoReader(self.path) as film:
            frames = film.frames(self.fps)
            for shot in self.shots:
                yield from self._shot_pictures(shot, _taken(frames, shot.frames))

    def _shot_pictures(self, shot: Shot, frames: Iterator[Frame]) -> Iterator[Portrait | Image]:
        if shot.crop is None:
            yield from (frame.image for frame in frames)
            return
        pictures, watched = _shared(frames)
        for seen in self.tracker.follow(watched, self.face):
            image = next(pictures).image
            yield image if seen is None else portrait_of_face(image, seen, self.tracker, crop=shot.crop)


def load_film(
    path: Path,
    tracker: Tracker,
    *,
    face: int = 1,
    crop_scale: float = 1.0,
    progress: Progress[Any] = silent,
) -> Film:
    """Measure a source film. After each cut the person is looked for anew, as is their crop.

    Args:
        path: a film, or a folder of its frames.
        tracker: measures each frame.
        face: 1 for the largest of each shot's first frame with a face, 2 for the next ...
        crop_scale: size of the crops; take ``renderer.spec.crop_scale``.
        progress: shows how far it is.

    Raises:
        MediaUnreadable: no film.
        NoFaceFound: in no frame.
        FaceNotThere: in no shot there are so many faces.
    """
    measured: list[Shot] = []
    reason: NoFaceFound | FaceNotThere | None = None
    with VideoReader(path) as film:
        frames = progress(film.frames(), f"tracking {path.name}", film.frame_count_estimate)
        for shot in shots(frames):
            counted = _Counted(shot)
            start = measured[-1].start + measured[-1].frames if measured else 0
            try:
                track = follow_face(counted, tracker, film.fps, face, where=str(path))
                measured.append(_measured(start, track, tracker, crop_scale))
            except (NoFaceFound, FaceNotThere) as error:
                reason = reason or error
                for _ in counted:
                    pass  # the rest of the shot, so that the next one begins where it should
                measured.append(Shot(start, counted.count))
    if reason and all(shot.crop is None for shot in measured):
        raise reason
    note_damage(film, sum(shot.frames for shot in measured))
    return Film(path, film.fps, tuple(measured), face, tracker)


def _measured(start: int, track: Track, tracker: Tracker, crop_scale: float) -> Shot:
    crop = Crop.around(track.boxes_px, crop_scale)
    motion = tracker.motion(track.coefficients, crop, track.fps, track.observed)
    return Shot(start, len(track.observed), crop, motion, track.boxes_px)


def redrive_film(
    film: Film,
    driver: Motion,
    renderer: Renderer[Any],
    mode: Mode = "relative",
    reference: Reference = "auto",
    strengths: Mapping[str, float] | None = None,
) -> Animation:
    """A source film, moved: each shot's person does what the driver does meanwhile.

    Frames that show nobody come out as they are.

    Args:
        film: measured.
        driver: in the renderer's motion space; the shorter of film and driver decides the length.
        renderer: one whose spec says ``redrives_video``.
        mode: see :func:`countenance.motion.transfer.transfer`.
        reference: likewise.
        strengths: region -> share of the way from the film's own motion to the driver's; a narrow region wins.

    Raises:
        MotionSpaceMismatch: the driver is of another space.
        BadValue: the renderer re-drives no films.
    """
    at_rate = driver.resample(film.fps)
    total = min(film.frames, len(at_rate))
    values = np.repeat(at_rate.space.neutral[None], total, axis=0).astype(np.float32)
    identity = None
    for shot in film.shots:
        stop = min(shot.start + shot.frames, total)
        if shot.motion is None or stop <= shot.start:
            continue
        own = shot.motion[: stop - shot.start]
        driven = transfer(at_rate, shot.motion, mode, reference)[shot.start : stop]
        values[shot.start : stop] = mixed(own, driven, strengths or {}).values
        identity = shot.motion.identity if identity is None else identity
    motion = Motion(values, at_rate.space, film.fps, identity=identity)
    return redrive(film.pictures(), motion, renderer)


def mixed(own: Motion, driven: Motion, strengths: Mapping[str, float]) -> Motion:
    """A film's own motion, taken toward the driven one region by region; narrow regions must come last."""
    if not strengths:
        return driven
    result = replace(own, observed=None)
    own, driven = result, replace(driven, observed=None)
    for region, strength in strengths.items():
        result = interpolate(interpolate(result, own, 1.0, region), driven, strength, region)
    return result


class _Counted(Iterator[Frame]):
    """Counts what passes."""

    def __init__(self, frames: Iterator[Frame]) -> None:
        self._frames, self.count = frames, 0

    def __next__(self) -> Frame:
        frame = next(self._frames)
        self.count += 1
        return frame


def _taken(frames: Iterator[Frame], count: int) -> Iterator[Frame]:
    for _ in range(count):
        frame = next(frames, None)
        if frame is None:
            return
        yield frame


def _shared(frames: Iterator[Frame]) -> tuple[Iterator[Frame], Iterator[Frame]]:
    """The same frames twice, the first iterator at most one frame behind the second."""
    waiting: list[Frame] = []

    def ahead() -> Iterator[Frame]:
        for frame in frames:
            waiting.append(frame)
            yield frame

    def behind() -> Iterator[Frame]:
        while waiting:
            yield waiting.pop(0)

    return behind(), ahead()
