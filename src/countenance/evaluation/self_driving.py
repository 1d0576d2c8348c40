"""Protocol "self-driving": a clip is driven from its first frame by its own motion, and compared with itself.

Source: the first frame with a face. Driver: the clip's motion, absolute, in the source's crop. Baseline: the source
frame repeated. The tracker is run again, frame by frame, on truth, result and baseline.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from countenance.animation import animate
from countenance.arrays import Doubles, Image
from countenance.evaluation.metrics.identity import face_embedding, identity_cosine_dlib
from countenance.evaluation.metrics.motion import (
    expression_error_arkit,
    landmark_distance_percent,
    pose_error_deg,
)
from countenance.evaluation.metrics.perceptual import features_lite0, frechet_lite0, perceptual_lite0
from countenance.evaluation.metrics.pixels import psnr, ssim
from countenance.evaluation.tracked_clip import tracked_clip
from countenance.renderers.renderer import Renderer
from countenance.trackers.portraits import portrait_of_face
from countenance.trackers.tracker import Face, Tracker


@dataclass(frozen=True)
class Scores:
    """Means over the frames of a clip; definitions in :mod:`countenance.evaluation.metrics`."""

    expression_error_arkit: float
    pose_error_deg: float
    landmark_distance_percent: float
    psnr: float
    ssim: float
    perceptual_lite0: float
    identity_cosine_dlib: float


@dataclass(frozen=True)
class SelfDriving:
    """Result for one clip.

    Attributes:
        clip: name of the file.
        frames: how many were compared.
        lost: how many results showed no face to the tracker; left out of ``model``.
        model: the renderer's scores.
        repeated: those of the source frame repeated.
        features: (N, 1280) each of the results, the truth and the source frame repeated, for
            :func:`frechet`.
    """

    clip: str
    frames: int
    lost: int
    model: Scores
    repeated: Scores
    features: tuple[Doubles, Doubles, Doubles]


def self_driving(clip: Path, renderer: Renderer[Any], tracker: Tracker, every: int = 3) -> SelfDriving:
    """Run the protocol on a clip.

    Args:
        clip: a video of one person.
        renderer: what is measured.
        tracker: of the renderer's motion space.
        every: compare every n-th frame; all are tracked and rendered, since renderers look at neighbours.

    Raises:
        NoFaceFound: in no frame that is compared.
    """
    tracked = tracked_clip(clip, tracker)
    first_picture, first = tracked.pictures[0], tracked.faces[0]
    portrait = portrait_of_face(first_picture, first, tracker, renderer.spec.crop_scale)
    motion = tracker.motion(np.stack([face.coefficients for face in tracked.faces]), portrait.crop, 25.0)
    own = face_embedding(first_picture, first.box_px)
    model, repeated, features, lost = [], [], [], 0
    frames = animate(portrait, motion, renderer)
    for i, (frame, truth, face) in enumerate(zip(frames, tracked.pictures, tracked.faces, strict=True)):
        if i % every:
            continue
        again = tracker.faces(frame.image)
        if not again:
            lost += 1
            continue
        model.append(_scores(frame.image, again[0], truth, face, own))
        repeated.append(_scores(first_picture, first, truth, face, own))
        features.append((features_lite0(frame.image), features_lite0(truth)))
    still = np.tile(features_lite0(first_picture), (len(features), 1))
    results, truths = (np.stack(column) for column in zip(*features, strict=True))
    return SelfDriving(
        clip.name,
        len(features) + lost,
        lost,
        mean_scores(model),
        mean_scores(repeated),
        (results, truths, still),
    )


def frechet(results: list[SelfDriving]) -> tuple[float, float]:
    """Fréchet distance (EfficientNet-Lite0) to the truth over all clips: of the model, of the source repeated."""
    model, truth, still = (np.concatenate([r.features[k] for r in results]) for k in range(3))
    return frechet_lite0(model, truth), frechet_lite0(still, truth)


def mean_scores(scores: list[Scores]) -> Scores:
    """Field by field; infinite PSNR (equal pictures) counts as 60 dB."""
    table = np.array([[getattr(s, f.name) for f in fields(Scores)] for s in scores])
    return Scores(*(float(v) for v in np.minimum(table, 60.0).mean(0)))


def _scores(picture: Image, found: Face, truth: Image, face: Face, own: Doubles) -> Scores:
    return Scores(
        expression_error_arkit(found.coefficients, face.coefficients),
        pose_error_deg(found.coefficients, face.coefficients),
        landmark_distance_percent(found.landmarks_px, face.landmarks_px),
        psnr(picture, truth),
        ssim(picture, truth),
        perceptual_lite0(picture, truth),
        identity_cosine_dlib(face_embedding(picture, found.box_px), own),
    )
