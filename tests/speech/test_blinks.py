from __future__ import annotations

import numpy as np
import pytest

from countenance.errors import BadValue
from countenance.motion.sequence import Motion
from countenance.motion.spaces import ARKIT, FLAME
from countenance.speech.blinks import blinks, with_blinks

LIDS = ("eyeBlinkLeft", "eyeBlinkRight")
MINUTES = 5


def moments_s(shut: np.ndarray, fps: float) -> np.ndarray:
    return np.flatnonzero(np.diff((shut > 0.5).astype(int)) > 0) / fps


@pytest.mark.parametrize("fps", [25.0, 29.97, 60.0])
@pytest.mark.parametrize("seed", range(4))
def test_people_blink_as_often_as_people(seed: int, fps: float) -> None:
    shut = blinks(round(MINUTES * 60 * fps), fps, seed)
    assert shut.dtype == np.float32
    assert shut.min() == 0
    assert shut.max() == pytest.approx(1, abs=0.02)
    moments = moments_s(shut, fps)
    assert 8 < len(moments) / MINUTES < 30
    pauses = np.diff(moments)
    assert pauses.min() > 0.3
    assert pauses.max() < 25
    assert pauses.std() > 0.5  # not a clockwork
    assert (shut > 0).mean() < 0.15


@pytest.mark.parametrize("fps", [25.0, 60.0])
def test_a_blink_is_quick_and_whole(fps: float) -> None:
    shut = blinks(round(60 * fps), fps, 1)
    edges = np.flatnonzero(np.diff(np.pad(shut > 0, 1).astype(int)))
    for start, end in edges.reshape(-1, 2):
        one = shut[start:end]
        assert 0.12 < len(one) / fps < 0.4
        if end < len(shut):
            assert one.max() > 0.9
            peak = int(one.argmax())
            assert (np.diff(one[: peak + 1]) >= 0).all()
            assert (np.diff(one[peak:]) <= 0).all()


def test_the_seed_decides() -> None:
    np.testing.assert_array_equal(blinks(500, 25.0, 3), blinks(500, 25.0, 3))
    assert (blinks(500, 25.0, 3) != blinks(500, 25.0, 4)).any()


def test_short_and_impossible_clips() -> None:
    assert blinks(1, 25.0).tolist() == [0]
    with pytest.raises(BadValue, match="0 frames"):
        blinks(0, 25.0)


def test_blinks_are_added_where_there_are_none() -> None:
    motion = Motion.neutral(ARKIT, 1500, 25.0).set(eyeBlinkLeft=0.1, eyeBlinkRight=0.05, jawOpen=0.3)
    blinking = with_blinks(motion, 2)
    assert 8 < len(moments_s(blinking["eyeBlinkLeft"], 25.0)) < 30
    np.testing.assert_array_equal(
        blinking["eyeBlinkLeft"] > 0.5, blinking["eyeBlinkRight"] > 0.5
    )  # both at once
    assert blinking["eyeBlinkLeft"].min() == pytest.approx(0.1)
    assert blinking["eyeBlinkRight"].min() == pytest.approx(0.05)
    rest = [name for name in ARKIT.names if name not in LIDS]
    np.testing.assert_array_equal(blinking[tuple(rest)], motion[tuple(rest)])
    np.testing.assert_array_equal(with_blinks(motion, 2).values, blinking.values)


def test_one_blink_in_a_long_while_is_too_few() -> None:
    lids = np.zeros(1500)
    lids[700:705] = 0.9
    blinking = with_blinks(Motion.neutral(ARKIT, 1500, 25.0).set(**dict.fromkeys(LIDS, lids)))
    assert len(moments_s(blinking["eyeBlinkLeft"], 25.0)) > 6
    assert (blinking["eyeBlinkLeft"] >= lids.astype(np.float32)).all()


def test_motion_that_blinks_enough_stays_as_it_is() -> None:
    own = blinks(1500, 25.0, 9) * 0.8
    motion = Motion.neutral(ARKIT, 1500, 25.0).set(eyeBlinkLeft=own, eyeBlinkRight=own)
    np.testing.assert_array_equal(with_blinks(motion).values, motion.values)


def test_adding_blinks_twice_adds_them_once() -> None:
    once = with_blinks(Motion.neutral(ARKIT, 1500, 25.0), 5)
    np.testing.assert_array_equal(with_blinks(once, 6).values, once.values)


def test_other_spaces_stay_as_they_are() -> None:
    motion = Motion.neutral(FLAME, 300, 25.0)
    assert with_blinks(motion) is motion
