"""The default tracker: MediaPipe Face Landmarker, 478 landmarks and ARKit blendshapes."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from countenance.arrays import Floats, Image, Mask
from countenance.errors import FaceNotThere
from countenance.media.frames import Frame
from countenance.motion.mediapipe_shapes import arkit_from_mediapipe
from countenance.motion.sequence import Motion
from countenance.motion.spaces import ARKIT, MotionSpace
from countenance.portrait.crop import Crop
from countenance.trackers.arkit_pose import arkit_motion, picture_coefficients
from countenance.trackers.tracker import Face

MOST_FACES = 6
LARGEST_SIDE_PX = 1600  # the network sees a face at 256 px; larger pictures only cost time
_TILE_SHARES = (0.6, 0.35, 0.2)  # of the picture's longer side, for faces too small for the detector
_SMALLEST_TILE_PX = 64
_TILE_CONFIDENCE = 0.6  # many tiles are many chances to take something else for a face
_SMALL_FACE = 0.2  # of the picture's longer side
_SMALL_FACE_VIEW = 4.0  # side of the view in face extents
_SAME_FACE_OVERLAP = 0.2


@dataclass(frozen=True)
class _View:
    """The part of a picture that the network is shown, and how it is scaled."""

    left: int
    top: int
    width: int
    height: int

    @classmethod
    def whole(cls, image: Image) -> _View:
        return cls(0, 0, image.shape[1], image.shape[0])

    def cut(self, image: Image) -> Image:
        part = image[self.top : self.top + self.height, self.left : self.left + self.width]
        shrink = LARGEST_SIDE_PX / max(self.width, self.height)
        if shrink < 1:
            size = (max(1, round(self.width * shrink)), max(1, round(self.height * shrink)))
            part = np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_AREA), np.uint8)
        return np.ascontiguousarray(part)


class MediaPipeTracker:
    """Tracks in ``arkit``, on the CPU: MediaPipe's wheels have no GPU for Python that every machine could use.

    Args:
        bundle: path of ``face_landmarker.task`` (see :data:`countenance.weights.assets.FACE_LANDMARKER`).
    """

    def __init__(self, bundle: Path) -> None:
        self._bundle = bundle

    @property
    def space(self) -> MotionSpace:
        """``arkit``."""
        return ARKIT

    def faces(self, image: Image) -> list[Face]:
        """All faces in a still picture, largest first; see :class:`~countenance.trackers.tracker.Tracker`."""
        with self._landmarker(MOST_FACES, video=False) as landmarker:
            found = _seen(landmarker, image, _View.whole(image))
        if not found:
            found = self._faces_in_tiles(image)
        return _distinct(sorted(found, key=_area, reverse=True))

    def follow(self, frames: Iterable[Frame], face: int = 1) -> Iterator[Face | None]:
        """One face through consecutive frames; see :class:`~countenance.trackers.tracker.Tracker`."""
        following: _Following | None = None
        try:
            for frame in frames:
                if following is None:
                    found = self.faces(frame.image)
                    if not found:
                        yield None
                        continue
                    if not 1 <= face <= len(found):
                        raise FaceNotThere("the first frame with a face", face, len(found))
                    following = _Following(self, found[face - 1], len(found), frame.image)
                yield following.step(frame)
        finally:
            if following is not None:
                following.close()

    def motion(self, coefficients: Floats, crop: Crop, fps: float, observed: Mask | None = None) -> Motion:
        """See :func:`countenance.trackers.arkit_pose.arkit_motion`."""
        return arkit_motion(coefficients, crop, fps, observed)

    def _faces_in_tiles(self, image: Image) -> list[Face]:
        with self._landmarker(MOST_FACES, video=False, confidence=_TILE_CONFIDENCE) as landmarker:
            views = [view for side in _tile_sides(image) for view in _tiles(image, side)]
            return [face for view in views for face in _seen(landmarker, image, view)]

    def _landmarker(self, most_faces: int, video: bool, confidence: float = 0.5) -> Any:
        from mediapipe.tasks.python import BaseOptions
        from mediapipe.tasks.python.vision import FaceLandmarker, FaceLandmarkerOptions, RunningMode

        options = FaceLandmarkerOptions(
            base_options=BaseOptions(model_asset_path=str(self._bundle)),
            running_mode=RunningMode.VIDEO if video else RunningMode.IMAGE,
            num_faces=most_faces,
            output_face_blendshapes=True,
            min_face_detection_confidence=confidence,
        )
        with _native_stderr_silenced():
            return FaceLandmarker.create_from_options(options)


class _Following:
    """One face in a running video: MediaPipe's own tracking, checked for swaps of faces."""

    def __init__(self, tracker: MediaPipeTracker, start: Face, faces: int, image: Image) -> None:
        self._tracker, self._faces = tracker, faces
        self._last = start
        self._view = _view_of(start, image)
        self._landmarker = tracker._landmarker(faces, video=True)
        self._clock_ms = 0

    def step(self, frame: Frame) -> Face | None:
        """The face in the next frame, or None."""
        self._clock_ms += 33  # the clock only has to rise; the filter behind it assumes video rate
        seen = _seen(self._landmarker, frame.image, self._view, self._clock_ms)
        best = max(seen, key=lambda f: _overlap(f, self._last), default=None)
        if best is None or _overlap(best, self._last) < _SAME_FACE_OVERLAP:
            best = self._found_again(frame.image)
        if best is not None:
            self._last = best
            if not _well_inside(best, self._view, frame.image):
                self._restart(best, frame.image)
        return best

    def close(self) -> None:
        """Frees the network."""
        self._landmarker.close()

    def _found_again(self, image: Image) -> Face | None:
        nearest = max(self._tracker.faces(image), key=lambda f: _overlap(f, self._last), default=None)
        alone = self._faces == 1  # a lone face that jumped (a cut in the film) is still the one to follow
        if nearest is None or not (alone or _overlap(nearest, self._last) > 0):
            return None
        self._restart(nearest, image)
        return nearest

    def _restart(self, face: Face, image: Image) -> None:
        view = _view_of(face, image)
        if view != self._view:
            self._view = view
            self._landmarker.close()
            self._landmarker = self._tracker._landmarker(self._faces, video=True)


