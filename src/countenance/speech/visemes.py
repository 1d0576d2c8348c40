"""Phonemes to mouth movements by rule: visemes, blended as Cohen and Massaro blend them.

Each sound is one of 17 visemes, a target for the mouth. A target's pull (its dominance) falls off exponentially with
the time from the sound, and the mouth is the mean of all targets, weighted by their pull (M. M. Cohen and D. W.
Massaro, "Modeling Coarticulation in Synthetic Visual Speech", 1993). So a /t/ leaves the lips to the vowels beside
it, and the lips of "stew" are round before the vowel sounds. Closures are then laid over it, since a mean of
neighbours does not close a mouth. The weights are set by eye, for speech at a normal loudness.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from countenance.arrays import Doubles, Mask
from countenance.errors import BadValue
from countenance.motion.sequence import Motion
from countenance.motion.spaces import ARKIT
from countenance.speech.text import Phoneme


@dataclass(frozen=True)
class Viseme:
    """How the mouth looks for a group of sounds that look alike.

    Attributes:
        letters: the IPA letters of these sounds, without marks of length, stress and nasality.
        jaw: dominance over ``jawOpen`` and ``mouthClose``, > 0.
        lips: dominance over all other coefficients, > 0.
        rate: 1/s, how fast the dominance falls off beside the sound; lower reaches farther.
        weights: coefficient -> weight in [0, 1], 0 where not named. A name that ARKit has for two sides only
            (``mouthPress``) is both of them.
    """

    letters: str
    jaw: float
    lips: float
    rate: float
    weights: dict[str, float]


# fmt: off
VISEMES: Final[dict[str, Viseme]] = {
    "silence": Viseme("", 0.8, 0.6, 22, {}),
    "bilabial": Viseme("pbmɓɸβʙ", 0.9, 0.8, 24, {
        "jawOpen": 0.05, "mouthClose": 0.05, "mouthPress": 0.22, "mouthRollLower": 0.18, "mouthRollUpper": 0.16}),
    "labiodental": Viseme("fvɱʋ", 0.9, 0.8, 24, {
        "jawOpen": 0.07, "mouthRollLower": 0.38, "mouthUpperUp": 0.14, "mouthStretch": 0.04}),
    "dental": Viseme("θð", 0.7, 0.4, 26, {
        "jawOpen": 0.11, "mouthLowerDown": 0.16, "mouthUpperUp": 0.06, "tongueOut": 0.12}),
    "alveolar": Viseme("tdnrɾɲʈɖɳɽɗ", 0.7, 0.25, 26, {
        "jawOpen": 0.08, "mouthLowerDown": 0.16, "mouthUpperUp": 0.06, "mouthStretch": 0.06}),
    "lateral": Viseme("lɫʎɭɬɮ", 0.6, 0.25, 26, {
        "jawOpen": 0.14, "mouthLowerDown": 0.17, "mouthUpperUp": 0.06, "mouthStretch": 0.04}),
    "sibilant": Viseme("sz", 1.0, 0.5, 26, {
        "jawOpen": 0.04, "mouthLowerDown": 0.22, "mouthUpperUp": 0.10, "mouthStretch": 0.14, "mouthSmile": 0.05}),
    "postalveolar": Viseme("ʃʒɕʑʂʐ", 0.9, 1.0, 22, {
        "jawOpen": 0.06, "mouthFunnel": 0.34, "mouthPucker": 0.16, "mouthLowerDown": 0.14, "mouthUpperUp": 0.12}),
    "velar": Viseme("kɡgqxɣχʁʀŋɴcɟçʝɢɰ", 0.35, 0.12, 26, {
        "jawOpen": 0.11, "mouthLowerDown": 0.12, "mouthUpperUp": 0.05}),
    "glottal": Viseme("hɦʔħʕ", 0.08, 0.06, 26, {
        "jawOpen": 0.15, "mouthLowerDown": 0.10, "mouthUpperUp": 0.04}),
    "rhotic": Viseme("ɹɻɚɝ", 0.5, 0.7, 20, {
        "jawOpen": 0.10, "mouthFunnel": 0.17, "mouthPucker": 0.20, "mouthLowerDown": 0.10}),
    "open": Viseme("aɑæɐʌ", 1.1, 0.6, 20, {
        "jawOpen": 0.34, "mouthLowerDown": 0.22, "mouthUpperUp": 0.10, "mouthStretch": 0.05}),
    "mid": Viseme("eɛ", 0.9, 0.6, 20, {
        "jawOpen": 0.21, "mouthLowerDown": 0.21, "mouthUpperUp": 0.10, "mouthStretch": 0.12, "mouthSmile": 0.09}),
    "neutral": Viseme("əɜɘɨᵻɤ", 0.5, 0.3, 22, {
        "jawOpen": 0.16, "mouthLowerDown": 0.15, "mouthUpperUp": 0.06}),
    "close": Viseme("iɪjɯ", 0.8, 0.7, 20, {
        "jawOpen": 0.10, "mouthLowerDown": 0.20, "mouthUpperUp": 0.08, "mouthStretch": 0.15, "mouthSmile": 0.16}),
    "rounded": Viseme("oɔɒøœɵɞɶ", 0.9, 1.0, 17, {
        "jawOpen": 0.21, "mouthFunnel": 0.30, "mouthPucker": 0.28, "mouthLowerDown": 0.08}),
    "puckered": Viseme("uʊwyʏʉɥʍ", 0.8, 1.2, 16, {
        "jawOpen": 0.08, "mouthFunnel": 0.18, "mouthPucker": 0.55}),
}
# fmt: on
"""All visemes by name."""

_NAMES: Final = tuple(VISEMES)
_BY_LETTER: Final = {letter: i for i, v in enumerate(VISEMES.values()) for letter in v.letters}
_SILENCE, _NEUTRAL = _NAMES.index("silence"), _NAMES.index("neutral")

_CORE: Final = 0.35  # share of a sound during which its pull is full
_EDGE_S: Final = 0.1  # at most this much at either end of a long sound belongs to the change
_ROUNDING_S: Final = 0.008  # rounds the exponential's peak off
_REACH_S: Final = 1.0  # the pull beyond this is below one in a million
_HOLD: Final = 0.3  # share of a sound, each way from its centre, during which the lips stay shut
_HOLD_S: Final = 0.021  # over half a frame at 25 a second, so that the frame next to a closure lies within it
_PART_S: Final = 0.06  # lips meet, and part, in this time
_BLOCK: Final = 256  # frames at once: bounds the memory of a long speech


def viseme_motion(
    phonemes: Sequence[Phoneme], duration_s: float, fps: float = 25.0, strength: float = 1.0
) -> Motion:
    """The mouth of someone who speaks these phonemes.

    Frames are samples of one curve: two rates agree at the times that they share. Rates under 25 are the
    exception: they hold closures longer, so that no closure falls between two frames. Before the first phoneme,
    after the last and in gaps the mouth is closed.

    Args:
        phonemes: in any order; names in IPA, with any marks. A diphthong or an affricate is its letters in turn.
            Letters that no viseme has count as a neutral vowel, and names without letters as silence.
        duration_s: seconds; phonemes may end before or after it.
        fps: frames a second.
        strength: multiplies all weights; 0 keeps the mouth shut, above 1 exaggerates.

    Returns:
        ``arkit`` motion of round(duration_s * fps) frames, at least 1: mouth, jaw and tongue in [0, 1], all else
        neutral, ``mouthClose`` at most ``jawOpen``.

    Raises:
        BadValue: a duration or rate that is not positive, a negative strength, a phoneme that ends before it
            starts, any of them not finite.
    """
    _check(phonemes, duration_s, fps, strength)
    times = np.arange(max(1, round(duration_s * fps))) / fps
    sounds = _sounds(phonemes, duration_s)
    hold_s = max(_HOLD_S, 0.51 / fps)
    blocks = []
    for start in range(0, len(times), _BLOCK):
        block = times[start : start + _BLOCK]
        near = sounds.between(block[0] - _REACH_S, block[-1] + _REACH_S)
        values = _blended(block, near)
        for name in ("labiodental", "bilabial"):
            _close(values, block, near, _NAMES.index(name), last_s=float(times[-1]), hold_s=hold_s)
        blocks.append(values)
    return Motion(np.clip(strength * np.concatenate(blocks), 0, 1).astype(np.float32), ARKIT, fps)


def viseme_names(phoneme: str) -> tuple[str, ...]:
    """The visemes of one phoneme, in the order in which they are seen: two for ``aɪ`` and for ``tʃ``.

    Args:
        phoneme: IPA, with any marks of stress, length, tone and nasality.
    """
    return tuple(_NAMES[i] for i in _viseme_indices(phoneme))


def _viseme_indices(phoneme: str) -> list[int]:
    # Decomposed, a nasal vowel is a vowel and a mark.
    letters = [
        c for c in unicodedata.normalize("NFD", phoneme) if unicodedata.category(c) in ("Ll", "Lu", "Lo")
    ]
    return [_BY_LETTER.get(letter.lower(), _NEUTRAL) for letter in letters] or [_SILENCE]


@dataclass(frozen=True, eq=False)
class _Sounds:
    """(J,) each: the letters of all phonemes, and the silences around and between them."""

    centre_s: Doubles
    half_s: Doubles
    viseme: NDArray[np.intp]

    def between(self, start_s: float, end_s: float) -> _Sounds:
        return self.at((self.centre_s + self.half_s >= start_s) & (self.centre_s - self.half_s <= end_s))

    def at(self, chosen: Mask) -> _Sounds:
        return _Sounds(self.centre_s[chosen], self.half_s[chosen], self.viseme[chosen])


def _sounds(phonemes: Sequence[Phoneme], duration_s: float) -> _Sounds:
    ordered = sorted(phonemes, key=lambda p: p.start_s)
    start_s = ordered[0].start_s if ordered else 0.0
    rows = [(min(start_s, 0) - _REACH_S, start_s, _SILENCE)]
    spoken_s = start_s
    for phoneme in ordered:
        if phoneme.start_s > spoken_s:
            rows.append((spoken_s, phoneme.start_s, _SILENCE))
        visemes = _viseme_indices(phoneme.name)
        cuts = np.linspace(phoneme.start_s, phoneme.end_s, len(visemes) + 1)
        rows += zip(cuts[:-1], cuts[1:], visemes, strict=True)
        spoken_s = max(spoken_s, phoneme.end_s)
    rows.append((spoken_s, max(spoken_s, duration_s) + _REACH_S, _SILENCE))
    starts, ends, visemes_of = (np.array(column) for column in zip(*rows, strict=True))
    return _Sounds((starts + ends) / 2, (ends - starts) / 2, visemes_of.astype(np.intp))


def _blended(times: Doubles, sounds: _Sounds) -> Doubles:
    """(T, D): at each time the mean of all targets, weighted by their dominance."""
    core_s = np.maximum(_CORE * sounds.half_s, sounds.half_s - _EDGE_S)
    beside_s = np.maximum(np.abs(times[:, None] - sounds.centre_s) - core_s, 0)
    pull = np.exp(-_RATES[sounds.viseme] * (np.hypot(beside_s, _ROUNDING_S) - _ROUNDING_S))
    values = np.zeros((len(times), ARKIT.size))
    for columns, dominance in ((_JAW, _JAW_DOMINANCE), (_LIPS, _LIPS_DOMINANCE)):
        weights = pull * dominance[sounds.viseme]
        weights /= weights.sum(axis=1, keepdims=True)
        values[:, columns] = weights @ _TARGETS[sounds.viseme][:, columns]
    return values


def _close(
    values: Doubles, times: Doubles, sounds: _Sounds, viseme: int, *, last_s: float, hold_s: float
) -> None:
    """Shuts the lips, in place, at the centre of each sound of one viseme, for ``hold_s`` or more each way."""
    closures = sounds.at(sounds.viseme == viseme)
    if len(closures.centre_s) == 0:
        return
    # The last frame shows a centre that lies just after it.
    centre_s = np.where(
        closures.centre_s < last_s + 2 * hold_s, np.minimum(closures.centre_s, last_s), np.inf
    )
    held_s = np.maximum(2 * _HOLD * closures.half_s, hold_s)
    beside = np.clip((np.abs(times[:, None] - centre_s) - held_s) / _PART_S, 0, 1)
    shut = np.max(1 - beside**2 * (3 - 2 * beside), axis=1)[:, None]
    values[:, _EDGE] += shut * (_TARGETS[viseme, _EDGE] - values[:, _EDGE])


def _check(phonemes: Sequence[Phoneme], duration_s: float, fps: float, strength: float) -> None:
    for name, number in (("duration", duration_s), ("frame rate", fps)):
        if not (math.isfinite(number) and number > 0):
            raise BadValue(f"the {name} of the speech is {number}; use a positive number")
    if not (math.isfinite(strength) and strength >= 0):
        raise BadValue(f"the strength of the mouth is {strength}; use a number from 0 (none) upward")
    for p in phonemes:
        if not (math.isfinite(p.start_s) and math.isfinite(p.end_s) and p.start_s <= p.end_s):
            raise BadValue(
                f"the phoneme '{p.name}' lasts from {p.start_s} s to {p.end_s} s; times must be finite and ascend"
            )


def _sided(name: str) -> tuple[str, ...]:
    return (name,) if name in ARKIT.names else (f"{name}Left", f"{name}Right")


def _targets() -> Doubles:
    """(V, D) weights of each viseme."""
    table = np.zeros((len(VISEMES), ARKIT.size))
    for row, viseme in zip(table, VISEMES.values(), strict=True):
        for name, weight in viseme.weights.items():
            row[ARKIT.indices(_sided(name))] = weight
    return table


_TARGETS: Final = _targets()
_RATES: Final = np.array([v.rate for v in VISEMES.values()])
_JAW_DOMINANCE: Final = np.array([v.jaw for v in VISEMES.values()])
_LIPS_DOMINANCE: Final = np.array([v.lips for v in VISEMES.values()])
_JAW: Final = ARKIT.indices(("jawOpen", "mouthClose"))
_LIPS: Final = np.setdiff1d(np.arange(ARKIT.size), _JAW)
# What opens the lips or shapes their edge. Pucker and smile a closure leaves to the sounds around it.
_EDGE: Final = ARKIT.indices(
    [
        *("jawOpen", "mouthClose", "mouthFunnel", "mouthRollLower", "mouthRollUpper", "tongueOut"),
        *(side for name in ("mouthPress", "mouthLowerDown", "mouthUpperUp") for side in _sided(name)),
    ]
)
