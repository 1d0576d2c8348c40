"""Decoupling by inverting, at debug size."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from countenance.data.dataset import Dataset
from countenance.errors import BadValue, MotionSpaceMismatch, WeightsDamaged
from countenance.generators.eg3d import official as eg3d
from countenance.generators.eg3d.generator import EG3D
from countenance.motion.files import save_motion
from countenance.motion.sequence import Motion
from countenance.motion.spaces import ARKIT
from countenance.renderers.otavatar.config import debug as sizes
from countenance.renderers.otavatar.decoupling import decouple, follow
from countenance.renderers.otavatar.inversion import Code, IdentitySteps, Matching
from countenance.renderers.otavatar.network import Animator
from countenance.renderers.otavatar.recipe import OTAvatarRecipe, debug, lite, paper
from countenance.renderers.otavatar.renderer import from_file
from countenance.renderers.otavatar.samples import ShotSampler, as_batch, frame_shares, moments_of
from countenance.training.checkpoint import LAST
from countenance.training.loop import Outcome, train
from countenance.weights.weight_files import save_weights
from prepared import write_dataset

pytestmark = pytest.mark.filterwarnings("ignore::countenance.errors.LossLeftOut")
Tensors = dict[str, torch.Tensor]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("otavatar") / "dataset")


def with_loop(recipe: OTAvatarRecipe, **changes: Any) -> OTAvatarRecipe:
    return replace(recipe, loop=replace(recipe.loop, **changes))


def trained(recipe: OTAvatarRecipe, data: Path, run: Path, **options: Any) -> Outcome:
    return train(recipe, data, run, accelerator="cpu", **options)


def weights_of(run: Path, which: str = "network") -> Tensors:
    state: Tensors = torch.load(run / LAST, weights_only=True)[which]
    return state


def copied(module: torch.nn.Module) -> Tensors:
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def unchanged(module: torch.nn.Module, before: Tensors) -> bool:
    return all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())


def matching_of(data: Path, recipe: OTAvatarRecipe) -> Matching:
    torch.manual_seed(0)
    dataset = Dataset(data)
    animator = recipe.build(dataset)
    recipe.constrain(animator)
    animator.generator.decoder.net[2].bias.data[0] = 3
    sampler = recipe.sampler(dataset)
    moments = moments_of(recipe.batch([sampler[0], sampler[1]]))
    return Matching(animator, recipe.objective, moments, recipe.training.inversion)


def test_steps_of_the_code_leave_the_controller_alone_and_the_reverse(data: Path) -> None:
    recipe = debug()
    matching = matching_of(data, recipe)
    animator = matching.animator
    before = copied(animator)
    learner = IdentitySteps(Code.mean(animator, 2), animator, recipe.training.inversion)
    start = learner.code.identity.detach().clone()
    loss, _ = matching.losses(learner.code, animator.controller, large=True)
    learner.step(loss)
    assert not torch.equal(learner.code.identity, start)
    assert unchanged(animator, before)
    assert all(parameter.grad is None for parameter in animator.parameters())

    found = decouple(matching, recipe.training)
    assert unchanged(animator, before)  # theta_c is a copy
    assert all(parameter.requires_grad for parameter in animator.generator.parameters())
    assert not unchanged(found.controller, copied(animator.controller))
    few = replace(recipe.training, controller_steps=1, controller_optimiser=_standing_still(recipe))
    torch.manual_seed(1)
    one = decouple(matching, few)
    torch.manual_seed(1)
    other = decouple(matching, replace(few, controller_steps=2))
    assert torch.equal(one.code.identity, other.code.identity)  # the controller's steps do not touch it
    assert unchanged(one.controller, copied(animator.controller))  # at learning rate 0
    assert len(found.losses) == 5
    assert found.code.identity.shape == (2, 1, 8)  # in W, one for both frames of a person


def _standing_still(recipe: OTAvatarRecipe) -> Any:
    return replace(recipe.training.controller_optimiser, learning_rate=0.0)


def test_both_kinds_of_steps_lower_the_loss(data: Path) -> None:
    recipe = debug()
    matching = matching_of(data, recipe)
    config = replace(recipe.training, identity_steps=8, controller_steps=6, large_steps=0)
    losses = [float(loss) for loss in decouple(matching, config).losses]
    assert losses[8] < losses[0]
    assert losses[-1] < losses[8]


def test_the_average_follows_the_controller(data: Path) -> None:
    slow, fast = torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)
    expected = 0.95 * slow.weight.detach() + 0.05 * fast.weight.detach()
    follow(slow, fast, 0.95)
    torch.testing.assert_close(slow.weight.detach(), expected)


def test_a_run_learns_both_networks_and_resumes_exactly(data: Path, tmp_path: Path) -> None:
    recipe = debug()
    whole = trained(recipe, data, tmp_path / "whole")
    stopped = trained(recipe, data, tmp_path / "parts", max_minutes=0)
    assert (stopped.step, stopped.finished) == (1, False)
    rest = trained(recipe, data, tmp_path / "parts")
    assert (whole.step, rest.step, rest.finished) == (3, 3, True)
    one, other = weights_of(tmp_path / "whole"), weights_of(tmp_path / "parts")
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert whole.figures == rest.figures
    ours = {"relief", "distortion"}
    terms = {"perceptual", "local", "pixel", "monotonic", "variation", "inverted", "total"}
    assert terms | ours <= set(whole.figures)
    assert recipe.sampler(Dataset(data)).turned == recipe.training.turned == 2.0
    torch.manual_seed(recipe.loop.seed)
    untrained = recipe.build(Dataset(data)).state_dict()
    changed = {name.split(".")[0] for name in one if not torch.equal(one[name], untrained[name])}
    assert changed == {"controller", "generator"}
    average = weights_of(tmp_path / "whole", "ema")
    assert all(torch.equal(one[name], average[name]) for name in one)  # the controller averages by itself
    events = next((tmp_path / "whole" / "tensorboard").iterdir()).read_bytes()
    assert b"sheet" in events
    renderer = from_file(whole.weights)
    assert renderer.config == replace(
        recipe.network, generator=replace(recipe.network.generator, sr_conv_clamp=256.0)
    )


def test_training_makes_the_loss_smaller(data: Path, tmp_path: Path) -> None:
    totals: list[float] = []
    recipe = with_loop(debug(), steps=8, log_every=2, save_every=100, sheet_every=100)
    trained(recipe, data, tmp_path / "run", report=lambda step, figures: totals.append(figures["total"]))
    assert totals[-1] < 0.9 * totals[0]


_SCRIPT = """
import sys
from dataclasses import replace
from pathlib import Path
from countenance.renderers.otavatar import recipe as recipes
from countenance.training.loop import train