def _seen(landmarker: Any, image: Image, view: _View, clock_ms: int | None = None) -> list[Face]:
    import mediapipe

    picture = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=view.cut(image))
    with _native_stderr_silenced():
        result = (
            landmarker.detect(picture) if clock_ms is None else landmarker.detect_for_video(picture, clock_ms)
        )
    faces = []
    for points, scores in zip(result.face_landmarks, result.face_blendshapes, strict=True):
        landmarks = np.array([(p.x, p.y, p.z) for p in points], np.float32)
        landmarks *= (view.width, view.height, -view.width)
        landmarks[:, :2] += (view.left, view.top)
        shapes = arkit_from_mediapipe((s.category_name, s.score) for s in scores)
        if np.isfinite(landmarks).all():
            faces.append(Face(landmarks, picture_coefficients(landmarks, shapes)))
    return faces


@contextmanager
def _native_stderr_silenced() -> Iterator[None]:
    """MediaPipe's C++ logs greetings to file descriptor 2, which no Python setting turns off."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _tile_sides(image: Image) -> list[int]:
    sides = (int(max(image.shape[:2]) * share) for share in _TILE_SHARES)
    return [side for side in sides if side >= _SMALLEST_TILE_PX]


def _tiles(image: Image, side: int) -> Iterator[_View]:
    """Squares of one size that overlap by half or more and cover the picture."""
    height, width = image.shape[:2]
    for top in _starts(height, side):
        for left in _starts(width, side):
            yield _View(left, top, min(side, width), min(side, height))


def _starts(length: int, side: int) -> list[int]:
    if side >= length:
        return [0]
    count = int(np.ceil((length - side) / (side / 2))) + 1
    return [round(v) for v in np.linspace(0, length - side, count)]


def _view_of(face: Face, image: Image) -> _View:
    """The whole picture, or for a face that is small in it a square around the face."""
    height, width = image.shape[:2]
    left, top, right, bottom = face.box_px
    extent = max(right - left, bottom - top)
    if extent >= _SMALL_FACE * max(height, width):
        return _View.whole(image)
    side = int(_SMALL_FACE_VIEW * extent)
    x = int(np.clip((left + right - side) / 2, 0, max(width - side, 0)))
    y = int(np.clip((top + bottom - side) / 2, 0, max(height - side, 0)))
    return _View(x, y, min(side, width), min(side, height))


def _well_inside(face: Face, view: _View, image: Image) -> bool:
    if view == _View.whole(image):
        return True
    left, top, right, bottom = face.box_px
    rim = 0.1 * view.width
    inside = (
        (left > view.left + rim, view.left == 0),
        (top > view.top + rim, view.top == 0),
        (right < view.left + view.width - rim, view.left + view.width == image.shape[1]),
        (bottom < view.top + view.height - rim, view.top + view.height == image.shape[0]),
    )
    return all(clear or at_border for clear, at_border in inside)


def _area(face: Face) -> float:
    left, top, right, bottom = face.box_px
    return float((right - left) * (bottom - top))


def _overlap(a: Face, b: Face) -> float:
    """Intersection over union of two faces' boxes."""
    first, second = a.box_px, b.box_px
    width, height = (min(first[i + 2], second[i + 2]) - max(first[i], second[i]) for i in (0, 1))
    if width <= 0 or height <= 0:
        return 0.0
    shared = float(width * height)
    return shared / (_area(a) + _area(b) - shared)


def _distinct(faces: list[Face]) -> list[Face]:
    """Each face once, though several tiles may show it."""
    kept: list[Face] = []
    for face in faces:
        if all(_overlap(face, other) < 0.5 for other in kept):
            kept.append(face)
    return kept
