from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from skimage import data

import countenance as cn
from countenance.arrays import Image as Picture
from countenance.portrait.portrait import Portrait
from countenance.production import edited
from countenance.renderers.geometric.renderer import GeometricRenderer, drive
from countenance.trackers.catalogue import load_tracker
from countenance.trackers.portraits import portrait_from_image
from countenance.trackers.tracker import Tracker


@pytest.fixture(scope="module")
def tracker() -> Tracker:
    return load_tracker()


@pytest.fixture(scope="module")
def portrait(tracker: Tracker) -> Portrait:
    return portrait_from_image(data.astronaut(), tracker, crop_scale=1.4)


def measured(picture: Picture, tracker: Tracker, name: str) -> float:
    return float(tracker.faces(picture)[0].coefficients[tracker.space.index(name)])


@pytest.mark.parametrize("name", [f"s{i:02}" for i in range(1, 16)])
def test_own_motion_gives_every_portrait_back(name: str, shared, tracker: Tracker) -> None:
    picture = np.array(Image.open(shared / "data" / "portraits" / f"{name}.jpg").convert("RGB"))
    own = portrait_from_image(picture, tracker, crop_scale=1.4)
    frame = next(cn.animate(own, own.motion, GeometricRenderer()))
    np.testing.assert_array_equal(frame.image, picture)


@pytest.mark.parametrize(
    ("changes", "name", "least"),
    [
        ({"yaw": 0.35}, "yaw", 0.2),
        ({"pitch": 0.2}, "pitch", 0.12),
        ({"roll": 0.25}, "roll", 0.2),
        ({"eyeBlinkLeft": 0.9, "eyeBlinkRight": 0.9}, "eyeBlinkLeft", 0.2),
        ({"jawOpen": 0.7}, "jawOpen", 0.12),
        ({"browInnerUp": 0.9}, "browInnerUp", 0.1),
        ({"eyeLookOutLeft": 0.8, "eyeLookInRight": 0.8}, "eyeLookOutLeft", 0.15),
    ],
)
def test_the_tracker_sees_what_was_asked_for(
    portrait: Portrait, tracker: Tracker, changes: dict[str, float], name: str, least: float
) -> None:
    picture = edited(portrait, GeometricRenderer(), changes)
    assert measured(picture, tracker, name) - measured(portrait.image, tracker, name) > least


def test_yaw_moves_the_nose_to_image_right_and_pitch_down(portrait: Portrait, tracker: Tracker) -> None:
    nose = 1
    before = portrait.landmarks_px[nose]
    right = tracker.faces(edited(portrait, GeometricRenderer(), {"yaw": 0.35}))[0].landmarks_px[nose]
    down = tracker.faces(edited(portrait, GeometricRenderer(), {"pitch": 0.25}))[0].landmarks_px[nose]
    assert right[0] - before[0] > 5
    assert down[1] - before[1] > 3


def test_the_border_of_the_crop_never_changes(portrait: Portrait) -> None:
    avatar = GeometricRenderer().enroll(portrait)
    row = portrait.motion.values[0].copy()
    row[52:] += (0.3, 0.15, 0.15, 0.03, 0.03, 0.05)
    picture = drive(avatar, row).picture
    for edge in (np.s_[0], np.s_[-1], np.s_[:, 0], np.s_[:, -1]):
        np.testing.assert_array_equal(picture[edge], avatar.square[edge])
    assert (picture != avatar.square).any()


@pytest.mark.parametrize("extreme", ["yaw", "pitch", "logScale", "all shapes"])
def test_extreme_motion_stays_a_picture(portrait: Portrait, extreme: str) -> None:
    row = portrait.motion.values[0].copy()
    if extreme == "all shapes":
        row[:52] = 1
    else:
        row[portrait.motion.space.index(extreme)] += 1.5
    picture = drive(GeometricRenderer().enroll(portrait), row).picture
    assert picture.dtype == np.uint8
    assert picture.std() > 10


def test_a_grey_portrait_stays_grey(tracker: Tracker) -> None:
    grey = np.repeat(data.astronaut().mean(axis=2, keepdims=True).astype(np.uint8), 3, axis=2)
    own = portrait_from_image(grey, tracker, crop_scale=1.4)
    opened = edited(own, GeometricRenderer(), {"jawOpen": 0.9, "yaw": 0.2}).astype(int)
    assert np.ptp(opened, axis=2).max() <= 12
