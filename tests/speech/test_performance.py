from __future__ import annotations

import numpy as np
import pytest

from countenance.audio.features import SpeechFeatures
from countenance.errors import BadValue, MotionSpaceMismatch, UnknownName
from countenance.motion.sequence import Motion
from countenance.motion.spaces import ARKIT, BFM, FLAME, MotionSpace
from countenance.speech import catalogue
from countenance.speech.driver import SpeechSpec
from countenance.speech.performance import (
    articulated,
    closed_in_silence,
    laid_onto,
    lips_from,
    perform,
    pose_from,
    still_head,
    with_calm_face,
    with_offset,
)

POSE = ("yaw", "pitch", "roll", "x", "y", "logScale")
OWN = Motion.neutral(ARKIT, 1, 25.0).set(
    jawOpen=0.25, mouthUpperUpLeft=0.1, mouthSmileLeft=0.6, mouthSmileRight=0.5, browInnerUp=0.3, eyeBlinkLeft=0.2,
    yaw=0.3, pitch=-0.1, roll=0.05, x=0.04, y=-0.03, logScale=0.2,
)  # fmt: skip


def said(frames: int = 50) -> Motion:
    wave = 0.5 + 0.5 * np.sin(np.arange(frames) * 0.6)
    turn = 0.2 * np.sin(np.arange(frames) * 0.1 + 0.4)
    return Motion.neutral(ARKIT, frames, 25.0).set(
        jawOpen=0.4 * wave, mouthSmileLeft=0.1 + 0.1 * wave, browInnerUp=0.3 * wave, yaw=turn, x=0.1 * turn
    )


def heard(frames: int, *quiet: slice) -> SpeechFeatures:
    loudness = np.full(frames, 0.8, np.float32)
    for part in quiet:
        loudness[part] = 0
    log_mel = np.where(loudness[:, None] > 0, 0.1, -1) * np.ones((1, 160))
    return SpeechFeatures(log_mel.astype(np.float32), loudness)


class Fake:
    """Says the same for anything, and remembers what it was asked."""

    def __init__(self, motion: Motion, moves_head: bool = False, needs_samples: bool = False) -> None:
        name = motion.space.name
        self.spec = SpeechSpec(
            "fake", "", name, "", "", moves_head=moves_head, samples=moves_head, needs_samples=needs_samples
        )
        self._motion = motion
        self.asked: list[dict[str, object]] = []

    def motion(
        self,
        features: SpeechFeatures,
        *,
        first: Motion | None = None,
        seed: int = 0,
        temperature: float = 1.0,
    ) -> Motion:
        self.asked.append({"first": first, "seed": seed, "temperature": temperature})
        return self._motion.still(len(features)) if len(self._motion) == 1 else self._motion[: len(features)]


def test_parted_lips_can_close() -> None:
    closed = Motion.neutral(ARKIT, 5, 25.0)
    laid = laid_onto(closed, OWN)
    assert (laid["jawOpen"] == 0).all()
    assert (laid["mouthUpperUpLeft"] == 0).all()
    np.testing.assert_array_equal(laid_onto(said(), OWN)["jawOpen"], said()["jawOpen"])


def test_the_smile_of_the_portrait_stays() -> None:
    laid = laid_onto(said(), OWN)
    assert np.median(laid["mouthSmileLeft"]) == pytest.approx(0.6, abs=0.01)
    assert np.ptp(laid["mouthSmileLeft"]) == pytest.approx(np.ptp(said()["mouthSmileLeft"]), abs=1e-3)
    np.testing.assert_allclose(laid["mouthSmileRight"], 0.5, atol=1e-6)
    assert np.median(laid["browInnerUp"]) == pytest.approx(0.3, abs=0.01)


def test_saying_nothing_is_the_portraits_own_face() -> None:
    laid = laid_onto(Motion.neutral(ARKIT, 10, 25.0).set(mouthSmileLeft=0.2, yaw=0.1), OWN)
    expected = OWN.set(jawOpen=0, mouthUpperUpLeft=0, eyeBlinkLeft=0).still(10)
    np.testing.assert_allclose(laid.values, expected.values, atol=1e-6)


def test_heads_turn_from_the_portraits_pose() -> None:
    laid = laid_onto(said(), OWN)
    np.testing.assert_allclose(laid[POSE][0], OWN[POSE][0], atol=1e-6)
    turned = said()["yaw"] - said()["yaw"][0]
    assert np.corrcoef(laid["yaw"], turned)[0, 1] > 0.99
    assert np.ptp(laid["yaw"]) == pytest.approx(np.ptp(turned), rel=0.1)


