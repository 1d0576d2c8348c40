"""Cameras, by numbers and by pictures."""

from __future__ import annotations

import math

import numpy as np
import pytest

from countenance.errors import BadValue
from countenance.face.cameras import Pinhole, WeakPerspective
from countenance.face.rasterizer import interpolate, rasterize
from countenance.motion.pose import rotation_matrix

SIDE = 128
DISTANCE_CM = 60.0
RADIUS_CM = 9.0
WEAK = WeakPerspective(scale_px_per_cm=5.0, x_px=64.0, y_px=64.0)


def ball_head() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A ball with a nose at +z: vertices in cm, triangles (front outside), and V x 2 colours: nose, crown."""
    rings, segments = 24, 36
    polar, around = np.meshgrid(
        np.linspace(0, np.pi, rings + 1), np.linspace(0, 2 * np.pi, segments, endpoint=False), indexing="ij"
    )
    direction = np.stack((np.sin(polar) * np.sin(around), np.cos(polar), np.sin(polar) * np.cos(around)), -1)
    direction = direction.reshape(-1, 3)
    is_nose = direction[:, 2] > np.cos(0.3)
    vertices = direction * RADIUS_CM * np.where(is_nose, 1.25, 1.0)[:, None]
    corner = np.arange((rings + 1) * segments).reshape(rings + 1, segments)
    a, b = corner[:-1], corner[1:]
    c, d = np.roll(b, -1, axis=1), np.roll(a, -1, axis=1)
    triangles = np.concatenate([np.stack(t, -1).reshape(-1, 3) for t in ((a, b, c), (a, c, d))])
    return vertices, triangles, np.stack((is_nose, direction[:, 1] > 0.9), -1).astype(np.float32)


def picture_of(camera: WeakPerspective | Pinhole, yaw: float, pitch: float, roll: float) -> np.ndarray:
    """H x W x 2: where nose and crown are seen when the head is turned by these angles in degrees."""
    vertices, triangles, colours = ball_head()
    turned = vertices @ rotation_matrix(*np.radians((yaw, pitch, roll))).T
    if isinstance(camera, Pinhole):
        turned = turned - [0, 0, DISTANCE_CM]
    raster = rasterize(camera.project(turned), triangles, (SIDE, SIDE), cull_back_faces=True)
    return interpolate(raster, colours)


def seen_at(
    camera: WeakPerspective | Pinhole, yaw: float, pitch: float, roll: float
) -> dict[str, np.ndarray]:
    """Middle of the pixels that show the nose, and of those that show the crown: (x, y) in pixels."""
    picture = picture_of(camera, yaw, pitch, roll)
    y, x = np.indices((SIDE, SIDE)) + 0.5
    centres = {}
    for channel, name in enumerate(("nose", "crown")):
        weight = picture[..., channel]
        assert weight.sum() > 20, f"the {name} must be seen"
        centres[name] = np.array([(weight * x).sum(), (weight * y).sum()]) / weight.sum()
    return centres


@pytest.fixture(params=["weak perspective", "pinhole"])
def camera(request) -> WeakPerspective | Pinhole:
    return WEAK if request.param == "weak perspective" else WEAK.as_pinhole(DISTANCE_CM)


def test_a_frontal_head_is_upright(camera):
    seen = seen_at(camera, 0, 0, 0)
    np.testing.assert_allclose(seen["nose"], [64, 64], atol=0.5)
    assert seen["crown"][0] == pytest.approx(64, abs=0.5)
    assert seen["crown"][1] < 64 - 0.8 * 5 * RADIUS_CM


def test_yaw_moves_the_nose_to_image_right(camera):
    dx, dy = seen_at(camera, 20, 0, 0)["nose"] - seen_at(camera, 0, 0, 0)["nose"]
    assert dx > 10
    assert abs(dy) < 1


def test_pitch_moves_the_nose_down(camera):
    dx, dy = seen_at(camera, 0, 20, 0)["nose"] - seen_at(camera, 0, 0, 0)["nose"]
    assert dy > 10
    assert abs(dx) < 1


def test_roll_moves_the_top_of_the_head_to_image_left(camera):
    frontal, rolled = seen_at(camera, 0, 0, 0), seen_at(camera, 0, 0, 20)
    assert rolled["crown"][0] < frontal["crown"][0] - 10
    np.testing.assert_allclose(rolled["nose"], frontal["nose"], atol=1)


def test_the_near_side_hides_the_far_side(camera):
    """Of a head turned away by half a circle, the crown is seen but no nose."""
    nose, crown = picture_of(camera, 180, 0, 0).sum((0, 1))
    assert nose == 0
    assert crown > 20


def test_weak_perspective_by_hand():
    camera = WeakPerspective(scale_px_per_cm=4.0, x_px=10.0, y_px=20.0)
    np.testing.assert_allclose(camera.project(np.array([[1.0, 2.0, 3.0]])), [[14.0, 12.0, 3.0]])


def test_pinhole_by_hand():
    camera = Pinhole(focal_px=100.0, cx_px=10.0, cy_px=20.0)
    np.testing.assert_allclose(camera.project(np.array([1.0, 2.0, -50.0])), [12.0, 16.0, -50.0])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("camera_", [WEAK, Pinhole(300.0, 60.0, 50.0)])
def test_unproject_undoes_project(camera_, dtype):
    points = (np.random.default_rng(0).uniform(-9, 9, (4, 5, 3)) - [0, 0, 40]).astype(dtype)
    there = camera_.project(points)
    assert there.dtype == dtype
    np.testing.assert_allclose(camera_.unproject(there), points, rtol=1e-4)


def test_nearer_points_have_larger_depth():
    for camera_ in (WEAK, Pinhole(300.0, 64.0, 64.0)):
        far, near = camera_.project(np.array([[0.0, 0.0, -50.0], [0.0, 0.0, -40.0]]))
        assert near[2] > far[2]


def test_points_behind_a_pinhole_are_not_drawn():
    points = np.array([[0.0, 0.0, 0.0], [1.0, 1.0, 5.0], [0.0, 0.0, -1.0]])
    projected = Pinhole(100.0, 5.0, 5.0).project(points)
    assert np.isnan(projected[:2]).all()
    np.testing.assert_allclose(projected[2], [5, 5, -1])
    assert not rasterize(projected, np.array([[0, 1, 2]]), (10, 10)).covered.any()


def test_a_distant_pinhole_is_weak_perspective():
    points = np.random.default_rng(1).uniform(-RADIUS_CM, RADIUS_CM, (50, 3))
    flat = WEAK.project(points)[:, :2]
    differences = []
    for distance in (60.0, 600.0, 6000.0):
        seen = WEAK.as_pinhole(distance).project(points - [0, 0, distance])[:, :2]
        differences.append(np.abs(seen - flat).max())
    assert differences[0] > 1
    assert differences[1] == pytest.approx(differences[0] / 10, rel=0.25)
    assert differences[2] == pytest.approx(differences[1] / 10, rel=0.25)


def test_a_pinhole_knows_its_weak_perspective():
    origin = np.array([3.0, -2.0, -70.0])
    pinhole = Pinhole(400.0, 64.0, 60.0)
    weak = pinhole.weak_at(origin)
    across = np.array([[0.0, 0.0, 0.0], [5.0, 1.0, 0.0], [-2.0, 4.0, 0.0]])
    np.testing.assert_allclose(weak.project(across)[:, :2], pinhole.project(across + origin)[:, :2])


def test_weak_perspective_survives_the_way_to_a_pinhole_and_back():
    back = WEAK.as_pinhole(DISTANCE_CM).weak_at((0.0, 0.0, -DISTANCE_CM))
    assert back.scale_px_per_cm == pytest.approx(WEAK.scale_px_per_cm)
    assert (back.x_px, back.y_px) == pytest.approx((WEAK.x_px, WEAK.y_px))


def test_the_angle_of_view_spans_the_height():
    camera = Pinhole.from_fov(math.radians(60), (200, 300))
    edge = math.tan(math.radians(30))
    np.testing.assert_allclose(camera.project(np.array([0.0, edge, -1.0]))[:2], [150, 0], atol=1e-9)
    np.testing.assert_allclose(camera.project(np.array([0.0, -edge, -1.0]))[:2], [150, 200], atol=1e-9)


def test_bad_values_are_refused():
    for scale in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(BadValue, match="positive"):
            WeakPerspective(scale, 0.0, 0.0)
        with pytest.raises(BadValue, match="positive"):
            Pinhole(scale, 0.0, 0.0)
        with pytest.raises(BadValue, match="positive"):
            WEAK.as_pinhole(scale)
    for angle in (0.0, math.pi, math.nan):
        with pytest.raises(BadValue, match="radians"):
            Pinhole.from_fov(angle, (10, 10))
    for origin in ((0.0, 0.0, 1.0), (0.0, -1.0), (0.0, 0.0, math.nan)):
        with pytest.raises(BadValue, match="in front of the camera"):
            Pinhole(100.0, 0.0, 0.0).weak_at(origin)
    for points in (np.zeros((4, 2)), np.zeros(3, int), np.float64(0.0)):
        for method in (
            WEAK.project,
            WEAK.unproject,
            Pinhole(1.0, 0.0, 0.0).project,
            Pinhole(1.0, 0.0, 0.0).unproject,
        ):
            with pytest.raises(BadValue, match="give floats"):
                method(points)
