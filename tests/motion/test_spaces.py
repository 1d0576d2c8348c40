"""Names, order, regions and mirror images of the three spaces."""

from __future__ import annotations

import numpy as np
import pytest

from countenance.errors import BadValue, UnknownName
from countenance.motion.spaces import ARKIT, ARKIT_SHAPES, BFM, FLAME, SPACES, MotionSpace, get_space


def test_sizes_and_order() -> None:
    assert (ARKIT.size, BFM.size, FLAME.size) == (58, 70, 65)
    assert len(set(ARKIT_SHAPES)) == 52
    assert (ARKIT_SHAPES[0], ARKIT_SHAPES[13], ARKIT_SHAPES[17]) == (
        "eyeBlinkLeft",
        "eyeWideRight",
        "jawOpen",
    )
    assert ARKIT_SHAPES[-1] == "tongueOut"
    assert ARKIT.names[52:] == ("yaw", "pitch", "roll", "x", "y", "logScale")
    assert BFM.names[63:] == ("exp63", "pitch", "yaw", "roll", "tx", "ty", "tz")
    assert FLAME.names[50] == "jaw_x"
    assert FLAME.names[-3:] == ("cam_scale", "cam_x", "cam_y")


@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES.keys())
def test_every_space_is_consistent(space: MotionSpace) -> None:
    assert len(set(space.names)) == space.size
    assert (space.minimum <= space.neutral).all()
    assert (space.neutral <= space.maximum).all()
    assert get_space(space.name) is space
    assert space.rotation("head").matrix(space.neutral[:3]).shape == (3, 3)
    for rotation in space.rotations:
        assert {space.coefficients[space.index(n)].unit for n in rotation.names} == {"rad"}


@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES.keys())
def test_pose_and_expression_share_out_everything(space: MotionSpace) -> None:
    pose, expression = space.region_indices("pose"), space.region_indices("expression")
    assert sorted([*pose, *expression]) == list(range(space.size))
    for region in ("lips", "eyes", "brows"):
        assert set(space.region_indices(region)) <= set(expression)


def test_arkit_regions_hold_what_their_names_say() -> None:
    lips = {ARKIT.names[i] for i in ARKIT.region_indices("lips")}
    assert {"jawOpen", "mouthSmileLeft", "tongueOut"} <= lips
    assert len(lips) == 28
    assert len(ARKIT.region_indices("eyes")) == 14
    assert len(ARKIT.region_indices("brows")) == 5
    assert {FLAME.names[i] for i in FLAME.region_indices("lips")} == {"jaw_x", "jaw_y", "jaw_z"}


def test_unknown_names_offer_the_nearest() -> None:
    with pytest.raises(UnknownName, match=r"did you mean .*jawOpen"):
        ARKIT.index("jawopne")
    with pytest.raises(UnknownName, match="did you mean brows"):
        ARKIT.region_indices("brow")
    with pytest.raises(UnknownName, match="arkit, bfm, flame"):
        get_space("xyz")
    with pytest.raises(UnknownName, match="head"):
        ARKIT.rotation("tail")


def test_narrow_regions_win_over_expression() -> None:
    numbers = ARKIT.per_coefficient({"expression": 0.5, "lips": 2.0}, default=1.0)
    picked = [numbers[ARKIT.index(n)] for n in ("yaw", "jawOpen", "cheekPuff", "eyeBlinkLeft")]
    assert picked == [1.0, 2.0, 0.5, 0.5]
    with pytest.raises(BadValue, match="lips"):
        ARKIT.per_coefficient({"lips": -1.0}, default=1.0)
    with pytest.raises(UnknownName):
        ARKIT.per_coefficient({"ears": 1.0}, default=1.0)


@pytest.mark.parametrize("space", [ARKIT], ids=["arkit"])
def test_mirroring_twice_is_nothing(space: MotionSpace) -> None:
    order, signs = space.mirror_permutation()
    assert (order[order] == np.arange(space.size)).all()
    assert (signs * signs[order] == 1).all()


def test_mirror_swaps_sides_and_reverses_yaw_roll_and_x() -> None:
    order, signs = ARKIT.mirror_permutation()
    assert order[ARKIT.index("mouthLeft")] == ARKIT.index("mouthRight")
    assert order[ARKIT.index("eyeLookInLeft")] == ARKIT.index("eyeLookInRight")
    assert {ARKIT.names[i] for i in np.flatnonzero(signs < 0)} == {"yaw", "roll", "x"}
    for space in (BFM, FLAME):
        with pytest.raises(BadValue, match="exp00"):
            space.mirror_permutation()


def test_mirror_of_a_rotation_is_the_reflected_rotation() -> None:
    reflection = np.diag([-1.0, 1.0, 1.0])
    numbers = np.array([0.3, -0.5, 0.2])
    for space in (ARKIT, FLAME):
        head = space.rotation("head")
        signs = [space.coefficients[space.index(n)].mirror_sign for n in head.names]
        expected = reflection @ head.matrix(numbers) @ reflection
        np.testing.assert_allclose(head.matrix(numbers * signs), expected, atol=1e-12)


def test_clamp_moves_into_range() -> None:
    clamped = ARKIT.clamp(np.full(ARKIT.size, 9.0))
    np.testing.assert_array_equal(clamped, ARKIT.maximum)


def test_constants_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="read-only"):
        ARKIT.neutral[0] = 1