if __name__ == "__main__":
    data, run = map(Path, sys.argv[1:])
    follow = recipes.follow

    def told(slow, fast, decay):
        follow(slow, fast, decay)
        total = float(sum(parameter.double().sum() for parameter in slow.parameters()))
        sys.stdout.write(f"controller {total!r}\\n")  # at once, as another process writes too
        sys.stdout.flush()

    recipes.follow = told
    recipe = recipes.debug()
    train(replace(recipe, loop=replace(recipe.loop, steps=2, batch_size=8)), data, run, devices=2, accelerator="cpu")
"""


def test_two_processes_share_a_controller(data: Path, tmp_path: Path) -> None:
    """Each learns its own from other people, and both go on with the mean; only the first one draws sheets."""
    script = tmp_path / "two.py"
    script.write_text(_SCRIPT)
    command = [sys.executable, str(script), str(data), str(tmp_path / "run")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    ran = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=300)
    assert ran.returncode == 0, ran.stderr[-2000:]
    told = [line for line in ran.stdout.splitlines() if line.startswith("controller")]
    assert len(told) == 4
    assert len(set(told)) == 2


def test_a_run_starts_from_a_generator(data: Path, tmp_path: Path) -> None:
    path = tmp_path / "generator.safetensors"
    small = replace(sizes().generator, plane_resolution=32, w_dim=10, z_dim=10)
    torch.manual_seed(5)
    generator = EG3D(small)
    eg3d.save(generator, path, {})
    recipe = replace(with_loop(debug(), steps=1, learning_rate=0.0), from_nothing=False)
    with pytest.raises(BadValue, match="--init generator"):
        trained(recipe, data, tmp_path / "none")
    started = recipe.starting_from(path)
    assert started.network.generator == small
    assert (started.network.controller.codes, started.network.controller.code_width) == (8, 10)
    outcome = trained(started, data, tmp_path / "run")
    weights = weights_of(tmp_path / "run")
    assert all(torch.equal(weights[f"generator.{name}"], t) for name, t in generator.state_dict().items())
    again = recipe.starting_from(outcome.weights)  # an OTAvatar: the controller too
    kept = again.build(Dataset(data)).state_dict()
    assert all(torch.allclose(kept[name], t, atol=1e-3, rtol=1e-3) for name, t in weights.items())
    save_weights(path, torch.nn.Linear(1, 1), "gdpw", small, {}, half=False)
    with pytest.raises(WeightsDamaged, match="gdpw"):
        recipe.starting_from(path)


def test_what_cannot_be_trained(data: Path) -> None:
    with pytest.raises(BadValue, match="32-true"):
        with_loop(debug(), precision="bf16-mixed")
    with pytest.raises(BadValue, match="tune_controller"):
        replace(debug(), training=replace(debug().training, tune_controller=True))
    with pytest.raises(MotionSpaceMismatch):
        paper().build(Dataset(data))


def test_turned_heads_are_drawn_more_often(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path / "dataset")
    turning = Motion.neutral(ARKIT, 9, 25.0).set(jawOpen=0.2, yaw=np.linspace(0, 1, 9))
    save_motion(folder / "motion" / "a_02.npz", turning)
    yaw = ARKIT.index("yaw")

    def yaws(turned: float) -> list[float]:
        sampler = ShotSampler(Dataset(folder), 0, 0.001, turned=turned)
        return [float(number) for i in range(60) for number in sampler[i].windows[:, yaw, 13]]

    even, rather, almost_only = (yaws(turned) for turned in (0.0, 3.0, 1e6))
    assert np.mean(even) < np.mean(rather) < np.mean(almost_only)
    assert 0.4 < np.mean(np.array(almost_only) > 0) < 0.6  # b never turns, and is seen as often as a


def test_shots_prefer_expression_and_come_in_the_order_of_the_batch(data: Path) -> None:
    motion = Motion.neutral(ARKIT, 4, 25.0).set(jawOpen=[0, 0.1, 0.3, 0], yaw=[1, 0, 0, 0])
    np.testing.assert_allclose(frame_shares(motion, 0.0), [0, 0.25, 0.75, 0], atol=1e-6)
    assert frame_shares(motion, 0.1)[0] == pytest.approx(0.125)
    np.testing.assert_allclose(frame_shares(motion, 0.1, turned=7.0), np.array([8, 2, 4, 1]) / 15, atol=1e-6)
    sampler = ShotSampler(Dataset(data), 0, 0.001)
    shots = [sampler[0], sampler[7]]
    np.testing.assert_array_equal(sampler[7].pictures, shots[1].pictures)
    batch = as_batch(shots)
    assert {name: tuple(tensor.shape) for name, tensor in batch.items()} == {
        "pictures": (4, 3, 32, 32),
        "windows": (4, 58, 27),
        "cameras": (4, 25),
        "landmarks": (4, 68, 2),
        "look": (4,),
    }
    np.testing.assert_array_equal(batch["cameras"][[1, 3]], shots[1].cameras)  # sources, then driving frames
    np.testing.assert_array_equal(batch["pictures"][2].permute(1, 2, 0), shots[0].pictures[1])
    assert 0 < float(batch["landmarks"].min()) < float(batch["landmarks"].max()) < 512


def test_the_papers_training_and_its_sizes() -> None:
    recipe = paper()
    assert (recipe.loop.steps, recipe.loop.learning_rate, recipe.loop.ema_decay) == (2000, 1e-4, 0.0)
    assert (recipe.training.identity_steps, recipe.training.controller_steps) == (90, 10)
    assert (recipe.network.motion_space, recipe.network.controller.coefficients) == ("bfm", 70)
    assert (recipe.network.size, recipe.network.generator.neural_rendering_resolution) == (512, 64)
    assert recipe.network.generator.sr_conv_clamp is None
    assert (lite().network.motion_space, lite().network.controller.coefficients) == ("arkit", 52)
    for each in (recipe, lite(), debug()):
        each.network.expect_fit()
    with torch.device("meta"):
        animator = Animator(recipe.network)
    assert sum(p.numel() for p in animator.controller.parameters()) == 1_132_588
