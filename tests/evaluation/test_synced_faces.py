from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from skimage import data

from countenance.audio.samples import write_wave
from countenance.errors import NoFaceFound, WeightsMissing
from countenance.evaluation.synced_faces import face_crops, lip_sync_of_video
from countenance.media.writer import AudioSource, VideoWriter
from countenance.trackers.catalogue import load_tracker
from sounds import voice


class Brightness:
    """Mean brightness of the mouth's place, and loudness: what a network for this film would have to see."""

    def embed_lips(self, faces: torch.Tensor, /) -> torch.Tensor:
        return faces[:, :, :, 110:170, 80:140].mean((1, 2, 3, 4))[:, None] / 10

    def embed_sound(self, mfcc: torch.Tensor, /) -> torch.Tensor:
        return mfcc.mean((1, 2, 3))[:, None]


def film(path: Path, picture: np.ndarray, frames: int = 30, shift: int = 0) -> Path:
    sound = path.with_suffix(".wav")
    write_wave(sound, voice(frames / 25))
    height, width = picture.shape[:2]
    with VideoWriter(path, 25.0, width, height, audio=AudioSource(sound)) as writer:
        for i in range(frames):
            writer.write(np.ascontiguousarray(np.roll(picture, shift * i, 1)))
    return path


def test_crops_hold_the_face_where_syncnet_expects_it(tmp_path: Path) -> None:
    astronaut = np.ascontiguousarray(data.astronaut()[:300, 60:400])
    path = film(tmp_path / "film.mp4", astronaut, 6)
    tracker = load_tracker()
    crops = list(face_crops(path, tracker))
    assert len(crops) == 6
    assert {crop.shape for crop in crops} == {(224, 224, 3)}
    face = tracker.faces(crops[2])[0]
    left, top, right, bottom = face.box_px
    assert (left + right) / 2 == pytest.approx(112, abs=8)
    # the box's longer side is 2 s, and its centre is s below the upper edge, of 2.8 s in all
    assert (top + bottom) / 2 == pytest.approx(224 / 2.8, abs=8)
    assert max(right - left, bottom - top) == pytest.approx(2 * 224 / 2.8, abs=16)


def test_a_moving_face_is_followed(tmp_path: Path) -> None:
    astronaut = np.ascontiguousarray(data.astronaut()[:300, 60:400])
    path = film(tmp_path / "film.mp4", astronaut, 20, shift=2)
    crops = list(face_crops(path, load_tracker()))
    first, last = (cv2.cvtColor(crops[k], cv2.COLOR_RGB2GRAY).astype(np.float32) for k in (3, 16))
    (moved, _), _ = cv2.phaseCorrelate(first[40:180, 50:170], last[40:180, 50:170])
    assert abs(moved) < 8  # 26 px without following


def test_a_video_is_scored(tmp_path: Path) -> None:
    astronaut = np.ascontiguousarray(data.astronaut()[:300, 60:400])
    found = lip_sync_of_video(film(tmp_path / "film.mp4", astronaut), load_tracker(), Brightness())
    assert np.isfinite([found.confidence, found.distance]).all()
    assert -15 <= found.offset_frames <= 15


def test_no_face_and_no_weights_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    grey = film(tmp_path / "grey.mp4", np.full((96, 96, 3), 120, np.uint8))
    tracker = load_tracker()
    with pytest.raises(NoFaceFound, match="grey"):
        lip_sync_of_video(grey, tracker, Brightness())
    monkeypatch.setenv("COUNTENANCE_ASSETS", str(tmp_path))
    with pytest.raises(WeightsMissing, match="syncnet"):
        lip_sync_of_video(grey, tracker)
