"""Blends and re-basing of arrays, with rotations and scales."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from countenance.errors import MotionInvalid
from countenance.motion.blending import blend, deviation, mean, rebase
from countenance.motion.spaces import ARKIT, FLAME, SPACES, MotionSpace

spaces = pytest.mark.parametrize("space", SPACES.values(), ids=SPACES.keys())


def frames(space: MotionSpace, count: int, seed: int = 0) -> np.ndarray:
    return space.neutral + np.random.default_rng(seed).uniform(-0.4, 0.4, (count, space.size))


@spaces
def test_ends_are_exact(space: MotionSpace) -> None:
    a, b = frames(space, 5), frames(space, 5, seed=1)
    np.testing.assert_array_equal(blend(space, a, b, 0), a)
    np.testing.assert_array_equal(blend(space, a, b, 1), b)


@spaces
def test_rebasing_on_the_reference_itself_is_the_identity(space: MotionSpace) -> None:
    values = frames(space, 6)
    np.testing.assert_allclose(
        rebase(space, values, values[2], values[2], np.ones(space.size)), values, atol=1e-12
    )


@spaces
@settings(deadline=None, max_examples=15)
@given(st.integers(0, 1000))
def test_the_reference_frame_lands_on_the_base(space: MotionSpace, seed: int) -> None:
    values, base = frames(space, 4, seed), frames(space, 1, seed + 1)[0]
    rebased = rebase(space, values, values[1], base, np.full(space.size, 0.7))
    np.testing.assert_allclose(rebased[1], base, atol=1e-9)


def test_relative_turns_are_the_same_in_the_cameras_axes() -> None:
    head = ARKIT.rotation("head")
    columns = ARKIT.indices(list(head.names))
    values, base = frames(ARKIT, 2), frames(ARKIT, 1, seed=3)[0]
    rebased = rebase(ARKIT, values, values[0], base, np.ones(58))
    before, after = head.matrix(values[:, columns]), head.matrix(rebased[:, columns])
    np.testing.assert_allclose(after[1] @ after[0].T, before[1] @ before[0].T, atol=1e-12)


def test_scales_blend_by_ratio() -> None:
    small, large = np.array(FLAME.neutral), np.array(FLAME.neutral)
    column = FLAME.index("cam_scale")
    small[column], large[column] = 4, 16
    assert blend(FLAME, small, large, 0.5)[column] == pytest.approx(8)
    assert rebase(FLAME, large, small, large, np.ones(65))[column] == pytest.approx(64)
    small[column] = 0
    with pytest.raises(MotionInvalid, match="cam_scale must be positive"):
        blend(FLAME, small, large, 0.5)


def test_a_single_angle_can_be_blended_by_itself() -> None:
    a, b = frames(ARKIT, 1)[0], frames(ARKIT, 1, seed=1)[0]
    alpha = np.zeros(58)
    alpha[ARKIT.index("yaw")] = 0.5
    mixed = blend(ARKIT, a, b, alpha)
    assert mixed[52] == pytest.approx((a[52] + b[52]) / 2)
    np.testing.assert_array_equal(np.delete(mixed, 52), np.delete(a, 52))


def test_mean_and_deviation_take_rotations_as_rotations() -> None:
    values = np.tile(ARKIT.neutral, (2, 1)).astype(np.float64)
    values[:, ARKIT.index("roll")] = np.pi - 0.2, -np.pi + 0.2
    assert abs(mean(ARKIT, values)[ARKIT.index("roll")]) == pytest.approx(np.pi, abs=1e-6)
    np.testing.assert_allclose(deviation(ARKIT, values)[[52, 53, 54]], 0.2, atol=1e-6)
