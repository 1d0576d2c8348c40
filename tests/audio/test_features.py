from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import resample_poly

from countenance.arrays import Floats
from countenance.audio.features import FPS, MELS, SPECTRA, WIDTH, SpeechFeatures, speech_features
from countenance.audio.samples import RATE, all_samples
from countenance.errors import BadValue
from sounds import voice

VOICE = voice(2.5)
WHOLE = speech_features([VOICE], keep_samples=True)


def difference(one: SpeechFeatures, other: SpeechFeatures) -> float:
    return float(np.abs(one.log_mel - other.log_mel).mean())


@settings(deadline=None, max_examples=30)
@given(st.lists(st.one_of(st.integers(1, 2_000), st.integers(1, 30_000)), max_size=60))
def test_blocks_of_any_size_give_the_same(sizes: list[int]) -> None:
    parts = [part for part in np.split(VOICE, np.cumsum(sizes)) if len(part)]
    features = speech_features(parts, keep_samples=True)
    np.testing.assert_allclose(features.log_mel, WHOLE.log_mel, atol=2e-4)
    np.testing.assert_allclose(features.loudness, WHOLE.loudness, atol=2e-4)
    np.testing.assert_array_equal(features.samples, WHOLE.samples)


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 4 * RATE))
def test_as_many_frames_as_pictures(count: int) -> None:
    features = speech_features([np.full(count, 0.1, np.float32)], keep_samples=True)
    assert len(features) == max(1, round(count / RATE * FPS))
    assert features.log_mel.shape == (len(features), WIDTH)
    assert features.samples is not None
    assert features.samples.shape == (640 * len(features),)
    kept = min(count, 640 * len(features))
    np.testing.assert_array_equal(features.samples[:kept], np.float32(0.1))
    assert not features.samples[kept:].any()


def test_samples_are_kept_only_where_asked_for() -> None:
    assert speech_features([VOICE]).samples is None
    assert WHOLE.samples is not None
    np.testing.assert_array_equal(WHOLE.samples, VOICE[: 62 * 640])


@pytest.mark.parametrize("moment_s", [0.02, 0.2, 0.5, 1.0, 1.31, 1.7, 1.97])
def test_a_click_is_in_the_frame_that_is_shown_with_it(moment_s: float) -> None:
    made = 1e-4 * np.random.default_rng(0).normal(size=2 * RATE)
    middle = round(moment_s * RATE)
    made[max(0, middle - 240) : middle + 240] *= 5_000
    features = speech_features([made.astype(np.float32)])
    expected = min(round(FPS * moment_s), len(features) - 1)
    for heard in (features.log_mel.mean(1), features.loudness):
        assert abs(int(heard.argmax()) - expected) <= 1


def test_each_frame_is_centred_on_its_moment() -> None:
    """A step from silence to noise lies in the middle of its frame: two spectra before, two after."""
    made = 0.2 * np.random.default_rng(0).normal(size=2 * RATE)
    made[:RATE] *= 1e-3
    bands = speech_features([made.astype(np.float32)]).log_mel.reshape(-1, SPECTRA, MELS).mean(2)
    before, after = bands[24].mean(), bands[26].mean()
    share = (bands[25] - before) / (after - before)
    assert share[0] < 0.2
    assert share[3] > 0.9
    assert (np.diff(share) > -0.1).all()


@pytest.mark.parametrize(("decibels", "most"), [(-20, 0.06), (-6, 0.015), (6, 0.005), (20, 0.005)])
def test_volume_hardly_matters(decibels: int, most: float) -> None:
    other = speech_features([VOICE * np.float32(10 ** (decibels / 20))])
    assert difference(other, WHOLE) < most  # of 1.5; 20 dB are 0.5
    assert np.abs(other.loudness - WHOLE.loudness).mean() < most


@pytest.mark.parametrize(("decibels", "most"), [(-20, 0.05), (-10, 0.01), (10, 0.005), (20, 0.005)])
def test_volume_hardly_matters_to_real_speech(shared: Path, decibels: int, most: float) -> None:
    for path in sorted((shared / "data" / "audio").glob("*.flac")):
        samples = all_samples(path)
        other = speech_features([samples * np.float32(10 ** (decibels / 20))])
        assert difference(other, speech_features([samples])) < most, path.name


