from __future__ import annotations

import cv2
import numpy as np
import pytest
from skimage import data

from countenance.arrays import Image
from countenance.errors import FaceNotThere, NoFaceFound
from countenance.media.frames import Frame
from countenance.trackers.catalogue import load_tracker
from countenance.trackers.following import follow_face
from countenance.trackers.portraits import portrait_from_image
from countenance.trackers.tracker import Tracker, bridged


@pytest.fixture(scope="module")
def tracker() -> Tracker:
    return load_tracker()


def clip(pictures: list[Image]) -> list[Frame]:
    return [Frame(picture, i / 25) for i, picture in enumerate(pictures)]


def test_a_mirrored_photo_gives_the_mirrored_motion(tracker: Tracker) -> None:
    photo = data.astronaut()
    plain = portrait_from_image(photo, tracker).motion.mirrored()
    flipped = portrait_from_image(np.ascontiguousarray(photo[:, ::-1]), tracker).motion
    np.testing.assert_allclose(flipped["yaw", "pitch", "roll"], plain["yaw", "pitch", "roll"], atol=0.05)
    assert np.abs(flipped.values[:, :52] - plain.values[:, :52]).mean() < 0.04


def test_turning_the_photo_turns_the_head(tracker: Tracker) -> None:
    photo = data.astronaut()
    # cv2 counts positive angles counter-clockwise as seen, as roll does
    turned = cv2.warpAffine(photo, cv2.getRotationMatrix2D((225, 110), 10, 1), (512, 512))
    difference = (
        portrait_from_image(turned, tracker).motion["roll"]
        - portrait_from_image(photo, tracker).motion["roll"]
    )
    assert np.degrees(difference[0]) == pytest.approx(10, abs=1.5)


def test_enlarging_the_photo_changes_no_coefficient(tracker: Tracker) -> None:
    photo = data.astronaut()
    large = cv2.resize(photo, None, fx=1.7, fy=1.7, interpolation=cv2.INTER_CUBIC)
    first, second = (portrait_from_image(p, tracker).motion.values[0] for p in (photo, large))
    assert np.abs(first[52:] - second[52:]).max() < 0.06


def test_faces_come_largest_first_and_small_ones_are_found(tracker: Tracker) -> None:
    photo = data.astronaut()
    wide = np.full((1400, 2000, 3), 90, np.uint8)
    wide[200:712, 100:612] = photo
    small = cv2.resize(photo, (256, 256), interpolation=cv2.INTER_AREA)
    wide[900:1156, 1500:1756] = small
    faces = tracker.faces(wide)
    assert len(faces) >= 1
    widths = [face.box_px[2] - face.box_px[0] for face in faces]
    assert widths == sorted(widths, reverse=True)
    lonely = np.full((1400, 2000, 3), 90, np.uint8)
    lonely[900:1156, 1500:1756] = small
    assert len(tracker.faces(lonely)) == 1


def test_two_people(shared, tracker: Tracker) -> None:
    picture = cv2.imread(str(shared / "data" / "frames" / "two_faces.jpg"))[..., ::-1].copy()
    boxes = [portrait_from_image(picture, tracker, face=n).box_px for n in (1, 2)]
    assert abs(boxes[0][0] - boxes[1][0]) > 100
    with pytest.raises(FaceNotThere, match="2 face"):
        portrait_from_image(picture, tracker, face=3)


def test_a_gap_is_bridged_and_said(tracker: Tracker) -> None:
    photo, black = data.astronaut(), np.zeros((512, 512, 3), np.uint8)
    track = follow_face(clip([photo, photo, black, black, photo]), tracker, 25.0)
    assert track.observed.tolist() == [True, True, False, False, True]
    assert np.isfinite(track.coefficients).all()


def test_the_followed_face_is_kept_when_a_larger_one_appears(tracker: Tracker) -> None:
    photo = data.astronaut()
    alone = np.full((512, 1100, 3), 80, np.uint8)
    alone[100:484, 20:404] = cv2.resize(photo, (384, 384), interpolation=cv2.INTER_AREA)
    joined = alone.copy()
    joined[:, 560:1072] = photo
    track = follow_face(clip([alone] * 3 + [joined] * 4), tracker, 25.0)
    assert track.boxes_px[:, 2].max() < 500


def test_nobody_there(tracker: Tracker) -> None:
    with pytest.raises(NoFaceFound, match="the picture"):
        portrait_from_image(data.coffee(), tracker)
    with pytest.raises(NoFaceFound, match="a clip"):
        follow_face(clip([data.coffee()] * 2), tracker, 25.0, where="a clip")


def test_bridging_draws_straight_lines_and_repeats_the_ends() -> None:
    rows = np.array([[9.0], [1], [9], [3], [9]], np.float32)
    filled = bridged(rows, np.array([False, True, False, True, False]))
    assert filled.ravel().tolist() == [1, 1, 2, 3, 3]
