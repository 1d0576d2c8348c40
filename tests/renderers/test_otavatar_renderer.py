"""OTAvatar from portrait to pictures, with random weights: what must hold whatever the network has learnt."""

from __future__ import annotations

import warnings
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from skimage import data

import countenance as cn
from countenance.cli.avatars import enrolled
from countenance.errors import (
    BadValue,
    InversionDiverged,
    LossLeftOut,
    MotionSpaceMismatch,
    NoFaceFound,
    PoorPhoto,
    WeightsDamaged,
    WeightsMissing,
)
from countenance.generators.eg3d.cameras import pose_of
from countenance.motion.sequence import Motion
from countenance.motion.spaces import ARKIT, BFM, FLAME
from countenance.portrait.portrait import Portrait
from countenance.renderers.catalogue import load_renderer
from countenance.renderers.otavatar import SPECS, network, objective
from countenance.renderers.otavatar.avatar import OTAvatarAvatar, identities_between
from countenance.renderers.otavatar.camera import motion_cameras, turning_cameras
from countenance.renderers.otavatar.config import InversionConfig, LossConfig, OptimiserConfig, debug
from countenance.renderers.otavatar.drawing import Drawing
from countenance.renderers.otavatar.network import MODEL, Animator
from countenance.renderers.otavatar.official import load_animator, to_official_names
from countenance.renderers.otavatar.renderer import OTAvatarRenderer, from_file
from countenance.trackers.catalogue import tracker_for
from countenance.trackers.portraits import portrait_from_image
from countenance.weights.weight_files import save_weights

pytestmark = pytest.mark.filterwarnings("ignore::countenance.errors.LossLeftOut")
QUICK = InversionConfig(
    steps_w=8, steps_w_plus=6, large_steps=2, identity=OptimiserConfig(0.1, clip=1.0), most_rise=1.5
)
LOSSES = LossConfig(style=0.0, small_scales=(0,), large_scales=(0,), local_eyes=True)


def tiny_animator(coefficients: int = 58) -> Animator:
    torch.manual_seed(0)
    animator = Animator(debug(coefficients))
    animator.generator.decoder.net[2].bias.data[0] = 3  # matter everywhere
    animator.controller.last.weight.data.mul_(100)  # a fresh controller hardly moves anything
    return animator


def tiny_renderer(coefficients: int = 58, **changes: Any) -> OTAvatarRenderer:
    spec = replace(SPECS[0], name="tiny", motion_space="arkit")
    return OTAvatarRenderer(
        tiny_animator(coefficients), spec, inversion=replace(QUICK, **changes), losses=LOSSES
    )


@pytest.fixture(scope="module")
def portrait() -> Portrait:
    return portrait_from_image(data.astronaut(), tracker_for("arkit"))


@pytest.fixture(scope="module")
def renderer() -> OTAvatarRenderer:
    return tiny_renderer(coefficients=52)  # pose is not part of the motion code, so it only moves the camera


@pytest.fixture(scope="module")
def avatar(renderer: OTAvatarRenderer, portrait: Portrait) -> OTAvatarAvatar:
    return renderer.enroll(portrait)


def turned(portrait: Portrait) -> Motion:
    return portrait.motion.still(4).set(yaw=portrait.motion["yaw"][0] + np.array([0, 0.1, 0.2, 0.3]))


def test_enrolling_lowers_the_loss_and_says_how_far_it_is(portrait: Portrait) -> None:
    renderer, told = tiny_renderer(), list[tuple[int, int, float]]()
    renderer.progress = lambda step, steps, loss: told.append((step, steps, loss))
    avatar = renderer.enroll(portrait)
    assert [step for step, _, _ in told] == list(range(1, 15))
    assert {steps for _, steps, _ in told} == {14}
    assert told[-1][2] < 0.95 * told[0][2]
    assert avatar.code.shape == (6, 8)  # W+: one vector a layer ...
    assert np.abs(avatar.code - avatar.code[0]).max() > 1e-3  # ... and they differ
    assert np.abs(avatar.correction[:18]).max() > 0
    assert np.abs(avatar.correction[18:]).max() == 0  # the rotation was not to be corrected


def test_the_same_seed_gives_the_same_code(portrait: Portrait, avatar: OTAvatarAvatar) -> None:
    again, other = (tiny_renderer(coefficients=52) for _ in range(2))
    np.testing.assert_array_equal(again.enroll(portrait).code, avatar.code)
    other._seed = 1
    assert np.abs(other.enroll(portrait).code - avatar.code).max() > 0


def test_a_stalled_inversion_goes_on_to_its_last_steps(portrait: Portrait) -> None:
    renderer, told = tiny_renderer(patience=2, least_gain=0.9), list[int]()
    renderer.progress = lambda step, steps, loss: told.append(step)
    renderer.enroll(portrait)
    assert told == [1, 2, 6, 7, 8, 9, 10, 12, 13, 14]


