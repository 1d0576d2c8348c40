"""Protocol "talking": a clip's own sound drives its first frame; lips are compared with those that were filmed.

Nothing is rendered. Truth: the tracker's landmarks, with the head's pose taken out. Result: the first frame's face, its
lips moved by the default face model. So the figures are those of the motion, whatever renders it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from countenance.arrays import Doubles, Floats
from countenance.audio.features import SpeechFeatures, speech_features
from countenance.audio.samples import read_samples
from countenance.evaluation.tracked_clip import tracked_clip
from countenance.face.mediapipe_model import mediapipe_model, pose_weights
from countenance.face.mediapipe_topology import INNER_LIPS_LOWER, INNER_LIPS_UPPER, REGIONS
from countenance.face.procrustes import similarity
from countenance.motion.sequence import Motion
from countenance.motion.spaces import ARKIT
from countenance.trackers.tracker import Tracker

Speaker = Callable[[SpeechFeatures, Motion], Motion]
"""Features and the portrait's own motion (one frame) -> its motion while it says that."""

_LIPS = list(REGIONS["lips"])
_INNER: tuple[tuple[int, ...], ...] = (INNER_LIPS_UPPER, INNER_LIPS_LOWER)
_MIDDLE = slice(3, 8)  # of the inner lips' chains: without the corners, which hardly part
_FACE = (10, 152)  # top of the forehead and tip of the chin
_SHAPES = 52


@dataclass(frozen=True)
class TalkScores:
    """Means over the frames of a clip.

    Attributes:
        lip_distance_percent: LMD: distance of lip landmarks to the truth, in percent of the face's height.
        opening_correlation: of the inner lips' distance with the truth's, over time; 0 for lips that do not move.
        jaw_correlation: of ``jawOpen`` with the tracked one.
    """

    lip_distance_percent: float
    opening_correlation: float
    jaw_correlation: float


@dataclass(frozen=True, eq=False)
class FilmedSpeech:
    """A clip of somebody who speaks, ready for comparison.

    Attributes:
        name: of the file.
        features: of its sound.
        motion: (T, 58) as tracked.
        lips: (T, L, 2) lip landmarks in cm of the head frame.
        neutral: (478, 3) the person's face at rest, as far as the first frame tells, in cm.
    """

    name: str
    features: SpeechFeatures
    motion: Motion
    lips: Doubles
    neutral: Doubles


def filmed_speech(clip: Path, tracker: Tracker, fps: float = 25.0) -> FilmedSpeech:
    """Track a clip and hear it.

    Args:
        clip: a video of one person who speaks.
        tracker: of ``arkit``.
        fps: of the clip.

    Raises:
        NoFaceFound: in no frame.
        MediaUnreadable: no sound.
    """
    features = speech_features(read_samples(clip))
    faces = tracked_clip(clip, tracker).faces
    values = np.stack([face.coefficients for face in faces])
    motion = Motion(values, ARKIT, fps)
    model = mediapipe_model()
    upright = [face.landmarks_px * np.array([1, -1, 1]) for face in faces]
    steadied = np.stack([_steadied(points, model.mean) for points in upright])
    neutral = steadied[0] - np.tensordot(values[0, :_SHAPES], model.expression_basis, 1)
    return FilmedSpeech(clip.name, features, motion, steadied[:, _LIPS, :2], neutral)


def talking(filmed: FilmedSpeech, speakers: Mapping[str, Speaker]) -> dict[str, TalkScores]:
    """Scores of several ways to speak, by their names."""
    return {name: _scores(filmed, speaker) for name, speaker in speakers.items()}


def mean_talk_scores(scores: list[TalkScores]) -> TalkScores:
    """Field by field."""
    return TalkScores(*(float(np.mean([getattr(s, f.name) for s in scores])) for f in fields(TalkScores)))


def closed_mouth(features: SpeechFeatures, own: Motion) -> Motion:
    """Baseline (a): lips at rest."""
    values = np.repeat(own.values, len(features), 0)
    values[:, ARKIT.region_indices("lips")] = 0
    return Motion(values, ARKIT, 25.0)


def loudness_jaw(features: SpeechFeatures, own: Motion) -> Motion:
    """Baseline (b): the louder, the wider open; the gain fits our training clips best (see benchmarks/talking.py)."""
    values = closed_mouth(features, own).values.copy()
    loudness = np.convolve(features.loudness, np.ones(3) / 3, "same")
    values[:, ARKIT.index("jawOpen")] = 0.12 * loudness
    return Motion(values, ARKIT, 25.0)


def lip_opening(lips: Doubles) -> Doubles:
    """(T,) mean distance of the inner lips of (T, L, 2) lip landmarks."""
    upper, lower = ([_LIPS.index(v) for v in chain[_MIDDLE]] for chain in _INNER)
    distances = np.linalg.norm(lips[:, upper] - lips[:, lower], axis=2)
    return np.asarray(distances.mean(1), np.float64)


def lips_of(motion: Motion, neutral: Doubles) -> Doubles:
    """(T, L, 2) lip landmarks of a face (478, 3) that moves, in its unit."""
    basis = mediapipe_model().expression_basis[:, _LIPS, :2]
    return neutral[_LIPS, :2] + np.tensordot(motion.values[:, :_SHAPES].astype(np.float64), basis, 1)


def _scores(filmed: FilmedSpeech, speaker: Speaker) -> TalkScores:
    said = speaker(filmed.features, filmed.motion[0]).resample(filmed.motion.fps)
    count = min(len(said), len(filmed.motion))
    lips, truth = lips_of(said[:count], filmed.neutral), filmed.lips[:count]
    height = float(np.linalg.norm(filmed.neutral[_FACE[0]] - filmed.neutral[_FACE[1]]))
    return TalkScores(
        float(100 * np.linalg.norm(lips - truth, axis=2).mean() / height),
        _correlation(lip_opening(lips), lip_opening(truth)),
        _correlation(said["jawOpen"][:count], filmed.motion["jawOpen"][:count]),
    )


def _steadied(points: Doubles, mean: Floats) -> Doubles:
    """(478, 3) landmarks in the head frame of the canonical face, in cm."""
    scale, rotation, shift = similarity(points, mean, pose_weights())
    return scale * points @ rotation.T + shift


def _correlation(one: Doubles | Floats, other: Doubles | Floats) -> float:
    if one.std() < 1e-6 or other.std() < 1e-6:
        return 0.0
    return float(np.corrcoef(one, other)[0, 1])
