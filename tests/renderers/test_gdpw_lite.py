"""GDPW on the default tracker's mesh: guidance, training and rendering, without trained weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.ndimage import convolve
from skimage import data

from countenance.data.dataset import Dataset
from countenance.data.pairs import PairSampler
from countenance.editing import with_changes
from countenance.errors import (
    BadValue,
    DatasetUnreadable,
    MotionInvalid,
    TrainingDiverged,
    WeightsDamaged,
)
from countenance.face.rasterizer import interpolate
from countenance.motion.sequence import Motion
from countenance.portrait.portrait import Portrait
from countenance.renderers.gdpw import SPECS
from countenance.renderers.gdpw import config as sizes
from countenance.renderers.gdpw.head_guidance import guide, source_view
from countenance.renderers.gdpw.network import GDPW
from countenance.renderers.gdpw.recipe import MODEL, GDPWRecipe, PatchAdversary, debug, lite, paper
from countenance.renderers.gdpw.renderer import Corrected, GDPWRenderer, composed, from_file
from countenance.renderers.geometric.renderer import drive
from countenance.trackers.catalogue import load_tracker
from countenance.trackers.portraits import portrait_from_image
from countenance.training.checkpoint import LAST
from countenance.training.loop import train
from countenance.weights.weight_files import save_weights
from prepared import write_dataset


@pytest.fixture(scope="module")
def portrait() -> Portrait:
    return portrait_from_image(data.astronaut(), load_tracker(), crop_scale=1.2)


@pytest.fixture(scope="module")
def turned(portrait: Portrait) -> Motion:
    return portrait.motion.still(2).set(yaw=portrait.motion["yaw"][0] + np.array([0.1, 0.2]), jawOpen=0.4)


def renderer_of(config: sizes.GDPWConfig, seed: int = 0) -> GDPWRenderer:
    torch.manual_seed(seed)
    return GDPWRenderer(GDPW(config), SPECS[0])


def test_source_and_driving_codes_meet_where_the_displacement_says(
    portrait: Portrait, turned: Motion
) -> None:
    """Draw each vertex's own place as its code: what lies at a driving pixel lay at pixel + displacement before."""
    avatar = renderer_of(sizes.debug()).enroll(portrait)
    size = 128
    drawn = guide(avatar, turned.values[1], size)
    face = avatar.mesh.skin_count
    places = avatar.deformation.at(avatar.motion.values[0]).vertices[:, :2] / avatar.crop.side * size
    came_from = interpolate(drawn.driving, places)
    y, x = np.mgrid[:size, :size] + 0.5
    led_to = np.dstack([x, y]) + drawn.displacement * (size / 2)
    on_face = (drawn.driving.triangle_index >= 0) & (drawn.driving.triangle_index < face)
    assert on_face.mean() > 0.1
    assert np.median(np.linalg.norm(came_from - led_to, axis=2)[on_face]) < 0.3
    assert np.linalg.norm(drawn.displacement[on_face] * (size / 2), axis=1).mean() > 2
    own = source_view(avatar, size)
    assert np.linalg.norm(interpolate(own, places) - np.dstack([x, y]), axis=2)[own.covered].max() < 0.01


class Plain(torch.nn.Module):
    """A backbone whose features are the pictures that it is shown."""

    layer_weights = (1.0,)

    def prepare(self, picture: torch.Tensor) -> torch.Tensor:
        return picture * 3 + 1

    def forward(self, prepared: torch.Tensor) -> list[torch.Tensor]:
        return [prepared]


@pytest.mark.parametrize("preset", [paper, lite])
def test_the_losss_pyramid_is_a_gaussian_of_the_full_picture(
    monkeypatch: pytest.MonkeyPatch, preset: Callable[[], GDPWRecipe]
) -> None:
    """Against a plain two-dimensional blur of the picture in [0, 1], black beyond its edge."""
    monkeypatch.setattr("countenance.renderers.gdpw.recipe.load_backbone", lambda name: Plain())
    loss = preset().perceptual[0]
    levels = np.random.default_rng(0).uniform(0, 1, (1, 3, 32, 48))
    seen = loss.features(torch.from_numpy(levels.astype(np.float32) * 2 - 1))
    assert set(seen) == set(preset().scales)
    for scale, features in seen.items():
        sigma = (2**scale - 1) / 2
        reach = np.arange(-round(4 * sigma), round(4 * sigma) + 1)
        bell = np.exp(-(reach**2) / (2 * sigma**2)) if scale else np.ones(1)
        kernel = np.outer(bell, bell) / bell.sum() ** 2
        blurred = convolve(levels, kernel[None, None], mode="constant")[..., :: 2**scale, :: 2**scale]
        np.testing.assert_allclose(features[0].numpy(), (2 * blurred - 1) * 3 + 1, atol=1e-5)


