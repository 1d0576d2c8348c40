"""Motion: what it refuses, how it is cut, windows, other frame rates."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from countenance.errors import BadValue, MotionInvalid, UnknownName
from countenance.motion.sequence import Motion
from countenance.motion.spaces import ARKIT, BFM, FLAME


def random_motion(frames: int = 12, fps: float = 25.0, seed: int = 0) -> Motion:
    rng = np.random.default_rng(seed)
    values = rng.uniform(0, 0.5, (frames, ARKIT.size))
    return Motion(values, ARKIT, fps, observed=rng.uniform(size=frames) > 0.3)


def test_keeps_its_own_read_only_copy() -> None:
    values = np.zeros((3, 58), dtype=np.float32)
    motion = Motion(values, ARKIT, 25)
    values[:] = 1
    assert motion.values.max() == 0
    with pytest.raises(ValueError, match="read-only"):
        motion.values[0] = 1


@pytest.mark.parametrize(
    ("values", "says"),
    [
        (np.zeros((4, 57)), r"shape \(4, 57\), expected \(frames, 58\) for the space 'arkit'"),
        (np.zeros(58), r"shape \(58,\)"),
        (np.zeros((0, 58)), "at least one frame"),
        (np.array([["a"] * 58]), "real numbers"),
        (np.zeros((2, 58), dtype=complex), "real numbers"),
        (np.full((2, 58), 1e300), "frame 0 of 'eyeBlinkLeft' is inf"),
    ],
)
def test_refuses_what_is_no_motion(values: np.ndarray, says: str) -> None:
    with pytest.raises(MotionInvalid, match=says) as caught:
        Motion(values, ARKIT, 25)
    assert "\n" not in str(caught.value)


def test_names_the_first_bad_frame_and_coefficient() -> None:
    values = np.zeros((5, 58))
    values[3, ARKIT.index("jawOpen")] = np.nan
    with pytest.raises(MotionInvalid, match="frame 3 of 'jawOpen' is nan"):
        Motion(values, ARKIT, 25)


@pytest.mark.parametrize("fps", [0, -1, np.nan, np.inf])
def test_refuses_frame_rates(fps: float) -> None:
    with pytest.raises(MotionInvalid, match="frame rate"):
        Motion.neutral(ARKIT, 3, fps)
    with pytest.raises(MotionInvalid, match="frame rate"):
        random_motion().resample(fps)


@pytest.mark.parametrize(
    "beside",
    [
        {"crop": np.zeros((3, 2))},
        {"crop": np.full((4, 3), np.nan)},
        {"identity": np.zeros((2, 2))},
        {"observed": np.ones(3, dtype=bool)},
        {"observed": np.ones(4)},
    ],
)
def test_refuses_companions_that_do_not_fit(beside: dict[str, np.ndarray]) -> None:
    with pytest.raises(MotionInvalid, match=next(iter(beside))):
        Motion(np.zeros((4, 58)), ARKIT, 25, **beside)


def test_names_and_frames() -> None:
    motion = random_motion()
    np.testing.assert_array_equal(motion["jawOpen"], motion.values[:, ARKIT.index("jawOpen")])
    np.testing.assert_array_equal(motion["pitch", "yaw"], motion.values[:, [53, 52]])
    part = motion[3:7]
    assert len(part) == 4
    np.testing.assert_array_equal(part.values, motion.values[3:7])
    np.testing.assert_array_equal(part.observed, motion.observed[3:7])
    np.testing.assert_array_equal(motion[-1].values, motion.values[-1:])
    assert [len(frame) for frame in motion] == [1] * 12
    with pytest.raises(UnknownName, match="jawOpen"):
        motion["jawOpn"]
    with pytest.raises(BadValue, match="frames 0 to 11"):
        motion[12]
    with pytest.raises(BadValue, match="resample"):
        motion[::2]
    with pytest.raises(MotionInvalid, match="at least one frame"):
        motion[5:5]


def test_set_takes_a_number_or_one_a_frame() -> None:
    motion = random_motion()
    changed = motion.set(jawOpen=0.25, yaw=np.arange(12))
    assert (changed["jawOpen"] == 0.25).all()
    assert changed["yaw"][11] == 11
    assert motion["yaw"][11] != 11
    with pytest.raises(UnknownName, match="did you mean"):
        motion.set(jawopn=1)
    with pytest.raises(MotionInvalid, match=r"shape \(3,\)"):
        motion.set(yaw=[1, 2, 3])
    with pytest.raises(MotionInvalid, match="'pitch' is inf"):
        motion.set(pitch=np.inf)


def test_neutral_and_still() -> None:
    motion = Motion.neutral(FLAME, 4, 30)
    assert motion["cam_scale"][0] == 8
    assert motion.duration_s == pytest.approx(4 / 30)
    np.testing.assert_allclose(motion.times_s, np.arange(4) / 30)
    held = random_motion().still(5, frame=2)
    assert (held.values == random_motion().values[2]).all()
    with pytest.raises(BadValue, match="1 or more"):
        motion.still(0)


@settings(deadline=None, max_examples=20)
@given(st.integers(1, 9), st.integers(0, 6))
def test_descriptor_is_the_clamped_window(frames: int, radius: int) -> None:
    motion = random_motion(frames)
    windows = motion.descriptor(radius)
    assert windows.shape == (frames, 58, 2 * radius + 1)
    for t in range(frames):
        rows = np.clip(np.arange(t - radius, t + radius + 1), 0, frames - 1)
        np.testing.assert_array_equal(windows[t], motion.values[rows].T)


def test_descriptor_refuses_negative_radius_and_missing_crop() -> None:
    with pytest.raises(BadValue, match="radius"):
        random_motion().descriptor(-1)
    with pytest.raises(MotionInvalid, match="no crop"):
        random_motion().crop_descriptor()


@pytest.mark.parametrize(("fps", "frames"), [(50, 24), (12.5, 6), (30, 14), (25, 12), (1, 1)])
def test_resampling_keeps_the_duration(fps: float, frames: int) -> None:
    assert len(random_motion().resample(fps)) == frames


def test_resampling_up_and_down_comes_back() -> None:
    motion = random_motion()
    doubled = motion.resample(50)
    np.testing.assert_allclose(doubled.values[::2], motion.values, atol=1e-6)
    np.testing.assert_array_equal(doubled.observed[::2], motion.observed)
    np.testing.assert_array_equal(doubled.observed[1:-1:2], motion.observed[:-1] & motion.observed[1:])
    np.testing.assert_allclose(doubled.resample(25).values, motion.values, atol=1e-6)


def test_resampling_a_ramp_stays_a_ramp() -> None:
    times = np.arange(30) / 30
    motion = Motion.neutral(BFM, 30, 30).set(tx=times, exp03=-times)
    motion = Motion(motion.values, BFM, 30, crop=np.repeat(times[:, None], 3, axis=1))
    slower = motion.resample(24)
    np.testing.assert_allclose(slower["tx"], slower.times_s, atol=1e-6)
    np.testing.assert_allclose(slower.crop[:, 2], slower.times_s, atol=1e-6)


def test_resampling_turns_on_the_sphere_through_a_full_circle() -> None:
    motion = Motion.neutral(ARKIT, 2, 1).set(roll=[np.pi - 0.1, -np.pi + 0.1])
    assert abs(motion.resample(2)["roll"][1]) == pytest.approx(np.pi, abs=1e-5)


def test_mirrored() -> None:
    motion = Motion.neutral(ARKIT, 2, 25).set(eyeBlinkLeft=1, yaw=0.3, pitch=0.2, roll=0.1, x=0.4)
    flipped = motion.mirrored()
    assert flipped["eyeBlinkRight"][0] == 1
    assert flipped["eyeBlinkLeft"][0] == 0
    np.testing.assert_allclose(flipped["yaw", "pitch", "roll", "x"][0], [-0.3, 0.2, -0.1, -0.4])
    np.testing.assert_array_equal(flipped.mirrored().values, motion.values)


def test_mirrored_refuses_a_crop() -> None:
    with pytest.raises(BadValue, match="crop"):
        Motion(np.zeros((2, 58)), ARKIT, 25, crop=np.zeros((2, 3))).mirrored()


def test_rotation_matrices_of_the_head() -> None:
    nose = Motion.neutral(BFM, 1, 25).set(yaw=0.4).rotation() @ np.array([0.0, 0, 1])
    assert nose[0, 0] == pytest.approx(np.sin(0.4), abs=1e-6)
