"""A text becomes sound, and each phoneme is where it sounds."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest

from countenance.audio.samples import RATE
from countenance.errors import BadValue, DependencyMissing
from countenance.speech import text as module
from countenance.speech.text import LEAD_S, PAUSE, TAIL_S, Phoneme, SpokenText, speak
from countenance.speech.visemes import viseme_motion, viseme_names

SENTENCE = "Mama, papa. The puppy found five maps!"


@pytest.fixture(autouse=True)
def _needs_espeak() -> Iterator[None]:
    pytest.importorskip("espeakng_loader", reason="espeak-ng is not here: pip install espeakng-loader")
    return


def loudness(speech: SpokenText, start_s: float, end_s: float) -> float:
    part = speech.samples[round(start_s * RATE) : round(end_s * RATE)]
    return float(np.sqrt(np.mean(part**2)))


def named(speech: SpokenText, name: str) -> list[Phoneme]:
    return [p for p in speech.phonemes if p.name.strip("ˈˌː") == name]


@pytest.mark.parametrize("speed_wpm", [80, 165, 449, 450])
def test_phonemes_cover_the_samples(speed_wpm: int) -> None:
    speech = speak(SENTENCE, speed_wpm=speed_wpm)
    assert speech.samples.dtype == np.float32
    assert 0.2 < np.abs(speech.samples).max() <= 1
    assert speech.duration_s == len(speech.samples) / RATE
    assert speech.phonemes[0].start_s == 0
    assert speech.phonemes[-1].end_s == speech.duration_s
    assert speech.phonemes[0].name == speech.phonemes[-1].name == PAUSE
    for before, after in zip(speech.phonemes, speech.phonemes[1:], strict=False):
        assert before.end_s == after.start_s > before.start_s
    assert [len(named(speech, n)) for n in "mpfv"] == [3, 5, 2, 1]


def test_pauses_are_quiet_and_vowels_are_not() -> None:
    speech = speak(SENTENCE)
    pauses = [p for p in speech.phonemes if p.name == PAUSE]
    assert len(pauses) >= 4
    # A sound may ring on for a moment into the pause after it.
    assert max(loudness(speech, p.start_s + 0.04, p.end_s) for p in pauses) < 0.001
    assert loudness(speech, 0, LEAD_S - 0.01) < 0.001
    assert loudness(speech, speech.duration_s - TAIL_S + 0.02, speech.duration_s) < 0.001
    assert min(loudness(speech, p.start_s, p.end_s) for p in named(speech, "ɑ")) > 0.05


def test_a_plosive_begins_with_its_silent_closure() -> None:
    speech = speak("A papa, a puppy.")
    for plosive in named(speech, "p"):
        assert loudness(speech, plosive.start_s + 0.005, plosive.start_s + 0.02) < 0.005
        assert loudness(speech, plosive.end_s - 0.02, plosive.end_s) > 0.005


def test_the_same_again_whenever_and_whatever_was_spoken_before() -> None:
    first = speak(SENTENCE, voice="en-us+f3")
    speak("Guten Tag, wie geht es dir?", voice="de+klatt", speed_wpm=300, pitch=90)
    time.sleep(1.1)  # espeak's own random numbers begin with the second of the day
    second = speak(SENTENCE, voice="en-us+f3")
    np.testing.assert_array_equal(first.samples, second.samples)
    assert first.phonemes == second.phonemes


def test_from_many_threads() -> None:
    found: list[bytes] = []
    threads = [
        threading.Thread(target=lambda: found.append(speak("Hello.").samples.tobytes())) for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 6
    assert len(set(found)) == 1


def test_voice_variant_speed_and_pitch_are_heard() -> None:
    plain = speak(SENTENCE)
    assert speak(SENTENCE, speed_wpm=300).duration_s < 0.8 * plain.duration_s
    for other in (speak(SENTENCE, voice="en-us+f3"), speak(SENTENCE, pitch=90)):
        size = min(len(other.samples), len(plain.samples))
        assert not np.allclose(other.samples[:size], plain.samples[:size], atol=0.01)


@pytest.mark.parametrize(
    ("voice", "text", "visemes"),
    [
        ("de", "Schöne Grüße, Pfütze", {"rounded", "puckered", "labiodental", "postalveolar"}),
        ("fr", "un bon vin blanc, peu de whisky", {"rounded", "mid", "bilabial", "labiodental", "puckered"}),
        ("es", "¿Dónde está el muchacho?", {"rounded", "mid", "open", "alveolar", "puckered"}),
        ("it", "Gli gnocchi, zio!", {"lateral", "alveolar", "velar", "sibilant"}),
    ],
)
def test_languages(voice: str, text: str, visemes: set[str]) -> None:
    speech = speak(text, voice=voice)
    assert visemes <= {v for p in speech.phonemes for v in viseme_names(p.name)}
    assert not any("(" in p.name for p in speech.phonemes)


def test_the_mouth_follows_the_speech() -> None:
    speech = speak("Mama, papa.")
    motion = viseme_motion(speech.phonemes, speech.duration_s)
    lips = motion["jawOpen"] - motion["mouthClose"]

    def nearest(phoneme: Phoneme) -> int:
        return int(np.argmin(np.abs(motion.times_s - (phoneme.start_s + phoneme.end_s) / 2)))

    assert max(lips[nearest(p)] for n in "mp" for p in named(speech, n)) < 0.005
    assert min(lips[nearest(p)] for p in named(speech, "ɑ")) > 0.2
    assert max(lips[0], lips[-1]) < 0.02


def test_control_characters_are_spaces_and_no_commands() -> None:
    plain = speak("one 99P two").samples
    np.testing.assert_array_equal(speak("\0one \x01 99P two\x7f").samples, plain)
    assert speak("a \ud800 b").duration_s > 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"text": ""}, "empty"),
        ({"text": " \n\0"}, "empty"),
        ({"text": "..."}, "nothing to speak"),
        ({"voice": "nowhere"}, "no voice 'nowhere'"),
        ({"voice": ""}, "no voice ''"),
        ({"voice": "../en"}, "no voice"),
        ({"voice": "x" * 500}, "no voice"),
        ({"voice": "en-us+nobody"}, "no variant 'nobody'"),
        ({"voice": "en-us+" + "f" * 500}, "no variant"),
        ({"speed_wpm": 79}, "80 to 450"),
        ({"speed_wpm": 451}, "80 to 450"),
        ({"pitch": -1}, "0 .low. to 100"),
        ({"pitch": 101}, "0 .low. to 100"),
    ],
)
def test_refuses(arguments: dict, words: str) -> None:
    with pytest.raises(BadValue, match=words) as caught:
        speak(**{"text": "Hello.", **arguments})
    assert "\n" not in str(caught.value)
    assert speak("Hello.").duration_s > 0.5


def test_without_espeak(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    monkeypatch.setattr(module, "find_library", lambda name: None)
    with pytest.raises(DependencyMissing, match=r"countenance\[text\]"):
        speak("Hello.")
