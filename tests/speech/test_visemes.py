"""Lips shut where they must, open where they must, and move smoothly between."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from countenance.errors import BadValue
from countenance.motion.sequence import Motion
from countenance.motion.spaces import ARKIT
from countenance.speech.text import Phoneme
from countenance.speech.visemes import VISEMES, viseme_motion, viseme_names

MOUTH = [i for i, name in enumerate(ARKIT.names) if name.startswith(("jaw", "mouth", "tongue"))]
OTHERS = [i for i in range(ARKIT.size) if i not in MOUTH]


def spoken(*names: str, each_s: float = 0.1, start_s: float = 0.3) -> list[Phoneme]:
    edges = start_s + each_s * np.arange(len(names) + 1)
    return [Phoneme(n, float(a), float(b)) for n, a, b in zip(names, edges[:-1], edges[1:], strict=True)]


def opening(motion: Motion) -> np.ndarray:
    """How far apart the lips are: an open jaw that ``mouthClose`` does not make up for."""
    return motion["jawOpen"] - motion["mouthClose"]


def nearest(motion: Motion, phoneme: Phoneme) -> int:
    return int(np.argmin(np.abs(motion.times_s - (phoneme.start_s + phoneme.end_s) / 2)))


def at(motion: Motion, phoneme: Phoneme, name: str) -> float:
    return float(motion[name][nearest(motion, phoneme)])


@pytest.mark.parametrize("each_s", [0.05, 0.07, 0.1, 0.2])
@pytest.mark.parametrize("fps", [10.0, 25.0, 29.97, 60.0])
def test_mama_papa_shuts_at_each_consonant_and_opens_at_each_vowel(fps: float, each_s: float) -> None:
    said = spoken("m", "ˈɑː", "m", "ɐ", "p", "ˈɑː", "p", "ə", each_s=each_s)
    motion = viseme_motion(said, 2.4, fps)
    lips = opening(motion)
    for phoneme in said[::2]:
        assert lips[nearest(motion, phoneme)] < 0.005
        assert at(motion, phoneme, "mouthPressLeft") > 0.2
    if fps * each_s > 1.5:  # else a vowel may have no frame of its own
        assert all(lips[nearest(motion, phoneme)] > 0.04 for phoneme in said[1::2])


@pytest.mark.parametrize("name", ["f", "v", "p", "b", "m"])
@pytest.mark.parametrize("shift_s", np.linspace(0, 0.04, 5))
def test_the_shortest_closure_is_never_missed(name: str, shift_s: float) -> None:
    said = spoken("ɑ", name, "ɑ", each_s=0.02, start_s=0.3 + shift_s)
    motion = viseme_motion(said, 1.0)
    weights = VISEMES["labiodental" if name in "fv" else "bilabial"].weights
    for shape in ("jawOpen", "mouthClose", "mouthRollLower"):
        assert at(motion, said[1], shape) == pytest.approx(weights.get(shape, 0), abs=1e-6)


def test_a_closure_after_the_last_frame_is_shown_by_it() -> None:
    motion = viseme_motion([Phoneme("ɑ", 0, 0.96), Phoneme("p", 0.96, 1.02)], 1.0)
    assert opening(motion)[-1] < 0.005


def test_silence_is_a_closed_mouth() -> None:
    for said in ([], [Phoneme("_", 0, 2)], [Phoneme("", 0, 0.5)]):
        np.testing.assert_array_equal(viseme_motion(said, 2).values, Motion.neutral(ARKIT, 50, 25).values)
    motion = viseme_motion([Phoneme("ɑ", 1, 1.2), Phoneme("_", 1.2, 2.2), Phoneme("ɑ", 2.2, 2.4)], 4)
    for frame in (0, 42, 75, 99):
        assert np.abs(motion.values[frame]).max() < 0.01


def test_sounds_look_like_themselves() -> None:
    said = spoken("ɑ", "i", "u", "ʃ", "s", "θ", "o", each_s=0.3)
    motion = viseme_motion(said, 3.0)
    a, i, u, sh, s, th, o = said
    assert at(motion, a, "jawOpen") > 0.3 > at(motion, i, "jawOpen")
    assert at(motion, u, "mouthPucker") > 0.5 > at(motion, o, "mouthPucker") > 0.2
    assert at(motion, sh, "mouthFunnel") > 0.25
    assert at(motion, i, "mouthSmileLeft") == at(motion, i, "mouthSmileRight") > 0.1
    assert at(motion, s, "jawOpen") < 0.06
    assert at(motion, th, "tongueOut") > 0.08


def test_a_consonant_without_lips_takes_those_of_its_neighbours() -> None:
    lips = {}
    for vowel in "ui":
        said = spoken(vowel, "t", vowel)
        lips[vowel] = at(viseme_motion(said, 1.0), said[1], "mouthPucker")
    assert lips["u"] > 0.2
    assert lips["i"] == 0


def test_diphthongs_and_affricates_are_two_sounds() -> None:
    assert viseme_names("ˈaɪ") == ("open", "close")
    assert viseme_names("tʃ") == ("alveolar", "postalveolar")
    assert viseme_names("pf") == ("bilabial", "labiodental")
    motion = viseme_motion(spoken("aʊ", each_s=0.3), 1.0, 100)
    assert np.argmax(motion["jawOpen"]) < np.argmax(motion["mouthPucker"])


def test_marks_do_not_matter_and_strange_names_do_no_harm() -> None:
    assert viseme_names("ˈɑː") == viseme_names("ɑ") == viseme_names("ɑ̃") == viseme_names("ã")
    assert viseme_names("ç") == ("velar",)
    assert viseme_names("ж") == ("neutral",)
    assert viseme_names("_") == viseme_names("") == viseme_names("ˈː 1") == ("silence",)


def test_every_letter_has_one_viseme_of_weights_that_arkit_has() -> None:
    letters = "".join(v.letters for v in VISEMES.values())
    assert len(set(letters)) == len(letters)
    for viseme in VISEMES.values():
        assert viseme.weights.get("mouthClose", 0) <= viseme.weights.get("jawOpen", 0)


@pytest.mark.parametrize("seconds", [1.5, 25.0])
def test_two_rates_are_samples_of_one_curve(seconds: float) -> None:
    names = ["m", "aɪ", "f", "ɛ", "p", "uː", "_", "b", "ɔ"]
    said = spoken(*(names * 20)[: int(seconds / 0.08)], each_s=0.073)
    slow, fast = viseme_motion(said, seconds, 25), viseme_motion(said, seconds, 50)
    np.testing.assert_allclose(slow.values[:-1], fast.values[:-2:2], atol=1e-5)


def test_curves_are_smooth() -> None:
    said = spoken("t", "uː", "d", "eɪ", "s", "ʌ", "n", "i", "_", "k", "ɑ", "m", "ɪ", "ŋ", each_s=0.08)
    values = viseme_motion(said, 2.0, 200).values
    assert np.abs(np.diff(values, axis=0)).max() < 0.05
    assert np.ptp(values[:, ARKIT.index("jawOpen")]) > 0.2


NAMES = st.sampled_from(
    ["p", "m", "f", "v", "ˈɑː", "uː", "tʃ", "aɪ", "_", "ɛ̃", "s", "", "?", "漢"]
) | st.text(max_size=4)
PHONEMES = st.lists(
    st.builds(
        lambda name, start, length: Phoneme(name, start, start + length),
        NAMES,
        st.floats(-5, 5),
        st.floats(0, 3) | st.just(0.0),
    ),
    max_size=12,
)


@settings(max_examples=150, deadline=None)
@given(PHONEMES, st.floats(0.001, 6), st.floats(1, 120), st.floats(0, 5))
def test_any_phonemes_give_a_mouth(
    said: list[Phoneme], duration_s: float, fps: float, strength: float
) -> None:
    motion = viseme_motion(said, duration_s, fps, strength)
    assert motion.space == ARKIT
    assert len(motion) == max(1, round(duration_s * fps))
    assert motion.values.min() >= 0
    assert motion.values.max() <= 1
    assert not motion.values[:, OTHERS].any()
    assert (motion["mouthClose"] <= motion["jawOpen"] + 1e-6).all()


def test_strength() -> None:
    said = spoken("m", "ɑ", "u")
    normal = viseme_motion(said, 1.0)
    np.testing.assert_allclose(viseme_motion(said, 1.0, strength=0.5).values, 0.5 * normal.values, atol=1e-6)
    assert not viseme_motion(said, 1.0, strength=0).values.any()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (([], 0.0), "duration"),
        (([], float("nan")), "duration"),
        (([], 1.0, -25.0), "frame rate"),
        (([], 1.0, 25.0, -1.0), "strength"),
        (([Phoneme("a", 1.0, 0.5)], 1.0), "'a' lasts"),
        (([Phoneme("a", float("nan"), 0.5)], 1.0), "'a' lasts"),
    ],
)
def test_refuses(arguments: tuple, words: str) -> None:
    with pytest.raises(BadValue, match=words):
        viseme_motion(*arguments)
