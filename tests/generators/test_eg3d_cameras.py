"""Cameras of EG3D from tracked motion."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from countenance.errors import BadValue
from countenance.face.mediapipe_model import mediapipe_model
from countenance.generators.eg3d import cameras
from countenance.generators.eg3d.rays import camera_rays
from countenance.generators.eg3d.tracked_cameras import FOCAL, UNITS_PER_CM, arkit_cameras
from countenance.motion.sequence import Motion
from countenance.motion.spaces import ARKIT
from countenance.trackers.arkit_pose import crop_points


def posed(**pose: float) -> np.ndarray:
    return Motion.neutral(ARKIT, 1, 25.0).set(**pose).values


def projected(points_cm: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Points (N, 3) of the head, cm -> (N, 2), x right and y down, -1 to 1 across the crop."""
    camera = torch.from_numpy(arkit_cameras(values)).double()
    pose, intrinsics = cameras.pose_of(camera)[0].numpy(), cameras.intrinsics_of(camera)[0].numpy()
    seen = (points_cm * UNITS_PER_CM - pose[:3, 3]) @ pose[:3, :3] @ intrinsics.T
    return 2 * seen[:, :2] / seen[:, 2:] - 1


def test_a_frontal_head_has_the_frontal_camera() -> None:
    camera = torch.from_numpy(arkit_cameras(posed(logScale=math.log(4.2647 / FOCAL))))
    half = torch.tensor([math.pi / 2])
    expected = cameras.camera_vector(
        cameras.look_at_pose(half, half), cameras.intrinsics_from_fov(cameras.FFHQ_FOV_DEG)
    )
    torch.testing.assert_close(camera, expected, atol=2e-3, rtol=0)


@pytest.mark.parametrize(
    "pose",
    [
        {},
        {"x": 0.1, "y": -0.2, "logScale": 0.3},
        {"yaw": 0.5, "pitch": -0.3, "roll": 0.7, "x": -0.2, "y": 0.1, "logScale": -0.4},
    ],
)
def test_points_are_seen_where_the_tracker_has_them(pose: dict[str, float]) -> None:
    values = posed(**pose)
    points = mediapipe_model().mean
    expected = crop_points(values)[0][0]
    origin = np.array([2 * pose.get("x", 0), -2 * pose.get("y", 0)])
    np.testing.assert_allclose(projected(np.zeros((1, 3)), values)[0], origin, atol=1e-6)
    far = np.linalg.norm(expected - origin, axis=1)
    off = np.linalg.norm(projected(points, values) - expected, axis=1)
    nearest = np.linalg.norm(points, axis=1).max() * UNITS_PER_CM
    assert (off <= far * nearest / (cameras.RADIUS - nearest) + 1e-6).all()
    assert off.mean() < 0.06 * far.max()


def test_a_head_turned_to_image_right_is_seen_from_image_left() -> None:
    """With yaw > 0 the nose points to image right, so the camera stands on the head's other side."""
    turned = arkit_cameras(posed(yaw=0.4))[0].reshape(-1)[:16].reshape(4, 4)
    assert turned[0, 3] == pytest.approx(-cameras.RADIUS * math.sin(0.4), abs=1e-5)
    nose_cm = np.array([[0.0, 0.0, 8.0]])
    assert projected(nose_cm, posed(yaw=0.4))[0, 0] > 0.1
    assert projected(nose_cm, posed(pitch=0.4))[0, 1] > 0.1
    top_cm = np.array([[0.0, 8.0, 0.0]])
    assert projected(top_cm, posed(roll=0.4))[0, 0] < -0.1


def test_rays_of_every_camera_point_at_the_head() -> None:
    values = np.concatenate([posed(yaw=a, pitch=b, roll=a) for a in (-0.6, 0.6) for b in (-0.4, 0.4)])
    origins, directions = camera_rays(torch.from_numpy(arkit_cameras(values)), 32)
    middle = directions.reshape(4, 32, 32, 3)[:, 15:17, 15:17].mean((1, 2))
    nearest = origins[:, 0] - (origins[:, 0] * middle).sum(-1, keepdim=True) * middle
    assert nearest.norm(dim=1).max() < 1e-3


@pytest.mark.parametrize("values", [np.zeros((2, 65), np.float32), np.full((1, 58), np.nan, np.float32)])
def test_what_is_no_arkit_motion_is_refused(values: np.ndarray) -> None:
    with pytest.raises(BadValue, match="arkit"):
        arkit_cameras(values)