def test_an_untouched_network_gives_the_geometric_picture(portrait: Portrait, turned: Motion) -> None:
    renderer = renderer_of(sizes.debug())
    with torch.no_grad():
        for module in renderer.network.modules():
            if isinstance(module, torch.nn.Conv2d) and module.out_channels == 2:
                module.weight.zero_()
                module.bias.zero_()  # type: ignore[union-attr]
        renderer.network.out.weight.zero_()
        renderer.network.out.bias.fill_(-30.0)  # type: ignore[union-attr]
    avatar = renderer.enroll(portrait)
    for shown, values in zip(renderer.render(avatar, turned), turned.values, strict=True):
        np.testing.assert_array_equal(shown, drive(avatar, values).picture)


def test_own_motion_gives_the_photo_back(portrait: Portrait) -> None:
    renderer = renderer_of(sizes.debug())
    shown = next(renderer.render(renderer.enroll(portrait), portrait.motion))
    np.testing.assert_array_equal(shown, portrait.square)


def test_a_change_of_shape_guides_the_network(portrait: Portrait) -> None:
    renderer = renderer_of(sizes.debug())
    avatar = renderer.enroll(portrait)
    wider = with_changes(portrait.motion, {"faceWidth": 1.0})
    plain, guided = (guide(avatar, wider.values[0], 32, shape) for shape in (None, wider.identity))
    assert np.abs(plain.displacement).max() < 1e-6
    assert np.abs(guided.displacement).max() > 0.02
    assert (plain.driving.barycentric != guided.driving.barycentric).any()
    shown = next(renderer.render(avatar, wider))
    assert (shown != portrait.square).any()
    with pytest.raises(MotionInvalid, match="2 numbers"):
        renderer.render(avatar, replace(wider, identity=np.zeros(2)))


def test_a_correction_at_half_size_moves_and_paints_the_whole_picture() -> None:
    base = np.zeros((64, 64, 3), np.uint8)
    base[:, 32:] = 200
    flow = np.full((32, 32, 2), (4.0, 0.0), np.float32)  # 8 px of the base
    mask = np.zeros((32, 32), np.float32)
    mask[:16] = 1
    shown = composed(base, Corrected(flow, np.full((32, 32, 3), 0.5, np.float32), mask), blend=True)
    assert (shown[40:, 24:] == 200).all()
    assert (shown[40:, :22] == 0).all()
    assert (np.abs(shown[:28].astype(int) - 128) <= 1).all()


def test_the_compiled_network_gives_the_same_pictures(
    portrait: Portrait, turned: Motion, monkeypatch: Any
) -> None:
    pytest.importorskip("openvino")
    config = replace(sizes.debug(), size=64)
    plain, fast = renderer_of(config), renderer_of(config)
    monkeypatch.setattr("countenance.renderers.gdpw.renderer._FRAMES_WORTH", 99)
    expected = list(plain.render(plain.enroll(portrait), turned))
    monkeypatch.setattr("countenance.renderers.gdpw.renderer._FRAMES_WORTH", 1)
    monkeypatch.delenv("COUNTENANCE_ENGINE", raising=False)
    ours = list(fast.render(fast.enroll(portrait), turned))
    assert fast._fast is not None
    for a, b in zip(ours, expected, strict=True):
        assert np.abs(a.astype(int) - b).max() <= 1


@pytest.mark.parametrize("guidance", ["geom_disp", "neural_codes", "both"])
def test_every_pattern_renders_and_gets_gradients(guidance: Any, tmp_path: Path, portrait: Portrait) -> None:
    config = sizes.debug(guidance)
    recipe = replace(debug(), network=config)
    dataset = Dataset(write_dataset(tmp_path / "data"))
    sampler = PairSampler(dataset, 0, 0, recipe.loop.augmentation, landmarks=True)
    network = recipe.build(dataset).train()
    losses = recipe.losses(network, recipe.batch([sampler[0], sampler[1]]), 0)
    losses.terms["total"].backward()
    assert all(p.grad is not None for p in network.parameters())
    if network.codes is not None:
        assert float(network.codes.grad.abs().max()) > 0  # type: ignore[union-attr]
    renderer = GDPWRenderer(network, SPECS[0])
    shown = next(renderer.render(renderer.enroll(portrait), portrait.motion))
    assert shown.shape == portrait.square.shape