def test_values_stay_in_range_even_for_extreme_portraits() -> None:
    own = OWN.set(mouthSmileLeft=0.98, browInnerUp=1.1, cheekPuff=-0.05)
    laid = laid_onto(said(), own)
    expression = ARKIT.region_indices("expression")
    low = np.minimum(ARKIT.minimum, own.values[0])[expression]
    high = np.maximum(ARKIT.maximum, own.values[0])[expression]
    assert (laid.values[:, expression] >= low - 1e-6).all()
    assert (laid.values[:, expression] <= high + 1e-6).all()
    np.testing.assert_allclose(laid["cheekPuff"], -0.05)


def test_the_shape_of_the_face_is_the_portraits() -> None:
    own = Motion(OWN.values, ARKIT, 25.0, identity=np.full(13, 0.5, np.float32))
    identity = laid_onto(said(), own).identity
    assert identity is not None
    assert (identity == 0.5).all()
    assert len(laid_onto(said(), own)) == 50


def test_another_space_is_said() -> None:
    with pytest.raises(MotionSpaceMismatch, match="flame"):
        laid_onto(said(), Motion.neutral(FLAME, 1, 25.0))
    with pytest.raises(MotionSpaceMismatch, match="flame"):
        pose_from(said(), Motion.neutral(FLAME, 3, 25.0))


@pytest.mark.parametrize("space", [FLAME, BFM], ids=lambda space: space.name)
def test_spaces_without_names_for_lips(space: MotionSpace) -> None:
    motion = Motion(np.tile(space.neutral, (6, 1)), space, 25.0)
    assert closed_in_silence(motion, heard(6, slice(0, 6))) is motion
    np.testing.assert_array_equal(laid_onto(motion, motion[0]).values, motion.values)


def test_lips_come_from_one_and_the_rest_from_another() -> None:
    rest = Motion.neutral(ARKIT, 50, 25.0).set(browInnerUp=0.7, jawOpen=0.9, yaw=0.2)
    both = lips_from(said(), rest)
    np.testing.assert_array_equal(both["jawOpen"], said()["jawOpen"])
    np.testing.assert_array_equal(both["mouthSmileLeft"], said()["mouthSmileLeft"])
    np.testing.assert_array_equal(both["browInnerUp", "yaw"], rest["browInnerUp", "yaw"])


@pytest.mark.parametrize(
    "rest",
    [Motion.neutral(ARKIT, 49, 25.0), Motion.neutral(ARKIT, 50, 30.0), Motion.neutral(FLAME, 50, 25.0)],
    ids=["length", "rate", "space"],
)
def test_lips_that_do_not_fit(rest: Motion) -> None:
    with pytest.raises(BadValue, match="one space, rate and length"):
        lips_from(said(), rest)


@pytest.mark.parametrize(
    ("frames", "expected"),
    [
        (1, [0, 0, 0, 0, 0, 0, 0, 0, 0]),
        (2, [0, 1, 0, 1, 0, 1, 0, 1, 0]),
        (3, [0, 1, 2, 1, 0, 1, 2, 1, 0]),
        (5, [0, 1, 2, 3, 4, 3, 2, 1, 0]),
        (20, [0, 1, 2, 3, 4, 5, 6, 7, 8]),
    ],
)
def test_poses_go_to_and_fro(frames: int, expected: list[int]) -> None:
    poses = Motion.neutral(ARKIT, frames, 25.0).set(yaw=0.01 * np.arange(frames), jawOpen=0.9)
    moved = pose_from(said(9), poses)
    np.testing.assert_allclose(moved["yaw"], 0.01 * np.array(expected), atol=1e-6)
    np.testing.assert_array_equal(moved["jawOpen"], said(9)["jawOpen"])


def test_poses_of_another_rate_keep_their_speed() -> None:
    poses = Motion.neutral(ARKIT, 100, 50.0).set(yaw=0.005 * np.arange(100))
    np.testing.assert_allclose(pose_from(said(40), poses)["yaw"], 0.01 * np.arange(40), atol=1e-4)


def test_a_still_head() -> None:
    still = still_head(said())
    np.testing.assert_array_equal(still[POSE], np.repeat(said()[POSE][:1], 50, 0))
    np.testing.assert_array_equal(still["jawOpen"], said()["jawOpen"])


