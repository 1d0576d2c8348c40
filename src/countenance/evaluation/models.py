"""What can be evaluated: a renderer, the source repeated, or a folder of frames that another program made."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import repeat
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from countenance.animation import animate
from countenance.arrays import Image
from countenance.errors import BadValue, MediaUnreadable, MotionSpaceMismatch
from countenance.evaluation.corpus import Corpus
from countenance.evaluation.protocols.protocol import Case
from countenance.evaluation.tracks import pictures_at
from countenance.media.video import VideoReader
from countenance.motion.files import load_motion
from countenance.motion.sequence import Motion
from countenance.motion.spaces import MotionSpace
from countenance.motion.transfer import transfer
from countenance.portrait.crop import Crop
from countenance.portrait.portrait import Portrait
from countenance.renderers.catalogue import load_renderer, renderer_names
from countenance.renderers.renderer import Renderer
from countenance.trackers.portraits import portrait_of_face

REPEATED = "repeated"
"""Name of the baseline that shows the source and never moves it."""

_PLACE = ("x", "y", "logScale")
_MOST_STRETCH = 0.02  # by which a result's sides may differ in shape from the truth's


@dataclass(frozen=True)
class Model:
    """Something that gives pictures for a case.

    Attributes:
        label: its name in reports, safe as a folder's name.
        source: a name of the catalogue, :data:`REPEATED`, a ``.safetensors`` file, or a folder of results.
        device: where it computes, if it is a renderer.
    """

    label: str
    source: str
    device: str = "auto"

    @classmethod
    def parsed(cls, text: str, device: str = "auto") -> Model:
        """``NAME``, ``PATH`` or ``LABEL=PATH``, on a device.

        Raises:
            UnknownName: neither a model nor a path that is there.
            BadValue: a label that can't name a folder.
        """
        label, equals, source = text.partition("=")
        if text and not equals:
            source = text
            path = Path(text)
            is_path = text not in renderer_names() and (path.is_dir() or text.endswith(".safetensors"))
            label = path.resolve().name.removesuffix(".safetensors") if is_path else text
        if source and source not in (REPEATED, *renderer_names()) and Path(source).exists():
            source = str(Path(source).resolve())  # workers may be elsewhere
        if not source or not label or label.startswith(".") or "/" in label or "\\" in label:
            raise BadValue(f"'{label}' can't name a result; write --model LABEL=PATH")
        model = cls(label, source, device)
        if model.renders:
            load_renderer(source, device)
        return model

    @property
    def is_folder(self) -> bool:
        """It is a folder of results."""
        return self.source not in (REPEATED, *renderer_names()) and Path(self.source).is_dir()

    @property
    def renders(self) -> bool:
        """It is a renderer of ours."""
        return self.source != REPEATED and not self.is_folder

    @property
    def fingerprint(self) -> str:
        """Changes when a file of weights does."""
        path = Path(self.source)
        if self.source.endswith(".safetensors") and path.is_file():
            return hashlib.sha256(path.read_bytes()).hexdigest()
        return str(path.resolve()) if self.is_folder else self.source

    @property
    def space(self) -> str:
        """Motion space that it is driven in."""
        return _renderer(self.source, self.device).spec.motion_space if self.renders else "arkit"


def source_portrait(
    case: Case, corpus: Corpus, picture: Image, space: str = "arkit", scale: float = 1.0
) -> Portrait:
    """The case's portrait."""
    face = corpus.track(case.source, space).face(case.source_frame)
    return portrait_of_face(picture, face, corpus.tracker(space), scale)


def asked_motion(
    case: Case, corpus: Corpus, folder: Path, portrait: Portrait, space: str = "arkit", scale: float = 1.0
) -> Motion:
    """What the case asks the portrait to do: one frame for each of the driver's from ``start`` to ``stop``.

    Args:
        case: of a protocol.
        corpus: its clips.
        folder: of the protocol, where motion files lie.
        portrait: the case's, in the same space and scale.
        space: of the motion.
        scale: of the crop.

    Raises:
        MotionSpaceMismatch: a motion file of another space.
        BadValue: a driver that is too short.
    """
    if case.drives_with_motion:
        motion = load_motion(folder / case.driver)
        if motion.space.name != space:
            raise MotionSpaceMismatch(motion.space.name, space, f"case {case.name}")
        expect_frames(case, case.driver, len(motion), case.stop)
        return _placed(motion[case.start : case.stop], portrait.motion)
    track = corpus.track(case.driver, space)
    expect_frames(case, case.driver, len(track), case.stop)
    part, tracker = slice(case.start, case.stop), corpus.tracker(space)
    if case.driver == case.source:
        return tracker.motion(track.coefficients[part], portrait.crop, track.fps, track.observed[part])
    crop = Crop.around(track.face(case.start).box_px, scale)
    motion = tracker.motion(track.coefficients[part], crop, track.fps, track.observed[part])
    return transfer(motion, portrait.motion, case.transfer, "first")


