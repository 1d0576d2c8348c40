from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from skimage import data

from countenance.arrays import Floats
from countenance.audio.features import FPS, WIDTH, speech_features
from countenance.audio.samples import write_wave
from countenance.data.dataset import MANIFEST, Clip, Dataset, Manifest
from countenance.data.prepare import PrepareOptions, prepare
from countenance.data.sound_lag import best_lag, with_sound_lags
from countenance.data.speech_clips import SpokenClip, load_speech, save_speech, spoken_clip, spoken_clips
from countenance.data.speech_samples import SoundAugmentation, SpeechSampler, changed, style_of
from countenance.errors import BadValue, DatasetUnreadable
from countenance.media.writer import AudioSource, VideoWriter
from countenance.motion.files import save_motion
from countenance.motion.sequence import Motion
from countenance.motion.spaces import ARKIT, FLAME
from sounds import burst, voice

OPTIONS = PrepareOptions(size=32)
JAW = ARKIT.index("jawOpen")


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten frames of a face: with a voice, with silence, and without sound."""
    folder = tmp_path_factory.mktemp("films") / "train"
    folder.mkdir()
    face = np.ascontiguousarray(cv2.resize(data.astronaut()[:256, 96:352], (192, 192)))
    sounds = {"talks_01": voice(0.4), "silent_01": np.zeros(6_400, np.float32), "mute_01": None}
    for name, samples in sounds.items():
        sound = None
        if samples is not None:
            write_wave(folder / f"{name}.wav", samples)
            sound = AudioSource(folder / f"{name}.wav")
        with VideoWriter(folder / f"{name}.mp4", 25.0, 192, 192, audio=sound) as writer:
            for _ in range(10):
                writer.write(face)
    return folder


def test_sound_is_prepared_beside_the_motion(films: Path, tmp_path: Path) -> None:
    manifest = prepare([films], tmp_path, OPTIONS)
    assert {clip.name: clip.speaks for clip in manifest.clips} == {
        "mute_01": False,
        "silent_01": False,
        "talks_01": True,
    }
    assert manifest == Manifest.read(tmp_path)
    assert [p.name for p in (tmp_path / "speech").iterdir()] == ["talks_01.npz"]
    speech = load_speech(tmp_path, "talks_01")
    assert abs(len(speech.features) - 10) <= 2
    assert speech.features.log_mel.shape == (len(speech.features), WIDTH)
    assert abs(len(speech.samples) - 6_400) < 1_100  # AAC comes in blocks
    again = speech_features([speech.samples / np.float32(32_767)])
    np.testing.assert_allclose(again.log_mel, speech.features.log_mel, atol=0.03)  # 16-bit numbers
    [clip] = spoken_clips(Dataset(tmp_path))
    assert clip.identity == "talks"
    assert len(clip) == len(clip.log_mel) == len(clip.samples) // 640 == min(10, len(speech.features))


def without_sound_fields(folder: Path) -> None:
    """As a version wrote it that did not look for sound."""
    content = json.loads((folder / MANIFEST).read_text())
    for clip in content["clips"]:
        del clip["speaks"], clip["sound_lag"]
    (folder / MANIFEST).write_text(json.dumps(content))


def without_sound_file(folder: Path) -> None:
    (folder / "speech" / "talks_01.npz").unlink()


@pytest.mark.parametrize("older", [without_sound_fields, without_sound_file])
def test_what_is_not_there_yet_is_looked_at_again(
    films: Path, tmp_path: Path, older: Callable[[Path], None]
) -> None:
    source, out = films / "talks_01.mp4", tmp_path / "out"
    prepare([source], out, OPTIONS)
    made = [out / part for part in ("clips/talks_01.mp4", "speech/talks_01.npz")]
    before = [path.stat().st_mtime_ns for path in made]
    prepare([source], out, OPTIONS)
    assert [path.stat().st_mtime_ns for path in made] == before
    older(out)
    assert prepare([source], out, OPTIONS).clips[0].speaks
    assert all(path.stat().st_mtime_ns > time for path, time in zip(made, before, strict=True))
    assert len(load_speech(out, "talks_01").features) > 0


def test_an_older_dataset_can_still_be_read(films: Path, tmp_path: Path) -> None:
    prepare([films / "talks_01.mp4"], tmp_path, OPTIONS)
    without_sound_fields(tmp_path)
    dataset = Dataset(tmp_path)
    assert dataset.clips[0].speaks is None
    with pytest.raises(BadValue, match="no clip with sound"):
        spoken_clips(dataset)


def test_real_clips_speak_or_do_not(shared: Path, tmp_path: Path) -> None:
    heads = shared / "data" / "heads"
    entries = [json.loads(line) for line in (heads / "manifest.jsonl").read_text().splitlines()]
    shortest = sorted(entries, key=lambda entry: int(entry["frames"]))
    by_speech = {
        True: next(entry for entry in shortest if entry.get("speech") and entry["seconds"] > 2),
        False: next(entry for entry in shortest if not entry["has_audio"]),
    }
    for speaks, entry in by_speech.items():
        source = shared / "data" / entry["file"]
        assert save_speech(_folder(tmp_path), source.stem, source) is speaks
        if speaks:
            speech = load_speech(tmp_path, source.stem)
            assert len(speech.features) == pytest.approx(entry["seconds"] * FPS, abs=4)
            assert speech.features.loudness.max() > 0.9


def _folder(folder: Path) -> Path:
    for part in ("speech", "motion"):
        (folder / part).mkdir(exist_ok=True)
    return folder


DAMAGES: dict[str, Callable[[Path], object]] = {
    "gone": lambda path: path.unlink(),
    "empty": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_text("no archive"),
    "cut off": lambda path: path.write_bytes(path.read_bytes()[:-200]),
    "plain array": lambda path: np.save(path.open("wb"), np.zeros(3)),
    "other arrays": lambda path: np.savez(path, values=np.zeros(3)),
    "pickled": lambda path: np.savez(path, log_mel=np.array([{}]), loudness=np.zeros(1), samples=np.zeros(1)),
    "other width": lambda path: _stored(path, np.zeros((4, 80)), np.zeros(4), np.zeros(9, np.int16)),
    "other length": lambda path: _stored(path, np.zeros((4, WIDTH)), np.zeros(5), np.zeros(9, np.int16)),
    "float samples": lambda path: _stored(path, np.zeros((4, WIDTH)), np.zeros(4), np.zeros(9)),
    "two channels": lambda path: _stored(path, np.zeros((4, WIDTH)), np.zeros(4), np.zeros((9, 2), np.int16)),
    "NaN": lambda path: _stored(path, np.full((4, WIDTH), np.nan), np.zeros(4), np.zeros(9, np.int16)),
    "words": lambda path: _stored(path, np.array([["a"]]), np.zeros(1), np.zeros(9, np.int16)),
}


def _stored(path: Path, log_mel: np.ndarray, loudness: np.ndarray, samples: np.ndarray) -> None:
    np.savez(path, log_mel=log_mel, loudness=loudness, samples=samples)


@pytest.fixture
def spoken_file(tmp_path: Path) -> Path:
    write_wave(tmp_path / "a.wav", voice(1.0))
    assert save_speech(_folder(tmp_path), "a", tmp_path / "a.wav")
    return tmp_path / "speech" / "a.npz"


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_damaged_sound_is_said(spoken_file: Path, damage: Callable[[Path], object]) -> None:
    damage(spoken_file)
    with pytest.raises(DatasetUnreadable, match="countenance prepare again") as caught:
        load_speech(spoken_file.parents[1], "a")
    assert caught.value.path == spoken_file


def test_any_damage_is_said_or_does_no_harm(spoken_file: Path) -> None:
    whole, rng = spoken_file.read_bytes(), np.random.default_rng(0)
    said = 0
    for _ in range(80):
        content = bytearray(whole)
        for place in rng.integers(0, len(whole), 4):
            content[place] = rng.integers(256)
        for place in rng.integers(len(whole) - 300, len(whole), 2):  # the table of contents
            content[place] = rng.integers(256)
        spoken_file.write_bytes(content)
        try:
            assert load_speech(spoken_file.parents[1], "a").features.log_mel.shape == (25, WIDTH)
        except DatasetUnreadable:
            said += 1
    assert said > 40


def one_clip(folder: Path, motion: Motion, samples: Floats, lag: int = 0, identity: str = "a") -> Dataset:
    """A dataset without pictures: all that speech needs."""
    write_wave(folder / "sound.wav", samples)
    _folder(folder)
    assert save_speech(folder, "a_01", folder / "sound.wav")
    save_motion(folder / "motion" / "a_01.npz", motion)
    clip = Clip("a_01", identity, "train", len(motion), motion.fps, "a.mp4", (0, 0, 32), 0, True, lag)
    Manifest("arkit", 32, 1.0, (clip,), {}).write(folder)
    return Dataset(folder)


@pytest.mark.parametrize("lag", [-4, -1, 0, 2, 5])
@pytest.mark.parametrize("fps", [25.0, 30.0, 50.0])
def test_what_is_heard_and_what_is_seen_come_together(tmp_path: Path, lag: int, fps: float) -> None:
    seen_s = 1.0
    times = np.arange(round(2 * fps)) / fps
    motion = Motion.neutral(ARKIT, len(times), fps).set(
        jawOpen=np.maximum(0, 1 - np.abs(times - seen_s) * 20)
    )
    dataset = one_clip(tmp_path, motion, burst(2.0, seen_s + lag / FPS, length_s=0.02), lag)
    clip = spoken_clip(dataset, dataset.clips[0])
    assert len(clip) == 50 - abs(lag) == len(clip.log_mel)
    assert clip.samples.shape == (640 * len(clip),)
    opened = int(clip.motion[:, JAW].argmax())
    assert opened == 25 + min(lag, 0)
    assert abs(int(clip.log_mel.mean(1).argmax()) - opened) <= 1
    assert abs(int(np.flatnonzero(np.abs(clip.samples) > 3_000)[0]) / 640 - opened) < 0.05
    unmoved = spoken_clip(dataset, dataset.clips[0], aligned=False)
    assert len(unmoved) == 50
    assert int(unmoved.log_mel.mean(1).argmax()) - int(unmoved.motion[:, JAW].argmax()) == pytest.approx(
        lag, abs=1
    )


@pytest.mark.parametrize(("seconds", "frames"), [(0.5, 12), (3.0, 50)])
@pytest.mark.parametrize("lag", [-3, 0, 3])
def test_sound_and_pictures_of_different_length(
    tmp_path: Path, seconds: float, frames: int, lag: int
) -> None:
    motion = Motion.neutral(ARKIT, 50, FPS)
    dataset = one_clip(tmp_path, motion, voice(seconds), lag)
    clip = spoken_clip(dataset, dataset.clips[0])
    expected = min(round(seconds * 25) - max(lag, 0), 50 - max(-lag, 0))
    assert len(clip) == len(clip.log_mel) == len(clip.samples) // 640 == expected
    assert expected <= frames


def test_hardly_any_sound_is_none_after_the_lag(tmp_path: Path) -> None:
    dataset = one_clip(tmp_path, Motion.neutral(ARKIT, 50, FPS), voice(0.12), lag=5)
    clip = spoken_clip(dataset, dataset.clips[0])
    assert len(clip) == len(clip.log_mel) == len(clip.samples) == 0
    with pytest.raises(BadValue, match="1 frames or more"):
        spoken_clips(dataset)


def test_short_clips_are_left_out(tmp_path: Path) -> None:
    dataset = one_clip(tmp_path, Motion.neutral(ARKIT, 50, FPS), voice(2.0))
    assert len(spoken_clips(dataset, 50)) == 1
    with pytest.raises(BadValue, match="51 frames or more"):
        spoken_clips(dataset, 51)


def people(folder: Path, lags: dict[str, int | None]) -> list[Clip]:
    """Each says something in two clips; the mouth follows the sound, or (None) nothing at all."""
    _folder(folder)
    clips = []
    for number, (person, lag) in enumerate(lags.items()):
        for part in range(2):
            name = f"{person}_{part}"
            samples = voice(4.0, seed=10 * number + part)
            write_wave(folder / "sound.wav", samples)
            save_speech(folder, name, folder / "sound.wav")
            rng = np.random.default_rng(number)
            if lag is None:
                jaw = np.convolve(rng.random(102), np.ones(3) / 3, "valid")
            else:
                loud = speech_features([samples]).loudness
                jaw = np.roll(np.convolve(loud, np.ones(3) / 3, "same"), -lag) + 0.05 * rng.random(100)
            save_motion(
                folder / "motion" / f"{name}.npz", Motion.neutral(ARKIT, 100, FPS).set(jawOpen=jaw / 2)
            )
            clips.append(Clip(name, person, "train", 100, FPS, "", (0, 0, 32), 0, True))
    return clips


def test_lags_are_found_where_they_are_clear(tmp_path: Path) -> None:
    known = {"anna": 0, "bert": 3, "carl": 0, "dora": -2, "eric": 0, "fred": None, "gina": 0}
    clips = people(tmp_path, known)
    mute = replace(clips[0], name="mute_01", identity="mute", speaks=False)
    measured = with_sound_lags(tmp_path, [*clips, mute], "arkit")
    assert [clip.name for clip in measured] == [clip.name for clip in (*clips, mute)]
    found = {clip.identity: clip.sound_lag for clip in measured}
    assert found == {person: lag or 0 for person, lag in known.items()} | {"mute": 0}
    again = with_sound_lags(tmp_path, measured, "arkit")
    assert again == measured


def test_too_few_people_and_other_spaces_say_nothing_about_lags(tmp_path: Path) -> None:
    clips = people(tmp_path, {"anna": 0, "bert": 3})
    assert with_sound_lags(tmp_path, clips, "arkit") == tuple(clips)
    more = [replace(clip, identity=clip.name) for clip in clips]
    assert with_sound_lags(tmp_path, more, FLAME.name) == tuple(more)


def test_a_lag_needs_time_and_agreement() -> None:
    sound = np.random.default_rng(0).normal(size=300)
    late = np.roll(sound, -4)
    assert best_lag([sound], [late]) == 4
    assert best_lag([sound, sound[:60]], [late, late[:60]]) == 4
    assert best_lag([sound[:90]], [late[:90]]) == 0  # too short
    assert best_lag([sound], [np.roll(sound, -6)]) == 0  # perhaps farther still
    assert best_lag([sound], [np.zeros(300)]) == 0
    assert best_lag([], []) == 0
    rng = np.random.default_rng(1)
    assert best_lag([sound], [rng.normal(size=300)]) == 0
    both = np.roll(sound, -4) + sound  # as much for no lag
    assert best_lag([sound], [both]) == 0


def test_preparing_measures_lags(films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from countenance.data import prepare as module

    asked: list[tuple[Path, int, str]] = []

    def found(folder: Path, clips: tuple[Clip, ...], space: str) -> tuple[Clip, ...]:
        asked.append((folder, len(clips), space))
        return tuple(replace(clip, sound_lag=2) for clip in clips)

    monkeypatch.setattr(module, "with_sound_lags", found)
    prepare([films / "talks_01.mp4"], tmp_path, OPTIONS)
    assert asked == [(tmp_path, 1, "arkit")]
    assert Manifest.read(tmp_path).clips[0].sound_lag == 2


def test_damaged_sound_does_not_cost_the_work_that_is_done(
    films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from countenance.data import prepare as module

    def damaged(folder: Path, clips: tuple[Clip, ...], space: str) -> tuple[Clip, ...]:
        raise DatasetUnreadable(folder, "it is damaged")

    monkeypatch.setattr(module, "with_sound_lags", damaged)
    with pytest.raises(DatasetUnreadable):
        prepare([films / "talks_01.mp4"], tmp_path, OPTIONS)
    assert [clip.name for clip in Manifest.read(tmp_path).clips] == ["talks_01"]


def counted(identity: str, frames: int, offset: float) -> SpokenClip:
    """A clip whose numbers say whose and which frame they are."""
    count = np.arange(frames, dtype=np.float32)
    motion = np.tile(ARKIT.neutral, (frames, 1)).astype(np.float32)
    motion[:] = offset + 0.001 * count[:, None]
    motion += 0.0001 * np.arange(ARKIT.size)
    log_mel = np.repeat(-0.6 + 0.001 * count[:, None], WIDTH, 1)
    return SpokenClip(identity, log_mel, motion, np.repeat(count, 640).astype(np.int16))


CLIPS = [
    counted("anna", 60, 0.1),
    counted("anna", 90, 0.2),
    counted("bert", 40, 0.3),
    counted("kim", 10, 0.4),
]


def frame_of(sample: object) -> np.ndarray:
    return np.rint((sample.log_mel[:, 0] + 0.6) * 1000)  # type: ignore[attr-defined]


def test_a_sample_is_one_stretch_of_one_clip() -> None:
    sampler = SpeechSampler(CLIPS, ARKIT, 30)
    owners = []
    for index in range(60):
        sample = sampler[index]
        frames = frame_of(sample)
        assert len(frames) == 30
        assert (np.diff(frames) == 1).all()
        clip = CLIPS[round(10 * float(sample.motion[0, 0] - 0.001 * frames[0])) - 1]
        owners.append(clip.identity)
        first = int(frames[0])
        np.testing.assert_array_equal(sample.motion, clip.motion[first : first + 30])
        np.testing.assert_allclose(sample.samples * 32_768, np.repeat(frames, 640), atol=1e-3)
        np.testing.assert_allclose(sample.style[:52], clip.motion.mean(0)[:52], atol=1e-6)
        assert (sample.style[ARKIT.region_indices("pose")] == 0).all()
        assert sample.real == 1
    assert 18 < owners.count("bert") < 42  # people count alike, however much they say


def test_samples_depend_on_their_number_and_the_seed_alone() -> None:
    one, other, another = (
        SpeechSampler(CLIPS, ARKIT, 20, seed, SoundAugmentation(), spoken=CLIPS, spoken_share=0.5)
        for seed in (3, 3, 4)
    )
    other[9]
    for index in (5, 0):
        for name in ("log_mel", "motion", "style", "samples"):
            np.testing.assert_array_equal(getattr(one[index], name), getattr(other[index], name))
        assert (one[index].log_mel != another[index].log_mel).any()
    assert (one[0].log_mel != one[1].log_mel).any()


def test_mirrored_motion_is_mirrored_whole() -> None:
    only_flip = SoundAugmentation(stretch=0, shift=0, level=0, tilt=0, noise=0, masks=False)
    plain, flipped = SpeechSampler(CLIPS, ARKIT, 20), SpeechSampler(CLIPS, ARKIT, 20, 0, only_flip)
    left, right = ARKIT.index("mouthSmileLeft"), ARKIT.index("mouthSmileRight")
    seen = set()
    for index in range(20):
        before, after = plain[index], flipped[index]
        np.testing.assert_allclose(after.log_mel, before.log_mel, atol=1e-6)
        np.testing.assert_array_equal(after.samples, before.samples)
        is_flipped = bool((after.motion != before.motion).any())
        seen.add(is_flipped)
        expected = Motion(before.motion, ARKIT, FPS)
        expected = expected.mirrored() if is_flipped else expected
        np.testing.assert_allclose(after.motion, expected.values)
        if is_flipped:
            np.testing.assert_array_equal(after.motion[:, left], before.motion[:, right])
            np.testing.assert_array_equal(
                after.motion[:, ARKIT.index("yaw")], -before.motion[:, ARKIT.index("yaw")]
            )
            assert after.style[left] == before.style[right]
    assert seen == {True, False}


def test_spoken_text_gives_lips_and_sound_and_a_person_the_rest() -> None:
    spoken = counted("en-us", 35, 0.6)
    sampler = SpeechSampler(CLIPS, ARKIT, 20, spoken=[spoken], spoken_share=0.4)
    lips = ARKIT.region_indices("lips")
    rest = np.setdiff1d(np.arange(ARKIT.size), lips)
    made = [sampler[i] for i in range(100)]
    ruled = [sample for sample in made if not sample.real]
    assert 25 < len(ruled) < 55
    for sample in ruled:
        first = int(frame_of(sample)[0])
        np.testing.assert_array_equal(sample.motion[:, lips], spoken.motion[first : first + 20][:, lips])
        np.testing.assert_allclose(sample.samples * 32_768, np.repeat(frame_of(sample), 640), atol=1e-3)
        assert sample.motion[:, rest].max() < 0.5  # a person's
        np.testing.assert_allclose(sample.style[lips], spoken.motion.mean(0)[lips], atol=1e-6)
        expressions = np.setdiff1d(rest, ARKIT.region_indices("pose"))
        assert sample.style[expressions].max() < 0.5
    assert spoken.motion[0, lips[0]] == pytest.approx(0.6, abs=0.01)  # what is shared stays as it was
    assert CLIPS[0].motion[0, lips[0]] == pytest.approx(0.1, abs=0.01)


def test_too_short_for_a_stretch() -> None:
    with pytest.raises(BadValue, match="no clip with sound has 91 frames"):
        SpeechSampler(CLIPS, ARKIT, 91)
    with pytest.raises(BadValue, match="no spoken text is 90 frames"):
        SpeechSampler(CLIPS, ARKIT, 90, spoken=[CLIPS[0]], spoken_share=0.1)
    assert len(SpeechSampler(CLIPS, ARKIT, 90)[0].motion) == 90


def test_style_is_no_pose_and_leaves_the_motion_alone() -> None:
    motion = CLIPS[0].motion.copy()
    style = style_of(motion, ARKIT)
    np.testing.assert_array_equal(motion, CLIPS[0].motion)
    assert style.dtype == np.float32
    assert style[ARKIT.index("yaw")] == 0
    assert style[JAW] == pytest.approx(motion[:, JAW].mean())


def test_changed_sound_keeps_shape_and_range() -> None:
    log_mel = speech_features([voice(2.0)]).log_mel
    before = log_mel.copy()
    distances = []
    for seed in range(30):
        other = changed(log_mel, SoundAugmentation(), np.random.default_rng(seed))
        assert other.shape == log_mel.shape
        assert other.dtype == np.float32
        assert np.isfinite(other).all()
        assert other.min() >= -1
        assert other.max() <= 0.5
        distances.append(float(np.abs(other - log_mel).mean()))
    np.testing.assert_array_equal(log_mel, before)
    assert 0.01 < np.median(distances) < 0.3
    assert len(set(distances)) == 30


def test_changed_sound_stays_in_time() -> None:
    log_mel = speech_features([burst(2.0, 1.0)]).log_mel
    for seed in range(10):
        calm = SoundAugmentation(noise=0, masks=False)
        other = changed(log_mel, calm, np.random.default_rng(seed))
        assert abs(int(other.mean(1).argmax()) - int(log_mel.mean(1).argmax())) <= 0


def test_nothing_to_change_changes_nothing() -> None:
    still = SoundAugmentation(stretch=0, shift=0, level=0, tilt=0, noise=0, masks=False)
    log_mel = speech_features([voice(1.0)]).log_mel
    np.testing.assert_allclose(changed(log_mel, still, np.random.default_rng(0)), log_mel, atol=1e-6)
