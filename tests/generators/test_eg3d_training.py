"""Training EG3D at debug size: cameras of frames, critic, regularisation, the loop, and what it exports."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from countenance.cli.main import main
from countenance.data.dataset import Dataset, Manifest
from countenance.errors import BadValue
from countenance.generators.eg3d.cameras import mirrored, pose_of
from countenance.generators.eg3d.critic import DualAdversary, DualCritic, blurred
from countenance.generators.eg3d.frames import FrameSampler, frame_batch
from countenance.generators.eg3d.official import load
from countenance.generators.eg3d.recipe import PRESETS, EG3DRecipe, debug, lite, paper
from countenance.generators.eg3d.tracked_cameras import arkit_cameras
from countenance.generators.stylegan2.config import DiscriminatorConfig
from countenance.training.checkpoint import LAST
from countenance.training.loop import Outcome, train
from prepared import write_dataset


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_dataset(tmp_path / "dataset")


def trained(recipe: EG3DRecipe, data: Path, run: Path, **options: Any) -> Outcome:
    return train(recipe, data, run, accelerator="cpu", **options)


def with_loop(recipe: EG3DRecipe, **changes: Any) -> EG3DRecipe:
    return replace(recipe, loop=replace(recipe.loop, **changes))


def some_views(count: int = 4, seed: int = 0) -> dict[str, Tensor]:
    numbers = torch.Generator().manual_seed(seed)
    sizes = {"image": (3, 32, 32), "raw": (3, 8, 8), "camera": (25,)}
    return {name: torch.randn(count, *size, generator=numbers) for name, size in sizes.items()}


def test_frames_have_the_cameras_that_they_were_taken_with(data: Path) -> None:
    dataset = Dataset(data)
    sampler = FrameSampler(dataset, 16, seed=3, flip=False)
    frames = [sampler[i] for i in range(30)]
    again = FrameSampler(dataset, 16, seed=3, flip=False)[7]
    np.testing.assert_array_equal(again.picture, frames[7].picture)
    assert {frame.person for frame in frames} == {0, 1}
    known = np.concatenate([arkit_cameras(dataset.motion(clip).values) for clip in dataset.clips])
    for frame in frames:
        assert np.abs(known - frame.camera).sum(1).min() < 1e-6
    assert any((frame.camera != frame.drawn_camera).any() for frame in frames)
    batch = frame_batch(frames[:3])
    assert (batch["picture"].shape, batch["camera"].shape) == ((3, 3, 16, 16), (3, 25))


def test_mirrored_frames_have_mirrored_cameras(data: Path) -> None:
    dataset = Dataset(data)
    clip = dataset.clips[0]
    dataset._motions[clip.name] = dataset.motion(clip).set(yaw=0.3, pitch=0.1, roll=0.2)
    sampler = FrameSampler(dataset, 32, flip=True)
    plain, flipped = (sampler._camera(clip, 0, way) for way in (False, True))
    expected = mirrored(pose_of(torch.from_numpy(plain[None])))
    torch.testing.assert_close(pose_of(torch.from_numpy(flipped[None])), expected)
    assert flipped[18] == pytest.approx(1 - plain[18])  # the principal point
    assert np.abs(flipped - plain).max() > 0.5
    shown = [sampler[i].picture for i in range(20)]
    assert any((a == b[:, ::-1]).all() for a in shown for b in shown)


def test_r1_is_autograds_gradient() -> None:
    adversary = DualAdversary(debug().adversary.sizes, None, r1_weight=2.0, r1_every=3)
    torch.manual_seed(0)
    critic = adversary.build()
    real, fake = some_views(), some_views(seed=1)
    with_penalty, without = (adversary.loss(critic, real, fake, step) for step in (3, 4))
    leaves = {name: real[name].clone().requires_grad_() for name in ("image", "raw")}
    (logits,) = critic([{**real, **leaves}])
    gradients = torch.autograd.grad(logits.sum(), list(leaves.values()))
    expected = sum(float(gradient.square().sum()) for gradient in gradients) / 4
    assert float((with_penalty - without).detach()) == pytest.approx(3 * 2.0 / 2 * expected, rel=1e-3)


def test_the_critic_sees_both_pictures_and_the_camera() -> None:
    torch.manual_seed(0)
    critic = debug().adversary.build()
    views = some_views()
    (plain,) = critic([views])
    for name in views:
        (changed,) = critic([{**views, name: views[name].flip(0)}])
        assert not torch.allclose(plain, changed)
    apart = critic([views, some_views(seed=1)])
    torch.testing.assert_close(apart[0], plain)  # a batch is judged by itself
    with pytest.raises(BadValue, match="6 channels"):
        DualCritic(DiscriminatorConfig(c_dim=25, img_resolution=32), None)


def test_blur_fades() -> None:
    adversary = replace(debug().adversary, blur_px=4.0, blur_steps=8)
    assert [adversary.blur(step) for step in (0, 4, 8, 20)] == [4, 2, 0, 0]
    point = torch.zeros(1, 3, 21, 21)
    point[..., 10, 10] = 1
    spread = blurred(point, 2.0)
    assert float(spread.sum()) == pytest.approx(3, rel=1e-4)
    assert float(spread[0, 0, 10, 12] / spread[0, 0, 10, 10]) == pytest.approx(0.5, rel=1e-4)
    assert torch.equal(blurred(point, 0), point)


def test_told_cameras_are_swapped_less_and_less() -> None:
    recipe = replace(debug(), swap=0.25, swap_steps=10)
    cameras = torch.arange(2000.0)[:, None].expand(-1, 25)
    torch.manual_seed(0)
    shares = [float((recipe._conditioning(cameras, s) != cameras).any(1).float().mean()) for s in (0, 5, 99)]
    assert shares == pytest.approx([1, 0.625, 0.25], abs=0.04)


def test_a_resumed_run_is_the_run_that_was_never_stopped(data: Path, tmp_path: Path) -> None:
    """With the augmentation's probability, which changes in every step here."""
    recipe = debug()
    certain = replace(recipe.adversary.augmentation, target=-2.0)  # p always rises
    recipe = replace(recipe, adversary=replace(recipe.adversary, augmentation=certain))
    recipe = with_loop(recipe, critic_rate=0.5)
    whole = trained(recipe, data, tmp_path / "whole")
    trained(recipe, data, tmp_path / "parts", max_minutes=0)
    rest = trained(recipe, data, tmp_path / "parts")
    assert (whole.step, rest.step, rest.finished) == (4, 4, True)
    assert whole.figures == rest.figures
    names = {"adversarial", "augmented", "critic", "pixel", "perceptual", "total"}
    assert names <= set(whole.figures)
    assert all(np.isfinite(value) for value in whole.figures.values())
    one, two = (torch.load(tmp_path / run / LAST, weights_only=True) for run in ("whole", "parts"))
    for which in ("network", "ema", "critic"):
        assert all(torch.equal(one[which][name], two[which][name]) for name in one[which])
    rates = [one[name]["param_groups"][0]["lr"] for name in ("optimizer", "critic_optimizer")]
    assert rates == [recipe.loop.learning_rate, 0.5 * recipe.loop.learning_rate]
    assert float(one["critic"]["augmentation.p"]) == pytest.approx(0.4)
    assert one["network"]["codes"].shape == (2, debug().network.w_dim)
    assert float(one["network"]["backbone.mapping.w_avg"].abs().max()) > 0


