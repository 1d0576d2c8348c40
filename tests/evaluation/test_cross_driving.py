"""The cross-driving protocol."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from skimage import data

from countenance.errors import NoFaceFound
from countenance.evaluation.cross_driving import cross_driving, cross_frechet, cross_pairs
from countenance.media.writer import VideoWriter
from countenance.renderers.catalogue import load_renderer
from countenance.trackers.catalogue import load_tracker

pytest.importorskip("dlib", reason="dlib is not installed")


def test_every_clip_is_a_source_and_no_driver_is_the_same_person() -> None:
    clips = [Path(f"{name}.mp4") for name in ("a_01", "a_02", "b_01", "c_01", "c_02")]
    pairs = cross_pairs(clips[::-1])
    assert [source for source, _ in pairs] == clips
    assert all(source.stem[0] != driver.stem[0] for source, driver in pairs)
    assert cross_pairs(clips[:2]) == [], "one person only"


def write(path: Path, turns: list[float]) -> Path:
    """The astronaut, her head tilted by rotating the picture."""
    with VideoWriter(path, 25.0, 256, 256, crf=8) as writer:
        for degrees in turns:
            turned = cv2.warpAffine(
                data.astronaut()[:256, 96:352], cv2.getRotationMatrix2D((128, 128), degrees, 1), (256, 256)
            )
            writer.write(np.ascontiguousarray(turned))
    return path


def test_the_geometric_renderer_follows_the_driver_better_than_a_still(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="PyTorch is not installed")
    source, driver = write(tmp_path / "a_01.mp4", [0, 0]), write(tmp_path / "b_01.mp4", [6, 12, 18])
    result = cross_driving(source, driver, load_renderer("geometric"), load_tracker(), every=1)
    assert (result.frames, result.lost) == (3, 0)
    assert result.model.pose_error_deg < 0.4 * result.repeated.pose_error_deg
    assert result.model.identity_cosine_dlib > 0.9
    model, repeated = cross_frechet([result])
    assert model > 0
    assert repeated < model, "the source's own clip stands still here"


def test_a_clip_without_a_face_is_named(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "wall_01.mp4", 25.0, 64, 64) as writer:
        writer.write(np.full((64, 64, 3), 90, np.uint8))
    driver = write(tmp_path / "b_01.mp4", [0])
    with pytest.raises(NoFaceFound, match="wall_01"):
        cross_driving(tmp_path / "wall_01.mp4", driver, load_renderer("geometric"), load_tracker())
