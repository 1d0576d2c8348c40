"""A drawn head is laid into its photo, which moves along."""

from __future__ import annotations

import numpy as np
import pytest
from skimage import data

from countenance.arrays import Floats, Image
from countenance.compose.follow import FollowingCompositor
from countenance.compose.paste import Compositor
from countenance.motion.sequence import Motion
from countenance.motion.spaces import ARKIT, BFM
from countenance.portrait.crop import Crop
from countenance.renderers.otavatar.camera import head_placements, motion_cameras

SIDE = 200


def placed(**pose: float) -> Floats:
    """(2, 3), where a head with this pose is in its square."""
    motion = Motion.neutral(ARKIT, 1, 25.0).set(**pose)
    return head_placements(motion_cameras(motion))[0]


def compositor(crop: Crop) -> FollowingCompositor:
    return FollowingCompositor(crop, 512, 512, placed())


@pytest.mark.parametrize("crop", [Crop(130, 30, SIDE), Crop(-30, -20, 300), Crop(300, 250, 400)])
def test_a_head_that_stays_gives_the_photo_back(crop: Crop) -> None:
    photo = data.astronaut()
    before = photo.copy()
    np.testing.assert_array_equal(compositor(crop).paste(crop.cut(photo), photo, placed()), photo)
    np.testing.assert_array_equal(photo, before)


def photo_of_places() -> Image:
    """512 x 512 whose colours say where a pixel is."""
    y, x = np.mgrid[:512, :512] / 2.1
    return np.dstack([x, y, np.full_like(x, 90)]).round().astype(np.uint8)


@pytest.mark.parametrize("crop", [Crop(130, 130, SIDE), Crop(300, 330, SIDE), Crop(-40, -60, SIDE)])
@pytest.mark.parametrize("pose", [{"x": 0.1, "y": 0.05}, {"roll": 0.4}, {"logScale": 0.2}])
def test_the_photo_goes_on_where_the_drawing_ends(crop: Crop, pose: dict[str, float]) -> None:
    photo, there = photo_of_places(), placed(**pose)
    back = placed()[:, :2] @ np.linalg.inv(there[:, :2])
    y, x = np.mgrid[:512, :512] + 0.5
    from_head = (np.stack([x - crop.left, y - crop.top], -1) / SIDE - there[:, 2]) @ back.T
    source = (from_head + placed()[:, 2]) * SIDE + (crop.left, crop.top)
    rigid = np.dstack([source.clip(0, 511) / 2.1, np.full((512, 512), 90)]).round().astype(np.uint8)
    made = compositor(crop).paste(crop.cut(rigid), photo, there)
    stays = Compositor(crop, 512, 512).paste(crop.cut(rigid), photo)
    beside = np.maximum(np.abs(x - crop.center_px[0]), np.abs(y - crop.center_px[1])) > SIDE / 2
    ring = beside & (np.hypot(*from_head.transpose(2, 0, 1)) < 0.58)
    followed, left_behind = (np.abs(each[ring].astype(int) - rigid[ring]).mean() for each in (made, stays))
    assert followed < 0.3 * left_behind
    far = np.hypot(*from_head.transpose(2, 0, 1)) > 1.15
    np.testing.assert_array_equal(made[far], photo[far])


@pytest.mark.parametrize(
    "pose", [{"x": 0.1, "y": -0.2, "logScale": 0.3, "roll": 0.5}, {"yaw": 0.6, "pitch": -0.3}]
)
def test_placements_are_what_the_motion_says(pose: dict[str, float]) -> None:
    there, own = placed(**pose), placed()
    change = there[:, :2] @ np.linalg.inv(own[:, :2])
    size, roll = np.exp(pose.get("logScale", 0.0)), pose.get("roll", 0.0)
    turn = np.array([[np.cos(roll), np.sin(roll)], [-np.sin(roll), np.cos(roll)]])  # y runs down
    np.testing.assert_allclose(there[:, 2], [0.5 + pose.get("x", 0.0), 0.5 - pose.get("y", 0.0)], atol=1e-5)
    if "yaw" not in pose:
        np.testing.assert_allclose(change, size * turn, atol=1e-5)
    else:  # a head that turns stays upright and as large
        np.testing.assert_allclose(change, np.eye(2), atol=0.25)


def test_bfm_heads_are_placed_by_their_cameras() -> None:
    motion = Motion.neutral(BFM, 3, 25.0).set(tx=np.array([0.0, 0.3, 0.0]), roll=np.array([0.0, 0.0, 0.3]))
    still, right, rolled = head_placements(motion_cameras(motion))
    assert right[0, 2] > still[0, 2] + 0.05
    np.testing.assert_allclose(right[:, :2], still[:, :2], rtol=0.05, atol=0.05)
    angle = np.arctan2(rolled[1, 0], rolled[0, 0]) - np.arctan2(still[1, 0], still[0, 0])
    assert abs(abs(angle) - 0.3) < 0.05