def test_an_offset_is_added_and_clamped() -> None:
    moved = with_offset(said(), {"mouthSmileLeft": 0.3, "jawOpen": 0.9, "browInnerUp": -1.0, "yaw": 2.0})
    np.testing.assert_allclose(moved["mouthSmileLeft"], said()["mouthSmileLeft"] + 0.3, atol=1e-6)
    np.testing.assert_allclose(moved["jawOpen"], np.minimum(said()["jawOpen"] + 0.9, 1), atol=1e-6)
    assert (moved["browInnerUp"] == 0).all()
    np.testing.assert_allclose(moved["yaw"], said()["yaw"] + 2, atol=1e-6)  # heads may turn farther
    with pytest.raises(UnknownName, match="jawOpen"):
        with_offset(said(), {"jawOpn": 0.1})


def test_the_mouth_is_shut_while_nothing_is_heard() -> None:
    motion = Motion.neutral(ARKIT, 60, 25.0).set(jawOpen=0.5, mouthFunnel=0.3, mouthSmileLeft=0.2, yaw=0.1)
    shut = closed_in_silence(motion, heard(60, slice(20, 40)))
    assert (shut["jawOpen", "mouthFunnel"][26:34] == 0).all()
    np.testing.assert_allclose(shut["jawOpen"][:16], 0.5)
    np.testing.assert_allclose(shut["jawOpen"][44:], 0.5)
    assert np.abs(np.diff(shut["jawOpen"])).max() <= 0.5 / 5 + 1e-6  # it eases
    np.testing.assert_allclose(shut["mouthSmileLeft", "yaw"], motion["mouthSmileLeft", "yaw"])


def test_a_stop_between_two_sounds_is_no_silence() -> None:
    motion = Motion.neutral(ARKIT, 60, 25.0).set(jawOpen=0.5)
    np.testing.assert_allclose(closed_in_silence(motion, heard(60, slice(28, 33)))["jawOpen"], 0.5)


@pytest.mark.parametrize("frames", [1, 2, 5, 8])
def test_short_silence(frames: int) -> None:
    motion = Motion.neutral(ARKIT, frames, 25.0).set(jawOpen=0.5)
    assert (closed_in_silence(motion, heard(frames, slice(0, frames)))["jawOpen"] == 0).all()
    np.testing.assert_allclose(closed_in_silence(motion, heard(frames))["jawOpen"], 0.5)


def test_articulation_is_about_the_mean() -> None:
    np.testing.assert_allclose(articulated(said(), 1).values, said().values, atol=1e-6)
    still = articulated(said(), 0)
    assert np.ptp(still["jawOpen"]) < 1e-6
    assert still["jawOpen"][0] == pytest.approx(said()["jawOpen"].mean(), abs=1e-6)
    more = articulated(said(), 2)
    assert np.ptp(more["jawOpen"]) > 1.3 * np.ptp(said()["jawOpen"])
    assert more["jawOpen"].min() == 0  # clamped
    np.testing.assert_array_equal(more["browInnerUp", "yaw"], said()["browInnerUp", "yaw"])
    for bad in (-0.1, 9, np.nan):
        with pytest.raises(BadValue, match="articulation"):
            articulated(said(), bad)


def test_trembling_goes_and_nods_stay() -> None:
    times = np.arange(200) / 25
    nod, tremble = 0.2 * np.sin(2 * np.pi * 0.3 * times), 0.05 * (-1.0) ** np.arange(200)
    lids = 0.1 + 0.5 * (np.arange(200) % 40 == 7)
    shaky = said(200).set(yaw=nod + tremble, browInnerUp=0.3 + tremble, eyeBlinkLeft=lids)
    calm = with_calm_face(shaky)
    np.testing.assert_allclose(calm["yaw"][20:-20], nod[20:-20], atol=0.06)
    assert np.abs(np.diff(calm["yaw"])).max() < 0.02
    np.testing.assert_allclose(calm["browInnerUp"][20:-20], 0.3, atol=0.01)
    np.testing.assert_allclose(calm["eyeBlinkLeft"], 0.1, atol=1e-6)
    np.testing.assert_array_equal(calm["jawOpen", "mouthSmileLeft"], shaky["jawOpen", "mouthSmileLeft"])
    performed = perform(heard(200), OWN, Fake(said(200)), Fake(shaky, moves_head=True), blink=False)
    assert np.abs(np.diff(performed["yaw"])).max() < 0.02


