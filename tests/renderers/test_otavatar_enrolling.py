"""What keeps an enrolled person near people and as movable as they are: the codes' spread, the ridge and locality."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from countenance.data.dataset import Dataset
from countenance.motion.sequence import Motion
from countenance.motion.spaces import ARKIT
from countenance.renderers.otavatar.config import InversionConfig
from countenance.renderers.otavatar.inversion import Code, IdentitySteps, Matching
from countenance.renderers.otavatar.joint import debug as joint
from countenance.renderers.otavatar.joint import spread_of
from countenance.renderers.otavatar.locality import Locality, expressions_beside
from countenance.renderers.otavatar.network import Animator
from countenance.renderers.otavatar.tuning import tune
from prepared import write_dataset

pytestmark = pytest.mark.filterwarnings("ignore::countenance.errors.LossLeftOut")


@pytest.fixture(scope="module")
def matching(tmp_path_factory: pytest.TempPathFactory) -> Matching:
    recipe = joint()
    torch.manual_seed(0)
    dataset = Dataset(write_dataset(tmp_path_factory.mktemp("enrolling") / "dataset"))
    animator = recipe.algorithm.build(dataset).eval().requires_grad_(False)
    torch.nn.init.normal_(animator.controller.last.weight, std=0.5)  # at first it hardly moves anything
    moments = recipe.batch([recipe.sampler(dataset)[0]])
    one = joint()._matching(animator, {name: tensor[:1] for name, tensor in moments.items()}).moments
    numbers = torch.Generator().manual_seed(0)
    return Matching(animator, recipe.objective, one, InversionConfig(camera=None), numbers)


def neutral() -> Motion:
    return Motion.neutral(ARKIT, 1, 25.0).set(yaw=0.2, mouthSmileLeft=0.7, mouthSmileRight=0.7)


def test_codes_have_unit_deviation_in_the_coordinates_of_their_spread() -> None:
    codes = torch.randn(40, 6, generator=torch.Generator().manual_seed(0)) * torch.arange(1, 7) + 3
    spread = spread_of(codes)
    coordinates = (codes - codes.mean(0)) @ torch.linalg.inv(spread)
    torch.testing.assert_close(coordinates.T @ coordinates / 40, torch.eye(6), atol=1e-4, rtol=0)
    torch.testing.assert_close(spread @ spread.T, torch.diag(spread.square().sum(1)), atol=1e-4, rtol=0)


def test_few_people_leave_no_direction_out() -> None:
    spread = spread_of(torch.randn(3, 8, generator=torch.Generator().manual_seed(0)))
    lengths = spread.norm(dim=1)
    assert torch.linalg.matrix_rank(spread, rtol=1e-3) == 8
    torch.testing.assert_close(lengths[3:], 0.01 * lengths[0].expand(5))


def stepped(animator: Animator, spread: torch.Tensor, config: InversionConfig) -> torch.Tensor:
    """An identity after steps towards 5 in every number."""
    before = animator.spread.clone()
    animator.spread.copy_(spread)
    learner = IdentitySteps(Code.mean(animator, 1), animator, config)
    for _ in range(200):
        learner.step((learner.code.identity - animator.mean_code - 5).square().sum())
    found = (learner.code.identity.detach() - animator.mean_code)[0, 0]
    animator.spread.copy_(before)
    return found


def test_codes_go_where_people_differ_and_the_ridge_holds_them_back(matching: Matching) -> None:
    animator = matching.animator
    config = replace(matching.config, identity=replace(matching.config.identity, learning_rate=0.1, clip=0.0))
    lengths = torch.ones(8)
    lengths[0] = 0.01
    free, along, held = (
        stepped(animator, torch.diag(spread), replace(config, ridge=ridge))
        for spread, ridge in ((torch.ones(8), 0.0), (lengths, 0.0), (torch.ones(8), 1000.0))
    )
    torch.testing.assert_close(free, torch.full((8,), 5.0), atol=0.05, rtol=0)
    assert along[0] < 0.3  # in 200 steps of 0.1, each worth a hundredth
    torch.testing.assert_close(along[1:], free[1:], atol=0.05, rtol=0)
    torch.testing.assert_close(held, torch.full((8,), 5 / (1 + 1000 / 8)), atol=0.01, rtol=0)


def test_expressions_beside_are_of_the_same_pose_and_alike_on_both_sides() -> None:
    own = neutral()
    windows = expressions_beside(own, 200, seed=3)
    np.testing.assert_array_equal(windows, expressions_beside(own, 200, seed=3))
    assert windows.shape == (200, ARKIT.size, 27)
    np.testing.assert_array_equal(windows, np.repeat(windows[..., :1], 27, 2))  # held
    pose = ARKIT.region_indices("pose")
    np.testing.assert_array_equal(windows[:, pose, 0], np.repeat(own.values[:, pose], 200, 0))
    expression = windows[:, ARKIT.region_indices("expression"), 0]
    assert expression.min() >= 0
    assert expression.max() <= 1
    np.testing.assert_array_equal(windows[:, :, 0][:, ARKIT.mirror_permutation()[0]][:, :52], expression)
    changed = (windows[:, :, 0] != own.values).mean(0)[ARKIT.region_indices("expression")]
    assert (changed > 0).all()
    assert changed.mean() < 0.3


def test_locality_is_nothing_for_the_same_animator_and_one_for_one_that_stands_still(
    matching: Matching,
) -> None:
    windows = torch.from_numpy(expressions_beside(neutral()))
    code = Code.mean(matching.animator, 1)
    kept = Locality(matching, code, windows)
    own = matching.animator
    ws = matching.ws(code.identity, own.controller, matching.moments.windows)
    losses = [float(kept.loss(own, own.generator.planes(ws).table)) for _ in range(3)]
    np.testing.assert_allclose(losses, 0, atol=1e-10)
    backbone = own.generator.backbone
    held = {name: weight.clone() for name, weight in backbone.state_dict().items()}
    for name, weight in backbone.named_parameters():
        if "affine.weight" in name:
            weight.zero_()  # codes say nothing any more
    table = own.generator.planes(ws).table
    losses = [float(kept.loss(own, table)) for _ in range(300)]
    backbone.load_state_dict(held)
    assert np.mean(losses) == pytest.approx(1, rel=0.2)


def test_a_tuned_face_moves_more_like_before_with_locality(matching: Matching) -> None:
    windows = torch.from_numpy(expressions_beside(neutral()))
    code = Code.mean(matching.animator, 1)
    kept = Locality(matching, code, windows)
    forgotten = []
    for weight in (0.0, 1e4):
        config = replace(matching.config, tune_steps=6, tune_rate=3e-3, locality=weight)
        tuned = tune(
            matching.animator, matching.objective, matching.moments, code, config, expressions=windows
        )
        other = Animator(matching.animator.config)
        other.load_state_dict(
            {**matching.animator.state_dict(), **{f"generator.{n}": t for n, t in tuned.items()}}
        )
        with torch.no_grad():
            ws = matching.ws(code.identity, other.controller, matching.moments.windows)
            table = other.generator.planes(ws).table
            forgotten.append(np.mean([float(kept.loss(other, table)) for _ in range(30)]))
    assert 0 < forgotten[1] < 0.8 * forgotten[0]