def test_exported_weights_render_what_was_trained(data: Path, tmp_path: Path) -> None:
    recipe = debug()
    outcome = trained(recipe, data, tmp_path / "run")
    network = load(outcome.weights)
    assert network.config == recipe.network
    trainee = recipe.build(Dataset(data)).eval()
    recipe.constrain(trainee)
    trainee.load_state_dict(torch.load(tmp_path / "run" / LAST, weights_only=True)["ema"])
    z, camera = torch.randn(2, recipe.network.z_dim), some_cameras(2)
    with torch.no_grad():
        made = trainee(z, camera, camera)
        picture = network(network.mapping(z, camera), camera)
    torch.testing.assert_close(picture.image, made.drawn.image)
    further = trained(
        with_loop(recipe, steps=1, learning_rate=0.0), data, tmp_path / "more", init=outcome.weights
    )
    same = load(further.weights).decoder.net[0].weight
    torch.testing.assert_close(same, network.decoder.net[0].weight)


def some_cameras(count: int) -> Tensor:
    return torch.from_numpy(arkit_cameras(np.zeros((count, 58), np.float32)))


def test_people_are_learnt(data: Path, tmp_path: Path) -> None:
    totals: list[float] = []
    recipe = with_loop(debug(), steps=20, learning_rate=1e-2, log_every=5, sheet_every=99, save_every=99)
    trained(recipe, data, tmp_path / "run", report=lambda _, f: totals.append(f["pixel"] + f["perceptual"]))
    assert totals[-1] < 0.85 * totals[0]


