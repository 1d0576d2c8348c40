from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage import data

from countenance.errors import BadValue
from countenance.portrait.crop import Crop


def test_a_still_face_fills_its_share_of_the_crop() -> None:
    crop = Crop.around(np.array([100, 100, 240, 300], np.float32))
    assert crop.side == pytest.approx(1.63 * 200, abs=2)
    assert crop.center_px[0] == pytest.approx(170, abs=1)


def test_a_moving_face_gets_one_box_that_holds_all() -> None:
    boxes = np.array([[100, 100, 240, 300], [300, 120, 440, 320]], np.float32)
    crop = Crop.around(boxes)
    assert crop.left < 100
    assert crop.left + crop.side > 440


def test_a_box_without_area_is_refused() -> None:
    with pytest.raises(BadValue, match="area"):
        Crop.around(np.zeros(4, np.float32))


@settings(deadline=None, max_examples=30)
@given(st.integers(-200, 500), st.integers(-200, 500), st.integers(1, 400))
def test_cutting_inside_moves_no_pixel_and_outside_repeats_the_edge(left: int, top: int, side: int) -> None:
    picture, crop = data.astronaut(), Crop(left, top, side)
    if left + side <= 0 or top + side <= 0 or left >= 512 or top >= 512:
        return
    square = crop.cut(picture)
    assert square.shape == (side, side, 3)
    rows, columns, own_rows, own_columns = crop.overlap(512, 512)
    np.testing.assert_array_equal(square[own_rows, own_columns], picture[rows, columns])


@settings(deadline=None, max_examples=30)
@given(st.integers(-200, 500), st.integers(-200, 500))
def test_points_come_back(left: int, top: int) -> None:
    points, crop = np.array([[3.5, 4.5, 7.0], [100, 50, -2]], np.float32), Crop(left, top, 64)
    np.testing.assert_allclose(crop.to_picture(crop.to_crop(points)), points, atol=1e-3)
