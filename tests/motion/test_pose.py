"""Signs, inverses and corner cases of rotations."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from countenance.motion.pose import (
    axis_angle_matrix,
    matrix_axis_angle,
    mean_rotation,
    relative_rotation,
    rotation_angles,
    rotation_matrix,
    slerp,
)

quick = settings(deadline=None, max_examples=40)
turns = st.floats(-np.pi, np.pi)
NOSE, CROWN = np.array([0.0, 0.0, 1.0]), np.array([0.0, 1.0, 0.0])


def test_positive_yaw_turns_the_nose_to_image_right() -> None:
    assert (rotation_matrix(0.3, 0, 0) @ NOSE)[0] == pytest.approx(np.sin(0.3))


def test_positive_pitch_turns_the_nose_down() -> None:
    assert (rotation_matrix(0, 0.3, 0) @ NOSE)[1] == pytest.approx(-np.sin(0.3))


def test_positive_roll_tilts_the_crown_to_image_left() -> None:
    assert (rotation_matrix(0, 0, 0.3) @ CROWN)[0] == pytest.approx(-np.sin(0.3))


def test_order_is_roll_after_yaw_after_pitch() -> None:
    composed = rotation_matrix(0, 0, 0.5) @ rotation_matrix(0.4, 0, 0) @ rotation_matrix(0, 0.3, 0)
    np.testing.assert_allclose(rotation_matrix(0.4, 0.3, 0.5), composed, atol=1e-12)


def test_agrees_with_the_rotations_of_the_morphable_models() -> None:
    rotations = pytest.importorskip("countenance.face.rotations")
    yaw, pitch, roll = np.random.default_rng(0).uniform(-1, 1, (3, 8))
    ours = rotation_matrix(yaw, pitch, roll)
    theirs = rotations.rotation_from_angles(np.stack([pitch, yaw, roll], axis=1))
    np.testing.assert_allclose(ours, theirs, atol=1e-12)


@quick
@given(st.floats(-1.57, 1.57), turns, turns)
def test_angles_come_back(yaw: float, pitch: float, roll: float) -> None:
    back = rotation_angles(rotation_matrix(yaw, pitch, roll))
    np.testing.assert_allclose(
        np.exp(1j * np.array(back)), np.exp(1j * np.array([yaw, pitch, roll])), atol=1e-9
    )


@quick
@given(st.sampled_from([-1, 1]), st.floats(-1e-8, 1e-8), turns, turns)
def test_angles_make_up_the_rotation_even_in_the_gimbal(
    side: int, off: float, pitch: float, roll: float
) -> None:
    rotation = rotation_matrix(side * np.pi / 2 + off, pitch, roll)
    np.testing.assert_allclose(rotation_matrix(*rotation_angles(rotation)), rotation, atol=2e-8)


@quick
@given(st.floats(0, np.pi), turns, turns)
def test_axis_angle_inverts_from_no_turn_to_half_a_turn(angle: float, yaw: float, pitch: float) -> None:
    rotation = axis_angle_matrix(angle * (rotation_matrix(yaw, pitch, 0) @ NOSE))
    np.testing.assert_allclose(axis_angle_matrix(matrix_axis_angle(rotation)), rotation, atol=1e-9)
    assert np.linalg.norm(matrix_axis_angle(rotation)) == pytest.approx(angle, abs=1e-7)


def test_tiny_turns_keep_their_size() -> None:
    tiny = np.array([1e-9, 0.0, -2e-9])
    np.testing.assert_allclose(matrix_axis_angle(axis_angle_matrix(tiny)), tiny, rtol=1e-6)


def test_slerp_goes_the_shortest_way_at_even_speed() -> None:
    start, end = rotation_matrix(-0.2, 0.1, 0.3), rotation_matrix(0.9, -0.4, -0.2)
    path = slerp(start, end, np.linspace(0, 1, 5))
    np.testing.assert_allclose(path[[0, -1]], [start, end], atol=1e-12)
    steps = np.linalg.norm(matrix_axis_angle(relative_rotation(path[:-1], path[1:])), axis=-1)
    np.testing.assert_allclose(steps, steps[0])
    assert steps.sum() == pytest.approx(np.linalg.norm(matrix_axis_angle(relative_rotation(start, end))))


def test_mean_rotation_of_opposite_turns_is_the_middle() -> None:
    middle = rotation_matrix(0.4, 0.2, -0.1)
    around = axis_angle_matrix(np.array([[0.3, 0, 0], [-0.3, 0, 0], [0, 0.2, 0], [0, -0.2, 0]])) @ middle
    np.testing.assert_allclose(mean_rotation(around), middle, atol=1e-12)
