from __future__ import annotations

import numpy as np
import pytest
from skimage import data

from countenance.compose.paste import Compositor
from countenance.portrait.crop import Crop


@pytest.mark.parametrize("crop", [Crop(100, 40, 200), Crop(-30, -20, 300), Crop(300, 250, 400)])
def test_pasting_back_what_was_cut_changes_nothing(crop: Crop) -> None:
    picture = data.astronaut()
    np.testing.assert_array_equal(Compositor(crop, 512, 512).paste(crop.cut(picture), picture), picture)


def test_a_change_in_the_middle_arrives_and_the_outside_stays() -> None:
    picture, crop = data.astronaut(), Crop(100, 40, 200)
    square = crop.cut(picture)
    square[80:120, 80:120] = (255, 0, 0)
    pasted = Compositor(crop, 512, 512).paste(square, picture)
    assert (pasted[120:160, 180:220] == (255, 0, 0)).all()
    outside = np.ones((512, 512), bool)
    outside[40:240, 100:300] = False
    np.testing.assert_array_equal(pasted[outside], picture[outside])


def test_a_colour_cast_leaves_no_step_at_the_rim() -> None:
    picture = np.full((300, 300, 3), 120, np.uint8)
    crop = Crop(50, 50, 200)
    pasted = Compositor(crop, 300, 300).paste(crop.cut(picture) + np.uint8(20), picture)
    assert np.abs(pasted.astype(int) - 120).max() <= 1


def test_the_background_is_not_written_to() -> None:
    picture = data.astronaut()
    before = picture.copy()
    Compositor(Crop(10, 10, 100), 512, 512).paste(np.zeros((100, 100, 3), np.uint8), picture)
    np.testing.assert_array_equal(picture, before)
