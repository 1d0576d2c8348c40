from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from skimage import data

import countenance as cn
from countenance.arrays import Floats
from countenance.arrays import Image as Picture
from countenance.editing import edit, swept, with_changes
from countenance.errors import BadValue, MotionInvalid, UnknownName
from countenance.face.mediapipe_topology import FACE_OVAL, LEFT_EYE_LOWER, LEFT_EYE_UPPER
from countenance.face.shape_sliders import ARKIT_SLIDERS, shape_basis
from countenance.motion.sequence import Motion
from countenance.portrait.portrait import Portrait
from countenance.renderers.catalogue import renderer_spec
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
    picture = edit(portrait, changes, GeometricRenderer())
    assert measured(picture, tracker, name) - measured(portrait.image, tracker, name) > least


def test_yaw_moves_the_nose_to_image_right_and_pitch_down(portrait: Portrait, tracker: Tracker) -> None:
    nose = 1
    before = portrait.landmarks_px[nose]
    right = tracker.faces(edit(portrait, {"yaw": 0.35}, GeometricRenderer()))[0].landmarks_px[nose]
    down = tracker.faces(edit(portrait, {"pitch": 0.25}, GeometricRenderer()))[0].landmarks_px[nose]
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
    opened = edit(own, {"jawOpen": 0.9, "yaw": 0.2}, GeometricRenderer()).astype(int)
    assert np.ptp(opened, axis=2).max() <= 12


def span(points: Floats, one: int, other: int) -> float:
    return float(np.linalg.norm(points[one, :2] - points[other, :2]))


@pytest.mark.parametrize(
    ("name", "ends", "least"),
    [
        ("faceWidth", (234, 454), 1.12),
        ("faceLength", (10, 152), 1.06),
        ("foreheadHeight", (9, 10), 1.04),
        ("cheekFullness", (132, 361), 1.05),
        ("jawWidth", (58, 288), 1.09),
        ("chinLength", (17, 152), 1.15),
        ("eyeSize", (362, 263), 1.1),
        ("eyeDistance", (133, 362), 1.15),
        ("browHeight", (105, 159), 1.12),
        ("noseWidth", (129, 358), 1.03),  # the tracker sees noses nearer to the average
        ("noseLength", (168, 2), 1.04),
        ("mouthWidth", (61, 291), 1.1),
        ("lipFullness", (0, 13), 1.15),
    ],
)
def test_the_tracker_sees_another_shape(
    portrait: Portrait, tracker: Tracker, name: str, ends: tuple[int, int], least: float
) -> None:
    smaller, larger = (
        tracker.faces(edit(portrait, {name: value}, GeometricRenderer()))[0].landmarks_px
        for value in (-1.0, 1.0)
    )
    assert span(larger, *ends) > least * span(smaller, *ends)
    assert span(smaller, *ends) < span(portrait.landmarks_px, *ends) < span(larger, *ends)


def test_a_shape_of_zero_is_the_photo(portrait: Portrait) -> None:
    zeros = {slider.name: 0.0 for slider in ARKIT_SLIDERS}
    np.testing.assert_array_equal(edit(portrait, zeros, GeometricRenderer()), portrait.image)
    motion = replace(portrait.motion, identity=np.zeros(len(ARKIT_SLIDERS), np.float32))
    np.testing.assert_array_equal(
        next(cn.animate(portrait, motion, GeometricRenderer())).image, portrait.image
    )


def test_a_shape_turns_with_the_head_and_fades_out_to_the_border(portrait: Portrait) -> None:
    """Outline and rings move by the displacement, turned with the pose; the crop's border stays."""
    avatar = GeometricRenderer().enroll(portrait)
    motion = with_changes(portrait.motion, {"yaw": 0.2, "faceWidth": 1.0, "chinLength": -1.0})
    shape = motion.identity
    assert shape is not None
    plain, shaped = (avatar.deformation.at(motion.values[0], s) for s in (None, shape))
    moved_cm = np.tensordot(shape, shape_basis(), 1)[list(FACE_OVAL)]
    expected = plain.pose.scale_px_per_cm * (moved_cm @ plain.pose.rotation.T) * (1, -1, 1)
    np.testing.assert_allclose((shaped.vertices - plain.vertices)[list(FACE_OVAL)], expected, atol=0.01)
    rings = (shaped.vertices - plain.vertices)[avatar.mesh.rings].reshape(-1, len(FACE_OVAL), 3)
    away = np.linalg.norm(rings[..., :2], axis=2)
    assert (np.diff(away, axis=0) <= 1e-3).all()
    assert away[-1].max() < 1e-3
    picture = drive(avatar, motion.values[0], shape).picture
    np.testing.assert_array_equal(picture[0], avatar.square[0])


def test_closed_eyes_stay_closed_when_larger(portrait: Portrait) -> None:
    avatar = GeometricRenderer().enroll(portrait)
    motion = with_changes(portrait.motion, {"eyeBlinkLeft": 1.0, "eyeSize": 1.0})
    lids = avatar.deformation.at(motion.values[0], motion.identity).vertices
    gap = lids[list(LEFT_EYE_LOWER[1:-1]), 1] - lids[list(LEFT_EYE_UPPER[1:-1]), 1]
    assert np.abs(gap).max() < 0.5


def test_a_swept_shape_starts_and_ends_at_the_photo(portrait: Portrait) -> None:
    frames = list(swept(portrait, GeometricRenderer(), {}, "jawWidth", np.array([0.0, 1.0, 0.0]), 5.0))
    assert [frame.time_s for frame in frames] == pytest.approx([0.0, 0.2, 0.4])
    for frame in (frames[0], frames[2]):
        np.testing.assert_array_equal(frame.image, portrait.image)
    np.testing.assert_array_equal(frames[1].image, edit(portrait, {"jawWidth": 1.0}, GeometricRenderer()))


def test_shapes_that_are_none(portrait: Portrait) -> None:
    with pytest.raises(UnknownName, match="did you mean noseWidth"):
        edit(portrait, {"nosewith": 1.0}, GeometricRenderer())
    wrong = Motion(portrait.motion.values, portrait.motion.space, 25.0, identity=np.zeros(100))
    with pytest.raises(MotionInvalid, match="100 numbers"):
        cn.animate(portrait, wrong, GeometricRenderer())

    class Flat(GeometricRenderer):
        spec = renderer_spec("pirenderer-lite")

    with pytest.raises(BadValue, match="--model geometric or gdpw-lite"):
        edit(portrait, {"noseWidth": 1.0}, Flat())