def test_without_reconstruction_there_are_no_people(data: Path, tmp_path: Path) -> None:
    recipe = replace(debug(), pixel_weight=0.0, perceptual_weight=0.0)
    recipe = with_loop(recipe, steps=2, augmentation=replace(recipe.loop.augmentation, flip=True))
    outcome = trained(recipe, data, tmp_path / "run")
    assert {"pixel", "perceptual"}.isdisjoint(outcome.figures)
    assert "codes" not in torch.load(tmp_path / "run" / LAST, weights_only=True)["network"]
    with pytest.raises(BadValue, match="flip"):
        replace(recipe, pixel_weight=1.0)


def test_the_sheet_shows_frames_people_and_three_sides(data: Path) -> None:
    recipe = debug()
    dataset = Dataset(data)
    network = recipe.build(dataset).eval()
    recipe.constrain(network)
    sampler = recipe.sampler(dataset)
    sheet = recipe.sheet(network, recipe.batch([sampler[i] for i in range(6)]))
    assert (sheet.shape, sheet.dtype) == ((4 * 32, 6 * 32, 3), np.uint8)


def test_density_terms_count_as_often_as_they_are_left_out(data: Path) -> None:
    recipe = debug()
    network = recipe.build(Dataset(data))
    z, camera = torch.randn(2, recipe.network.z_dim), some_cameras(2)
    made = network(z, camera, camera, regularised=True)
    assert set(made.density) == {"variation", "monotonic"}
    sum(made.density.values()).backward()
    assert network.decoder.net[0].weight.grad is not None
    assert network(z, camera, camera).density == {}


def test_what_does_not_fit_is_refused(data: Path, tmp_path: Path) -> None:
    with pytest.raises(BadValue, match="32 px wide"):
        trained(with_loop(lite(), steps=1, workers=0), data, tmp_path / "run")
    manifest = Manifest.read(data)
    replace(manifest, space="flame").write(data)
    with pytest.raises(BadValue, match="arkit"):
        trained(debug(), data, tmp_path / "run")


def test_presets_fit_together() -> None:
    for name, preset in PRESETS.items():
        recipe = preset()
        side = recipe.network.sr_input_resolution * (4 if recipe.network.superresolution == "8XDC" else 2)
        assert side == recipe.adversary.sizes.img_resolution, name
    assert (paper().loop.steps * paper().loop.batch_size, paper().loop.critic_rate) == (25_000_000, 0.8)
    assert len({preset().name for preset in PRESETS.values()}) == 3


def test_the_command_resumes(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["train", "eg3d", "--data", data, "-o", tmp_path / "run", "--preset", "debug", "--json"]
    for extra, finished in ((["--max-minutes", 0], False), (["--steps", 2], True)):
        with pytest.raises(SystemExit) as stop:
            main([str(a) for a in [*command, *extra, "--accelerator", "cpu"]])
        assert not stop.value.code
        assert json.loads(capsys.readouterr().out)["finished"] is finished


_SCRIPT = """
import sys
from dataclasses import replace
from pathlib import Path
from countenance.generators.eg3d.recipe import debug
from countenance.training.loop import train

if __name__ == "__main__":
    recipe = replace(debug(), loop=replace(debug().loop, steps=3, batch_size=8))
    train(recipe, Path(sys.argv[1]), Path(sys.argv[2]), devices=2, accelerator="cpu")
"""


def test_two_processes_train_together(data: Path, tmp_path: Path) -> None:
    """R1's second derivatives and the critic's buffers, too."""
    script = tmp_path / "two.py"
    script.write_text(_SCRIPT)
    command = [sys.executable, str(script), str(data), str(tmp_path / "run")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    ran = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert ran.returncode == 0, ran.stderr[-2000:]
    state = torch.load(tmp_path / "run" / LAST, weights_only=True)
    assert state["step"] == 3
    assert all(t.isfinite().all() for t in [*state["network"].values(), *state["critic"].values()])
