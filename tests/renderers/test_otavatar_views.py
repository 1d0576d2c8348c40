"""OTAvatar's heads from the side: where cameras stand, what depth is, people between two; with random weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from skimage import data

from countenance.errors import BadValue, MotionSpaceMismatch, WeightsDamaged
from countenance.generators.eg3d.tracked_cameras import UNITS_PER_CM
from countenance.motion.sequence import Motion
from countenance.motion.spaces import ARKIT, BFM
from countenance.portrait.crop import Crop
from countenance.renderers.otavatar import SPECS, drawing
from countenance.renderers.otavatar import renderer as module
from countenance.renderers.otavatar.avatar import OTAvatarAvatar, identities_between
from countenance.renderers.otavatar.camera import motion_cameras, swinging_cameras
from countenance.renderers.otavatar.config import debug
from countenance.renderers.otavatar.network import Animator
from countenance.renderers.otavatar.renderer import OTAvatarRenderer
from countenance.renderers.otavatar.view import DEPTH_REACH_CM, depth_picture

SIDE = 48


@pytest.fixture(scope="module")
def renderer() -> OTAvatarRenderer:
    torch.manual_seed(0)
    animator = Animator(debug(52))
    animator.generator.decoder.net[2].bias.data[0] = 3  # matter everywhere
    return OTAvatarRenderer(animator, replace(SPECS[0], motion_space="arkit"))


def person(renderer: OTAvatarRenderer, seed: int) -> OTAvatarAvatar:
    code = np.random.default_rng(seed).standard_normal((6, 8)).astype(np.float32)
    own = Motion.neutral(ARKIT, 1, 25.0).set(jawOpen=0.3, yaw=0.2, x=0.1, y=-0.05, logScale=0.2)
    square = data.astronaut()[:SIDE, :SIDE]
    return OTAvatarAvatar(code, np.zeros(36, np.float32), renderer.fingerprint, square, own, Crop(0, 0, SIDE))


@pytest.mark.parametrize(
    "pose", [{"x": 0.1, "y": -0.05, "logScale": 0.2, "pitch": 0.1}, {"tx": 0.2, "ty": -0.1, "tz": 0.5}]
)
def test_a_swinging_camera_keeps_the_head_where_it_is(pose: dict[str, float]) -> None:
    motion = Motion.neutral(ARKIT if "x" in pose else BFM, 1, 25.0).set(**pose)
    cameras = swinging_cameras(motion, np.radians([-40, 0, 40])).astype(np.float64)
    np.testing.assert_array_equal(cameras[1].astype(np.float32), motion_cameras(motion)[0])
    origin = np.zeros(3) if "x" in pose else np.array([0, 0.006, 0.161])
    nose = np.array([0, 0, 1.0])
    places, across = [], []
    for camera in cameras:
        matrix, intrinsics = camera[:16].reshape(4, 4), camera[16:].reshape(3, 3)
        seen = intrinsics @ (matrix[:3, :3].T @ (origin - matrix[:3, 3]))
        places.append([*seen[:2] / seen[2], seen[2] / intrinsics[0, 0]])  # the last says how large it is
        across.append(matrix[:3, 0] @ nose)
    np.testing.assert_allclose(places, np.repeat(places[1:2], 3, 0), rtol=0.02)
    assert across[0] < -0.6 < abs(across[1]) < 0.01 < 0.6 < across[2]  # to image left, then to image right


def test_depth_comes_with_the_pictures(renderer: OTAvatarRenderer) -> None:
    avatar = person(renderer, 1)
    cameras = swinging_cameras(avatar.motion, np.array([-0.5, 0.5]))
    views = list(renderer.render_with_depth(avatar, avatar.motion, cameras))
    for view, picture in zip(views, renderer.render_view(avatar, avatar.motion, cameras), strict=True):
        np.testing.assert_array_equal(view.picture, picture)
        assert view.depth.shape == (32, 32)
        assert 2.25 <= view.depth.min() < view.depth.max() <= 3.3
    assert np.abs(views[0].depth - views[1].depth).max() > 0.01
    with pytest.raises(MotionSpaceMismatch):
        renderer.render_with_depth(avatar, Motion.neutral(BFM, 1, 25.0), cameras)


def test_nearer_is_brighter_on_a_scale_that_never_changes() -> None:
    cm = np.array([40, DEPTH_REACH_CM, 7, 0, -7, -DEPTH_REACH_CM, -40])
    depth = np.tile(2.7 - cm * UNITS_PER_CM, (7, 1))
    shown = depth_picture(depth, 7)
    assert (shown.shape, shown.dtype) == ((7, 7, 3), np.uint8)
    levels = (shown[0].astype(float) @ [0.299, 0.587, 0.114]).round()
    assert levels[0] == levels[1] > levels[2] > levels[3] > levels[4] > levels[5] == levels[6]
    assert levels[0] > 230
    assert levels[6] < 5
    np.testing.assert_array_equal(depth_picture(depth[:, :4], 4)[0, :3], shown[0, :3])
    assert depth_picture(depth, 50).shape == (50, 50, 3)


def test_a_morph_shows_people_between_two(renderer: OTAvatarRenderer) -> None:
    first, second = (
        person(renderer, 1),
        replace(person(renderer, 2), correction=np.full(36, 0.02, np.float32)),
    )
    shares = np.array([1, 0.5, 0], np.float32)
    turning = first.motion.still(3).set(yaw=[0.2, 0, -0.2], jawOpen=[0.3, 0.5, 0.9])
    for motion in (first.motion, turning):
        shown = list(renderer.render_morph(first, second, shares, motion))
        alone = [
            list(renderer.render(identities_between(first, second, float(share)), motion)) for share in shares
        ]
        expected = [some[min(i, len(motion) - 1)] for i, some in enumerate(alone)]
        np.testing.assert_array_equal(shown, expected)
    assert (shown[0] != shown[1]).any()
    with pytest.raises(BadValue, match="3 people can't have 2 frames"):
        renderer.render_morph(first, second, shares, turning[:2])
    with pytest.raises(MotionSpaceMismatch):
        renderer.render_morph(first, second, shares, Motion.neutral(BFM, 1, 25.0))


def tuned(renderer: OTAvatarRenderer, seed: int) -> OTAvatarAvatar:
    numbers = torch.Generator().manual_seed(seed)
    own = {
        name: (weight + 0.1 * torch.randn(weight.shape, generator=numbers)).half().float().numpy()
        for name, weight in renderer.network.generator.named_parameters()
    }
    return replace(person(renderer, seed), tuned=own)


def test_a_tuned_generator_is_the_persons_own_and_kept_with_them(
    renderer: OTAvatarRenderer, tmp_path: Path
) -> None:
    one = tuned(renderer, 1)
    shown = next(renderer.render(one, one.motion))
    assert (shown != next(renderer.render(replace(one, tuned={}), one.motion))).any()
    assert (shown != next(renderer.render(replace(tuned(renderer, 2), code=one.code), one.motion))).any()
    np.testing.assert_array_equal(next(renderer.render(one, one.motion)), shown)
    one.save(tmp_path / "one.safetensors")
    again = renderer.load_avatar(tmp_path / "one.safetensors")
    np.testing.assert_array_equal(next(renderer.render(again, again.motion)), shown)
    name, weight = next(iter(one.tuned.items()))
    replace(one, tuned={name: weight[..., :1]}).save(tmp_path / "other.safetensors")
    with pytest.raises(WeightsDamaged, match="enroll the portrait again"):
        renderer.load_avatar(tmp_path / "other.safetensors")


def test_a_long_morph_of_tuned_people_compiles_nothing(
    renderer: OTAvatarRenderer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every share is another generator; compiling each would take a second a frame."""
    monkeypatch.setattr(drawing, "OpenVINONetwork", lambda *given: pytest.fail("compiled"))
    monkeypatch.setattr(module, "openvino_wanted", lambda device: True)
    first, second = tuned(renderer, 1), tuned(renderer, 2)
    frames = renderer.render_morph(first, second, np.linspace(1, 0, 200, dtype=np.float32), first.motion)
    shown = [next(frames) for _ in range(3)]
    np.testing.assert_array_equal(shown[0], next(renderer.render(first, first.motion)))
    assert (shown[1] != shown[2]).any()
    with pytest.raises(BadValue, match="enroll them alike"):
        next(renderer.render_morph(first, person(renderer, 2), np.array([0.5], np.float32), first.motion))
