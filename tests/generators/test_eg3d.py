"""EG3D of our own making: what holds for any weights."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from countenance.errors import BadValue, WeightsDamaged, WeightsMissing
from countenance.generators.eg3d import cameras
from countenance.generators.eg3d.config import EG3DConfig, RayOptions, debug
from countenance.generators.eg3d.decoder import Decoder
from countenance.generators.eg3d.generator import EG3D
from countenance.generators.eg3d.official import load, load_official, load_state, save
from countenance.generators.eg3d.planes import COORDINATES, TriPlanes
from countenance.generators.eg3d.rays import camera_rays, distortion, march, mean_depth
from countenance.generators.eg3d.rendering import Randomness


@pytest.fixture
def network() -> EG3D:
    torch.manual_seed(0)
    network = EG3D(debug()).eval().requires_grad_(False)
    network.decoder.net[2].bias[0] = 3  # matter everywhere
    return network


def seen_from(*horizontal_rad: float) -> Tensor:
    h = torch.tensor(horizontal_rad)
    pose = cameras.look_at_pose(h, torch.full_like(h, math.pi / 2))
    return cameras.camera_vector(pose, cameras.intrinsics_from_fov(cameras.FFHQ_FOV_DEG))


def some_ws(network: EG3D, count: int = 1) -> Tensor:
    z = torch.randn(count, debug().z_dim, generator=torch.Generator().manual_seed(1))
    return network.mapping(z, seen_from(*[math.pi / 2] * count))


@pytest.mark.parametrize("side", [(8, 8), (5, 9)])
@pytest.mark.parametrize("volumes", [1, 2])
def test_looking_up_is_grid_sampling(side: tuple[int, int], volumes: int) -> None:
    numbers = torch.Generator().manual_seed(0)
    planes = torch.randn(volumes, 3, 4, *side, generator=numbers)
    points = 1.6 * torch.rand(volumes, 200, 3, generator=numbers) - 0.8
    flat = torch.stack([points[..., list(pair)] for pair in COORDINATES], 1).flatten(0, 1)
    sampled = F.grid_sample(planes.flatten(0, 1), 2 * flat[:, None], align_corners=False)
    expected = sampled[:, :, 0].transpose(1, 2).reshape(volumes, 3, 200, 4).mean(1)
    torch.testing.assert_close(TriPlanes.of(planes).at(points, 1), expected, atol=1e-6, rtol=1e-5)


def test_looking_up_has_gradients() -> None:
    numbers = torch.Generator().manual_seed(0)
    planes = torch.randn(1, 3, 2, 4, 4, dtype=torch.float64, generator=numbers).requires_grad_()
    points = (0.8 * torch.rand(1, 5, 3, dtype=torch.float64, generator=numbers) - 0.4).requires_grad_()
    assert torch.autograd.gradcheck(lambda p, x: TriPlanes.of(p).at(x, 1), (planes, points))


def test_one_volume_serves_many_cameras(network: EG3D) -> None:
    planes = network.planes(some_ws(network))
    both = network.render(planes, seen_from(1.4, 1.8))
    for number, horizontal in enumerate((1.4, 1.8)):
        alone = network.render(planes, seen_from(horizontal))
        torch.testing.assert_close(both.features[number], alone.features[0])
    assert not torch.allclose(both.features[0], both.features[1], atol=1e-3)


def test_several_volumes_keep_apart(network: EG3D) -> None:
    ws, camera = some_ws(network, 2), seen_from(1.4, 1.8)
    both = network(ws, camera)
    for number in range(2):
        alone = network(ws[number : number + 1], camera[number : number + 1])
        torch.testing.assert_close(both.image[number], alone.image[0], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("rays_at_a_time", [1, 5, 64, 10_000])
def test_memory_does_not_change_the_picture(network: EG3D, rays_at_a_time: int) -> None:
    ws, camera = some_ws(network), seen_from(1.4)
    planes = network.planes(ws)
    drawn = Randomness.drawn(1, 64, network.config, torch.Generator().manual_seed(3))
    whole = network.render(planes, camera, 8, drawn)
    parts = network.render(planes, camera, 8, drawn, rays_at_a_time)
    for one, other in zip(whole, parts, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


def test_where_samples_lie_is_told(network: EG3D) -> None:
    planes, camera = network.planes(some_ws(network)), seen_from(1.4)

    def seen(seed: int) -> Tensor:
        numbers = torch.Generator().manual_seed(seed)
        return network.render(planes, camera, 8, Randomness.drawn(1, 64, network.config, numbers)).features

    assert torch.equal(seen(1), seen(1))
    assert not torch.equal(seen(1), seen(2))
    assert torch.equal(network.render(planes, camera).features, network.render(planes, camera).features)


class OpaqueWhereMarked(torch.nn.Module):
    """Instead of the decoder: white matter where features are large."""

    widened = staticmethod(Decoder.widened)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        return torch.where(features[..., :1] > 0.5, 500.0, -500.0), torch.ones_like(features)


@pytest.mark.parametrize("white_back", [False, True])
def test_a_wall_is_seen_where_it_is(white_back: bool) -> None:
    """A wall of |x| < 0.1 and |z| < 0.1, 2.6 before the camera."""
    passes = {"depth_resolution": 48, "depth_resolution_importance": 48}
    network = EG3D(replace(debug(), white_back=white_back, **passes)).requires_grad_(False)
    network.decoder = OpaqueWhereMarked()
    planes = torch.zeros(1, 3, 32, 64, 64)
    inside = (((torch.arange(64) + 0.5) / 64 - 0.5).abs() < 0.1).float()
    planes[0, 1] = 3 * inside[:, None] * inside
    rendered = network.render(TriPlanes.of(planes), seen_from(math.pi / 2), 9)
    for row in (0, 4, 8):
        assert float(rendered.weight_sum[0, 0, row, 4]) == pytest.approx(1, abs=1e-3)
        assert float(rendered.colours[0, 0, row, 4]) == pytest.approx(1, abs=1e-2)
    assert float(rendered.depth[0, 0, 4, 4]) == pytest.approx(2.6, abs=0.03)
    assert float(rendered.weight_sum[0, 0, 4, 0]) == pytest.approx(0, abs=1e-3)
    assert float(rendered.colours[0, 0, 4, 0]) == pytest.approx(1 if white_back else -1, abs=1e-2)


def test_distortion_is_the_double_sum() -> None:
    torch.manual_seed(0)
    depths = 2.3 + torch.rand(2, 5, 9, dtype=torch.float64).sort(-1).values
    weights = torch.rand(2, 5, 8, dtype=torch.float64)
    middles, lengths = (depths[..., 1:] + depths[..., :-1]) / 2, depths.diff(dim=-1)
    apart = (middles[..., None] - middles[..., None, :]).abs()
    double = torch.einsum("...i,...j,...ij", weights, weights, apart) + (weights**2 * lengths).sum(-1) / 3
    torch.testing.assert_close(distortion(weights, depths), double)
    surface = F.one_hot(lengths.argmin(-1), 8).double()
    torch.testing.assert_close(distortion(surface, depths), lengths.amin(-1) / 3)


def test_depth_of_nothing_has_a_gradient() -> None:
    depths = torch.linspace(2, 3, 5).expand(2, 5)
    densities = torch.stack([torch.full((5,), -200.0), torch.full((5,), 20.0)]).requires_grad_()
    depth = mean_depth(march(densities, depths), depths)
    assert depth[0] == math.inf
    assert 2 < depth[1] < 2.25
    depth.clamp(2, 3).sum().backward()
    assert densities.grad is not None
    assert torch.isfinite(densities.grad).all()


def test_rays_go_through_the_centres_of_pixels() -> None:
    origins, directions = camera_rays(seen_from(math.pi / 2), 3)
    torch.testing.assert_close(directions[0, 4], torch.tensor([0.0, 0, -1]), atol=1e-5, rtol=0)
    assert directions[0, 1, 1] > 0  # the upper row looks up
    assert directions[0, 5, 0] > 0  # image right is the person's left
    torch.testing.assert_close(directions.norm(dim=2), torch.ones(1, 9))
    assert torch.equal(origins[0, 0], origins[0, 8])


def test_gradients_reach_w_and_the_camera(network: EG3D) -> None:
    ws, camera = some_ws(network).requires_grad_(), seen_from(1.4).requires_grad_()
    network(ws, camera).image.sum().backward()
    for tensor in (ws, camera):
        assert tensor.grad is not None
        assert tensor.grad.isfinite().all()
        assert tensor.grad.abs().sum() > 0


def test_drawn_cameras() -> None:
    poses = cameras.sampled_poses(
        50,
        horizontal_spread_rad=0.3,
        vertical_spread_rad=0.2,
        generator=torch.Generator().manual_seed(0),
    )
    torch.testing.assert_close(poses[:, :3, 3].norm(dim=1), torch.full((50,), cameras.RADIUS))
    rotation = poses[:, :3, :3]
    torch.testing.assert_close(
        rotation @ rotation.transpose(1, 2), torch.eye(3).expand(50, 3, 3), atol=1e-5, rtol=0
    )
    assert poses[:, 0, 3].std() > 0.3
    even = cameras.sampled_poses(50, horizontal_spread_rad=0.3, even=True)
    assert even[:, 0, 3].abs().max() <= cameras.RADIUS * math.sin(0.3) + 1e-5
    assert torch.equal(cameras.mirrored(cameras.mirrored(poses)), poses)


def test_files_of_ours_and_of_otavatar(network: EG3D, tmp_path: Path) -> None:
    path = tmp_path / "faces.safetensors"
    save(network, path, {"made from": "nothing"})
    state = tmp_path / "ffhq.pth"
    torch.save({"G_ema": network.state_dict()}, state)
    for read in (load(path), load_state(state, network.config)):
        assert read.config == network.config
        for name, tensor in network.state_dict().items():
            assert torch.equal(read.state_dict()[name], tensor), name
    with pytest.raises(WeightsDamaged, match="G_ema"):
        load_state(state, network.config, "G_ema ")
    with pytest.raises(WeightsMissing):
        load_official(tmp_path / "ffhq.pkl")


def test_bad_values() -> None:
    with pytest.raises(BadValue, match="4 or more"):
        RayOptions(depth_resolution=3)
    assert RayOptions(depth_resolution=2, depth_resolution_importance=0).depth_resolution == 2
    with pytest.raises(BadValue, match="together"):
        EG3DConfig(ray_start="auto")