def test_a_diverging_inversion_begins_anew_and_is_reported(portrait: Portrait) -> None:
    wild = OptimiserConfig(1e4)
    told = list[int]()
    renderer = tiny_renderer(identity=wild, most_rise=1.01, reach=1e6, retries=1)
    renderer.progress = lambda step, steps, loss: told.append(step)
    with pytest.raises(InversionDiverged, match="lowest learning rate, 3e"):
        renderer.enroll(portrait)
    assert told.count(1) == 2  # one more try
    recovered = tiny_renderer(
        identity=OptimiserConfig(1e3), reach=1e6, most_rise=1.01, retries=1, retry_rate=1e-5
    )
    assert np.isfinite(recovered.enroll(portrait).code).all()
    broken = tiny_renderer(retries=1)
    broken.network.generator.decoder.net[0].weight.data[:] = torch.nan
    with pytest.raises(InversionDiverged, match="nan"):
        broken.enroll(portrait)


def test_a_saved_avatar_is_the_same_person(
    renderer: OTAvatarRenderer, avatar: OTAvatarAvatar, portrait: Portrait, tmp_path: Path
) -> None:
    path = tmp_path / "person.safetensors"
    avatar.save(path)
    again = renderer.load_avatar(path)
    assert again.crop == portrait.crop
    for one, other in zip(
        renderer.render(avatar, turned(portrait)), renderer.render(again, turned(portrait)), strict=True
    ):
        np.testing.assert_array_equal(one, other)
    assert one.shape == (portrait.crop.side, portrait.crop.side, 3)
    with pytest.raises(WeightsDamaged, match="other weights"):
        tiny_renderer().load_avatar(path)
    replace(avatar, code=np.full_like(avatar.code, np.nan)).save(path)
    with pytest.raises(WeightsDamaged, match="incomplete"):
        renderer.load_avatar(path)


