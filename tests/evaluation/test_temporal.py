from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage import data

from countenance.errors import BadValue
from countenance.evaluation.metrics.temporal import flicker, landmark_jitter_percent

FACE = np.array([[0.0, 0.0, 5.0], [0.0, 200.0, 0.0], [50.0, 100.0, -3.0]])
PICTURE = data.astronaut()[:256, 96:352]


def _moved(*x_px: float) -> np.ndarray:
    """(T, 3, 3): the face moved to the right in each frame."""
    return np.stack([FACE + np.array([x, 0, 0]) for x in x_px])


def _levels(*levels: int) -> list[np.ndarray]:
    return [np.full((48, 64, 3), level, np.uint8) for level in levels]


def _flicker_at_full_size(pictures: list[np.ndarray]) -> float:
    lumas = [picture @ np.array([0.299, 0.587, 0.114]) for picture in pictures]
    return float(np.abs(lumas[0] - 2 * lumas[1] + lumas[2]).mean())


def test_jitter_counts_second_differences_in_face_heights() -> None:
    assert landmark_jitter_percent(_moved(0, 4, 0)) == pytest.approx(100 * 8 / 200)
    assert landmark_jitter_percent(_moved(0, 4, 0, 0)) == pytest.approx(100 * (8 + 4) / 2 / 200)
    one = _moved(0, 0, 0)
    one[1, 2, :2] += (3, 4)
    assert landmark_jitter_percent(one) == pytest.approx(100 * 10 / 3 / 200)


def test_the_height_is_that_of_the_frame_in_the_middle() -> None:
    landmarks = _moved(0, 4, 0)
    landmarks[0, 1, 1], landmarks[2, 1, 1] = 150, 250  # grows evenly
    assert landmark_jitter_percent(landmarks) == pytest.approx(100 * 8 / 200)


@given(st.floats(-20, 20), st.floats(0.1, 10))
def test_jitter_does_not_see_even_movement_size_or_depth(speed: float, scale: float) -> None:
    assert landmark_jitter_percent(_moved(*(speed * np.arange(5)))) == pytest.approx(0, abs=1e-9)
    shaken = _moved(0, 4, 1, 7, 2)
    expected = landmark_jitter_percent(shaken)
    assert landmark_jitter_percent(scale * shaken) == pytest.approx(expected)
    assert landmark_jitter_percent(shaken[..., :2].astype(np.float32)) == pytest.approx(expected, rel=1e-5)


def test_frames_without_a_face_leave_out_the_triples_they_are_in() -> None:
    landmarks = _moved(0, 4, 0, 999, 0, 6, 0)
    landmarks[3] = np.nan
    assert landmark_jitter_percent(landmarks) == pytest.approx(100 * (8 + 12) / 2 / 200)
    landmarks[[1, 5]] = np.nan
    assert math.isnan(landmark_jitter_percent(landmarks))


def test_a_still_has_no_jitter_and_no_flicker() -> None:
    assert landmark_jitter_percent(_moved(7, 7, 7, 7)) == 0
    assert flicker([PICTURE] * 4) == 0


@pytest.mark.parametrize("frames", [0, 1, 2])
def test_fewer_than_3_frames_have_no_figure(frames: int) -> None:
    assert math.isnan(landmark_jitter_percent(np.zeros((frames, 3, 2))))
    assert math.isnan(flicker([PICTURE] * frames))


@pytest.mark.parametrize("shape", [(5, 3), (5, 3, 4), (5, 1, 2)])
def test_landmarks_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(BadValue, match="are not"):
        landmark_jitter_percent(np.zeros(shape))


def test_flicker_counts_levels() -> None:
    assert flicker(_levels(100, 110, 100)) == pytest.approx(20, abs=1e-3)
    assert flicker(_levels(100, 110, 100, 100)) == pytest.approx((20 + 10) / 2, abs=1e-3)
    assert flicker(_levels(50, 60, 70, 80)) == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize(("channel", "share"), [(0, 0.299), (1, 0.587), (2, 0.114)])
def test_flicker_sees_the_luma_of_bt_601(channel: int, share: float) -> None:
    pictures = _levels(100, 100, 100)
    pictures[1][..., channel] += 50
    assert flicker(pictures) == pytest.approx(100 * share, abs=1e-3)


def test_movement_and_noise_count_less_than_at_full_size() -> None:
    shaken = [np.roll(PICTURE, shift, 1) for shift in (0, 1, 0)]
    rng = np.random.default_rng(0)
    noisy = [np.clip(PICTURE + rng.normal(0, 9, PICTURE.shape), 0, 255).astype(np.uint8) for _ in range(3)]
    brighter = [PICTURE // 2, PICTURE // 2 + 5, PICTURE // 2]
    for pictures, most in ((shaken, 0.7), (noisy, 0.15)):
        assert 0 < flicker(pictures) < most * _flicker_at_full_size(pictures)
    assert flicker(brighter) == pytest.approx(_flicker_at_full_size(brighter)) == pytest.approx(10)


def test_pictures_of_two_sizes_are_refused() -> None:
    with pytest.raises(BadValue, match="resize"):
        flicker([PICTURE, PICTURE, PICTURE[:-1]])
