"""What must hold of OTAvatar's parts whatever the weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from countenance.errors import BadValue, WeightsDamaged, WeightsMissing
from countenance.generators.eg3d.density_losses import monotonic_loss, total_variation_loss
from countenance.losses.arcface import SIDE
from countenance.renderers.otavatar.camera import corrected, tracked_cameras
from countenance.renderers.otavatar.config import ControllerConfig, TrainingConfig, paper, released
from countenance.renderers.otavatar.controller import (
    MotionCode,
    MotionController,
    combined,
    interpolated_identity,
    within_reach,
)
from countenance.renderers.otavatar.losses import (
    aligned_grey,
    embedded,
    face_alignment,
    identity_loss,
    local_loss,
    region_boxes,
    region_mask,
    roi_align,
)
from countenance.renderers.otavatar.official import from_official_names, load_official, to_official_names

TINY = ControllerConfig(width=8, smoothing_layers=2, mlp_layers=3, bases=5, code_width=16)


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def landmarks() -> torch.Tensor:
    """68 points of a face in the middle of a picture of 512 px."""
    points = torch.full((1, 68, 2), 256.0)
    around = torch.linspace(0, 6.28, 20)
    points[0, 48:68] = torch.stack([256 + 50 * torch.cos(around), 340 + 20 * torch.sin(around)], 1)
    for first, x in ((36, 200.0), (42, 312.0)):
        eye = torch.tensor([[-20.0, 0], [-7, -8], [7, -8], [20, 0], [7, 8], [-7, 8]])
        points[0, first : first + 6] = eye + torch.tensor([x, 220.0])
    points[0, 27:36, 1] = torch.linspace(220, 300, 9)
    return points


def test_the_codebook_is_orthonormal_and_learns() -> None:
    torch.manual_seed(0)
    controller = MotionController(released().controller)
    basis = controller.basis()
    torch.testing.assert_close(basis.T @ basis, torch.eye(20), atol=1e-5, rtol=0)
    code = controller(noise(2, 70, 27))
    assert code.motion.shape == (2, 14, 512)
    # the motion code lies in the codebook's span, at the magnitudes
    torch.testing.assert_close(code.motion @ basis, code.magnitudes, atol=1e-6, rtol=1e-4)
    code.motion.square().sum().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in controller.parameters())


def test_the_window_is_read_from_the_front() -> None:
    controller = MotionController(replace(TINY, coefficients=64))
    window = noise(1, 70, 27)
    changed = window.clone()
    changed[:, 64:] = 9
    with torch.no_grad():
        assert torch.equal(controller(window).motion, controller(changed).motion)
        changed[:, 63] = 9
        assert not torch.equal(controller(window).motion, controller(changed).motion)


def test_one_layer_or_layers_of_their_own() -> None:
    count = {
        one: sum(
            p.numel() for p in MotionController(replace(released().controller, one_layer=one)).parameters()
        )
        for one in (True, False)
    }
    assert count[False] - count[True] == 4 * (256 * 256 + 256)
    assert round(count[True] / 1e6, 2) == 0.87  # the paper says 0.8 million (Sec. 4.2)
    for one in (True, False):
        torch.manual_seed(1)
        controller = MotionController(replace(TINY, one_layer=one)).eval()
        for layer in controller.mlp:  # the initial ones hardly matter
            torch.nn.init.normal_(layer.weight)
        again = from_official_names(to_official_names(controller), Path("file"))
        assert again.config == controller.config
        assert torch.equal(again(noise(1, 70, 27)).motion, controller(noise(1, 70, 27)).motion)


def test_codes_combine_and_keep_within_reach() -> None:
    identity, motion = noise(2, 1, 16), noise(2, 14, 16, seed=1)
    code = MotionCode(motion, noise(2, 14, 5))
    torch.testing.assert_close(combined(identity, code), identity.repeat(1, 14, 1) + motion)
    kept = combined(identity, code._replace(scaling=torch.full((2, 14, 16), -1.0)))
    torch.testing.assert_close(kept, motion)
    mean = noise(16, seed=2)
    near = within_reach(100 * kept, mean, 5.0)
    assert float((near - mean).abs().max()) <= 5 + 1e-5
    torch.testing.assert_close(within_reach(mean + 1, mean, 5.0), mean + 1)


def test_identities_between_two() -> None:
    first, second = noise(1, 14, 16), noise(1, 14, 16, seed=1)
    assert torch.equal(interpolated_identity(first, second, 1.0), first)
    assert torch.equal(interpolated_identity(first, second, 0.0), second)
    torch.testing.assert_close(interpolated_identity(first, second, 0.25), 0.25 * first + 0.75 * second)
    # the motion of the avatars between is that of both
    code = MotionCode(noise(1, 14, 16, seed=2), noise(1, 14, 5))
    between = combined(interpolated_identity(first, second, 0.3), code)
    ends = interpolated_identity(combined(first, code), combined(second, code), 0.3)
    torch.testing.assert_close(between, ends)


def test_sizes_that_cannot_be_are_refused() -> None:
    with pytest.raises(BadValue, match="orthogonal"):
        ControllerConfig(bases=20, code_width=8)
    with pytest.raises(BadValue, match="layer"):
        ControllerConfig(smoothing_layers=0)
    with pytest.raises(BadValue, match="steps"):
        TrainingConfig(controller_steps=0)
    with pytest.raises(BadValue, match="large_steps"):
        TrainingConfig(large_steps=101)


def test_the_papers_training() -> None:
    said = paper()
    assert (said.identity_steps, said.controller_steps, said.steps, said.iterations) == (90, 10, 100, 2000)
    assert said.batch_size * said.devices == 24
    assert said.controller_optimiser.learning_rate == said.generator_optimiser.learning_rate == 1e-4
    assert said.inversion.identity.learning_rate == 0.01
    assert (said.rendering.rays, said.rendering.size) == (64, 512)
    assert not said.controller.one_layer
    assert released().controller.one_layer


def test_a_clip_of_one_frame_has_a_camera() -> None:
    frontal = np.array([[0, 0, 0, 0, 0, -0.5, 1050.0]])
    camera = tracked_cameras(frontal)
    assert np.isfinite(camera).all()
    np.testing.assert_allclose(camera, tracked_cameras(np.repeat(frontal, 4, 0))[:1])
    matrix = camera[0, :16].reshape(4, 4)
    np.testing.assert_allclose(matrix[:3, :3], np.diag([1, -1, -1]), atol=1e-7)
    assert matrix[2, 3] == pytest.approx((10.5 * 0.27 + 0.161) * 2.7 / 4, rel=1e-5)  # before the face
    assert camera[0, 16] == pytest.approx(4.2647, rel=1e-4)


def test_the_camera_moves_the_other_way_than_the_head() -> None:
    turned = tracked_cameras(np.array([[0.2, 0.3, 0, 0, 0, 0, 1050.0]]))[0, :16].reshape(4, 4)
    # AD-NeRF's angles: the nose goes up and to image left, so that the camera sees the face from below, from its left
    assert turned[0, 3] > 0.1
    assert turned[1, 3] < -0.1
    np.testing.assert_allclose(turned[:3, :3] @ turned[:3, :3].T, np.eye(3), atol=1e-6)


@pytest.mark.parametrize("poses", [np.zeros((0, 7)), np.zeros((3, 6)), np.zeros(7), np.full((2, 7), np.nan)])
def test_what_is_no_tracked_pose_is_refused(poses: np.ndarray) -> None:
    with pytest.raises(BadValue, match="tracked poses"):
        tracked_cameras(poses)


def test_no_correction_changes_nothing_and_gradients_flow() -> None:
    cameras, zero = noise(2, 25), torch.zeros(2, 18, requires_grad=True)
    torch.testing.assert_close(corrected(cameras, zero, zero), cameras)
    corrected(cameras, zero).sum().backward()
    assert zero.grad is not None
    assert float(zero.grad[:, 9:].min()) == 1


def test_large_boxes_take_several_samples() -> None:
    ramp = torch.arange(512.0).expand(1, 1, 512, 512)
    box = torch.tensor([[100, 50, 460, 410]])
    crop = roi_align(ramp, box, 120)[0, 0]
    torch.testing.assert_close(crop[0], 100 + 3 * (torch.arange(120) + 0.5), rtol=1e-5, atol=0)
    stripes = (torch.arange(512.0) % 3 == 0).float().expand(1, 1, 512, 512)
    # cells of three pixels have three samples, at 0.5, 1.5 and 2.5: each cell sees the same mean
    torch.testing.assert_close(roi_align(stripes, box, 120), torch.full((1, 1, 120, 120), 1 / 3))
    beyond = roi_align(torch.ones(1, 1, 32, 32), torch.tensor([[-10, -10, 10, 10]]), 20)[0, 0]
    assert torch.equal(beyond[:8, :8], torch.zeros(8, 8))
    assert torch.equal(beyond[10:, 10:], torch.ones(10, 10))


def test_regions_at_the_edge_and_the_local_loss() -> None:
    points = landmarks()
    boxes = region_boxes(points, 512)
    assert boxes["right_eye"].tolist() == [[160, 192, 240, 248]]  # the person's right is image left
    assert float(region_mask(points - 400, 64, 0.5).min()) == 0.5  # partly beyond the picture
    target, predicted = noise(1, 3, 128, 128), noise(1, 3, 128, 128).requires_grad_()
    assert float(local_loss(target, target, points, eyes=True)) == 0
    loss = local_loss(predicted + 0.5, target, points, eyes=True)
    assert float(loss.detach()) == pytest.approx(1.5, rel=1e-4)
    mouth = local_loss(predicted.detach() + 0.5, target, points, eyes=False)
    assert float(mouth) == pytest.approx(0.5, rel=1e-4)
    loss.backward()
    left, top, right, bottom = region_boxes(points, 128)["mouth"][0].tolist()
    assert predicted.grad is not None
    assert float(predicted.grad[:, :, top + 1 : bottom - 1, left + 1 : right - 1].abs().min()) > 0
    assert float(predicted.grad[:, :, : top - 40].abs().max()) == 0


def test_the_same_face_is_the_same_person_at_any_size() -> None:
    small, large = (face_alignment(landmarks(), side) for side in (64, 256))
    torch.testing.assert_close(small[:, :, :2], 4 * large[:, :, :2])
    torch.testing.assert_close(small[:, :, 2], large[:, :, 2])

    def network(faces: torch.Tensor) -> torch.Tensor:
        assert faces.shape[1:] == (1, SIDE, SIDE)
        return faces.reshape(len(faces), SIDE // 8, 8, SIDE // 8, 8).mean((2, 4)).flatten(1)

    target, predicted = noise(1, 3, 64, 64), noise(1, 3, 64, 64, seed=1).requires_grad_()
    seen, wanted = (embedded(network, pictures, landmarks()) for pictures in (predicted, target))  # type: ignore[arg-type]
    assert float(identity_loss(wanted, wanted)) == pytest.approx(0, abs=1e-6)
    loss = identity_loss(seen, wanted)
    assert 0 < float(loss.detach()) < 2
    loss.backward()
    assert predicted.grad is not None
    assert float(predicted.grad.abs().max()) > 0
    white = aligned_grey(torch.ones(1, 3, 64, 64), small)
    assert float(white.max()) == pytest.approx(0.9999, abs=1e-5)


def test_density_that_grows_to_the_back_costs_nothing() -> None:
    points = noise(1, 50, 3)
    assert float(monotonic_loss(lambda p: -p[..., 2], points, 1.0)) == 0
    assert float(monotonic_loss(lambda p: p[..., 2], points, 1.0)) == pytest.approx(1 / 256, rel=1e-3)
    still = total_variation_loss(
        lambda p: torch.ones(p.shape[:2]), points, noise(1, 50, 3), distance=1.0, weight=1.0
    )
    assert float(still) == 0


def test_what_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    good = to_official_names(MotionController(TINY))
    with pytest.raises(WeightsMissing):
        load_official(tmp_path / "latest.pt")
    path = tmp_path / "other.pt"
    for message, content in {
        "net_Warp_ema": {"net_G_ema": {}},
        "net_G_ema": {"net_Warp_ema": good},
        "no tensor": {"net_Warp_ema": {"a": 1}, "net_G_ema": {}},
        "NaN": {"net_Warp_ema": {"a": torch.tensor(torch.nan)}, "net_G_ema": {}},
    }.items():
        torch.save(content, path)
        with pytest.raises(WeightsDamaged, match=message):
            load_official(path)
    torch.save({"net_Warp_ema": good, "net_G_ema": {"module.a": torch.zeros(1)}}, path)
    assert list(load_official(path).generator) == ["a"]
    without = {name: t for name, t in good.items() if name != "direction.weight"}
    for message, state in {
        "no motion controller": without,
        "magnitudes": {**good, "direction.weight": torch.zeros(16, 6)},
        "'mapping_Refine.2.bias' is missing": {n: t for n, t in good.items() if n != "mapping_Refine.2.bias"},
        "not part": {**good, "norm.weight": torch.zeros(1)},
        "shape": {**good, "mapping_3DMM.encoder0.1.bias": torch.zeros(9)},
    }.items():
        with pytest.raises(WeightsDamaged, match=message):
            from_official_names(state, path)
