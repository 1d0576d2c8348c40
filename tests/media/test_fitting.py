from __future__ import annotations

import numpy as np
import pytest

from countenance.media.fitting import fitted, fitted_size, h264_level, plays_widely, widely_played_side_px


@pytest.mark.parametrize(
    ("width", "height", "fps", "level"),
    [
        (176, 144, 15, "1"),
        (352, 288, 30, "1.3"),
        (720, 576, 25, "3"),
        (1280, 720, 30, "3.1"),
        (1280, 720, 60, "3.2"),
        (1920, 1080, 30, "4"),
        (1920, 1080, 60, "4.2"),
        (1920, 1080, 120, "5.1"),
        (3840, 2160, 30, "5.1"),
        (4096, 2304, 56, "5.2"),
        (4032, 3024, 25, "6"),
        (8192, 4320, 30, "6"),
        (8192, 4320, 120, "6.2"),
        (12_000, 12_000, 1, None),
        (12_000, 16, 1, "6"),  # few pixels, but longer than the root of 8 x 36864 macroblocks
    ],
)
def test_levels_of_table_a1(width: int, height: int, fps: float, level: str | None) -> None:
    assert h264_level(width, height, fps) == level
    assert plays_widely(width, height, fps) == (level is not None and level < "6")


@pytest.mark.parametrize(
    ("width", "height", "fps"), [(4032, 3024, 25), (3024, 4032, 25), (12_000, 12_000, 480)]
)
def test_the_side_that_is_offered_is_enough_and_hardly_less(width: int, height: int, fps: float) -> None:
    side = widely_played_side_px(width, height, fps)
    assert plays_widely(*fitted_size(width, height, side), fps)
    assert not plays_widely(*fitted_size(width, height, side + 48), fps)


@pytest.mark.parametrize(
    ("size", "limit", "expected"),
    [
        ((4032, 3024), 1920, (1920, 1440)),
        ((3024, 4032), 1921, (1440, 1920)),
        ((640, 480), 640, (640, 480)),
        ((641, 481), 1000, (641, 481)),
        ((641, 481), None, (641, 481)),
        ((1000, 333), 500, (500, 166)),
        ((12_000, 16), 100, (100, 2)),
    ],
)
def test_fitted_sizes(size: tuple[int, int], limit: int | None, expected: tuple[int, int]) -> None:
    assert fitted_size(*size, limit) == expected


def test_each_pixel_is_the_mean_of_what_it_covers() -> None:
    image = np.random.default_rng(0).integers(0, 255, (8, 12, 3), np.uint8)
    means = image.reshape(4, 2, 6, 2, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(fitted(image, 6), means, atol=1)


def test_what_is_clear_lends_no_colour() -> None:
    image = np.zeros((4, 4, 4), np.uint8)
    image[..., 0] = 255
    image[:, ::2] = (0, 200, 0, 255)
    np.testing.assert_array_equal(fitted(image, 2), np.full((2, 2, 4), (0, 200, 0, 128), np.uint8))
