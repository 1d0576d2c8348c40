from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from skimage import data

from countenance.animation import animate
from countenance.arrays import Floats, Image
from countenance.compose.transparency import with_alpha
from countenance.editing import with_changes
from countenance.media.alpha import over_white
from countenance.media.frames import Frame
from countenance.motion.sequence import Motion
from countenance.motion.spaces import BFM
from countenance.portrait.portrait import Portrait
from countenance.renderers.geometric.renderer import GeometricRenderer
from countenance.trackers.catalogue import load_tracker
from countenance.trackers.portraits import portrait_from_image

HIDDEN = (0, 255, 0)  # colours where the cutout is clear
MIDDLE = (225, 110)  # of the face, x and y
WALL = np.array([60, 20, 90])


def distance() -> Floats:
    """(512, 512) from the middle of the face; 1 on an ellipse around the head."""
    rows, columns = np.mgrid[:512, :512].astype(np.float32)
    return np.asarray(np.hypot((columns - MIDDLE[0]) / 82, (rows - MIDDLE[1]) / 115), np.float32)


@pytest.fixture(scope="module")
def portrait() -> Portrait:
    """The astronaut's head, cut out along an ellipse with a soft edge."""
    alpha = (np.clip((1 - distance()) / 0.03 + 0.5, 0, 1) * 255).astype(np.uint8)
    cutout = np.dstack([data.astronaut(), alpha])
    cutout[alpha == 0, :3] = HIDDEN
    laid = over_white(cutout[..., :3], alpha)
    return replace(portrait_from_image(laid, load_tracker()), cutout=cutout)


def on_wall(picture: Image | None) -> Image:
    """A transparent picture in front of a dark wall."""
    assert picture is not None
    share = picture[..., 3:] / 255
    return np.asarray((picture[..., :3] * share + WALL * (1 - share)).round(), np.uint8)


def moved(portrait: Portrait, **changes: float) -> tuple[Image, Image]:
    """The frame over white, and transparent."""
    motion = with_changes(portrait.motion, changes)
    frame = next(animate(replace(portrait, cutout=None), motion, GeometricRenderer()))
    transparent = next(with_alpha([frame], portrait, motion))
    assert transparent.time_s == frame.time_s
    return frame.image, transparent.image


def test_what_is_not_moved_comes_back_pixel_for_pixel(portrait: Portrait) -> None:
    made = list(animate(portrait, portrait.motion.still(2), GeometricRenderer()))
    assert len(made) == 2
    for frame in made:
        np.testing.assert_array_equal(frame.image, portrait.cutout)


@pytest.mark.parametrize("changes", [{"yaw": math.radians(20)}, {"jawOpen": 0.6}, {"roll": math.radians(15)}])
def test_laid_over_white_again_it_is_the_frame(portrait: Portrait, changes: dict[str, float]) -> None:
    opaque, transparent = moved(portrait, **changes)
    again = over_white(transparent[..., :3], transparent[..., 3])
    assert np.abs(again.astype(int) - opaque).max() <= 8
    assert np.abs(again.astype(int) - opaque).mean() < 0.01


def test_alpha_moves_with_the_head(portrait: Portrait) -> None:
    _, transparent = moved(portrait, x=0.8)
    alpha = transparent[..., 3].astype(float)
    columns = np.arange(512)
    crop = portrait.crop
    rows = slice(crop.top + crop.side // 3, crop.top + crop.side // 2)
    own = portrait.cutout[..., 3].astype(float)  # type: ignore[index]
    shift = (alpha[rows] @ columns / alpha[rows].sum(1)) - (own[rows] @ columns / own[rows].sum(1))
    assert shift.mean() > 3
    np.testing.assert_array_equal(alpha[400:], own[400:])


@pytest.mark.parametrize("changes", [{"yaw": math.radians(20)}, {"jawOpen": 0.6}, {"roll": math.radians(15)}])
def test_on_a_dark_wall_it_is_as_if_the_photo_had_been_there(
    portrait: Portrait, changes: dict[str, float]
) -> None:
    _, transparent = moved(portrait, **changes)
    there = replace(portrait, image=on_wall(portrait.cutout), cutout=None)
    expected = next(animate(there, with_changes(portrait.motion, changes), GeometricRenderer())).image
    edge = (transparent[..., 3] > 0) & (transparent[..., 3] < 255)
    away = np.abs(on_wall(transparent).astype(int) - expected)
    assert edge.sum() > 500
    assert away[edge].mean() < 1.5
    assert np.quantile(away, 0.9999) <= 12


def test_the_inside_of_an_open_mouth_is_opaque(portrait: Portrait) -> None:
    opaque, transparent = moved(portrait, jawOpen=0.6)
    drawn = (np.abs(opaque.astype(int) - portrait.image).max(axis=2) > 60) & (distance() < 0.7)
    assert drawn.sum() > 200
    assert (transparent[drawn, 3] == 255).all()


def test_what_was_drawn_where_it_is_clear_becomes_opaque(portrait: Portrait) -> None:
    drawn = portrait.image.copy()
    drawn[100:120, 320:340] = (90, 60, 30)  # far outside the ellipse
    made = next(with_alpha([Frame(drawn, 0.0)], portrait, portrait.motion)).image
    assert (made[100:120, 320:340] == (90, 60, 30, 255)).all()
    untouched = np.ones((512, 512), bool)
    untouched[95:125, 315:345] = False
    np.testing.assert_array_equal(made[untouched], portrait.cutout[untouched])  # type: ignore[index]


def test_motions_of_another_space_leave_alpha_in_place(portrait: Portrait) -> None:
    motion = Motion(np.tile(BFM.neutral, (3, 1)).astype(np.float32), BFM, 25.0)
    frames = [Frame(portrait.image, i / 25) for i in range(3)]
    for frame in with_alpha(frames, portrait, motion):
        np.testing.assert_array_equal(frame.image, portrait.cutout)


def test_several_motions_follow_each_other(portrait: Portrait) -> None:
    turned = with_changes(portrait.motion, {"yaw": 0.3})
    frames = animate(portrait, [portrait.motion, turned], GeometricRenderer())
    still, moving = (frame.image for frame in frames)
    np.testing.assert_array_equal(still, portrait.cutout)
    np.testing.assert_array_equal(moving, moved(portrait, yaw=0.3)[1])


def test_an_opaque_photo_stays_opaque(portrait: Portrait) -> None:
    frame = Frame(portrait.image, 0.0)
    assert list(with_alpha([frame], replace(portrait, cutout=None), portrait.motion)) == [frame]
