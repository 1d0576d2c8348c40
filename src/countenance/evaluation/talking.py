"""Protocol "talking": a clip's own sound drives its first frame; lips are compared with those that were filmed.

Nothing is rendered. Truth: the tracker's landmarks, with the head's pose taken out. Result: the first frame's face, its
lips moved by the default face model. So the figures are those of the motion, whatever renders it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

from countenance.arrays import Doubles, Floats
from countenance.audio.features import FPS, SpeechFeatures, speech_features
from countenance.audio.samples import read_samples
from countenance.errors import NoFaceFound
from countenance.face.mediapipe_model import mediapipe_model, pose_weights
from countenance.face.mediapipe_topology import INNER_LIPS_LOWER, INNER_LIPS_UPPER, REGIONS
from countenance.face.procrustes import similarity
from countenance.media.video import VideoReader
from countenance.motion.sequence import Motion
from countenance.motion.spaces import ARKIT
from countenance.portrait.crop import Crop
from countenance.speech.performance import laid_onto
from countenance.trackers.tracker import Face, Tracker, bridged

Speaker = Callable[[SpeechFeatures, Motion], Motion]
"""Features and the portrait's own motion (one frame) -> its motion while it says that."""

_LIPS = list(REGIONS["lips"])
_INNER: tuple[tuple[int, ...], ...] = (INNER_LIPS_UPPER, INNER_LIPS_LOWER)
_MIDDLE = slice(3, 8)  # of the inner lips' chains: without the corners, which hardly part
_FACE = (10, 152)  # top of the forehead and tip of the chin
_SHAPES = 52
_STILL = 1e-6  # spread below which nothing moves

LOUDNESS_GAIN = 0.230
"""``jawOpen`` at full loudness: least squares over our training clips (``benchmarks/talking.py --fit-gain``)."""

_LEAD = 1  # frames by which mouths are ahead of the sound; fits both test clips and synthetic voices best


@dataclass(frozen=True)
class TalkScores:
    """Means over the frames of a clip.

    Attributes:
        lip_distance_percent: LMD: distance of lip landmarks to the truth, in percent of the face's height.
        opening_correlation: of the inner lips' distance with the truth's, over time; 0 for lips that do not move.
        jaw_correlation: of ``jawOpen`` with the tracked one.
        movement: how far the mouth opens and closes: spread of the inner lips' distance over the truth's.
    """

    lip_distance_percent: float
    opening_correlation: float
    jaw_correlation: float
    movement: float


@dataclass(frozen=True, eq=False)
class FilmedSpeech:
    """A clip of somebody who speaks, ready for comparison.

    Attributes:
        name: of the file.
        features: of its sound.
        motion: (T, 58) as tracked, relative to the crop that a portrait of its first face has; bridged and not
            ``observed`` where no face was seen.
        lips: (T, L, 2) lip landmarks in cm of the head frame, likewise.
        neutral: (478, 3) the person's face at rest, as far as the first frame tells, in cm.
    """

    name: str
    features: SpeechFeatures
    motion: Motion
    lips: Doubles
    neutral: Doubles

    @property
    def frames(self) -> NDArray[np.intp]:
        """Numbers of the frames with a face."""
        observed = self.motion.observed
        return np.arange(len(self.motion)) if observed is None else np.flatnonzero(observed)


def filmed_speech(clip: Path, tracker: Tracker) -> FilmedSpeech:
    """Track a clip frame by frame, so that no frame knows of its neighbours, and hear it.

    Args:
        clip: a video of one person who speaks.
        tracker: of ``arkit``.

    Raises:
        NoFaceFound: in no frame.
        MediaUnreadable: no sound.
    """
    features = speech_features(read_samples(clip))
    with VideoReader(clip) as video:
        found = [next(iter(tracker.faces(frame.image)), None) for frame in video.frames()]
        fps = video.fps
    return speech_of_faces(clip.name, features, found, fps, tracker)


def speech_of_faces(
    name: str, features: SpeechFeatures, found: Sequence[Face | None], fps: float, tracker: Tracker
) -> FilmedSpeech:
    """See :func:`filmed_speech`, of a clip that was tracked already.

    Args:
        name: of the clip.
        features: of its sound.
        found: the face of each frame, None where none was seen.
        fps: frames a second.
        tracker: that found them.

    Raises:
        NoFaceFound: in no frame.
    """
    faces = [face for face in found if face is not None]
    if not faces:
        raise NoFaceFound(name)
    observed = np.array([face is not None for face in found])
    filled = [face or faces[0] for face in found]
    coefficients = bridged(np.stack([face.coefficients for face in filled]), observed)
    motion = tracker.motion(coefficients, Crop.around(faces[0].box_px), fps, observed)
    steadied = [_steadied(face.landmarks_px) for face in filled]
    lips = bridged(np.stack([points[_LIPS, :2].ravel() for points in steadied]), observed)
    expression = np.tensordot(motion.values[0, :_SHAPES], mediapipe_model().expression_basis, 1)
    neutral = steadied[int(observed.argmax())] - expression
    return FilmedSpeech(name, features, motion, lips.reshape(len(found), -1, 2).astype(np.float64), neutral)


