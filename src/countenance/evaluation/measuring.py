"""One case, measured while its pictures come; memory does not grow with their number."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np

from countenance.arrays import Doubles, Floats, Image
from countenance.evaluation.corpus import Corpus
from countenance.evaluation.metrics import pixels
from countenance.evaluation.metrics.arcface import face_embedding_arcface, identity_cosine_arcface
from countenance.evaluation.metrics.catalogue import BEST_PSNR
from countenance.evaluation.metrics.fid import features_inception
from countenance.evaluation.metrics.identity import face_embedding, identity_cosine_dlib
from countenance.evaluation.metrics.lpips import lpips
from countenance.evaluation.metrics.motion import (
    expression_error_arkit,
    landmark_distance_percent,
    lip_distance_percent,
    opening_correlation,
    pose_error_deg,
)
from countenance.evaluation.metrics.perceptual import features_lite0, perceptual_lite0
from countenance.evaluation.metrics.sharpness import SMALLEST_CPBD, cpbd
from countenance.evaluation.metrics.temporal import flicker, landmark_jitter_percent
from countenance.evaluation.models import expect_frames
from countenance.evaluation.protocols.protocol import Case
from countenance.evaluation.protocols.sizes import spread
from countenance.evaluation.tracks import pictures_at
from countenance.media.frames import Frame
from countenance.trackers.tracker import Face

_THUMBNAIL = (32, 32)
_POINTS = 478
_NO_STEP = 1e-9


class Moment(NamedTuple):
    """One compared frame.

    Attributes:
        picture: the result.
        face: found in it; None where none was.
        truth: the true picture; None where there is none.
        true_face: found in that.
        asked: (58,) the motion that was asked for.
        own: identity metric -> the source's embedding, for those that are measured.
    """

    picture: Image
    face: Face | None
    truth: Image | None
    true_face: Face | None
    asked: Floats
    own: dict[str, Doubles]


def _true(compare: Callable[[Image, Image], float]) -> Callable[[Moment], float]:
    return lambda m: float("nan") if m.truth is None else compare(m.picture, m.truth)


def _if_large(side: int, measure: Callable[[Moment], float]) -> Callable[[Moment], float]:
    """Some metrics are defined for pictures of this many px a side or more."""
    return lambda m: measure(m) if min(m.picture.shape[:2]) >= side else float("nan")


def _true_landmarks(compare: Callable[[Floats, Floats], float]) -> Callable[[Moment], float]:
    return lambda m: (
        float("nan")
        if m.face is None or m.true_face is None
        else compare(m.face.landmarks_px, m.true_face.landmarks_px)
    )


def _asked(compare: Callable[[Floats, Floats], float]) -> Callable[[Moment], float]:
    return lambda m: float("nan") if m.face is None else compare(m.face.coefficients, m.asked)


def _identity_dlib(m: Moment) -> float:
    own = m.own.get("identity_cosine_dlib")
    if own is None or m.face is None:
        return float("nan")
    return identity_cosine_dlib(face_embedding(m.picture, m.face.box_px), own)


def _identity_arcface(m: Moment) -> float:
    own = m.own.get("identity_cosine_arcface")
    if own is None or m.face is None:
        return float("nan")
    return identity_cosine_arcface(face_embedding_arcface(m.picture, m.face.landmarks_px), own)


OF_MOMENTS: dict[str, Callable[[Moment], float]] = {
    "l1": _true(pixels.l1),
    "psnr": _true(lambda a, b: min(pixels.psnr(a, b), BEST_PSNR)),
    "ssim": _true(pixels.ssim),
    "ms_ssim": _if_large(pixels.SMALLEST_MS_SSIM, _true(pixels.ms_ssim)),
    "perceptual_lite0": _true(perceptual_lite0),
    "expression_error_arkit": _asked(expression_error_arkit),
    "pose_error_deg": _asked(pose_error_deg),
    "landmark_distance_percent": _true_landmarks(landmark_distance_percent),
    "lip_distance_percent": _true_landmarks(lip_distance_percent),
    "lpips_alex": _true(lambda a, b: lpips(a, b, "alex")),
    "lpips_vgg": _true(lambda a, b: lpips(a, b, "vgg")),
    "identity_cosine_dlib": _identity_dlib,
    "identity_cosine_arcface": _identity_arcface,
    "cpbd": _if_large(SMALLEST_CPBD, lambda m: cpbd(m.picture)),
}
"""Metrics of single frames; a case has their means."""

OF_SETS: dict[str, Callable[[Image], Doubles]] = {"frechet_lite0": features_lite0, "fid": features_inception}
"""Metrics of all pictures together, and the features that they compare."""


@dataclass(eq=False)
class Measured:
    """What came out.

    Attributes:
        values: metric -> mean over the frames where it is defined; NaN where it is nowhere.
        frames: how many pictures came.
        compared: how many of those that were to be compared came.
        lost: in how many of these the tracker finds no face; what needs one is not measured there.
        features: metric of :data:`OF_SETS` -> features of the compared results.
    """

    values: dict[str, float]
    frames: int
    compared: int
    lost: int
    features: dict[str, list[Doubles]]


class Measuring:
    """Measures the pictures of one case.

    Args:
        case: of a protocol.
        corpus: its clips.
        asked: (stop - start, 58) motion that the result is to show, in ``arkit``.
        picture: the source.
        metrics: names of :data:`countenance.evaluation.metrics.catalogue.METRICS`.
    """

    def __init__(
        self, case: Case, corpus: Corpus, asked: Floats, picture: Image, metrics: tuple[str, ...]
    ) -> None:
        self._case, self._corpus, self._asked = case, corpus, asked
        self._metrics = metrics
        if case.truth:
            expect_frames(case, case.truth, len(corpus.track(case.truth)), max(case.compared) + 1)
        self._truths = pictures_at(corpus.folder / case.truth, list(case.compared)) if case.truth else None
        face = corpus.track(case.source).face(case.source_frame)
        self._own: dict[str, Doubles] = {}
        if "identity_cosine_dlib" in metrics:
            self._own["identity_cosine_dlib"] = face_embedding(picture, face.box_px)
        if "identity_cosine_arcface" in metrics:
            self._own["identity_cosine_arcface"] = face_embedding_arcface(picture, face.landmarks_px)
        self._rows: dict[str, list[float]] = {}
        self._features: dict[str, list[Doubles]] = {name: [] for name in OF_SETS if name in metrics}
        self._steps: list[float] = []
        self._before: Image | None = None
        self._lost = 0

    def run(self, pictures: Iterable[Image]) -> Measured:
        """Take all pictures, as they come."""
        landmarks: list[Floats] = []
        thumbnails: list[Image] = []
        current: list[Image] = []

        def watched() -> Iterator[Frame]:
            for i, picture in zip(range(self._case.stop - self._case.start), pictures, strict=False):
                current[:] = [picture]
                thumbnails.append(
                    np.asarray(cv2.resize(picture, _THUMBNAIL, interpolation=cv2.INTER_AREA), np.uint8)
                )
                yield Frame(picture, i / 25)

        compared = set(self._case.compared)
        count = 0
        for i, face in enumerate(self._faces(watched())):
            count = i + 1
            landmarks.append(np.full((_POINTS, 3), np.nan, np.float32) if face is None else face.landmarks_px)
            if self._case.start + i in compared:
                self._compare(i, current[0], face)
        values = {name: _mean(rows) for name, rows in self._rows.items()}
        values |= self._over_time(landmarks, thumbnails)
        there = sum(1 for c in compared if c - self._case.start < count)
        return Measured(values, count, there, self._lost, self._features)

    def _faces(self, frames: Iterator[Frame]) -> Iterator[Face | None]:
        tracker = self._corpus.tracker()
        if self._case.stills:
            return (next(iter(tracker.faces(frame.image)), None) for frame in frames)
        return tracker.follow(frames)

    def _compare(self, i: int, picture: Image, face: Face | None) -> None:
        case = self._case
        truth = next(self._truths) if self._truths is not None else None
        if "unevenness_lite0" in self._metrics and case.drives_with_motion and not case.stills:
            if self._before is not None:
                self._steps.append(perceptual_lite0(picture, self._before))
            self._before = picture
        for name, rows in self._features.items():
            rows.append(OF_SETS[name](picture))
        self._lost += face is None
        true_face = self._corpus.track(case.truth).face(case.start + i) if case.truth else None
        moment = Moment(picture, face, truth, true_face, self._asked[i], self._own)
        for name, measure in OF_MOMENTS.items():
            if name in self._metrics:
                self._rows.setdefault(name, []).append(measure(moment))

    def _over_time(self, landmarks: list[Floats], thumbnails: list[Image]) -> dict[str, float]:
        values: dict[str, float] = {}
        if not landmarks or self._case.stills:
            return values
        points = np.stack(landmarks)
        if "landmark_jitter_percent" in self._metrics:
            values["landmark_jitter_percent"] = landmark_jitter_percent(points)
        if "flicker" in self._metrics:
            values["flicker"] = flicker(thumbnails)
        if "opening_correlation" in self._metrics and not self._case.drives_with_motion:
            driver = self._corpus.track(self._case.driver)
            part = slice(self._case.start, self._case.start + len(points))
            wanted = np.where(driver.observed[part, None, None], driver.landmarks_px[part], np.nan)
            values["opening_correlation"] = opening_correlation(points, wanted)
        if self._steps:
            steps = np.array(self._steps)
            values["unevenness_lite0"] = float(steps.max() / max(float(steps.mean()), _NO_STEP))
        return values


def true_pictures(case: Case, corpus: Corpus) -> Iterator[Image]:
    """What sets of results are compared with: the truth; some of the source's own clip where there is none."""
    if case.truth:
        return pictures_at(corpus.folder / case.truth, list(case.compared))
    frames = spread(corpus.track(case.source).seen(), len(case.compared))
    return pictures_at(corpus.folder / case.source, list(frames))


def _mean(rows: list[float]) -> float:
    there = np.array(rows)[np.isfinite(rows)]
    return float(there.mean()) if len(there) else float("nan")
