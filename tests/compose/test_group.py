"""Several people of one picture."""

from __future__ import annotations

import numpy as np

from countenance.compose.group import GroupCompositor
from countenance.portrait.crop import Crop

PHOTO = np.full((100, 200, 3), 100, np.uint8)


def changed(crop: Crop, value: int) -> np.ndarray:
    picture = PHOTO.copy()
    rows, columns, *_ = crop.overlap(100, 200)
    picture[rows, columns] = value
    return picture


def test_people_apart_are_each_as_alone() -> None:
    left, right = Crop(5, 10, 60), Crop(120, 20, 70)
    both = GroupCompositor([left, right], 100, 200).paste([changed(left, 50), changed(right, 200)], PHOTO)
    assert (both[20:60, 15:55] == 50).all()
    assert (both[30:80, 130:180] == 200).all()
    assert (both[:, 70:115] == 100).all()


def test_where_squares_overlap_the_nearer_person_counts_and_no_step_shows() -> None:
    left, right = Crop(10, 10, 80), Crop(60, 10, 80)
    both = GroupCompositor([left, right], 100, 200).paste([changed(left, 0), changed(right, 255)], PHOTO)
    row = both[50, :, 0].astype(int)
    assert row[50] < 10  # the left one's centre
    assert row[100] > 245
    assert np.abs(np.diff(row[62:88])).max() < 40
    assert (np.diff(row[62:88]) >= 0).all()


def test_nobody_moved_nothing_changes() -> None:
    crops = [Crop(10, 10, 80), Crop(60, -5, 80)]
    np.testing.assert_array_equal(GroupCompositor(crops, 100, 200).paste([PHOTO, PHOTO], PHOTO), PHOTO)