def expect_frames(case: Case, name: str, there: int, needed: int) -> None:
    """A protocol from elsewhere may ask for more than a clip or motion file has.

    Raises:
        BadValue: it does.
    """
    if there < needed:
        raise BadValue(
            f"{name} has {there} frames and the case {case.name} needs {needed}; mend protocol.json"
        )


def _placed(motion: Motion, own: Motion) -> Motion:
    """Made motions say nothing of where the head is in the picture: it stays where it is."""
    values, space = motion.values.copy(), motion.space
    columns = [space.index(name) for name in _names(space) if name in _PLACE]
    values[:, columns] = own.values[0, columns]
    return motion.with_values(values)


def _names(space: MotionSpace) -> tuple[str, ...]:
    return tuple(space.names)


def pictures_of(
    model: Model, case: Case, corpus: Corpus, folder: Path, picture: Image
) -> tuple[Iterator[Image], bool]:
    """What a model makes of a case, whole pictures of the source's size, lazily; and whether they were resized.

    Args:
        model: what is evaluated.
        case: of a protocol.
        corpus: its clips.
        folder: of the protocol.
        picture: the source.

    Raises:
        MediaUnreadable: a folder of results without this case.
        BadValue: results of another shape than the source.
    """
    if model.source == REPEATED:
        return repeat(picture, case.stop - case.start), False
    if model.is_folder:
        return _read(_result_of(Path(model.source), case.name), picture)
    renderer = _renderer(model.source, model.device)
    space, scale = renderer.spec.motion_space, renderer.spec.crop_scale
    portrait = source_portrait(case, corpus, picture, space, scale)
    motion = asked_motion(case, corpus, folder, portrait, space, scale)
    parts = list(motion) if case.stills else motion
    avatar = _avatar(model, case, corpus.folder, portrait)
    return (frame.image for frame in animate(portrait, parts, renderer, avatar=avatar)), False


_AVATARS: dict[tuple[str, str, Path, str, int], Any] = {}
_MOST_AVATARS = 16


def _avatar(model: Model, case: Case, folder: Path, portrait: Portrait) -> Any:
    """Of the case's portrait; the last ones are kept, as one source has several drivers and enrolling can be slow."""
    key = (model.source, model.fingerprint, folder, case.source, case.source_frame)
    if key not in _AVATARS:
        avatar = _renderer(model.source, model.device).enroll(portrait)
        while len(_AVATARS) >= _MOST_AVATARS:
            del _AVATARS[next(iter(_AVATARS))]
        _AVATARS[key] = avatar
    return _AVATARS[key]


def last_change(model: Model, name: str) -> float:
    """When another program last wrote its result of a case, in seconds since 1970; 0 for models of ours."""
    if not model.is_folder:
        return 0.0
    try:
        result = _result_of(Path(model.source), name)
        parts = (result, *(result.iterdir() if result.is_dir() else ()))
        return max(float(path.stat().st_mtime) for path in parts)
    except (MediaUnreadable, OSError):
        return 0.0


def _result_of(folder: Path, name: str) -> Path:
    for suffix in ("", ".mp4", ".mkv", ".mov", ".webm", ".avi"):
        path = folder / f"{name}{suffix}"
        if path.is_dir() if not suffix else path.is_file():
            return path
    raise MediaUnreadable(
        folder / name, "there is no result of this case", f"write {name}.mp4, or PNG frames into {name}/"
    )


def _read(path: Path, source: Image) -> tuple[Iterator[Image], bool]:
    height, width = source.shape[:2]
    with VideoReader(path) as video:
        shape = (video.height, video.width)
    if shape == (height, width):
        return _frames(path, None), False
    if abs((shape[1] / shape[0]) / (width / height) - 1) > _MOST_STRETCH:
        raise BadValue(
            f"{path} is {shape[1]} x {shape[0]} and the source {width} x {height}; write results of the source's shape"
        )
    return _frames(path, (width, height)), True


def _frames(path: Path, size: tuple[int, int] | None) -> Iterator[Image]:
    with VideoReader(path) as video:
        for frame in video.frames():
            if size is None:
                yield frame.image
                continue
            how = cv2.INTER_AREA if frame.image.shape[1] > size[0] else cv2.INTER_CUBIC
            yield np.asarray(cv2.resize(frame.image, size, interpolation=how), np.uint8)


def source_picture(case: Case, corpus: Corpus) -> Image:
    """The frame that is the case's portrait.

    Raises:
        BadValue: the clip is shorter.
    """
    picture = next(pictures_at(corpus.folder / case.source, [case.source_frame]), None)
    if picture is None:
        raise BadValue(
            f"{case.source} has no frame {case.source_frame} for the case {case.name}; mend protocol.json"
        )
    return picture


@lru_cache(maxsize=2)
def _renderer(source: str, device: str) -> Renderer[Any]:
    return load_renderer(source, device)