def counted_planes(renderer: OTAvatarRenderer, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    calls, made = list[int](), renderer.network.generator.planes
    monkeypatch.setattr(
        renderer.network.generator, "planes", lambda ws, *rest: calls.append(1) or made(ws, *rest)
    )
    return calls


def test_planes_are_made_once_while_only_the_camera_moves(
    renderer: OTAvatarRenderer, avatar: OTAvatarAvatar, portrait: Portrait, monkeypatch: pytest.MonkeyPatch
) -> None:
    motion = turned(portrait)
    renderer._drawing._held = None
    calls = counted_planes(renderer, monkeypatch)
    kept = list(renderer.render(avatar, motion))
    assert len(calls) == 1
    anew = []
    for frame in motion:
        renderer._drawing._held = None
        anew += list(renderer.render(avatar, frame))
    assert len(calls) == 5
    np.testing.assert_array_equal(kept, anew)
    assert np.abs(kept[0].astype(int) - kept[3]).max() > 3
    speaking = motion.set(jawOpen=[0, 0, 0.5, 0.5])
    calls.clear()
    list(renderer.render(avatar, speaking))
    assert len(calls) > 1


def test_views_from_a_free_camera(
    renderer: OTAvatarRenderer, avatar: OTAvatarAvatar, portrait: Portrait, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = motion_cameras(avatar.motion)
    (seen,), (viewed,) = (
        list(renderer.render(avatar, avatar.motion)),
        list(renderer.render_view(avatar, avatar.motion, own)),
    )
    np.testing.assert_array_equal(seen, viewed)
    calls = counted_planes(renderer, monkeypatch)
    around = list(renderer.render_view(avatar, avatar.motion, turning_cameras(6, own[0])))
    assert (len(around), len(calls)) == (6, 0)  # planes are still those of the picture before
    assert min(np.abs(a.astype(int) - b).max() for a, b in pairwise(around)) > 0
    with pytest.raises(BadValue, match="6 cameras can't see 4 frames"):
        renderer.render_view(avatar, turned(portrait), turning_cameras(6, own[0]))
    for wrong in (own[0], own[:, :16], np.full_like(own, np.nan)):
        with pytest.raises(BadValue, match="25"):
            renderer.render_view(avatar, avatar.motion, wrong)


def test_cameras_go_round_and_look_at_the_face() -> None:
    like = motion_cameras(Motion.neutral(ARKIT, 1, 25.0))[0]
    poses = pose_of(torch.from_numpy(turning_cameras(8, like)))
    torch.testing.assert_close(torch.linalg.vector_norm(poses[:, :3, 3], dim=1), torch.full((8,), 2.7))
    toward = torch.tensor([0, 0, 0.2]) - poses[:, :3, 3]
    torch.testing.assert_close(torch.nn.functional.normalize(toward, dim=1), poses[:, :3, 2])


def test_a_bfm_head_is_where_its_tracker_saw_it() -> None:
    """A point of the head, projected by Deep3DFaceReconstruction's camera into the crop, and by ours."""
    motion = Motion.neutral(BFM, 2, 25.0).set(yaw=[0.3, -0.2], pitch=0.1, tx=[0.1, 0], tz=[0.5, -0.4])
    motion = replace(motion, crop=np.array([[0.8, 130, 120], [0.7, 120, 140]], np.float32))
    camera = torch.from_numpy(motion_cameras(motion)).double()
    point_dm = np.array([0.2, -0.4, 0.5])
    for number in range(2):
        seen = motion.rotation()[number] @ point_dm + motion["tx", "ty", "tz"][number]
        aligned = 1015 * seen[:2] / (10 - seen[2])  # px of 224 from the centre, y up
        scale, x, y_up = motion.crop[number]  # type: ignore[index]
        expected = (x + aligned[0] / scale) / 256, 1 - (y_up + 1 + aligned[1] / scale) / 256
        matrix, intrinsics = camera[number, :16].reshape(4, 4), camera[number, 16:].reshape(3, 3)
        world = torch.tensor(point_dm) * 0.27 + torch.tensor([0, 0.006, 0.161])
        ours = intrinsics @ (matrix[:3, :3].T @ (world - matrix[:3, 3]))
        np.testing.assert_allclose(
            ours[:2] / ours[2], expected, atol=0.02
        )  # the dolly changes perspective a little
        assert float(torch.linalg.vector_norm(matrix[:3, 3])) == pytest.approx(2.7, rel=1e-5)
    assert motion_cameras(Motion.neutral(BFM, 1, 25.0))[0, 16] == pytest.approx(4.2647, rel=1e-4)
    with pytest.raises(MotionSpaceMismatch):
        motion_cameras(Motion.neutral(FLAME, 1, 25.0))


def test_people_between_two(renderer: OTAvatarRenderer, avatar: OTAvatarAvatar) -> None:
    other = replace(avatar, code=avatar.code[::-1].copy() + 1, correction=avatar.correction * 2)
    first, second = (identities_between(avatar, other, share) for share in (1.0, 0.0))
    for between, end in ((first, avatar), (second, other)):
        (one,), (two,) = (
            list(renderer.render(between, avatar.motion)),
            list(renderer.render(end, avatar.motion)),
        )
        np.testing.assert_array_equal(one, two)
    quarter = identities_between(avatar, other, 0.25)
    np.testing.assert_allclose(quarter.code, 0.25 * avatar.code + 0.75 * other.code, rtol=1e-5)


def test_what_cannot_be_enrolled_or_driven(
    renderer: OTAvatarRenderer, avatar: OTAvatarAvatar, portrait: Portrait
) -> None:
    with pytest.raises(NoFaceFound):
        portrait_from_image(np.full((200, 200, 3), 128, np.uint8), tracker_for("arkit"))
    elsewhere = Motion.neutral(BFM, 2, 25.0)
    with pytest.raises(MotionSpaceMismatch):
        renderer.enroll(replace(portrait, motion=elsewhere[0]))
    with pytest.raises(MotionSpaceMismatch):
        renderer.render(avatar, elsewhere)
    with pytest.raises(MotionSpaceMismatch):
        renderer.render_view(avatar, elsewhere, motion_cameras(elsewhere))
    with pytest.raises(BadValue, match="landmarks"):
        renderer.enroll(replace(portrait, landmarks_px=portrait.landmarks_px[:5]))


def test_photos_that_show_little_are_told(portrait: Portrait) -> None:
    renderer = tiny_renderer()  # draws 64 px
    assert not renderer.shortcomings(portrait)
    (turned,) = renderer.shortcomings(replace(portrait, motion=portrait.motion.set(yaw=-0.8)))
    assert "turned by 46 degrees" in turned
    small = cv2.resize(data.astronaut(), (64, 64), interpolation=cv2.INTER_AREA)
    tiny = portrait_from_image(small, tracker_for("arkit"))
    (told,) = renderer.shortcomings(tiny)
    assert f"{tiny.crop.side} px wide" in told
    assert "24 or more" in told
    with pytest.warns(PoorPhoto, match="24 or more"):
        assert np.isfinite(enrolled(tiny, renderer, None).code).all()


def test_gradients_through_parts_of_the_rays_are_those_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    animator = tiny_animator()
    monkeypatch.setattr(network, "_RAYS_KEPT", 0)
    camera = torch.from_numpy(motion_cameras(Motion.neutral(ARKIT, 2, 25.0)))
    gradients = []
    for parts in (True, False):
        ws = animator.mean_code.repeat(2, 6, 1).requires_grad_()
        planes = animator.generator.planes(ws)
        if parts:
            seen = animator.seen(planes, camera)
        else:
            seen = animator.generator.render(planes, camera)
        (seen.features.square().sum() + seen.depth.sum() + seen.distortion.sum()).backward()
        gradients.append(ws.grad)
    assert gradients[0] is not None
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-3, atol=1e-4)


def test_compiled_networks_give_nearly_the_same_pictures() -> None:
    pytest.importorskip("openvino")
    animator = tiny_animator().eval().requires_grad_(False)
    camera = torch.from_numpy(motion_cameras(Motion.neutral(ARKIT, 1, 25.0)))
    eager, compiled = Drawing(animator, compiled=False), Drawing(animator, compiled=True)
    with torch.inference_mode():
        for number in range(3):
            ws = animator.mean_code.repeat(1, 6, 1) + 0.1 * number
            one, other = (each.picture(ws, camera, 200).image for each in (eager, compiled))
            assert float((one - other).abs().mean()) < 0.02 * float(one.abs().mean())
    assert compiled._backbone is not None
    assert compiled._enlarging is not None
    assert eager._backbone is None


def test_networks_that_a_loss_does_without_are_named_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(objective, "load_grey_arcface", _missing)
    objective._say.cache_clear()
    with pytest.warns(LossLeftOut, match="Eq. 14"):
        loss = objective.load_objective(LOSSES, debug(), "efficientnet-lite0")
    assert loss.recogniser is None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        objective.load_objective(LOSSES, debug(), "efficientnet-lite0")


def _missing() -> Any:
    raise WeightsMissing("arcface", "get it")


def test_a_file_of_weights_is_a_model(portrait: Portrait, tmp_path: Path) -> None:
    path = tmp_path / "mine.safetensors"
    animator = tiny_animator()
    save_weights(path, animator, MODEL, animator.config, {"crop_scale": 1.2}, half=True)
    renderer: Any = load_renderer(str(path))
    assert (renderer.spec.name, renderer.spec.motion_space, renderer.spec.crop_scale) == (
        "mine",
        "arkit",
        1.2,
    )
    assert renderer.config == animator.config
    renderer.inversion = QUICK
    frames = list(cn.animate(portrait, turned(portrait)[:2], renderer))
    assert frames[0].image.shape == portrait.image.shape
    with pytest.raises(WeightsMissing, match="--from otavatar"):
        load_renderer("otavatar")


def test_the_published_container_becomes_an_animator(shared: Path, tmp_path: Path) -> None:
    """The sample's generator is reduced and takes other codes than its controller gives: read, but no renderer."""
    sample = shared / "parity" / "otavatar" / "checkpoint-container" / "released_checkpoint.pt"
    animator = load_animator(sample)
    state = torch.load(sample, weights_only=True)["net_G_ema"]
    assert all(torch.equal(state[name], t) for name, t in animator.generator.state_dict().items())
    path = tmp_path / "otavatar.safetensors"
    save_weights(path, animator, MODEL, animator.config, {}, half=False)
    with pytest.raises(WeightsDamaged, match="14 codes of 512"):
        from_file(path)


def test_a_whole_checkpoint_is_converted_and_moves(tmp_path: Path) -> None:
    config = debug(coefficients=58)
    generator = replace(
        config.generator, w_dim=512, plane_resolution=256, channel_base=512, channel_max=4, conv_clamp=None
    )
    controller = replace(config.controller, codes=14, code_width=512, coefficients=70)
    torch.manual_seed(3)
    theirs = Animator(replace(config, generator=generator, controller=controller, motion_space="bfm"))
    content = {
        "net_Warp_ema": to_official_names(theirs.controller),
        "net_G_ema": {f"module.{name}": t for name, t in theirs.generator.state_dict().items()},
    }
    torch.save(content, tmp_path / "latest.pt")
    ours = load_animator(tmp_path / "latest.pt")
    sampled = replace(
        generator,
        neural_rendering_resolution=64,
        depth_resolution=48,
        depth_resolution_importance=48,
        channel_base=512,
        sr_conv_clamp=256.0,
    )
    assert ours.config.generator == sampled
    assert (ours.config.controller, ours.config.motion_space) == (controller, "bfm")
    path = tmp_path / "converted.safetensors"
    save_weights(path, ours, MODEL, ours.config, {}, half=False)
    renderer = from_file(path)
    assert renderer.spec.motion_space == "bfm"
    broken = {n: t for n, t in content["net_G_ema"].items() if "embed" not in n}
    torch.save({**content, "net_G_ema": broken}, tmp_path / "latest.pt")
    with pytest.raises(WeightsDamaged, match="embed"):
        load_animator(tmp_path / "latest.pt")