@pytest.mark.parametrize("offset", [0.001, 0.02, -0.1])
def test_a_constant_in_the_sound_is_not_heard(offset: float) -> None:
    other = speech_features([VOICE + np.float32(offset)])
    assert difference(other, WHOLE) < 0.01
    assert ((other.loudness == 0) == (WHOLE.loudness == 0)).mean() > 0.95
    nothing = speech_features([np.full(RATE, offset, np.float32)])
    assert nothing.loudness[2:-2].max() == 0


@pytest.mark.parametrize("level", [0.0, 1e-5, 3e-4])
def test_silence(level: float) -> None:
    made = level * np.random.default_rng(0).normal(size=2 * RATE)
    features = speech_features([made.astype(np.float32)])
    assert (features.log_mel == -1).all()
    assert (features.loudness == 0).all()


def test_pauses_are_silent_and_speech_is_not() -> None:
    made = np.concatenate([voice(2.0), np.zeros(RATE, np.float32), voice(1.0, 1)])
    features = speech_features([made])
    assert (features.loudness[52:73] == 0).all()
    assert (features.log_mel[52:73] == -1).all()
    assert features.loudness.max() > 0.9
    assert features.log_mel.max() > 0


@pytest.mark.parametrize(
    "made",
    [
        np.random.default_rng(0).normal(size=RATE).clip(-1, 1),
        np.sign(np.sin(np.arange(RATE) * 0.1)),
        np.ones(RATE),
        np.eye(1, RATE)[0],
        np.full(1, 0.5),
    ],
    ids=["noise", "clipping", "constant", "click", "one sample"],
)
def test_any_sound_gives_values_in_range(made: Floats) -> None:
    features = speech_features([np.asarray(made, np.float32)])
    for values, low, high in ((features.log_mel, -1, 0.5), (features.loudness, 0, 1)):
        assert values.dtype == np.float32
        assert np.isfinite(values).all()
        assert values.min() >= low
        assert values.max() <= high


def test_noise_is_heard() -> None:
    made = np.random.default_rng(0).normal(size=RATE)
    assert speech_features([(0.1 * made).astype(np.float32)]).loudness.min() > 0.5


def as_telephone(samples: Floats) -> Floats:
    return np.asarray(resample_poly(resample_poly(samples, 1, 2), 2, 1)[: len(samples)], np.float32)


def test_a_telephone_changes_little_below_its_limit() -> None:
    low = slice(0, 24)  # below 3 kHz

    def bands(features: SpeechFeatures) -> Floats:
        return features.log_mel.reshape(-1, SPECTRA, MELS)

    narrow = speech_features([as_telephone(VOICE)])
    near = np.abs(bands(narrow)[..., low] - bands(WHOLE)[..., low]).mean()
    assert near < 0.02
    assert np.abs(bands(narrow)[..., 36:] - bands(WHOLE)[..., 36:]).mean() > 2 * near


def test_a_telephone_sounds_like_the_room_it_calls_from(shared: Path) -> None:
    samples = all_samples(shared / "data" / "audio" / "en_male.flac")
    wide, narrow = speech_features([samples]), speech_features([as_telephone(samples)])
    assert difference(narrow, wide) < 0.12
    assert np.abs(narrow.loudness - wide.loudness).mean() < 0.01


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_none(bad: float) -> None:
    made = VOICE.copy()
    made[20_000] = bad
    with pytest.raises(BadValue, match="NaN or infinity"):
        speech_features([made])


def test_no_samples() -> None:
    for blocks in ([], [np.zeros(0, np.float32)]):
        with pytest.raises(BadValue, match="empty"):
            speech_features(blocks, keep_samples=True)


@pytest.mark.parametrize("together", [1, 600])
def test_ten_minutes_take_little_more_than_their_features(together: int) -> None:
    """An hour in one block must not take gigabytes, either: ``together`` seconds a block."""
    block = np.tile(VOICE[:RATE], together)
    tracemalloc.start()
    try:
        features = speech_features(block for _ in range(600 // together))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(features) == 15_000
    assert peak < 10 * features.log_mel.nbytes  # 96 MB; spectra of the whole at once would be 700
