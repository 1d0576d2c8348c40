"""What every renderer in the catalogue must do."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from skimage import data

import countenance as cn
from countenance.devices import devices_here
from countenance.errors import MotionSpaceMismatch, UnknownName, WeightsDamaged, WeightsMissing
from countenance.motion.sequence import Motion
from countenance.motion.spaces import FLAME, get_space
from countenance.portrait.portrait import Portrait
from countenance.renderers.catalogue import load_renderer, renderer_names, renderer_spec
from countenance.renderers.renderer import Avatar
from countenance.trackers.catalogue import tracker_for
from countenance.trackers.portraits import portrait_from_image


@pytest.fixture(scope="module", params=list(product(renderer_names(), devices_here())), ids="-".join)
def renderer(request: pytest.FixtureRequest) -> Any:
    name, device = request.param
    try:
        found: Any = load_renderer(name, device)
    except WeightsMissing as missing:
        pytest.skip(str(missing))
    if hasattr(found, "inversion"):  # some steps show what all would
        found.inversion = replace(found.inversion, steps_w=4, steps_w_plus=4, large_steps=2, tune_steps=2)
    return found


@pytest.fixture(scope="module")
def portrait(renderer: Any) -> Portrait:
    tracker = tracker_for(renderer.spec.motion_space)
    return portrait_from_image(data.astronaut(), tracker, crop_scale=renderer.spec.crop_scale)


@pytest.fixture(scope="module")
def avatar(renderer: Any, portrait: Portrait) -> Any:
    return renderer.enroll(portrait)


@pytest.fixture(scope="module")
def motion(portrait: Portrait) -> Motion:
    return portrait.motion.still(3).set(yaw=portrait.motion["yaw"][0] + np.array([0, 0.1, 0.2]))


def test_spec_is_complete(renderer: Any) -> None:
    spec = renderer.spec
    assert renderer_spec(spec.name) == spec
    assert spec.summary
    assert spec.licence
    assert get_space(spec.motion_space)
    assert spec.crop_scale > 0


@pytest.mark.parametrize("name", renderer_names())
def test_reading_a_spec_loads_no_heavy_library(name: str) -> None:
    code = (
        f"import sys; from countenance.renderers.catalogue import renderer_spec; renderer_spec({name!r}); "
        "print(sorted({'torch', 'mediapipe', 'cv2', 'av'} & set(sys.modules)))"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "[]"


def test_pictures_are_squares_of_the_crop_and_come_lazily(
    renderer: Any, portrait: Portrait, avatar: Any, motion: Motion
) -> None:
    pictures = renderer.render(avatar, motion)
    assert isinstance(pictures, Iterator)
    shown = list(pictures)
    side = portrait.crop.side
    assert [(p.shape, p.dtype) for p in shown] == [((side, side, 3), np.uint8)] * 3
    assert (shown[0] != shown[2]).any()


def test_rendering_twice_gives_the_same(renderer: Any, avatar: Any, motion: Motion) -> None:
    for first, second in zip(renderer.render(avatar, motion), renderer.render(avatar, motion), strict=True):
        np.testing.assert_array_equal(first, second)


def test_an_avatar_can_be_saved_and_loaded(
    renderer: Any, avatar: Any, motion: Motion, tmp_path: Path
) -> None:
    assert isinstance(avatar, Avatar)
    path = tmp_path / "person.safetensors"
    avatar.save(path)
    again = renderer.load_avatar(path)
    assert again.crop == avatar.crop
    for first, second in zip(renderer.render(avatar, motion), renderer.render(again, motion), strict=True):
        np.testing.assert_array_equal(first, second)


def test_something_else_is_no_avatar(renderer: Any, tmp_path: Path) -> None:
    path = tmp_path / "person.safetensors"
    path.write_bytes(b"not an avatar")
    with pytest.raises(WeightsDamaged, match="enroll the portrait again"):
        renderer.load_avatar(path)


def test_another_space_is_refused_before_the_first_frame(renderer: Any, portrait: Portrait) -> None:
    other = Motion.neutral(FLAME if renderer.spec.motion_space != "flame" else get_space("arkit"), 2, 25.0)
    with pytest.raises(MotionSpaceMismatch, match=renderer.spec.motion_space):
        cn.animate(portrait, other, renderer)


def test_an_unknown_name_gets_a_hint() -> None:
    with pytest.raises(UnknownName, match="geometric"):
        load_renderer("geometrik")
