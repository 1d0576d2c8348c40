"""A head that only turns and moves, in closed form."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from countenance.errors import BadValue
from countenance.face.mediapipe_model import mediapipe_model
from countenance.media.video import VideoReader
from countenance.motion.spaces import ARKIT
from countenance.portrait.crop import Crop
from countenance.renderers.pirenderer.config import PIRendererConfig
from countenance.renderers.pirenderer.recipe import landmark_distance
from countenance.renderers.pirenderer.rigid_head import CENTER_CM, POSE, RADIUS_CM, rigid_head
from countenance.trackers.arkit_pose import crop_points
from countenance.trackers.catalogue import load_tracker
from countenance.trackers.following import follow_face

angle, place = st.floats(-0.6, 0.6), st.floats(-0.2, 0.2)
poses = st.tuples(angle, angle, angle, place, place, st.floats(-0.3, 0.3))


def tensor(*pose: float) -> torch.Tensor:
    return torch.tensor([pose], dtype=torch.float32)


@given(poses)
def test_no_motion_moves_nothing(pose: tuple[float, ...]) -> None:
    flow = rigid_head(tensor(*pose), tensor(*pose), 16, 24).flow
    assert flow.abs().max() < 2e-4


@given(poses, place, place)
def test_a_moved_head_moves_all_by_as_much(pose: tuple[float, ...], x: float, y: float) -> None:
    driving = [*pose[:3], pose[3] + x, pose[4] + y, pose[5]]
    flow = rigid_head(tensor(*driving), tensor(*pose), 20, 20).flow
    torch.testing.assert_close(flow[0, 0], torch.full((20, 20), -20 * x), atol=1e-3, rtol=0)
    torch.testing.assert_close(flow[0, 1], torch.full((20, 20), 20 * y), atol=1e-3, rtol=0)


@given(poses)
def test_the_nose_is_in_front(pose: tuple[float, ...]) -> None:
    """Where the default face model has the tip of its nose, the ball's surface is near it."""
    values = np.zeros((1, ARKIT.size), np.float32)
    values[0, POSE] = pose
    nose = torch.from_numpy(crop_points(values)[0])[:, 1:2, None]
    surface = rigid_head(tensor(*pose), tensor(*pose), 128, 128).surface
    found = torch.nn.functional.grid_sample(surface, nose, align_corners=False)[0, :, 0, 0]
    if nose.abs().max() < 0.95:
        assert found[2] > 0.8


def test_the_ball_fits_the_default_face_model() -> None:
    distance = np.linalg.norm(mediapipe_model().mean - CENTER_CM, axis=1) - RADIUS_CM
    assert abs(distance.mean()) < 0.1
    assert np.abs(distance).mean() < 0.8


def test_it_explains_most_of_the_way_of_real_landmarks(shared: Path) -> None:
    tracker = load_tracker()
    with VideoReader(shared / "data" / "heads" / "test" / "p103_01.mp4") as video:
        track = follow_face(islice(video.frames(), 0, 100, 10), tracker, 2.5)
    clip_motion = tracker.motion(track.coefficients, Crop.around(track.boxes_px), 2.5)
    own, driving = clip_motion.values[:1].repeat(len(clip_motion), 0), clip_motion.values
    (from_, seen_from), (to, seen_to) = crop_points(own), crop_points(driving)
    visible = torch.from_numpy((seen_from & seen_to).astype(np.float32))
    places, way = torch.from_numpy(to), torch.from_numpy(from_ - to)
    flow = rigid_head(*(torch.from_numpy(v[:, POSE].copy()) for v in (driving, own)), 64, 64).flow
    still = landmark_distance(torch.zeros_like(flow), places, way, visible)
    assert landmark_distance(flow, places, way, visible) < 0.35 * still


def test_it_is_for_arkit_only() -> None:
    with pytest.raises(BadValue, match="arkit"):
        PIRendererConfig(rigid_start=True)
