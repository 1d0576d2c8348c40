"""Recordings are often a few frames out of sync. By how many, the mouth shows.

A linear predictor learns from all other people's clips how far a mouth is open, given the sound around a frame. Where
its prediction fits a clip clearly better once moved, the clip's sound is late or early by that much.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from countenance.arrays import Doubles, Floats
from countenance.audio.features import FPS, MELS, SPECTRA
from countenance.data.dataset import Clip
from countenance.data.speech_clips import load_speech
from countenance.motion.files import load_motion
from countenance.motion.spaces import ARKIT

_FARTHEST = 6  # frames: more is no matter of equipment
_RADIUS = 3  # frames of sound on each side
_RIDGE = 30.0
_SHORTEST = 100  # frames in all; fewer fit by chance
_CLEAR, _BETTER = 0.2, 0.04  # correlations below which a lag is not believed
_OPENING = {"jawOpen": 1.0, "mouthLowerDownLeft": 0.25, "mouthLowerDownRight": 0.25, "mouthClose": -1.0}


def with_sound_lags(folder: Path, clips: Sequence[Clip], space: str) -> tuple[Clip, ...]:
    """The clips with ``sound_lag`` measured; all clips of one person are taken to have the same.

    Args:
        folder: of the dataset; sound and motion of the clips are in it.
        clips: of the dataset.
        space: motion space; only ``arkit`` says how far a mouth is open.
    """
    speaking = [clip for clip in clips if clip.speaks]
    if space != ARKIT.name or len({clip.identity for clip in speaking}) < 3:
        return tuple(clips)
    sounds, mouths = zip(*(_sound_and_mouth(folder, clip) for clip in speaking), strict=True)
    lags: dict[str, int] = {}
    for person in {clip.identity for clip in speaking}:
        own = [i for i, clip in enumerate(speaking) if clip.identity == person]
        others = [i for i, clip in enumerate(speaking) if clip.identity != person]
        weights = _ridge([sounds[i] for i in others], [mouths[i] for i in others])
        lags[person] = best_lag([sounds[i] @ weights for i in own], [mouths[i] for i in own])
    return tuple(replace(clip, sound_lag=lags.get(clip.identity, 0)) for clip in clips)


def best_lag(predicted: Sequence[Doubles], mouths: Sequence[Doubles]) -> int:
    """By how many frames the sound of some clips comes late; 0 where that is not clear.

    Args:
        predicted: (T,) of each clip, the mouth's opening as the sound has it.
        mouths: (T,) of each clip, as seen.
    """
    long_enough = [pair for pair in zip(predicted, mouths, strict=True) if len(pair[1]) > 2 * _FARTHEST]
    if sum(len(mouth) for _, mouth in long_enough) < _SHORTEST:
        return 0
    lags = range(-_FARTHEST, _FARTHEST + 1)
    fits = np.array([_fit(long_enough, lag) for lag in lags])
    best = int(fits.argmax())
    if best in (0, len(fits) - 1) or fits[best] < max(_CLEAR, fits[_FARTHEST] + _BETTER):
        return 0
    return lags[best]


def _fit(pairs: Sequence[tuple[Doubles, Doubles]], lag: int) -> float:
    """Mean correlation, by length, once the prediction is moved."""
    inner = [slice(_FARTHEST, len(mouth) - _FARTHEST) for _, mouth in pairs]
    fits = [
        _correlation(np.roll(sound, -lag)[part], mouth[part])
        for (sound, mouth), part in zip(pairs, inner, strict=True)
    ]
    return float(np.average(fits, weights=[len(mouth) for _, mouth in pairs]))


def _sound_and_mouth(folder: Path, clip: Clip) -> tuple[Floats, Doubles]:
    """(T, K) and (T,): windows of sound, and the opening, without its mean and of spread 1."""
    speech = load_speech(folder, clip.name).features
    motion = load_motion(folder / "motion" / f"{clip.name}.npz").resample(FPS)
    count = min(len(speech), len(motion))
    bands = speech.log_mel[:count].reshape(count, SPECTRA, MELS).mean(1)
    padded = np.pad(bands, ((_RADIUS, _RADIUS), (0, 0)), mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * _RADIUS + 1, axis=0)
    opening = sum(weight * motion[name][:count] for name, weight in _OPENING.items())
    opening = np.asarray(opening, np.float64)
    sound = windows.reshape(count, -1)
    return sound - sound.mean(0), (opening - opening.mean()) / max(float(opening.std()), 1e-6)


def _ridge(sounds: list[Floats], mouths: list[Doubles]) -> Doubles:
    sound, mouth = np.concatenate(sounds).astype(np.float64), np.concatenate(mouths)
    square = sound.T @ sound + _RIDGE * np.eye(sound.shape[1])
    return np.asarray(np.linalg.solve(square, sound.T @ mouth), np.float64)


def _correlation(one: Doubles, other: Doubles) -> float:
    spread = float(one.std() * other.std())
    return 0.0 if spread == 0 else float(((one - one.mean()) * (other - other.mean())).mean() / spread)
