"""Joint training, pivotal tuning and the controllers of Table 5, at debug size."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from countenance.data.dataset import Dataset
from countenance.errors import InversionDiverged, WeightsDamaged
from countenance.generators.eg3d.cameras import mirrored, pose_of
from countenance.generators.eg3d.tracked_cameras import arkit_cameras
from countenance.motion.sequence import Motion
from countenance.motion.spaces import ARKIT
from countenance.renderers.otavatar.camera import beside
from countenance.renderers.otavatar.config import ControllerConfig, debug
from countenance.renderers.otavatar.controller import MotionController
from countenance.renderers.otavatar.inversion import Code, Matching
from countenance.renderers.otavatar.joint import debug as joint
from countenance.renderers.otavatar.joint import enliven, spread_of
from countenance.renderers.otavatar.relief import mean_face, relief_loss
from countenance.renderers.otavatar.renderer import from_file
from countenance.renderers.otavatar.samples import ShotSampler, moments_of
from countenance.renderers.otavatar.tuning import tune
from countenance.training.checkpoint import LAST
from countenance.training.loop import train
from prepared import write_dataset

pytestmark = pytest.mark.filterwarnings("ignore::countenance.errors.LossLeftOut")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("joint") / "dataset")


def test_mirrored_shots_show_another_look_from_the_mirrored_camera(data: Path) -> None:
    dataset = Dataset(data)
    plain, flipping = (ShotSampler(dataset, 0, 0.001, flip=flip) for flip in (False, True))
    pairs = [(plain[i], flipping[i]) for i in range(12)]
    turned = [(a, b) for a, b in pairs if a.look != b.look]
    assert 0 < len(turned) < 12
    for a, b in pairs:
        assert a.look % 2 == 0
        assert b.look // 2 == a.look // 2 < plain.looks // 2
    for a, b in turned:
        assert b.look == a.look + 1
        np.testing.assert_array_equal(b.pictures, a.pictures[:, :, ::-1])
        poses = torch.from_numpy(a.cameras[:, :16].reshape(-1, 4, 4))
        expected = mirrored(poses).numpy().reshape(-1, 16)
        np.testing.assert_allclose(b.cameras[:, :16], expected, atol=1e-5)
        np.testing.assert_allclose(b.landmarks[..., 0].mean(), 512 - a.landmarks[..., 0].mean(), atol=1e-2)


def test_a_run_learns_everything_and_resumes_exactly(data: Path, tmp_path: Path) -> None:
    recipe = joint()
    assert recipe.sampler(Dataset(data)).turned == recipe.algorithm.training.turned > 0
    whole = train(recipe, data, tmp_path / "whole", accelerator="cpu")
    train(recipe, data, tmp_path / "parts", accelerator="cpu", max_minutes=0)
    rest = train(recipe, data, tmp_path / "parts", accelerator="cpu")
    assert rest.finished
    one, other = (
        torch.load(tmp_path / run / LAST, weights_only=True)["network"] for run in ("whole", "parts")
    )
    assert all(torch.equal(one[name], other[name]) for name in one)
    torch.manual_seed(recipe.loop.seed)
    untrained = recipe.build(Dataset(data)).state_dict()
    moved = {name.split(".")[0] for name in one if not torch.equal(one[name], untrained[name])}
    assert moved == {"animator", "codes"}
    assert not torch.equal(
        one["animator.controller.last.weight"], untrained["animator.controller.last.weight"]
    )
    assert b"sheet" in next((tmp_path / "whole" / "tensorboard").iterdir()).read_bytes()
    made, kept = from_file(whole.weights), torch.load(tmp_path / "whole" / LAST, weights_only=True)["ema"]
    assert made.config.motion_space == "arkit"
    torch.testing.assert_close(made.network.spread, spread_of(kept["codes"]).half().float())


def test_people_who_hardly_differ_yet_leave_the_starts_spread(data: Path, tmp_path: Path) -> None:
    recipe = joint()
    first = train(recipe, data, tmp_path / "first", accelerator="cpu").weights
    on = replace(recipe.starting_from(first), loop=replace(recipe.loop, steps=1))
    second = train(on, data, tmp_path / "second", accelerator="cpu").weights
    before, after = from_file(first).network, from_file(second).network
    torch.testing.assert_close(after.spread, before.spread)
    torch.testing.assert_close(after.mean_code, before.mean_code)


def test_a_run_of_another_version_is_told(data: Path, tmp_path: Path) -> None:
    train(joint(), data, tmp_path, accelerator="cpu")
    state = torch.load(tmp_path / LAST, weights_only=True)
    del state["network"]["animator.spread"]
    torch.save(state, tmp_path / LAST)
    with pytest.raises(WeightsDamaged, match=r"'animator\.spread' is missing.* new run in another folder"):
        train(joint(), data, tmp_path, accelerator="cpu")


def test_it_makes_the_loss_smaller(data: Path, tmp_path: Path) -> None:
    recipe = joint()
    outcomes = [
        train(
            replace(recipe, loop=replace(recipe.loop, steps=steps, log_every=4)),
            data,
            tmp_path / str(steps),
            accelerator="cpu",
        )
        for steps in (4, 24)
    ]
    assert outcomes[1].figures["total"] < 0.9 * outcomes[0].figures["total"]


def test_codes_come_first_where_the_start_knows_people(data: Path, tmp_path: Path) -> None:
    recipe = joint()
    first = train(recipe, data, tmp_path / "first", accelerator="cpu").weights
    on = replace(recipe.starting_from(first), loop=replace(recipe.loop, steps=1))
    begun = on.build(Dataset(data)).state_dict()
    mean = begun["animator.generator.backbone.mapping.w_avg"]
    torch.testing.assert_close(begun["codes"], mean.expand_as(begun["codes"]))
    for steps, learnt in ((1, {"codes"}), (2, {"codes", "animator"})):
        outcome = train(
            replace(on, loop=replace(on.loop, steps=steps, log_every=1)),
            data,
            tmp_path / "on",
            accelerator="cpu",
        )
        now = torch.load(tmp_path / "on" / LAST, weights_only=True)["network"]
        assert {name.split(".")[0] for name in now if not torch.equal(now[name], begun[name])} == learnt
        assert {"adversarial", "critic"} <= set(outcome.figures)


def test_a_generator_can_be_held(data: Path, tmp_path: Path) -> None:
    recipe = replace(joint(), generator_share=0.0, controller_share=1.0, lively=False, adversary=None)
    train(recipe, data, tmp_path, accelerator="cpu")
    torch.manual_seed(recipe.loop.seed)
    untrained = recipe.build(Dataset(data)).state_dict()
    now = torch.load(tmp_path / LAST, weights_only=True)["network"]
    changed = {name for name in now if not torch.equal(now[name], untrained[name])}
    assert {name.split(".")[1] for name in changed if "." in name} == {"controller"}
    assert "codes" in changed


def test_the_shape_counts_from_the_side_too(data: Path) -> None:
    recipe = joint()
    torch.manual_seed(0)
    dataset = Dataset(data)
    network = recipe.build(dataset).requires_grad_(False)
    batch = recipe.batch([recipe.sampler(dataset)[i] for i in range(2)])
    losses = recipe.algorithm.training.losses
    terms = []
    for reach in (0.0, losses.beside_rad):
        algorithm = replace(
            recipe.algorithm,
            training=replace(recipe.algorithm.training, losses=replace(losses, beside_rad=reach)),
        )
        torch.manual_seed(1)
        some = replace(recipe, algorithm=algorithm).losses(network, batch, 0).terms
        terms.append({name: float(term) for name, term in some.items()})
    assert terms[0]["relief"] != terms[1]["relief"]
    assert terms[0]["distortion"] != terms[1]["distortion"]


def test_cameras_beside_look_at_the_same_head() -> None:
    own = Motion.neutral(ARKIT, 64, 25.0).set(yaw=0.3, x=0.1, logScale=0.2)
    cameras = torch.from_numpy(arkit_cameras(own.values))
    made = beside(cameras, 0.6, torch.Generator().manual_seed(0))
    assert torch.equal(made, beside(cameras, 0.6, torch.Generator().manual_seed(0)))
    assert torch.equal(made[:, 16:], cameras[:, 16:])
    place = pose_of(made)[:, :3, 3]
    torch.testing.assert_close(place.norm(dim=1), torch.full((64,), 2.7))
    yaw = torch.atan2(place[:, 0], place[:, 2]).abs()
    pitch = torch.asin(place[:, 1] / 2.7).abs()
    assert 0.5 < yaw.max() < 0.65
    assert 0.1 < pitch.max() < 0.25
    forward = pose_of(made)[:, :3, 2]
    torch.testing.assert_close(forward, -place / 2.7, atol=1e-4, rtol=0)


def test_tuning_comes_closer_and_leaves_the_animator_alone(data: Path) -> None:
    recipe = joint()
    torch.manual_seed(0)
    dataset = Dataset(data)
    animator = recipe.algorithm.build(dataset).eval().requires_grad_(False)
    animator.generator.decoder.net[2].bias.data[0] = 3
    before = {name: tensor.clone() for name, tensor in animator.state_dict().items()}
    moments = moments_of(recipe.batch([recipe.sampler(dataset)[0]]))
    one = type(moments)(*(part[:1] for part in moments))
    config = replace(recipe.algorithm.training.inversion, tune_steps=6, tune_rate=3e-3)
    code, told = Code.mean(animator, 1), list[tuple[int, int]]()
    tuned = tune(
        animator,
        recipe.objective,
        one,
        code,
        config,
        progress=lambda step, steps, loss: told.append((step, steps)),
    )
    assert told == [(step, 6) for step in range(1, 7)]
    assert all(torch.equal(tensor, before[name]) for name, tensor in animator.state_dict().items())
    first = _loss(animator, recipe, one, config, code)
    animator.generator.load_state_dict(tuned, strict=False)
    assert _loss(animator, recipe, one, config, code) < first
    with pytest.raises(InversionDiverged):
        tune(animator, recipe.objective, one, code, replace(config, tune_rate=1e6, retry_rate=1.0))
    told.clear()
    calmer = replace(config, tune_rate=1e6, retry_rate=1e-9, retries=1)
    assert (
        tune(
            animator,
            recipe.objective,
            one,
            code,
            calmer,
            progress=lambda step, steps, loss: told.append((step, steps)),
        ).keys()
        == tuned.keys()
    )
    assert told[-6:] == [(step, 6) for step in range(1, 7)]  # from the start, at the lower rate


def _loss(animator, recipe, moments, config, code) -> float:  # type: ignore[no-untyped-def]
    matching = Matching(animator, recipe.objective, moments, config, torch.Generator().manual_seed(1))
    with torch.no_grad():
        return float(matching.losses(code, animator.controller, large=True)[0])


@pytest.mark.parametrize(
    ("changed", "magnitudes"), [({"motion_in_w": True}, 6), ({"orthogonal": False}, None)]
)
def test_controllers_of_table_5(changed: dict[str, bool], magnitudes: int | None) -> None:
    config: ControllerConfig = replace(debug().controller, **changed)
    torch.manual_seed(0)
    controller = MotionController(config)
    code = controller(torch.randn(2, 58, 27))
    assert code.motion.shape == (2, config.codes, config.code_width)
    if magnitudes is not None:
        assert config.magnitudes == magnitudes
        torch.testing.assert_close(code.motion, code.motion[:, :1].expand_as(code.motion))
    else:
        torch.testing.assert_close(code.motion, code.magnitudes @ controller.codebook.T)
        assert not torch.allclose(
            controller.basis().T @ controller.basis(), torch.eye(config.bases), atol=1e-2
        )


def test_relief_is_that_of_the_mean_face_from_any_side() -> None:
    cameras = torch.from_numpy(arkit_cameras(Motion.neutral(ARKIT, 3, 25.0).set(yaw=[-0.5, 0, 0.5]).values))
    depth = torch.full((3, 1, 48, 48), 2.7, requires_grad=True)
    flat = relief_loss(depth, cameras)
    adam = torch.optim.Adam([depth], 0.01)
    for _ in range(60):
        adam.zero_grad()
        relief_loss(depth, cameras).backward()
        adam.step()
    assert flat > 10  # cm squared: the middle of the head, which a face lies before
    assert relief_loss(depth, cameras) < 0.1 * flat
    torch.testing.assert_close(mean_face()[1][:468].norm(dim=1), torch.ones(468))  # irises have no triangles
    nose, temples = depth[1, 0, 20:30, 22:26].min(), depth[1, 0, 20, [14, 33]]
    assert (temples - nose > 0.1).all()  # 4 cm


def test_a_lively_controller_tells_motions_apart(data: Path) -> None:
    recipe, dataset = joint(), Dataset(data)
    torch.manual_seed(0)
    fresh = MotionController(recipe.algorithm.network.controller)
    windows = torch.from_numpy(dataset.motion(dataset.clips[0]).descriptor().copy())
    asleep = fresh(windows).motion.std(0).mean()
    enliven(fresh, windows)
    assert asleep < 1e-3
    torch.testing.assert_close(fresh(windows).motion.std(0).mean(), torch.tensor(0.3))