def known_speech(name: str, features: SpeechFeatures, motion: Motion) -> FilmedSpeech:
    """The default face as if it had been filmed while it made a motion.

    Args:
        name: of it.
        features: of what it says.
        motion: (T, 58) of ``arkit``.
    """
    neutral = mediapipe_model().mean.astype(np.float64)
    return FilmedSpeech(name, features, motion, lips_of(motion, neutral), neutral)


def talking(filmed: FilmedSpeech, speakers: Mapping[str, Speaker]) -> dict[str, TalkScores]:
    """Scores of several ways to speak, by their names."""
    return {name: _scores(filmed, speaker) for name, speaker in speakers.items()}


def mean_talk_scores(scores: Sequence[TalkScores]) -> TalkScores:
    """Field by field."""
    return TalkScores(*(float(np.mean([getattr(s, f.name) for s in scores])) for f in fields(TalkScores)))


def held_lips(features: SpeechFeatures, own: Motion) -> Motion:
    """Baseline: the portrait as it is."""
    return Motion(np.repeat(own.values[:1], len(features), 0), ARKIT, FPS)


def closed_mouth(features: SpeechFeatures, own: Motion) -> Motion:
    """Baseline: the portrait with its mouth shut."""
    return laid_onto(Motion.neutral(ARKIT, len(features), FPS), own)


def loudness_jaw(features: SpeechFeatures, own: Motion, gain: float = LOUDNESS_GAIN) -> Motion:
    """Baseline: the louder, the wider open."""
    jaw = gain * coming_loudness(features)
    return laid_onto(Motion.neutral(ARKIT, len(features), FPS).set(jawOpen=jaw), own)


def coming_loudness(features: SpeechFeatures) -> Floats:
    """(T,) loudness a frame later, smoothed a little."""
    smooth = uniform_filter1d(features.loudness, 3, mode="nearest")
    return np.asarray(np.pad(smooth, (0, _LEAD), mode="edge")[_LEAD:], np.float32)


def lip_opening(lips: Doubles) -> Doubles:
    """(T,) mean distance of the inner lips of (T, L, 2) lip landmarks."""
    upper, lower = ([_LIPS.index(v) for v in chain[_MIDDLE]] for chain in _INNER)
    distances = np.linalg.norm(lips[:, upper] - lips[:, lower], axis=2)
    return np.asarray(distances.mean(1), np.float64)


def lips_of(motion: Motion, neutral: Doubles) -> Doubles:
    """(T, L, 2) lip landmarks of a face (478, 3) that moves, in its unit."""
    basis = mediapipe_model().expression_basis[:, _LIPS, :2]
    return neutral[_LIPS, :2] + np.tensordot(motion.values[:, :_SHAPES].astype(np.float64), basis, 1)


def face_height(neutral: Doubles) -> float:
    """From the top of the forehead to the tip of the chin of a face (478, 3), in its unit."""
    return float(np.linalg.norm(neutral[_FACE[0]] - neutral[_FACE[1]]))


def _scores(filmed: FilmedSpeech, speaker: Speaker) -> TalkScores:
    said = speaker(filmed.features, filmed.motion[0]).resample(filmed.motion.fps)
    frames = filmed.frames[filmed.frames < len(said)]  # pictures may outlast the sound
    lips, truth = lips_of(said, filmed.neutral)[frames], filmed.lips[frames]
    opening, true_opening = lip_opening(lips), lip_opening(truth)
    return TalkScores(
        float(100 * np.linalg.norm(lips - truth, axis=2).mean() / face_height(filmed.neutral)),
        _correlation(opening, true_opening),
        _correlation(said["jawOpen"][frames], filmed.motion["jawOpen"][frames]),
        float(opening.std() / max(true_opening.std(), _STILL)),
    )


def _steadied(landmarks_px: Floats) -> Doubles:
    """(478, 3) landmarks of a picture in the head frame of the canonical face, in cm."""
    points: Doubles = landmarks_px * np.array([1.0, -1.0, 1.0])
    scale, rotation, shift = similarity(points, mediapipe_model().mean, pose_weights())
    return np.asarray(scale * points @ rotation.T + shift, np.float64)


def _correlation(one: Doubles | Floats, other: Doubles | Floats) -> float:
    if one.std() < _STILL or other.std() < _STILL:
        return 0.0
    return float(np.corrcoef(one, other)[0, 1])
