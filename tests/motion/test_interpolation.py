"""In-betweens, keyframes and sweeps."""

from __future__ import annotations

import numpy as np
import pytest

from countenance.errors import BadValue, MotionInvalid, MotionSpaceMismatch, UnknownName
from countenance.motion.interpolation import interpolate, keyframes, sweep
from countenance.motion.sequence import Motion
from countenance.motion.spaces import ARKIT, BFM, FLAME


def motion(frames: int = 6, fps: float = 25.0, seed: int = 0) -> Motion:
    return Motion(np.random.default_rng(seed).uniform(0, 0.5, (frames, 58)), ARKIT, fps)


def test_halfway() -> None:
    a, b = motion(), motion(seed=1)
    half = interpolate(a, b, 0.5)
    np.testing.assert_allclose(half["jawOpen"], (a["jawOpen"] + b["jawOpen"]) / 2, atol=1e-6)
    np.testing.assert_array_equal(interpolate(a, b, 0).values, a.values)
    np.testing.assert_array_equal(interpolate(a, b, 1).values, b.values)


def test_alpha_may_change_over_time_and_one_frame_is_held() -> None:
    a, b = motion(1, fps=1), motion(6)
    fade = interpolate(a, b, np.linspace(0, 1, 6))
    assert (len(fade), fade.fps) == (6, 25)
    np.testing.assert_array_equal(fade.values[0], a.values[0])
    np.testing.assert_array_equal(fade.values[-1], b.values[-1])


def test_only_a_part() -> None:
    a, b = motion(), motion(seed=1)
    lips = interpolate(a, b, 1, "lips")
    np.testing.assert_array_equal(lips["jawOpen"], b["jawOpen"])
    np.testing.assert_array_equal(lips["yaw"], a["yaw"])
    names = interpolate(a, b, 1, ["yaw", "jawOpen"])
    np.testing.assert_array_equal(names["yaw", "jawOpen"], b["yaw", "jawOpen"])
    np.testing.assert_array_equal(names["pitch"], a["pitch"])
    np.testing.assert_array_equal(interpolate(a, b, 1, "pitch")["pitch"], b["pitch"])
    with pytest.raises(UnknownName, match="jawOpen"):
        interpolate(a, b, 1, "jawOpne")


def test_refuses_what_does_not_fit() -> None:
    with pytest.raises(MotionSpaceMismatch):
        interpolate(motion(), Motion.neutral(BFM, 6, 25), 0.5)
    with pytest.raises(MotionInvalid, match="6 and 5 frames"):
        interpolate(motion(), motion(5), 0.5)
    with pytest.raises(MotionInvalid, match="25 and 30 fps"):
        interpolate(motion(), motion(fps=30), 0.5)
    with pytest.raises(MotionInvalid, match="alpha"):
        interpolate(motion(), motion(), [0, 1])
    with pytest.raises(MotionInvalid, match="alpha"):
        interpolate(motion(), motion(), np.nan)


def test_keyframes_hit_their_keys_and_rest_there() -> None:
    drawn = keyframes({0.0: {}, 1.0: {"jawOpen": 0.8}, 2.0: {"jawOpen": 0.2, "yaw": 0.5}}, ARKIT, 25)
    assert len(drawn) == 51
    np.testing.assert_allclose(drawn["jawOpen"][[0, 25, 50]], [0, 0.8, 0.2], atol=1e-6)
    assert drawn["yaw"][25] == pytest.approx(0.25, abs=1e-6)
    assert abs(drawn["jawOpen"][24] - 0.8) < 0.01
    assert (drawn["mouthPucker"] == 0).all()


def test_linear_keyframes_are_straight_and_hold_at_both_ends() -> None:
    drawn = keyframes({1: {"yaw": 0.1}, 2: {"yaw": 0.3}, 3: {"pitch": 0}}, ARKIT, 10, "linear")
    np.testing.assert_allclose(drawn["yaw"][[0, 10, 13, 20, 30]], [0.1, 0.1, 0.16, 0.3, 0.3], atol=1e-6)


def test_keys_in_any_order_and_other_neutrals() -> None:
    drawn = keyframes({1.0: {"cam_scale": 4}, 0.0: {}}, FLAME, 10)
    np.testing.assert_allclose(drawn["cam_scale"][[0, 10]], [8, 4], atol=1e-6)


def test_keyframes_refuse() -> None:
    with pytest.raises(BadValue, match="no keyframes"):
        keyframes({}, ARKIT, 25)
    with pytest.raises(BadValue, match="seconds from 0"):
        keyframes({-1: {"yaw": 0}}, ARKIT, 25)
    with pytest.raises(UnknownName, match="jawOpen"):
        keyframes({0: {"jawOpne": 0}}, ARKIT, 25)
    with pytest.raises(UnknownName, match="easing"):
        keyframes({0: {"yaw": 0}}, ARKIT, 25, "bouncy")
    with pytest.raises(MotionInvalid, match="yaw"):
        keyframes({0: {"yaw": np.nan}}, ARKIT, 25)
    with pytest.raises(MotionInvalid, match="frame rate"):
        keyframes({0: {"yaw": 0}}, ARKIT, 0)


def test_sweep_goes_there_and_back() -> None:
    swept = sweep(ARKIT, "yaw", -0.5, 0.5, seconds=2, fps=25)
    np.testing.assert_allclose(swept["yaw"][[0, 25, 50]], [-0.5, 0.5, -0.5], atol=1e-6)
    np.testing.assert_allclose(swept.values, swept.values[::-1], atol=1e-6)
    with pytest.raises(BadValue, match="seconds"):
        sweep(ARKIT, "yaw", 0, 1, seconds=0, fps=25)
