"""The interface of all models, on a small random one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from countenance.errors import BadValue
from countenance.face.morphable import LinearModel
from countenance.face.rotations import rotation_from_angles, rotation_from_axis_angle
from countenance.face.surface_points import SurfacePoints, interpolate

VERTICES, IDENTITY, EXPRESSION = 12, 4, 3


def random_model(**changes) -> LinearModel:
    rng = np.random.default_rng(0)
    fields = {
        "name": "random",
        "mean": rng.normal(size=(VERTICES, 3)).astype(np.float32),
        "identity_basis": rng.normal(size=(IDENTITY, VERTICES, 3)).astype(np.float32),
        "expression_basis": rng.normal(size=(EXPRESSION, VERTICES, 3)).astype(np.float32),
        "expression_names": ("a", "b", "c"),
        "triangles": np.array([[0, 1, 2], [3, 4, 5]], np.int32),
        "landmark_points": SurfacePoints.at_vertices([5, 0, 7]),
        "regions": {},
        "cm_per_unit": 1.0,
    }
    return LinearModel(**(fields | changes))


def random_coefficients(batch: int = 2) -> list[np.ndarray]:
    rng = np.random.default_rng(1)
    return [rng.normal(size=(batch, size)).astype(np.float32) for size in (IDENTITY, EXPRESSION, 6)]


def test_kind_and_precision_of_the_input_decide_those_of_the_output(kind) -> None:
    model = random_model()
    for dtype in (np.float32, np.float64):
        given = [kind(x.astype(dtype)) for x in random_coefficients()]
        vertices = model.vertices(*given)
        assert type(vertices) is type(given[0])
        assert vertices.dtype == given[0].dtype
        assert tuple(vertices.shape) == (2, VERTICES, 3)


def test_vertices_are_the_sum_that_the_definition_says() -> None:
    model = random_model()
    identity, expression, pose = (x[:1] for x in random_coefficients())
    shape = model.mean.copy()
    for weights, basis in ((identity[0], model.identity_basis), (expression[0], model.expression_basis)):
        for weight, direction in zip(weights, basis, strict=True):
            shape += weight * direction
    np.testing.assert_allclose(model.vertices(identity, expression)[0], shape, rtol=1e-5, atol=1e-5)
    expected = shape @ rotation_from_angles(pose[:, :3])[0].T + pose[0, 3:]
    np.testing.assert_allclose(model.vertices(identity, expression, pose)[0], expected, rtol=1e-5, atol=1e-5)


def test_one_identity_serves_many_frames(kind) -> None:
    model = random_model()
    identity, expression, pose = (kind(x) for x in random_coefficients(5))
    one = model.vertices(identity[:1], expression, pose)
    assert tuple(one.shape) == (5, VERTICES, 3)
    np.testing.assert_allclose(
        np.asarray(one[3:4]), np.asarray(model.vertices(identity[:1], expression[3:4], pose[3:4])), atol=1e-5
    )


def test_signs_of_the_angles() -> None:
    nose, top = np.array([0.0, 0.0, 1.0]), np.array([0.0, 1.0, 0.0])
    pitch, yaw, roll = rotation_from_angles(np.deg2rad(20.0) * np.eye(3))
    assert (yaw @ nose)[0] > 0.3, "yaw > 0 turns the nose to image right"
    assert (pitch @ nose)[1] < -0.3, "pitch > 0 turns the nose down"
    assert (roll @ top)[0] < -0.3, "roll > 0 tilts the top of the head to image left"


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(-10, 10), min_size=3, max_size=3))
def test_rotations_are_rotations(angles: list[float]) -> None:
    from scipy.spatial.transform import Rotation

    by_angles = rotation_from_angles(np.array([angles]))[0]
    by_axis = rotation_from_axis_angle(np.array([angles]))[0]
    np.testing.assert_allclose(by_angles, Rotation.from_euler("xyz", angles).as_matrix(), atol=1e-12)
    # Not closer: the published formula adds 1e-8 to the axis before it takes the angle.
    np.testing.assert_allclose(by_axis, Rotation.from_rotvec(angles).as_matrix(), atol=1e-6)


def test_gradients_reach_every_coefficient_also_at_rest() -> None:
    torch = pytest.importorskip("torch")
    given = [torch.zeros(1, size, requires_grad=True) for size in (IDENTITY, EXPRESSION, 6)]
    weights = torch.arange(3.0 * VERTICES).reshape(VERTICES, 3).sin()
    (random_model().vertices(*given) * weights).sum().backward()
    for coefficients in given:
        assert torch.isfinite(coefficients.grad).all()
        assert (coefficients.grad != 0).all()
    still = torch.zeros(1, 3, requires_grad=True)
    rotation_from_axis_angle(still)[0, 2, 1].backward()
    np.testing.assert_allclose(still.grad.numpy(), [[1, 0, 0]], atol=1e-6)


def test_constants_first_used_in_inference_mode_serve_training_later() -> None:
    torch = pytest.importorskip("torch")
    model = random_model()
    given = [torch.from_numpy(x) for x in random_coefficients()]
    with torch.inference_mode():
        model.vertices(*given)
    given[0].requires_grad_()
    model.landmarks(model.vertices(*given)).sum().backward()
    assert given[0].grad is not None


def test_constants_are_converted_once() -> None:
    torch = pytest.importorskip("torch")
    arrays = random_model().arrays
    assert arrays.like(torch.zeros(1)) is arrays.like(torch.ones(2))
    assert arrays.like(torch.zeros(1)) is not arrays.like(torch.zeros(1, dtype=torch.float64))


def test_landmarks_ride_on_the_mesh(kind) -> None:
    triangles = np.array([[0, 1, 2], [2, 3, 4]], np.int32)
    points = SurfacePoints.on_triangles(triangles, [1, 0], [[0.5, 0.5, 0], [0, 0, 1]])
    vertices = kind(np.arange(30, dtype=np.float32).reshape(2, 5, 3))
    corners, weights = kind(points.corners.astype(np.int64)), kind(points.weights)
    fixed = np.asarray(interpolate(vertices, corners, weights))
    v = np.asarray(vertices)
    np.testing.assert_allclose(fixed, np.stack([(v[:, 2] + v[:, 3]) / 2, v[:, 2]], axis=1))
    each = kind(np.stack([points.corners, points.corners[::-1]]).astype(np.int64))
    weights = kind(np.stack([points.weights, points.weights[::-1]]))
    differing = np.asarray(interpolate(vertices, each, weights))
    np.testing.assert_allclose(differing, [fixed[0], fixed[1, ::-1]])


@pytest.mark.parametrize("which", range(3))
def test_wrong_numbers_of_coefficients_are_named(which: int) -> None:
    given = random_coefficients()
    given[which] = given[which][:, :-1]
    with pytest.raises(BadValue, match=("identity", "expression", "pose")[which]):
        random_model().vertices(*given)


@pytest.mark.parametrize(
    "changes",
    [{"expression_names": ("a",)}, {"mean": np.zeros((VERTICES + 1, 3), np.float32)}],
)
def test_models_that_contradict_themselves_are_refused(changes) -> None:
    with pytest.raises(BadValue, match="random"):
        random_model(**changes)