def lively() -> Motion:
    return Motion.neutral(ARKIT, 100, 25.0).set(
        jawOpen=0.9,
        browInnerUp=0.2 + 0.2 * np.sin(np.arange(100) * 0.1),
        yaw=0.3 * np.sin(np.arange(100) * 0.05),
    )


def test_one_moves_the_lips_and_another_the_rest() -> None:
    speaker, performer = Fake(said(100)), Fake(lively(), moves_head=True)
    made = perform(heard(100), OWN, speaker, performer, seed=5, temperature=0.3, blink=False, articulation=1)
    assert (len(made), made.fps) == (100, 25.0)
    np.testing.assert_allclose(made["jawOpen"], said(100)["jawOpen"], atol=1e-6)
    assert np.corrcoef(made["yaw"], lively()["yaw"])[0, 1] > 0.98
    assert np.corrcoef(made["browInnerUp"], lively()["browInnerUp"])[0, 1] > 0.98
    np.testing.assert_allclose(made[POSE][0], OWN[POSE][0], atol=1e-6)
    for asked in (*speaker.asked, *performer.asked):
        assert (asked["seed"], asked["temperature"]) == (5, 0.3)
        np.testing.assert_array_equal(asked["first"].values, OWN.values)  # type: ignore[attr-defined]


def test_who_moves_heads_needs_no_performer() -> None:
    speaker, performer = Fake(lively(), moves_head=True), Fake(said(100))
    made = perform(heard(100), OWN, speaker, performer, blink=False, articulation=1)
    assert not performer.asked
    np.testing.assert_allclose(made["jawOpen"], 0.9, atol=1e-6)


def test_heads_as_they_are_asked_for() -> None:
    speaker, performer = Fake(said(100)), Fake(lively(), moves_head=True)
    still = perform(heard(100), OWN, speaker, performer, head="none")
    np.testing.assert_allclose(still[POSE], np.repeat(OWN[POSE], 100, 0), atol=1e-6)
    nod = Motion.neutral(ARKIT, 30, 25.0).set(pitch=0.1 * np.sin(np.arange(30) * 0.5))
    nodding = perform(heard(100), OWN, speaker, performer, head=nod)
    turned = nodding["pitch"] - OWN["pitch"]
    np.testing.assert_allclose(turned[:30], nod["pitch"], atol=0.02)
    np.testing.assert_allclose(turned[58 : 58 + 30], nod["pitch"], atol=0.02)


def test_blinks_are_added_unless_not_wanted() -> None:
    quiet = Fake(Motion.neutral(ARKIT, 1, 25.0))
    features = heard(500)
    assert perform(features, OWN, quiet, blink=False)["eyeBlinkLeft"].max() < 0.3
    one, same, other = (perform(features, OWN, quiet, seed=seed)["eyeBlinkLeft"] for seed in (1, 1, 2))
    assert one.max() > 0.9
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()


def test_nothing_heard_nothing_said() -> None:
    made = perform(
        heard(300, slice(0, 300)), OWN, Fake(said(300)), Fake(lively().still(300), moves_head=True)
    )
    assert (made["jawOpen", "mouthFunnel", "mouthUpperUpLeft"] == 0).all()
    assert made["eyeBlinkRight"].max() > 0.9
    assert np.median(made["mouthSmileLeft"]) == pytest.approx(0.6, abs=0.02)


@pytest.mark.parametrize("seed", [-1, 2**64])
def test_seeds_that_are_none(seed: int) -> None:
    with pytest.raises(BadValue, match=f"seed is {seed}"):
        perform(heard(5), OWN, Fake(said(5)), seed=seed)


def test_a_portrait_of_another_space() -> None:
    with pytest.raises(MotionSpaceMismatch):
        perform(heard(50), Motion.neutral(FLAME, 1, 25.0), Fake(said()))


@pytest.mark.parametrize(
    ("speaker", "has_rest"),
    [
        (Fake(said()), True),
        (Fake(said(), moves_head=True), False),
        (Fake(Motion.neutral(FLAME, 50, 25.0)), False),
    ],
    ids=["lips", "whole head", "flame"],
)
def test_a_performer_is_taken_where_it_fits(
    speaker: Fake, has_rest: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = {"mine": speaker, catalogue.PERFORMER: Fake(lively(), moves_head=True)}
    monkeypatch.setattr(catalogue, "load_speech_driver", lambda name, device: loaded[name])
    assert catalogue.load_cast("mine") == (speaker, loaded[catalogue.PERFORMER] if has_rest else None)
