"""Protocol "cross-driving": a person's first frame is driven by another person's clip; there is no true picture.

Source: the first frame with a face. Driver: the other clip's motion, absolute, relative to the crop around its own
first face. What is asked for is the driver's expression and pose on the source's face, so the tracker is run again on
the result and compared with its track of the driver. Baseline: the source frame repeated.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from countenance.animation import animate
from countenance.arrays import Doubles
from countenance.errors import NoFaceFound
from countenance.evaluation.metrics.identity import face_embedding, identity_cosine_dlib
from countenance.evaluation.metrics.motion import expression_error_arkit, pose_error_deg
from countenance.evaluation.metrics.perceptual import features_lite0, frechet_lite0
from countenance.evaluation.tracked_clip import tracked_clip
from countenance.motion.transfer import transfer
from countenance.renderers.renderer import Renderer
from countenance.trackers.portraits import portrait_of_face
from countenance.trackers.tracker import Tracker


@dataclass(frozen=True)
class CrossScores:
    """Means over frames; definitions in :mod:`countenance.evaluation.metrics`."""

    expression_error_arkit: float
    pose_error_deg: float
    identity_cosine_dlib: float


@dataclass(frozen=True)
class CrossDriving:
    """Result for one pair of clips.

    Attributes:
        source: name of the file whose first frame is driven.
        driver: name of the file that drives.
        frames: how many were looked at.
        lost: how many results showed no face to the tracker; left out of ``model``.
        model: the renderer's scores.
        repeated: those of the source frame repeated.
        features: (N, 1280) each of results, of the source's clip, and of the source frame repeated, for
            :func:`cross_frechet`.
    """

    source: str
    driver: str
    frames: int
    lost: int
    model: CrossScores
    repeated: CrossScores
    features: tuple[Doubles, Doubles, Doubles]


def cross_pairs(clips: list[Path]) -> list[tuple[Path, Path]]:
    """Every clip once as the source, each with a driver of another person; the same pairs for the same clips.

    A clip's person is its name up to the last underscore.
    """
    ordered = sorted(clips)
    offset, pairs = max(1, len(ordered) // 3), []
    for i, source in enumerate(ordered):
        others = (ordered[(i + offset + k) % len(ordered)] for k in range(len(ordered)))
        driver = next((o for o in others if _person(o) != _person(source)), None)
        if driver is not None:
            pairs.append((source, driver))
    return pairs


def cross_driving(
    source: Path,
    driver: Path,
    renderer: Renderer[Any],
    tracker: Tracker,
    every: int = 10,
    most: int | None = None,
) -> CrossDriving:
    """Run the protocol on a pair.

    Args:
        source: a video of one person.
        driver: a video of another.
        renderer: what is measured.
        tracker: of the renderer's motion space.
        every: look at every n-th frame; all are rendered, since renderers look at neighbours.
        most: use the first frames only, as many as this.

    Raises:
        NoFaceFound: in no frame of one of them.
    """
    person, mover = (tracked_clip(path, tracker, most) for path in (source, driver))
    scale = renderer.spec.crop_scale
    portrait = portrait_of_face(person.pictures[0], person.faces[0], tracker, scale)
    ahead = portrait_of_face(mover.pictures[0], mover.faces[0], tracker, scale)
    coefficients = np.stack([face.coefficients for face in mover.faces])
    motion = transfer(tracker.motion(coefficients, ahead.crop, 25.0), portrait.motion, "absolute")
    own, still = face_embedding(person.pictures[0], person.faces[0].box_px), person.faces[0].coefficients
    model, repeated, features, lost = [], [], [], 0
    for i, (frame, wanted) in enumerate(zip(animate(portrait, motion, renderer), coefficients, strict=True)):
        if i % every:
            continue
        again = tracker.faces(frame.image)
        if not again:
            lost += 1
            continue
        found = again[0].coefficients
        identity = identity_cosine_dlib(face_embedding(frame.image, again[0].box_px), own)
        model.append((expression_error_arkit(found, wanted), pose_error_deg(found, wanted), identity))
        repeated.append((expression_error_arkit(still, wanted), pose_error_deg(still, wanted), 1.0))
        features.append(features_lite0(frame.image))
    if not model:
        raise NoFaceFound(f"any result of {source.name} driven by {driver.name}")
    real = np.stack([features_lite0(picture) for picture in person.pictures[::every]])
    unmoved = np.tile(features_lite0(person.pictures[0]), (len(features), 1))
    return CrossDriving(
        source.name,
        driver.name,
        len(model) + lost,
        lost,
        CrossScores(*np.mean(model, 0).tolist()),
        CrossScores(*np.mean(repeated, 0).tolist()),
        (np.stack(features), real, unmoved),
    )


def cross_frechet(results: list[CrossDriving]) -> tuple[float, float]:
    """Fréchet distance (EfficientNet-Lite0) to the sources' own clips, all pairs: of the model, of sources repeated."""
    model, real, still = (np.concatenate([r.features[k] for r in results]) for k in range(3))
    return frechet_lite0(model, real), frechet_lite0(still, real)


def _person(clip: Path) -> str:
    return clip.stem.rpartition("_")[0] or clip.stem
