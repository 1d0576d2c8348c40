"""A driver's motion on another face: exact on one's own, re-based on others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from countenance.errors import BadValue, MotionSpaceMismatch, UnknownName
from countenance.motion.pose import relative_rotation
from countenance.motion.sequence import Motion
from countenance.motion.spaces import ARKIT, BFM, SPACES, MotionSpace
from countenance.motion.transfer import nearest_frame, transfer

spaces = pytest.mark.parametrize("space", SPACES.values(), ids=SPACES.keys())


def motion_of(space: MotionSpace, frames: int = 20, seed: int = 0) -> Motion:
    rng = np.random.default_rng(seed)
    values = space.neutral + rng.uniform(0, 0.4, (frames, space.size)) * (space.maximum > 0)
    return Motion(values, space, 25, identity=np.full(3, seed))


@spaces
@pytest.mark.parametrize("mode", ["relative", "absolute"])
def test_driving_a_portrait_by_its_own_motion_is_exact(space: MotionSpace, mode: str) -> None:
    motion = motion_of(space)
    np.testing.assert_allclose(transfer(motion, motion, mode).values, motion.values, atol=1e-6)


@spaces
def test_own_motion_is_exact_even_outside_the_range(space: MotionSpace) -> None:
    motion = motion_of(space)
    wild = motion.with_values(motion.values + 6 * (np.arange(space.size) < 40))
    np.testing.assert_allclose(transfer(wild, wild).values, wild.values, atol=2e-6)


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 500), st.integers(0, 19))
def test_the_reference_frame_becomes_the_source(seed: int, reference: int) -> None:
    driver, source = motion_of(ARKIT, seed=seed), motion_of(ARKIT, 1, seed=seed + 1)
    driven = transfer(driver, source, "relative", reference)
    np.testing.assert_allclose(driven.values[reference], source.values[0], atol=1e-6)


def test_expressions_add_and_are_clamped() -> None:
    driver = Motion.neutral(ARKIT, 3, 25).set(jawOpen=[0.1, 0.5, 0.9])
    source = Motion.neutral(ARKIT, 1, 25).set(jawOpen=0.3)
    np.testing.assert_allclose(
        transfer(driver, source, reference="first")["jawOpen"], [0.3, 0.7, 1.0], atol=1e-6
    )
    np.testing.assert_allclose(transfer(driver, source, "relative", 2)["jawOpen"], [0, 0, 0.3], atol=1e-6)


def test_head_turns_compose_as_rotations() -> None:
    driver, source = motion_of(ARKIT), motion_of(ARKIT, 1, seed=5)
    driven, before = transfer(driver, source, reference="first").rotation(), driver.rotation()
    expected = relative_rotation(before[0], before) @ source.rotation()[0]
    np.testing.assert_allclose(driven, expected, atol=1e-5)


def test_positions_count_in_head_sizes_and_scales_multiply() -> None:
    driver = Motion.neutral(ARKIT, 2, 25).set(x=[0, 0.1], logScale=[0, np.log(1.5)])
    source = Motion.neutral(ARKIT, 1, 25).set(x=0.05, logScale=np.log(2))
    driven = transfer(driver, source)
    np.testing.assert_allclose(driven["x"], [0.05, 0.05 + 0.2], atol=1e-6)
    np.testing.assert_allclose(np.exp(driven["logScale"]), [2, 3], atol=1e-6)


def test_strengths_go_from_the_source_to_the_driver_and_beyond() -> None:
    driver = motion_of(ARKIT)
    source = motion_of(ARKIT, 1, seed=1)
    full = transfer(driver, source)
    own = transfer(driver, source, strengths={"pose": 0, "expression": 0})
    np.testing.assert_array_equal(own.values, np.repeat(source.values, 20, axis=0))
    lips = transfer(driver, source, strengths={"pose": 0, "expression": 0, "lips": 1})
    np.testing.assert_array_equal(lips["jawOpen"], full["jawOpen"])
    np.testing.assert_array_equal(lips["browInnerUp"], own["browInnerUp"])
    turn = Motion.neutral(ARKIT, 2, 25).set(yaw=[0, 0.2], jawOpen=[0, 0.4])
    half = transfer(turn, Motion.neutral(ARKIT, 1, 25), strengths={"pose": 0.5, "lips": 1.5})
    assert half["yaw"][1] == pytest.approx(0.1)
    assert half["jawOpen"][1] == pytest.approx(0.6)


def test_auto_finds_the_frame_that_looks_like_the_source() -> None:
    driver = motion_of(ARKIT)
    source = driver[7].set(yaw=0.9)
    assert nearest_frame(driver, source) == 7
    driven = transfer(driver, source, reference="auto")
    np.testing.assert_allclose(driven.values[7], source.values[0], atol=1e-6)


def test_auto_leaves_bridged_frames_out() -> None:
    seen = np.ones(20, dtype=bool)
    seen[7] = False
    motion = motion_of(ARKIT)
    assert nearest_frame(Motion(motion.values, ARKIT, 25, observed=seen), motion[7]) != 7


def test_a_driver_in_pieces_gives_the_same_as_in_one() -> None:
    driver, source = motion_of(ARKIT), motion_of(ARKIT, 1, seed=1)
    whole = transfer(driver, source, reference="first")
    piece = transfer(driver[8:], source, reference=driver[0])
    np.testing.assert_array_equal(piece.values, whole.values[8:])


def test_renormalising_takes_on_the_sources_mean_and_spread() -> None:
    rng = np.random.default_rng(0)
    driver = Motion.neutral(BFM, 200, 25).set(exp00=rng.normal(1, 0.5, 200), yaw=rng.normal(0.2, 0.1, 200))
    source = Motion.neutral(BFM, 90, 25).set(exp00=rng.normal(-1, 1, 90), yaw=rng.normal(-0.1, 0.15, 90))
    driven = transfer(driver, source, "renormalized")
    for name in ("exp00", "yaw"):
        assert driven[name].mean() == pytest.approx(source[name].mean(), abs=0.01)
        assert driven[name].std() == pytest.approx(source[name].std(), abs=0.01)


def test_renormalising_never_blows_noise_up_and_takes_a_photo_for_a_mean() -> None:
    rng = np.random.default_rng(0)
    driver = Motion.neutral(BFM, 200, 25).set(exp00=rng.normal(0, 1e-3, 200))
    source = Motion.neutral(BFM, 90, 25).set(exp00=rng.normal(0, 1, 90))
    assert np.ptp(transfer(driver, source, "renormalized")["exp00"]) <= 3.01 * np.ptp(driver["exp00"])
    photo = Motion.neutral(BFM, 1, 25).set(exp00=2)
    driven = transfer(driver, photo, "renormalized")["exp00"]
    np.testing.assert_allclose(driven - 2, driver["exp00"] - driver["exp00"].mean(), atol=1e-5)


def test_length_rate_and_identity() -> None:
    driver, source = motion_of(ARKIT), motion_of(ARKIT, 1, seed=1)
    driven = transfer(driver, source)
    assert (len(driven), driven.fps) == (20, 25)
    np.testing.assert_array_equal(driven.identity, source.identity)


def test_bad_requests() -> None:
    driver = motion_of(ARKIT)
    with pytest.raises(MotionSpaceMismatch, match=r"bfm.*arkit"):
        transfer(driver, motion_of(BFM))
    with pytest.raises(UnknownName, match="did you mean relative"):
        transfer(driver, driver, "relativ")
    for reference in (20, -1, "last"):
        with pytest.raises(BadValue, match="frame from 0 to 19"):
            transfer(driver, driver, reference=reference)
    with pytest.raises(UnknownName, match="region"):
        transfer(driver, driver, strengths={"ears": 1})


def from_reconstruction(coefficients: np.ndarray) -> Motion:
    """257 reconstruction coefficients and 3 crop numbers, as PIRenderer stores them."""
    picked = np.concatenate([coefficients[:, 80:144], coefficients[:, 224:227], coefficients[:, 254:257]], 1)
    return Motion(picked, BFM, 25, crop=coefficients[:, 257:])


def test_windows_are_pirenderers(shared: Path) -> None:
    from safetensors.numpy import load_file

    folder = shared / "parity/pirenderer/coefficient-window"
    inputs, expected = load_file(folder / "inputs.safetensors"), load_file(folder / "outputs.safetensors")
    driver = from_reconstruction(inputs["clip_coefficients"])
    source = from_reconstruction(inputs["source_coefficients"])
    still = np.delete(inputs["still_coefficients"], [257, 258])[None]
    reference = nearest_frame(driver, source, expression_weight=0.3, pose_weight=0.7)
    crossed = transfer(driver, source, "absolute", reference)
    assert crossed.crop[0, 0] / driver.crop[0, 0] == pytest.approx(expected["crop_scale_ratio"][0], abs=1e-6)
    for prefix, motion in (("", driver), ("cross_identity_", crossed)):
        packed = np.concatenate([motion.descriptor(), motion.crop_descriptor()], axis=1)
        for frame in (0, 5, 20, 39):
            np.testing.assert_allclose(packed[frame], expected[f"{prefix}window_frame_{frame}"], atol=1e-6)
    photo = from_reconstruction(still)
    packed = np.concatenate([photo.descriptor(), photo.crop_descriptor()], axis=1)[0]
    np.testing.assert_allclose(packed, expected["still_image_window"], atol=1e-6)
