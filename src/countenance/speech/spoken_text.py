"""Synthetic speech as extra teaching: sentences read by espeak-ng, lips moved by rule from its phoneme timings."""

from __future__ import annotations

from functools import cache
from importlib import resources

import numpy as np

from countenance.arrays import Floats
from countenance.audio.features import FPS, speech_features
from countenance.audio.samples import RATE
from countenance.data.speech_clips import SpokenClip
from countenance.speech.text import Phoneme, speak
from countenance.speech.visemes import viseme_motion

_VOICES = {
    "en": ("en-us", "en", "en-us+f2", "en+m3", "en-us+f4", "en-us+m7", "en+f3", "en-us+m1"),
    "de": ("de+m2", "de+f3"),
    "fr": ("fr+f2", "fr+m4"),
    "es": ("es+m5", "es+f4"),
    "it": ("it+f1", "it+m3"),
}
_SPEEDS_WPM = (130, 150, 170, 195)
_PITCHES = (35, 50, 65)
AHEAD_S = 0.05
"""Mouths get ready before they are heard. A network that had learnt from filmed people only agreed best with the rule's
curves once these came this much earlier."""


@cache
def spoken_text_clips() -> tuple[SpokenClip, ...]:
    """Our sentences, each read by two of the voices of its language: about ten minutes of speech in ``arkit``.

    Raises:
        DependencyMissing: espeak-ng.
    """
    clips = []
    for number, line in enumerate(sentences()):
        language, text = line
        voices = _VOICES[language]
        for turn in range(2):
            k = 2 * number + turn
            voice = voices[k % len(voices)]
            speed, pitch = _SPEEDS_WPM[k % len(_SPEEDS_WPM)], _PITCHES[k % len(_PITCHES)]
            clips.append(spoken_text_clip(text, voice, speed, pitch))
    return tuple(clips)


def spoken_text_clip(text: str, voice: str = "en-us", speed_wpm: int = 165, pitch: int = 50) -> SpokenClip:
    """One text as a training clip; its identity is the voice.

    Raises:
        DependencyMissing: espeak-ng.
        BadValue: see :func:`countenance.speech.text.speak`.
    """
    spoken = speak(text, voice=voice, speed_wpm=speed_wpm, pitch=pitch)
    features = speech_features([spoken.samples])
    early = [Phoneme(p.name, p.start_s - AHEAD_S, p.end_s - AHEAD_S) for p in spoken.phonemes]
    motion = viseme_motion(early, len(features) / FPS, FPS).values
    whole = len(features) * round(RATE / FPS)
    samples: Floats = np.pad(spoken.samples, (0, max(0, whole - len(spoken.samples))))[:whole]
    return SpokenClip(
        voice, features.log_mel, np.asarray(motion), np.rint(samples.clip(-1, 1) * 32_767).astype(np.int16)
    )


def sentences() -> list[tuple[str, str]]:
    """Language and text of each, written for this purpose."""
    lines = resources.files(__package__).joinpath("sentences.txt").read_text(encoding="utf-8").splitlines()
    return [(language, text) for language, _, text in (line.partition("|") for line in lines)]
