"""The weights that we ship: what they are, and that they move a real face the right way."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from skimage import data

import countenance.renderers.pirenderer as package
from countenance.arrays import Image
from countenance.editing import with_changes
from countenance.evaluation.metrics.pixels import psnr
from countenance.portrait.portrait import Portrait
from countenance.renderers.catalogue import load_renderer
from countenance.renderers.pirenderer.renderer import PIRendererRenderer
from countenance.trackers.catalogue import load_tracker
from countenance.trackers.portraits import portrait_from_image

FOLDER = Path(package.__file__).parent


@pytest.fixture(scope="module")
def renderer() -> PIRendererRenderer:
    return load_renderer("pirenderer-lite")  # type: ignore[return-value]


@pytest.fixture(scope="module")
def portrait(renderer: PIRendererRenderer) -> Portrait:
    return portrait_from_image(data.astronaut(), load_tracker(), crop_scale=renderer.spec.crop_scale)


def rendered(renderer: PIRendererRenderer, portrait: Portrait, **changes: float) -> Image:
    return next(renderer.render(renderer.enroll(portrait), with_changes(portrait.motion, changes)))


def test_own_motion_nearly_gives_the_source_back(renderer: PIRendererRenderer, portrait: Portrait) -> None:
    assert psnr(rendered(renderer, portrait), portrait.square) > 26


@pytest.mark.parametrize(("name", "value", "axis", "sign"), [("x", 0.06, 0, 1), ("y", 0.06, 1, -1)])
def test_the_head_goes_where_it_is_told(
    renderer: PIRendererRenderer, portrait: Portrait, name: str, value: float, axis: int, sign: int
) -> None:
    tracker = load_tracker()
    still, moved = (tracker.faces(rendered(renderer, portrait, **c))[0] for c in ({}, {name: value}))
    shift = np.diff([still.landmarks_px[:, axis].mean(), moved.landmarks_px[:, axis].mean()])[0]
    assert sign * shift > 0.5 * value * portrait.crop.side


@pytest.mark.parametrize(("name", "value"), [("yaw", 0.3), ("yaw", -0.3), ("pitch", 0.2), ("roll", 0.2)])
def test_the_head_turns_the_way_it_is_told(
    renderer: PIRendererRenderer, portrait: Portrait, name: str, value: float
) -> None:
    tracker = load_tracker()
    index = tracker.space.index(name)
    still, moved = (tracker.faces(rendered(renderer, portrait, **c))[0] for c in ({}, {name: value}))
    turned = float(moved.coefficients[index] - still.coefficients[index])
    assert turned * np.sign(value) > 0.3 * abs(value)
