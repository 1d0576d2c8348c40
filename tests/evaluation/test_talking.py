"""The talking protocol."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from countenance.audio.features import FPS, WIDTH, SpeechFeatures
from countenance.errors import MediaUnreadable, NoFaceFound
from countenance.evaluation.talking import (
    LOUDNESS_GAIN,
    FilmedSpeech,
    TalkScores,
    closed_mouth,
    face_height,
    filmed_speech,
    held_lips,
    known_speech,
    lip_opening,
    lips_of,
    loudness_jaw,
    mean_talk_scores,
    speech_of_faces,
    talking,
)
from countenance.face.mediapipe_model import mediapipe_model
from countenance.media.writer import VideoWriter
from countenance.motion.pose import rotation_matrix
from countenance.motion.sequence import Motion
from countenance.motion.spaces import ARKIT
from countenance.trackers.arkit_pose import arkit_motion
from countenance.trackers.catalogue import load_tracker
from countenance.trackers.tracker import Face

FRAMES = 50


class Seen:
    """What the protocol asks of a tracker that has done its work."""

    space = ARKIT
    motion = staticmethod(arkit_motion)


def heard(loudness: np.ndarray) -> SpeechFeatures:
    return SpeechFeatures(np.zeros((len(loudness), WIDTH), np.float32), loudness.astype(np.float32))


def syllables(frames: int = FRAMES) -> np.ndarray:
    return 0.5 - 0.5 * np.cos(np.arange(frames) / 3)


def said(frames: int = FRAMES, fps: float = FPS) -> Motion:
    """A mouth that opens and rounds, in a face that smiles a little."""
    times = np.arange(frames) / fps
    opened = 0.3 * (0.5 - 0.5 * np.cos(times * 25 / 3))
    rest = Motion.neutral(ARKIT, frames, fps)
    return rest.set(jawOpen=opened, mouthPucker=0.2 * np.sin(times * 4) ** 2, mouthSmileLeft=0.1)


def faces(motion: Motion, angles_rad: tuple[float, float, float], px_per_cm: float) -> list[Face]:
    """The default face as a tracker would see it, turned and large or small."""
    model = mediapipe_model()
    shapes = np.tensordot(motion.values[:, :52], model.expression_basis, 1) + model.mean
    turned = shapes @ rotation_matrix(*angles_rad).T
    points = px_per_cm * turned * np.array([1, -1, 1]) + np.array([200, 150, 0])
    return [Face(p.astype(np.float32), row) for p, row in zip(points, motion.values, strict=True)]


def filmed(found: list[Face | None], features: SpeechFeatures, fps: float = FPS) -> FilmedSpeech:
    return speech_of_faces("made", features, found, fps, Seen())


def scores(clip: FilmedSpeech, speaker) -> TalkScores:
    return talking(clip, {"one": speaker})["one"]


def test_the_truth_itself_is_perfect() -> None:
    clip = known_speech("made", heard(syllables()), said())
    result = scores(clip, lambda features, own: said())
    assert result.lip_distance_percent == pytest.approx(0, abs=1e-9)
    assert result.opening_correlation == pytest.approx(1)
    assert result.jaw_correlation == pytest.approx(1)
    assert result.movement == pytest.approx(1)


def test_pose_and_size_of_the_head_do_not_matter() -> None:
    features = heard(syllables())
    ahead = filmed(faces(said(), (0, 0, 0), 20), features)
    turned = filmed(faces(said(), (0.4, -0.2, 0.3), 7), features)
    np.testing.assert_allclose(turned.lips, ahead.lips, atol=1e-3)
    result = scores(turned, lambda features, own: said())
    assert result.lip_distance_percent < 0.5, (
        "an open jaw tilts the fit of the pose a little, and that is all"
    )
    assert result.opening_correlation > 0.999


def test_the_distance_is_in_percent_of_the_faces_height() -> None:
    clip = known_speech("made", heard(syllables()), said())
    lower = said().set(mouthLeft=0.5)
    moved = np.linalg.norm(lips_of(lower, clip.neutral) - clip.lips, axis=2).mean()
    assert moved > 0
    result = scores(clip, lambda features, own: lower)
    assert result.lip_distance_percent == pytest.approx(100 * moved / face_height(clip.neutral))
    assert face_height(2 * clip.neutral) == pytest.approx(2 * face_height(clip.neutral))


def test_movements_half_as_large_are_said_to_be() -> None:
    clip = known_speech(
        "made", heard(syllables()), Motion.neutral(ARKIT, FRAMES, FPS).set(jawOpen=syllables())
    )
    result = scores(clip, lambda features, own: clip.motion.with_values(clip.motion.values / 2))
    assert 0.4 < result.movement < 0.6
    assert result.jaw_correlation == pytest.approx(1)


def test_lips_that_do_not_move_correlate_with_nothing() -> None:
    clip = known_speech("made", heard(syllables()), said())
    for speaker in (closed_mouth, held_lips):
        result = scores(clip, speaker)
        assert (result.opening_correlation, result.jaw_correlation) == (0, 0)
        assert result.movement == pytest.approx(0, abs=1e-9)
        assert result.lip_distance_percent > 0.1


def test_an_open_mouth_is_shut_or_held() -> None:
    own = Motion.neutral(ARKIT, 1, 30.0).set(jawOpen=0.4, mouthSmileLeft=0.3, browInnerUp=0.2, yaw=0.1)
    shut, held = closed_mouth(heard(syllables()), own), held_lips(heard(syllables()), own)
    for motion in (shut, held):
        assert (len(motion), motion.fps) == (FRAMES, FPS)
        for name in ("mouthSmileLeft", "browInnerUp", "yaw"):
            np.testing.assert_allclose(motion[name], own[name][0], atol=1e-6)
    assert not shut["jawOpen"].any()
    np.testing.assert_allclose(held["jawOpen"], 0.4)


def test_the_loudness_baseline_follows_loudness_a_frame_ahead() -> None:
    own, loudness = Motion.neutral(ARKIT, 1, FPS), syllables()
    jaw = loudness_jaw(heard(loudness), own)["jawOpen"]
    assert np.corrcoef(jaw[:-1], loudness[1:])[0, 1] > 0.999
    assert 0.9 * LOUDNESS_GAIN < jaw.max() < LOUDNESS_GAIN
    half = loudness_jaw(heard(loudness), own, gain=LOUDNESS_GAIN / 2)["jawOpen"]
    np.testing.assert_allclose(half, jaw / 2, atol=1e-6)
    assert not loudness_jaw(heard(np.zeros(FRAMES)), own)["jawOpen"].any()


def test_frames_without_a_face_are_left_out() -> None:
    features = heard(syllables())
    found: list[Face | None] = [*faces(said(), (0, 0, 0), 20)]
    found[0] = found[7] = found[8] = None
    clip = filmed(found, features)
    assert clip.frames.tolist() == [i for i in range(FRAMES) if i not in (0, 7, 8)]
    assert len(clip.motion) == len(clip.lips) == FRAMES

    def wrong_where_nobody_was_seen(features: SpeechFeatures, own: Motion) -> Motion:
        values = said().values.copy()
        values[[0, 7, 8], ARKIT.index("jawOpen")] = 1
        return said().with_values(values)

    right = scores(clip, lambda features, own: said())
    assert scores(clip, wrong_where_nobody_was_seen) == right
    with pytest.raises(NoFaceFound, match="made"):
        filmed([None, None], features)


def test_clips_of_other_rates_and_lengths_are_compared_moment_by_moment() -> None:
    clip = known_speech("made", heard(syllables()), said(90, 30.0))
    result = scores(clip, lambda features, own: said(FRAMES))
    assert result.opening_correlation > 0.99, "two seconds of sound beside three of pictures"
    assert result.lip_distance_percent < 0.1
    assert scores(clip, lambda features, own: said(200)).opening_correlation > 0.99


def test_lips_open_as_the_jaw_does() -> None:
    neutral = mediapipe_model().mean.astype(np.float64)
    opening = lip_opening(lips_of(Motion.neutral(ARKIT, 3, FPS).set(jawOpen=[0, 0.2, 0.6]), neutral))
    assert (np.diff(opening) > 0).all()
    wide = lip_opening(lips_of(Motion.neutral(ARKIT, 1, FPS).set(mouthStretchLeft=1.0), neutral))
    assert abs(wide[0] - opening[0]) < 0.3 * (opening[1] - opening[0]), "a stretched mouth is no open one"


def test_means_are_field_by_field() -> None:
    assert mean_talk_scores([TalkScores(1, 0, 0.5, 2), TalkScores(3, 1, 0.5, 0)]) == TalkScores(
        2, 0.5, 0.5, 1
    )


def test_a_clip_without_sound_is_refused(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "mute.mp4", FPS, 64, 64) as writer:
        writer.write(np.full((64, 64, 3), 90, np.uint8))
    with pytest.raises(MediaUnreadable, match="it has no sound"):
        filmed_speech(tmp_path / "mute.mp4", Seen())


def test_on_a_real_clip_only_the_filmed_motion_comes_near(shared: Path) -> None:
    clip = filmed_speech(shared / "data" / "heads" / "test" / "p112_01.mp4", load_tracker())
    assert len(clip.frames) == len(clip.motion) == 75
    assert abs(len(clip.features) - 75) <= 1
    result = talking(
        clip, {"filmed": lambda features, own: clip.motion, "shut": closed_mouth, "loudness": loudness_jaw}
    )
    assert result["filmed"].opening_correlation > 0.9
    assert result["filmed"].jaw_correlation == pytest.approx(1)
    assert result["filmed"].lip_distance_percent < 0.8 * result["shut"].lip_distance_percent
    assert 0.3 < result["loudness"].opening_correlation < result["filmed"].opening_correlation
    assert abs(clip.motion["x"][0]) < 0.1, "in crop sides, as a portrait has it"