def trained(recipe: GDPWRecipe, folder: Path, run: Path, **options: Any) -> Any:
    return train(recipe, folder, run, accelerator="cpu", **options)


def test_a_resumed_run_is_the_run_that_was_never_stopped(tmp_path: Path) -> None:
    """With a critic, spectral norm and batch norm, whose states must come back too."""
    folder = write_dataset(tmp_path / "data")
    whole = trained(debug(), folder, tmp_path / "whole")
    trained(debug(), folder, tmp_path / "parts", max_minutes=0)
    rest = trained(debug(), folder, tmp_path / "parts")
    assert (whole.step, rest.step) == (4, 4)
    assert whole.figures == rest.figures
    assert {"adversarial", "matching", "critic"} <= set(whole.figures)
    one, two = (torch.load(tmp_path / run / LAST, weights_only=True) for run in ("whole", "parts"))
    for which in ("network", "ema", "critic"):
        assert all(torch.equal(one[which][name], two[which][name]) for name in one[which])


def test_exported_weights_are_used_as_they_were_trained(
    tmp_path: Path, portrait: Portrait, turned: Motion
) -> None:
    outcome = trained(debug(), write_dataset(tmp_path / "data"), tmp_path / "run")
    renderer = from_file(outcome.weights)
    assert renderer.config == debug().network
    shown = list(renderer.render(renderer.enroll(portrait), turned))
    assert all(picture.shape == portrait.square.shape for picture in shown)


def test_the_critic_learns(tmp_path: Path) -> None:
    seen: list[float] = []
    recipe = replace(
        debug(), loop=replace(debug().loop, steps=30, log_every=5, sheet_every=99, save_every=99)
    )
    trained(
        recipe,
        write_dataset(tmp_path / "data"),
        tmp_path / "run",
        report=lambda _, f: seen.append(f["critic"]),
    )
    assert seen[-1] < 0.9 * seen[0]


def test_weights_for_another_mesh_are_refused(tmp_path: Path) -> None:
    config = replace(sizes.debug(), vertices=5023)
    save_weights(tmp_path / "flame.safetensors", GDPW(config), MODEL, config, {}, half=False)
    with pytest.raises(WeightsDamaged, match="5023 vertices"):
        from_file(tmp_path / "flame.safetensors")


def test_the_papers_preset_on_the_head_mesh_can_be_rendered(tmp_path: Path, portrait: Portrait) -> None:
    """Its flags, at a small size: no blending, no start picture, the published grid."""
    config = replace(paper().network, levels=3, base_width=4, min_width=4, max_width=8, size=32)
    path = tmp_path / "paper.safetensors"
    save_weights(path, GDPW(config), MODEL, config, {"crop_scale": 1.1}, half=False)
    renderer = from_file(path)
    assert (renderer.spec.motion_space, renderer.spec.crop_scale) == ("arkit", 1.1)
    shown = next(renderer.render(renderer.enroll(portrait), portrait.motion))
    assert shown.shape == portrait.square.shape


def test_one_scale_cannot_serve_two_networks(tmp_path: Path) -> None:
    recipe = replace(debug(), loop=replace(debug().loop, precision="16-mixed"))
    with pytest.raises(BadValue, match="bf16-mixed"):
        trained(recipe, write_dataset(tmp_path / "data"), tmp_path / "run")


def test_a_critic_that_is_no_number_stops_the_run(tmp_path: Path) -> None:
    class Broken(PatchAdversary):
        def loss(self, critic: Any, real: Any, fake: Any, step: int) -> Any:
            return super().loss(critic, real, fake, step) * float("nan")

    recipe = replace(debug(), adversary=Broken(debug().adversary.sizes))  # type: ignore[union-attr]
    with pytest.raises(TrainingDiverged):
        trained(recipe, write_dataset(tmp_path / "data"), tmp_path / "run")
    assert not (tmp_path / "run" / LAST).exists()


def test_a_dataset_without_landmarks_is_refused(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path / "data")
    for file in (folder / "landmarks").iterdir():
        file.unlink()
    with pytest.raises(DatasetUnreadable, match="landmarks"):
        trained(debug(), folder, tmp_path / "run")


def test_a_mesh_start_needs_the_displacement() -> None:
    with pytest.raises(BadValue, match="displacement"):
        replace(sizes.debug(), guidance="neural_codes")
