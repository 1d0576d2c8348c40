"""The package openfacefx (PyPI, MIT) beside our models, for benchmarks/talking.py; nothing else needs it.

`pip install openfacefx==0.24.0`. It moves visemes by rule, from phonemes and their timing, from text, or from loudness.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from countenance.arrays import Floats
from countenance.audio.features import FPS
from countenance.audio.samples import RATE, write_wave
from countenance.motion.sequence import Motion
from countenance.motion.spaces import ARKIT
from countenance.speech.text import PAUSE, Phoneme

INSTALLED = find_spec("openfacefx") is not None


def from_sound(samples: Floats, ahead_s: float) -> dict[str, Motion]:
    """What it makes of loudness; nothing where it is not installed.

    Args:
        samples: of a voice.
        ahead_s: by how much mouths are ahead of the sound.
    """
    if not INSTALLED:
        return {}
    import openfacefx

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "speech.wav"
        write_wave(path, samples)
        track = openfacefx.generate_from_energy(str(path), lag=-ahead_s)
    return {"sound": _motion(track, len(samples) / RATE)}


def from_text(text: str, phonemes: Sequence[Phoneme], duration_s: float, ahead_s: float) -> dict[str, Motion]:
    """What it makes of a sentence, by what it is given; nothing where it is not installed.

    Args:
        text: of the sentence.
        phonemes: when mouths form them.
        duration_s: of the recording.
        ahead_s: by how much mouths are ahead of the sound.
    """
    if not INSTALLED:
        return {}
    import openfacefx
    from openfacefx.ipa import IPA_MAPPING

    early = openfacefx.CoartParams(lag=-ahead_s)
    tracks = {
        "text and length": openfacefx.generate_naive(text, duration_s, params=early),
        "phonemes and timing": openfacefx.generate_from_alignment(_segments(phonemes), mapping=IPA_MAPPING),
    }
    return {given: _motion(track, duration_s) for given, track in tracks.items()}


def _segments(phonemes: Sequence[Phoneme]) -> list[Any]:
    """Names that its table of IPA lacks are given letter by letter."""
    from openfacefx import PhonemeSegment
    from openfacefx.ipa import IPA_MAPPING
    from openfacefx.phonemes import SILENCE

    segments = []
    for phoneme in phonemes:
        name = IPA_MAPPING.normalize(phoneme.name).replace("ᵻ", "ɪ")  # espeak's own letter
        parts = [SILENCE] if name == PAUSE else [name] if name in IPA_MAPPING.rows else list(name)
        cuts = np.linspace(phoneme.start_s, phoneme.end_s, len(parts) + 1).tolist()
        segments += [PhonemeSegment(*part) for part in zip(parts, cuts[:-1], cuts[1:], strict=True)]
    return segments


def _motion(track: Any, duration_s: float) -> Motion:
    """Through its own preset for ARKit."""
    import openfacefx

    frames = max(1, round(duration_s * FPS))
    moments = np.arange(frames) / FPS
    channels = openfacefx.retarget(track, openfacefx.PRESETS["arkit"]).channels
    curves = {channel.name: openfacefx.sample(channel, moments) for channel in channels}
    return Motion.neutral(ARKIT, frames, FPS).set(**curves)
