from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from countenance.audio.features import WIDTH, speech_features
from countenance.motion.spaces import ARKIT
from countenance.speech.spoken_text import sentences, spoken_text_clip
from countenance.speech.text import speak


@pytest.fixture(autouse=True)
def _needs_espeak() -> Iterator[None]:
    pytest.importorskip("espeakng_loader", reason="espeak-ng is not here: pip install espeakng-loader")
    return


def test_a_text_becomes_a_clip() -> None:
    clip = spoken_text_clip("Papa had a map of the moon.", "en-us", 150)
    assert clip.identity == "en-us"
    frames = len(clip)
    assert clip.log_mel.shape == (frames, WIDTH)
    assert clip.motion.shape == (frames, ARKIT.size)
    assert clip.samples.shape == (640 * frames,)
    assert clip.samples.dtype == np.int16
    spoken = speak("Papa had a map of the moon.", voice="en-us", speed_wpm=150)
    assert frames == round(25 * spoken.duration_s)
    np.testing.assert_allclose(clip.samples[:5_000] / 32_767, spoken.samples[:5_000], atol=1e-4)


def test_lips_are_ahead_of_the_sound() -> None:
    clip = spoken_text_clip("Papa. Papa. Papa. Papa.", "en-us", 130)
    loudness = speech_features([clip.samples / np.float32(32_768)]).loudness
    jaw = clip.motion[:, ARKIT.index("jawOpen")]
    fits = [np.corrcoef(jaw[10:-10], np.roll(loudness, -lag)[10:-10])[0, 1] for lag in range(-6, 7)]
    assert 0 <= int(np.argmax(fits)) - 6 <= 3
    assert max(fits) > 0.5


def test_every_sentence_has_a_known_language() -> None:
    from countenance.speech.spoken_text import _VOICES

    lines = sentences()
    assert len(lines) > 50
    assert all(text.strip() for _, text in lines)
    assert {language for language, _ in lines} <= set(_VOICES)
    for language, voices in _VOICES.items():
        text = next(text for known, text in lines if known == language)
        assert len(spoken_text_clip(text[:20], voices[-1])) > 20, language
