"""Jitter goes, blinks and speech stay."""

from __future__ import annotations

import numpy as np
import pytest

from countenance.errors import BadValue, UnknownName
from countenance.motion.sequence import Motion
from countenance.motion.smoothing import smooth
from countenance.motion.spaces import ARKIT, SPACES, MotionSpace

FPS = 25.0
FRAMES = 250
TIMES = np.arange(FRAMES) / FPS


def bump(length: int, at: int = 100, height: float = 0.9) -> np.ndarray:
    """A closure and opening of ``length`` frames above zero, as blinks are."""
    track = np.zeros(FRAMES)
    track[at : at + length] = height * np.sin(np.pi * np.arange(1, length + 1) / (length + 1))
    return track


def noisy(size: float, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, size, FRAMES)


def base() -> Motion:
    return Motion.neutral(ARKIT, FRAMES, FPS)


@pytest.mark.parametrize("length", [4, 5, 6])
@pytest.mark.parametrize("noise", [0.0, 0.01, 0.02])
@pytest.mark.parametrize("name", ["eyeBlinkLeft", "mouthClose"])
def test_a_fast_closure_keeps_its_peak(name: str, noise: float, length: int) -> None:
    clean = bump(length)
    out = smooth(base().set(**{name: clean + noisy(noise)}))[name]
    assert out[100 : 100 + length].max() >= 0.9 * clean.max()


@pytest.mark.parametrize(
    ("name", "noise"),
    [("yaw", 0.01), ("pitch", 0.005), ("browInnerUp", 0.01), ("x", 0.002), ("logScale", 0.01)],
)
def test_noise_on_slow_coefficients_drops_by_sixty_percent(name: str, noise: float) -> None:
    drift = 3 * noise * np.sin(2 * np.pi * TIMES / 5)
    out = smooth(base().set(**{name: drift + noisy(noise)}))[name]
    assert np.std(out - drift) <= 0.4 * noise


def test_a_nod_of_two_a_second_is_kept() -> None:
    nod = 0.1 * np.sin(2 * np.pi * 2 * TIMES)
    out = smooth(base().set(pitch=nod + noisy(0.003)))["pitch"]
    assert np.ptp(out[50:200]) >= 0.9 * np.ptp(nod)


def test_continuous_speech_is_kept() -> None:
    syllables = 0.3 + 0.25 * np.sin(2 * np.pi * 5 * TIMES)
    out = smooth(base().set(jawOpen=syllables))["jawOpen"]
    assert np.corrcoef(out, syllables)[0, 1] > 0.999
    assert np.std(out) >= 0.9 * np.std(syllables)


def test_no_delay_backwards_is_the_same() -> None:
    motion = base().set(yaw=bump(30) + noisy(0.01), eyeBlinkLeft=bump(5) + noisy(0.01, seed=1))
    backwards = motion.with_values(motion.values[::-1])
    np.testing.assert_allclose(smooth(backwards).values[::-1], smooth(motion).values, atol=1e-6)


def test_angles_that_pass_half_a_turn_do_not_swing_through_zero() -> None:
    roll = np.linspace(np.pi - 0.2, np.pi + 0.2, FRAMES) + noisy(0.01)
    wrapped = np.angle(np.exp(1j * roll))
    out = smooth(base().set(roll=wrapped))["roll"]
    np.testing.assert_allclose(np.exp(1j * out.astype(float)), np.exp(1j * roll), atol=0.06)


@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES.keys())
@pytest.mark.parametrize("frames", [1, 2, 3, 40])
def test_a_still_face_is_left_alone(space: MotionSpace, frames: int) -> None:
    motion = Motion.neutral(space, frames, FPS)
    np.testing.assert_allclose(smooth(motion).values, motion.values, atol=1e-6)


def test_strength() -> None:
    motion = base().set(yaw=noisy(0.01), browInnerUp=noisy(0.01, seed=1))
    np.testing.assert_array_equal(smooth(motion, 0).values, motion.values)
    only_brows = smooth(motion, {"pose": 0})
    np.testing.assert_array_equal(only_brows["yaw"], motion["yaw"])
    assert np.std(only_brows["browInnerUp"]) < 0.4 * np.std(motion["browInnerUp"])
    assert np.std(smooth(motion, 2)["yaw"]) < np.std(smooth(motion, 1)["yaw"])
    with pytest.raises(BadValue):
        smooth(motion, -1)
    with pytest.raises(UnknownName):
        smooth(motion, {"ears": 1})


def test_stays_within_what_was_measured() -> None:
    motion = base().set(jawOpen=np.clip(bump(5) + noisy(0.05), 0, 1))
    out = smooth(motion)["jawOpen"]
    assert out.min() >= 0
    assert out.max() <= motion["jawOpen"].max()
