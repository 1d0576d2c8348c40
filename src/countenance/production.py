"""Files in, files out: the steps that the command line and five lines of Python share.

Every function that takes long accepts ``progress``: a function that wraps an iterable, given a label and the
expected number of items (or None), and yields the same items.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from countenance.animation import animate, redrive
from countenance.arrays import Doubles, Floats, Image
from countenance.errors import BadValue, MediaDamaged, MediaUnreadable, UnknownName
from countenance.face.shape_sliders import ShapeSlider, shape_sliders
from countenance.media.frames import Frame
from countenance.media.images import read_image, write_image
from countenance.media.kinds import kind_of
from countenance.media.video import VideoReader
from countenance.media.writer import AudioSource, VideoWriter
from countenance.motion.files import load_motion
from countenance.motion.sequence import Motion
from countenance.motion.smoothing import smooth
from countenance.motion.spaces import Coefficient, get_space
from countenance.portrait.crop import Crop
from countenance.portrait.portrait import Portrait
from countenance.provenance.marks import marks
from countenance.renderers.catalogue import renderer_specs
from countenance.renderers.renderer import Renderer
from countenance.renderers.spec import RendererSpec
from countenance.trackers.catalogue import load_tracker
from countenance.trackers.following import follow_face
from countenance.trackers.portraits import portrait_from_image, portrait_of_face
from countenance.trackers.tracker import Face, Track, Tracker

T = TypeVar("T")
Progress = Callable[[Iterable[T], str, int | None], Iterable[T]]


def silent(items: Iterable[T], label: str, total: int | None) -> Iterable[T]:
    """No progress display."""
    return items


def load_portrait(
    path: Path | str, *, face: int = 1, crop_scale: float = 1.0, tracker: Tracker | None = None
) -> Portrait:
    """Read a photo and find the person in it.

    Args:
        path: any picture that Pillow reads.
        face: 1 for the largest, 2 for the next ...
        crop_scale: size of the crop; take ``renderer.spec.crop_scale``.
        tracker: measures the face; MediaPipe by default.

    Raises:
        MediaUnreadable: no picture.
        NoFaceFound: nobody in it.
        FaceNotThere: fewer faces than ``face``.
    """
    image = read_image(Path(path))
    return portrait_from_image(image, tracker or load_tracker(), face, crop_scale, where=str(path))


def track(
    path: Path | str,
    *,
    face: int = 1,
    fps: float | None = None,
    tracker: Tracker | None = None,
    progress: Progress[Any] = silent,
) -> Motion:
    """Measure a person's motion in a video or picture, relative to one fixed crop around the clip's face.

    Args:
        path: a video, or a picture (one frame).
        face: 1 for the largest, 2 for the next ...
        fps: frames a second to sample at; the video's own by default.
        tracker: MediaPipe by default.
        progress: see the module.

    Raises:
        MediaUnreadable: no video or picture.
        NoFaceFound: in no frame.
        FaceNotThere: fewer faces than ``face``.
    """
    using = tracker or load_tracker()
    if kind_of(Path(path)) == "image":
        return load_portrait(path, face=face, tracker=using).motion
    followed = follow_video(Path(path), using, face=face, fps=fps, progress=progress)
    crop = Crop.around(followed.boxes_px)
    return using.motion(followed.coefficients, crop, followed.fps, followed.observed)


def follow_video(
    path: Path, tracker: Tracker, *, face: int = 1, fps: float | None = None, progress: Progress[Any] = silent
) -> Track:
    """Follow one face through a video file; see :func:`countenance.trackers.following.follow_face`."""
    with VideoReader(path) as video:
        rate = fps or video.fps
        frames = progress(video.frames(fps), f"tracking {path.name}", video.frame_count_estimate)
        track = follow_face(frames, tracker, rate, face, where=str(path))
    if video.damage:
        warnings.warn(
            MediaDamaged(f"{path}: {video.damage}; {len(track.observed)} frames are used"), stacklevel=2
        )
    return track


def driver_motion(
    path: Path,
    *,
    face: int = 1,
    smoothing: float = 0,
    tracker: Tracker | None = None,
    progress: Progress[Any] = silent,
) -> Motion:
    """The motion of a driver: a motion file is read, a video or picture is tracked.

    Args:
        path: the driver.
        face: 1 for the largest, 2 for the next ...
        smoothing: strength, of a video; see :func:`countenance.motion.smoothing.smooth`.
        tracker: MediaPipe by default.
        progress: see the module.

    Raises:
        MediaUnreadable: a sound file, which can't drive yet, or nothing readable.
        MotionUnreadable: a damaged motion file.
        NoFaceFound: a video without a face.
    """
    kind = kind_of(path)
    if kind == "motion":
        return load_motion(path)
    if kind == "audio":
        raise MediaUnreadable(path, "it is sound without pictures", "let it speak with: countenance talk")
    tracked = track(path, face=face, tracker=tracker, progress=progress)
    return smooth(tracked, smoothing) if kind == "video" and smoothing > 0 else tracked


@dataclass(frozen=True, eq=False)
class VideoPortrait:
    """A source video: its person in every frame, in one fixed crop.

    Attributes:
        path: the video.
        crop: one square for the clip.
        motion: the person's own, T frames.
        track: in px of the pictures.
    """

    path: Path
    crop: Crop
    motion: Motion
    track: Track

    def portraits(self, tracker: Tracker, face: int = 1) -> Iterator[Portrait]:
        """One portrait a frame, read again from the file, so that none is kept in memory."""
        with VideoReader(self.path) as video:
            frames, seen = _shared(video.frames(self.track.fps))
            last: Face = self.track.first
            for found in tracker.follow(seen, face):
                last = found or last
                yield portrait_of_face(next(frames).image, last, tracker, crop=self.crop)


def animate_video(
    source: VideoPortrait, motion: Motion, renderer: Renderer[Any], tracker: Tracker, *, face: int = 1
) -> Iterator[Frame]:
    """A source video re-driven frame by frame; see :func:`countenance.animation.redrive`."""
    return redrive(source.portraits(tracker, face), motion, renderer)


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


def load_video_portrait(
    path: Path, tracker: Tracker, *, face: int = 1, crop_scale: float = 1.0, progress: Progress[Any] = silent
) -> VideoPortrait:
    """Measure a source video.

    Raises:
        MediaUnreadable: no video.
        NoFaceFound: in no frame.
    """
    track = follow_video(path, tracker, face=face, progress=progress)
    crop = Crop.around(track.boxes_px, crop_scale)
    return VideoPortrait(
        path, crop, tracker.motion(track.coefficients, crop, track.fps, track.observed), track
    )


def write_video(
    path: Path | str,
    frames: Iterable[Frame],
    fps: float,
    *,
    model: str,
    audio: Path | None = None,
    crop: Crop | None = None,
) -> int:
    """Write frames, marked as synthetic; the file appears only when it is complete.

    Args:
        path: .mp4, .mov, .mkv, .webm, .gif, or a folder for PNG frames.
        frames: all of one size.
        fps: frames a second.
        model: name of the renderer, for the mark.
        audio: a file whose sound is muxed in, cut to the length of the video.
        crop: write only this square of the frames.

    Returns:
        Number of frames written.

    Raises:
        OutputUnwritable: the path, the format or the disk.
    """
    count = 0
    with ExitStack() as stack:
        writer: VideoWriter | None = None
        for frame in frames:
            image: Image = crop.cut(frame.image) if crop else frame.image
            if writer is None:
                height, width = image.shape[:2]
                sound = AudioSource(audio) if audio else None
                writer = stack.enter_context(
                    VideoWriter(Path(path), fps, width, height, audio=sound, metadata=marks(model))
                )
            writer.write(image)
            count += 1
    if not count:
        raise BadValue(f"there are no frames to write to {path}; check the driver's length")
    return count


def write_marked_image(path: Path, image: Image, model: str) -> None:
    """Write a still, marked as synthetic.

    Raises:
        OutputUnwritable: the path, the format or the disk.
    """
    write_image(path, image, marks(model))


def slider(spec: RendererSpec, name: str) -> Coefficient | ShapeSlider:
    """What a model lets you set by a name: a coefficient of its space, or a part of the face's shape.

    Raises:
        UnknownName: with the nearest names that the model has.
        BadValue: a shape slider, and the model can't change shapes.
    """
    space = get_space(spec.motion_space)
    shapes = {s.name: s for s in shape_sliders(space.name)}
    if name in shapes and not spec.edits_shape:
        able = [s.name for s in renderer_specs() if s.edits_shape and s.motion_space == space.name]
        raise BadValue(
            f"model '{spec.name}' can't change a face's shape, so not {name}; use --model {' or '.join(able)}"
        )
    named = {c.name: c for c in space.coefficients} | (shapes if spec.edits_shape else {})
    if name not in named:
        raise UnknownName(f"coefficient of '{space.name}'", name, named)
    return named[name]


def edited(
    portrait: Portrait, renderer: Renderer[Any], changes: dict[str, float], *, avatar: Any = None
) -> Image:
    """A photo with some coefficients or shape sliders set.

    Args:
        portrait: the person.
        renderer: makes the picture.
        changes: as in :func:`with_changes`.
        avatar: of this portrait, if it was enrolled before.

    Returns:
        The whole picture; the very same pixels if nothing changes.

    Raises:
        UnknownName: a name that the model does not have.
        BadValue: a shape slider, and the model can't change shapes.
    """
    for name in changes:
        slider(renderer.spec, name)
    own, motion = portrait.motion, with_changes(portrait.motion, changes)
    if np.array_equal(motion.values, own.values) and motion.identity is own.identity:
        return portrait.image.copy()
    return next(animate(portrait, motion, renderer, avatar=avatar)).image


def swept(
    portrait: Portrait,
    renderer: Renderer[Any],
    changes: dict[str, float],
    name: str,
    values: Doubles,
    fps: float,
    *,
    avatar: Any = None,
) -> Iterator[Frame]:
    """A photo on which one coefficient or shape slider takes one value after the other.

    Args:
        portrait: the person.
        renderer: makes the pictures.
        changes: what is set in all frames, as in :func:`with_changes`.
        name: what is swept. Pose is added to what ``changes`` say of it, others replace it.
        values: (T,) in the unit of ``name``.
        fps: frames a second.
        avatar: of this portrait, if it was enrolled before.

    Returns:
        T frames, lazily.

    Raises:
        UnknownName: a name that the model does not have.
        BadValue: a shape slider, and the model can't change shapes.
    """
    kinds = [slider(renderer.spec, n) for n in (*changes, name)]
    added = isinstance(kinds[-1], Coefficient) and kinds[-1].region == "pose"
    start = changes.get(name, 0.0) if added else 0.0
    frames = [with_changes(portrait.motion, {**changes, name: start + float(v)}) for v in values]
    if isinstance(kinds[-1], ShapeSlider):
        parts = [replace(frame, fps=fps) for frame in frames]
        return animate(portrait, parts, renderer, avatar=avatar)
    whole = frames[0].still(len(frames)).with_values(np.concatenate([frame.values for frame in frames]))
    return animate(portrait, replace(whole, fps=fps), renderer, avatar=avatar)


def with_changes(motion: Motion, changes: dict[str, float]) -> Motion:
    """``motion`` with coefficients and shape sliders set.

    Args:
        motion: T frames.
        changes: name -> value in the unit of the space. Angles, positions, scale and shape are added to what is
            there; blendshape weights replace it.

    Raises:
        UnknownName: a name that the space does not have.
    """
    values: Floats = motion.values.copy()
    shapes = [s.name for s in shape_sliders(motion.space.name)]
    shape = np.zeros(len(shapes), np.float32)
    for name, value in changes.items():
        if name in shapes:
            shape[shapes.index(name)] = value
            continue
        column = motion.space.index(name)
        if motion.space.coefficients[column].region == "pose":
            values[:, column] += value
        else:
            values[:, column] = value
    changed = motion.with_values(values)
    if not shape.any():
        return changed
    return replace(changed, identity=shape if motion.identity is None else motion.identity + shape)


def turned_to_front(motion: Motion) -> dict[str, float]:
    """Changes for :func:`with_changes` that make a portrait's head look straight ahead, its expression unchanged.

    Face frontalisation (GDPW, Sec. 4.4): the head's rotation becomes that of the neutral motion.

    Args:
        motion: the portrait's own, one frame.
    """
    return {
        c.name: c.neutral - float(motion.values[0, column])
        for column, c in enumerate(motion.space.coefficients)
        if c.region == "pose" and c.unit == "rad"
    }
