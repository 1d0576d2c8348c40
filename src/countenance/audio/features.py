"""What speech sounds like, video frame by video frame: log-mel spectra that speaker, room and level change little.

Speech models work at :data:`FPS` frames a second. Frame i looks at four spectra, 10 ms apart, around the
moment i / FPS at which it is shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np

from countenance.arrays import Floats
from countenance.audio.samples import RATE
from countenance.errors import BadValue

FPS = 25.0
MELS = 40
SPECTRA = 4
"""Spectra a video frame."""
WIDTH = MELS * SPECTRA
"""Features a video frame."""

_HOP = RATE // 100
_WINDOW = 400  # 25 ms
_FFT = 512
_LOWEST_HZ, _HIGHEST_HZ = 80.0, 7_600.0
_FLOOR_DB = -140.0  # far below what is quiet in a band of quiet speech
_SILENT_DB = -60.0  # full scale is 0: below this nobody speaks
_ACTIVE_DB = 30.0  # below the speech's level: pauses
_QUIET_DB, _LOUD_DB = -40.0, 20.0  # relative to the usual spectrum: what features tell apart
_STEADY = 100  # active spectra (1 s) that make half of what is taken for the usual spectrum


@dataclass(frozen=True, eq=False)
class SpeechFeatures:
    """Speech, aligned to video frames at :data:`FPS`.

    Attributes:
        log_mel: (T, WIDTH) in [-1, 0.5]: spectra in decibels relative to the speaker's usual one, over 40.
            -1 is silence.
        loudness: (T,) in [0, 1]: 0 silence, about 1 the loudest syllables.
        samples: (640 T,) in [-1, 1] at 16 kHz, where they were asked for.
    """

    log_mel: Floats
    loudness: Floats
    samples: Floats | None = None

    def __len__(self) -> int:
        """T."""
        return len(self.loudness)


def speech_features(blocks: Iterable[Floats], *, keep_samples: bool = False) -> SpeechFeatures:
    """Features of a recording of any length; only they are kept, 16 kB a second.

    Levels count relative to the recording's own: its loud parts, and in each band its usual level while somebody
    speaks. So volume, microphone and a telephone's missing bands matter little. A recording without anything louder
    than -60 dB is silence.

    Args:
        blocks: (N,) samples each, see :func:`countenance.audio.samples.read_samples`.
        keep_samples: keep them as well, another 64 kB a second.

    Raises:
        BadValue: not one sample, or numbers that are not finite.
    """
    kept: list[Floats] = []
    decibels, powers = _spectra(_copied(blocks, kept) if keep_samples else blocks)
    level = _speech_level(powers)
    if level < _SILENT_DB:
        relative = np.full_like(decibels, _QUIET_DB)
        loudness = np.zeros(len(powers), np.float32)
    else:
        active = powers > max(level - _ACTIVE_DB, _SILENT_DB)
        typical = level + _usual_shape()
        share = active.sum() / (active.sum() + _STEADY)
        usual = (1 - share) * typical + share * decibels[active].mean(0)
        relative = decibels - np.maximum(usual, level + _QUIET_DB)
        loudness = ((powers - level) / _ACTIVE_DB + 1).clip(0, 1)
    log_mel = relative.clip(_QUIET_DB, _LOUD_DB) / -_QUIET_DB
    return SpeechFeatures(
        np.asarray(log_mel.reshape(-1, WIDTH), np.float32),
        np.asarray(loudness.reshape(-1, SPECTRA).mean(1), np.float32),
        _fitted(np.concatenate(kept), len(powers) * _HOP) if keep_samples else None,
    )


def _copied(blocks: Iterable[Floats], kept: list[Floats]) -> Iterator[Floats]:
    for block in blocks:
        kept.append(block)
        yield block


def _fitted(samples: Floats, count: int) -> Floats:
    """Cut, or continued with silence."""
    return np.pad(samples, (0, max(0, count - len(samples))))[:count]


def _spectra(blocks: Iterable[Floats]) -> tuple[Floats, Floats]:
    """(4 T, MELS) and (4 T,) decibels; the recording is continued with silence to whole video frames."""
    # the first spectra lie before the first frame's moment
    waiting = np.zeros(_HOP * SPECTRA // 2 + (_WINDOW - _HOP) // 2, np.float32)
    parts: list[tuple[Floats, Floats]] = []
    count = 0
    for block in blocks:
        if not np.isfinite(block).all():
            raise BadValue("the sound holds NaN or infinity; decode it again")
        count += len(block)
        for start in range(0, len(block), RATE):  # spectra take many times the memory of their samples
            waiting = np.concatenate([waiting, np.asarray(block[start : start + RATE], np.float32)])
            if len(waiting) >= RATE:
                waiting = _consumed(waiting, parts)
    if not count:
        raise BadValue("the sound is empty; record at least a moment of speech")
    frames = max(1, round(count / RATE * FPS))
    wanted = frames * SPECTRA - sum(len(power) for _, power in parts)
    if wanted > 0:
        _consumed(np.pad(waiting, (0, max(0, (wanted - 1) * _HOP + _WINDOW - len(waiting)))), parts)
    mel, power = (np.concatenate(column)[: frames * SPECTRA] for column in zip(*parts, strict=True))
    return mel, power


def _consumed(waiting: Floats, parts: list[tuple[Floats, Floats]]) -> Floats:
    """Adds the spectra that ``waiting`` is long enough for; returns what the next ones still need."""
    windows = np.lib.stride_tricks.sliding_window_view(waiting, _WINDOW)[::_HOP]
    windows = windows - windows.mean(1, keepdims=True)  # cheap microphones add a constant
    spectrum = np.fft.rfft(windows * np.hanning(_WINDOW).astype(np.float32), _FFT)
    power = np.square(np.abs(spectrum)) / (_WINDOW / 2) ** 2
    mel = np.asarray(power @ _mel_filters(), np.float32)
    total = np.asarray(np.square(windows).mean(1), np.float32)
    smallest = 10 ** (_FLOOR_DB / 10)
    parts.append((10 * np.log10(np.maximum(mel, smallest)), 10 * np.log10(np.maximum(total, smallest))))
    return waiting[len(windows) * _HOP :]


def _speech_level(powers: Floats) -> float:
    """Decibels of the louder syllables."""
    loud = powers[powers > _SILENT_DB]
    return float(np.percentile(loud, 90)) if len(loud) >= SPECTRA else _FLOOR_DB


def _usual_shape() -> Floats:
    """(MELS,) decibels of speech in each band relative to the whole: voices fall off by about 6 dB an octave."""
    centres = _mel_edges()[1:-1]
    return np.asarray(-20 - 6 * np.log2(np.maximum(centres, 500) / 500), np.float32)


@cache
def _mel_edges() -> Floats:
    low, high = (2595 * np.log10(1 + hz / 700) for hz in (_LOWEST_HZ, _HIGHEST_HZ))
    return np.asarray(700 * (10 ** (np.linspace(low, high, MELS + 2) / 2595) - 1), np.float32)


@cache
def _mel_filters() -> Floats:
    """(FFT / 2 + 1, MELS) triangles of height 1 on the mel scale (O'Shaughnessy 1987)."""
    hz = np.fft.rfftfreq(_FFT, 1 / RATE)[:, None]
    edges = _mel_edges()
    rising = (hz - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - hz) / (edges[2:] - edges[1:-1])
    return np.asarray(np.minimum(rising, falling).clip(0), np.float32)
