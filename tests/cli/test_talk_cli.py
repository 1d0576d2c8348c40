from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image
from scipy.signal import correlate, correlation_lags, resample_poly
from skimage import data

import countenance as cn
from countenance.arrays import Floats
from countenance.audio.samples import write_wave
from countenance.cli.main import main
from countenance.cli.settings import parse_offsets
from countenance.errors import BadValue, UnknownName
from countenance.media.image_writer import read_image_metadata
from countenance.media.video import VideoReader, read_metadata
from countenance.motion.sequence import Motion
from countenance.motion.spaces import ARKIT, FLAME
from sounds import RATE, voice, write_film, write_sound

LIPS = ARKIT.region_indices("lips")
POSE = ARKIT.region_indices("pose")
PARTING = ("jawOpen", "mouthFunnel", "mouthPucker", "mouthLowerDownLeft", "mouthUpperUpRight", "mouthClose")


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("photo") / "astronaut.png"
    Image.fromarray(data.astronaut()[:272, 88:360]).resize((192, 192)).save(path)
    return path


@pytest.fixture(scope="module")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_sound(tmp_path_factory.mktemp("speech") / "speech.wav", voice(1.5))


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stop:
        main([str(a) for a in arguments])
    printed = capsys.readouterr()
    return int(stop.value.code or 0), printed.out, printed.err


def talk(capsys: pytest.CaptureFixture[str], *arguments: object) -> Motion:
    """The motion that was written to the path after -o."""
    code, _, complaint = run(capsys, "talk", *arguments)
    assert code == 0, complaint
    return cn.load_motion(Path(str(arguments[arguments.index("-o") + 1])))


def inputs(folder: Path) -> dict[str, Path]:
    folder.mkdir()
    files = {
        name: folder / name for name in ("text.wav", "empty.wav", "nobody.png", "missing.wav", "other.npz")
    }
    files["text.wav"].write_text("Good morning.")
    files["empty.wav"].write_bytes(b"")
    files["none.wav"] = folder / "none.wav"
    write_wave(files["none.wav"], np.zeros(0, np.float32))
    files["film.mp4"] = write_film(folder / "film.mp4", voice(1.0))
    Image.fromarray(data.coffee()[:200, :200]).save(files["nobody.png"])
    cn.save_motion(files["other.npz"], Motion.neutral(FLAME, 5, 25.0))
    silent = files["silent.mp4"] = folder / "silent.mp4"
    with av.open(str(silent), "w") as container:
        pictures = container.add_stream("libx264", rate=25)
        pictures.width, pictures.height, pictures.pix_fmt = 32, 32, "yuv420p"
        container.mux(pictures.encode(av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8))))
        container.mux(pictures.encode(None))
    return files


@pytest.mark.parametrize(
    ("given", "output", "says"),
    [
        ("SPEECH", "o.mp4", "needs a photo and a recording"),
        ("PHOTO", "o.mp4", "needs a photo and a recording"),
        ("--text Hello", "o.mp4", "needs a photo and a recording"),
        ("PHOTO SPEECH SPEECH", "o.mp4", "needs a photo and a recording"),
        ("PHOTO SPEECH --text Hello", "o.mp4", "needs a photo and a recording"),
        ("PHOTO PHOTO SPEECH", "o.npz", "needs a photo and a recording"),
        ("--count 1", "o.npz", "needs a photo and a recording"),
        ("film.mp4 SPEECH", "o.mp4", "is video; talk moves a photo"),
        ("SPEECH PHOTO", "o.mp4", "seem to be swapped"),
        ("film.mp4 SPEECH", "o.npz", "is video; talk moves a photo"),
        ("missing.wav SPEECH", "o.mp4", "no such file"),
        ("nobody.png SPEECH", "o.mp4", "no face found"),
        ("PHOTO SPEECH --face 2", "o.mp4", "face 2 is not there"),
        ("PHOTO SPEECH --count 0", "o.mp4", "--count is 0"),
        ("SPEECH --count -2", "o.npz", "--count is -2"),
        ("SPEECH --seed -1", "o.npz", "seed is -1"),
        ("SPEECH --temperature -0.5", "o.npz", "temperature is -0.5"),
        ("SPEECH --temperature nan", "o.npz", "temperature is nan"),
        ("SPEECH --emotion smle", "o.npz", "did you mean smile"),
        ("SPEECH --set jawOpn=0.2", "o.npz", "did you mean jawOpen"),
        ("SPEECH --set jawOpen", "o.npz", "name=value"),
        ("SPEECH --set jawOpen=7", "o.npz", "-1 to 1"),
        ("SPEECH --voice-model transformer", "o.npz", "did you mean transformer-lite"),
        ("SPEECH --voice-model none.safetensors", "o.npz", "none.safetensors"),
        ("PHOTO SPEECH --model geomtric", "o.mp4", "did you mean geometric"),
        ("PHOTO missing.wav", "o.mp4", "no such file"),
        ("PHOTO empty.wav", "o.mp4", "the file is empty"),
        ("PHOTO text.wav", "o.mp4", "it is no sound"),
        ("PHOTO none.wav", "o.mp4", "no samples"),
        ("PHOTO silent.mp4", "o.mp4", "it has no sound"),
        ("silent.mp4", "o.csv", "it has no sound"),
        ("PHOTO PHOTO", "o.mp4", "it is no sound"),
        ("SPEECH --pose-from missing.wav", "o.npz", "no such file"),
        ("SPEECH --pose-from SPEECH", "o.npz", "sound without pictures"),
        ("SPEECH --pose-from other.npz", "o.npz", "flame"),
        ("PHOTO SPEECH", "missing/o.mp4", "mkdir -p"),
        ("nobody.png missing.wav", "missing/o.mp4", "mkdir -p"),  # said before long work
        ("SPEECH", "missing/o.npz", "mkdir -p"),
        ("missing.wav", "missing/o.npz", "mkdir -p"),
        ("SPEECH --count 2", "missing/o.csv", "mkdir -p"),
        ("PHOTO SPEECH", "o.wav", "no video format"),
        ("PHOTO SPEECH", "inputs", "not empty"),
        ("PHOTO SPEECH", "taken.mp4", "it is a folder"),
        ("SPEECH", "taken.npz", "it is a folder"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(
    photo: Path,
    speech: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    given: str,
    output: str,
    says: str,
) -> None:
    files = {**inputs(tmp_path / "inputs"), "PHOTO": photo, "SPEECH": speech}
    for name in ("taken.mp4", "taken.npz"):
        (tmp_path / name).mkdir()
    before = sorted(tmp_path.rglob("*"))
    words = [files.get(word, word) for word in given.split()]
    if "--model" not in words and output.endswith(".mp4"):
        words += ["--model", "geometric"]
    code, printed, complaint = run(capsys, "talk", *words, "-o", tmp_path / output)
    assert code == 2
    assert says in complaint
    assert complaint.startswith("countenance: ")
    assert complaint.count("\n") == 1
    assert printed == ""
    assert sorted(tmp_path.rglob("*")) == before


def test_weights_of_something_else(speech: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from countenance.renderers import gdpw

    weights = next(Path(gdpw.__file__).parent.glob("*.safetensors"))
    code, _, complaint = run(capsys, "talk", speech, "-o", tmp_path / "o.npz", "--voice-model", weights)
    assert code == 2
    assert "does not turn speech into motion" in complaint


@pytest.mark.parametrize(
    ("text", "voice_name", "says"),
    [("", "en-us", "text is empty"), (" \n", "en-us", "text is empty"), ("Hello", "klingonese", "no voice")],
)
def test_nothing_that_can_be_spoken(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, voice_name: str, says: str
) -> None:
    pytest.importorskip("espeakng_loader", reason="espeak-ng is not here: pip install espeakng-loader")
    out = tmp_path / "o.npz"
    code, _, complaint = run(capsys, "talk", "--text", text, "--voice", voice_name, "-o", out)
    assert code == 2
    assert says in complaint
    assert list(tmp_path.iterdir()) == []


def test_a_text_is_spoken(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("espeakng_loader", reason="espeak-ng is not here: pip install espeakng-loader")
    out = tmp_path / "o.npz"
    motion = talk(capsys, "--text", "Papa and mama.", "-o", out, "--json")
    assert 25 < len(motion) < 75
    assert np.ptp(motion["jawOpen"]) > 0.05
    other = talk(capsys, "--text", "Papa and mama and a very long potato.", "--voice", "de", "-o", out)
    assert len(other) > len(motion)


@pytest.mark.parametrize("model", ["transformer-lite", "flow-lite"])
def test_the_same_seed_gives_the_same_motion(
    speech: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], model: str
) -> None:
    out, chosen = tmp_path / "o.npz", ("--voice-model", model)
    one, same, other = (talk(capsys, speech, "-o", out, *chosen, "--seed", seed) for seed in (4, 4, 5))
    assert (len(one), one.fps) == (38, 25.0)
    np.testing.assert_array_equal(one.values, same.values)
    lips = np.abs(one.values - other.values)[:, LIPS].mean()
    head = np.abs(one["yaw", "pitch", "roll"] - other["yaw", "pitch", "roll"]).mean()
    assert head > 0.002
    assert lips < (1e-6 if model == "transformer-lite" else 0.03)
    assert one["jawOpen"].std() > 0.01


def test_lips_follow_the_sound(shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The mouth is wider open in loud parts, and best so at the moment itself."""
    recording = shared / "data" / "audio" / "en_male.flac"
    motion = talk(capsys, recording, "-o", tmp_path / "o.npz", "--pose", "none")
    from countenance.audio.features import speech_features
    from countenance.audio.samples import read_samples

    loudness = speech_features(read_samples(recording)).loudness
    opening = motion["jawOpen"] - motion["mouthClose"]
    fits = [np.corrcoef(opening[10:-10], np.roll(loudness, lag)[10:-10])[0, 1] for lag in range(-8, 9)]
    assert max(fits) > 0.3
    assert abs(int(np.argmax(fits)) - 8) <= 3
    assert np.ptp(motion.values[:, POSE], 0).max() < 1e-6


def test_several_performances(speech: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, printed, _ = run(
        capsys, "talk", speech, "-o", tmp_path / "o.npz", "--count", 2, "--seed", 4, "--json"
    )
    assert code == 0
    outputs = [tmp_path / "o_1.npz", tmp_path / "o_2.npz"]
    assert json.loads(printed)["outputs"] == [str(path) for path in outputs]
    assert json.loads(printed)["frames"] == 38
    assert sorted(tmp_path.iterdir()) == outputs
    first, second = (cn.load_motion(path) for path in outputs)
    alone = talk(capsys, speech, "-o", tmp_path / "o.npz", "--seed", 5)
    np.testing.assert_array_equal(second.values, alone.values)
    assert (first.values != second.values).any()


def test_csv_for_other_rigs(speech: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = talk(capsys, speech, "-o", tmp_path / "o.npz")
    sheet = talk(capsys, speech, "-o", tmp_path / "o.csv")
    assert len(sheet) == len(whole)
    np.testing.assert_allclose(sheet["jawOpen"], whole["jawOpen"], atol=1e-4)
    np.testing.assert_allclose(sheet["yaw"], whole["yaw"], atol=1e-3)


def test_a_portrait_gives_its_own_face_to_the_motion(
    photo: Path, speech: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = cn.load_portrait(photo).motion
    motion = talk(capsys, photo, speech, "-o", tmp_path / "o.npz")
    np.testing.assert_allclose(motion.values[0, POSE], own.values[0, POSE], atol=1e-5)
    assert own["mouthSmileLeft"][0] > 0.2  # the astronaut smiles
    assert np.median(motion["mouthSmileLeft"]) == pytest.approx(own["mouthSmileLeft"][0], abs=0.1)


def test_emotions_and_settings_are_added(
    speech: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "o.npz"
    plain = talk(capsys, speech, "-o", out)
    smiling = talk(
        capsys, speech, "-o", out, "--emotion", "smile", "--set", "browInnerUp=0.5", "--set", "yaw=10"
    )
    np.testing.assert_allclose(
        smiling["mouthSmileLeft"], (plain["mouthSmileLeft"] + 0.35).clip(0, 1), atol=1e-5
    )
    np.testing.assert_allclose(smiling["browInnerUp"], (plain["browInnerUp"] + 0.5).clip(0, 1), atol=1e-5)
    np.testing.assert_allclose(smiling["yaw"], plain["yaw"] + np.radians(10), atol=1e-5)
    np.testing.assert_array_equal(smiling["jawOpen"], plain["jawOpen"])


def test_heads_follow_a_motion_file(
    speech: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from countenance.pipeline import drivers

    nod = Motion.neutral(ARKIT, 10, 25.0).set(pitch=0.02 * np.arange(10))
    cn.save_motion(tmp_path / "nod.npz", nod)
    read: list[Path] = []
    original = drivers.driver_motion

    def once(path: Path, **more: Any) -> Motion:
        read.append(path)
        return original(path, **more)

    monkeypatch.setattr(drivers, "driver_motion", once)
    given = ("-o", tmp_path / "o.npz", "--pose-from", tmp_path / "nod.npz", "--count", 2)
    assert run(capsys, "talk", speech, *given)[0] == 0
    for number in (1, 2):
        pitch = cn.load_motion(tmp_path / f"o_{number}.npz")["pitch"]
        np.testing.assert_allclose(pitch[:19], 0.02 * np.array([*range(10), *range(8, -1, -1)]), atol=1e-5)
    assert len(read) == 1  # a video would be tracked each time


def sane(motion: Motion) -> None:
    assert np.isfinite(motion.values).all()
    expression = ARKIT.region_indices("expression")
    assert motion.values[:, expression].min() >= -1e-6
    assert motion.values[:, expression].max() <= 1 + 1e-6
    assert np.abs(motion["yaw", "pitch", "roll"]).max() < 0.8
    assert np.abs(motion["x", "y", "logScale"]).max() < 0.5


def strange_sounds() -> dict[str, tuple[Floats, int]]:
    rng = np.random.default_rng(0)
    talking = voice(2.0)
    broken = talking.copy()
    broken[9_000:9_100] = np.nan
    return {
        "white noise": ((0.2 * rng.normal(size=2 * RATE)).astype(np.float32), RATE),
        "clipping": ((30 * talking).clip(-1, 1), RATE),
        "telephone": (resample_poly(talking, 1, 2).astype(np.float32), 8_000),
        "a moment": (talking[6_000:6_800], RATE),
        "one sample": (talking[6_000:6_001], RATE),
        "out of phase": (np.stack([talking, -talking]), RATE),
        "quiet": (0.01 * talking, RATE),
        "constant": (0.2 + 0.1 * talking, RATE),
        "NaN": (broken, RATE),
        "tone": (np.sin(np.arange(2 * RATE) * 0.3).astype(np.float32), RATE),
    }


@pytest.mark.parametrize("kind", strange_sounds())
@pytest.mark.parametrize("model", ["transformer-lite", "flow-lite"])
def test_strange_sounds_give_sane_motion(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str, model: str
) -> None:
    samples, rate = strange_sounds()[kind]
    path = write_sound(tmp_path / "strange.wav", samples, rate, "pcm_f32le")
    motion = talk(capsys, path, "-o", tmp_path / "o.npz", "--voice-model", model)
    assert len(motion) == max(1, round(samples.shape[-1] / rate * 25))
    sane(motion)
    if kind in ("clipping", "telephone", "out of phase", "quiet", "constant"):
        assert np.ptp(motion["jawOpen"]) > 0.08  # it is still speech


@pytest.mark.parametrize("level", [0.0, 1e-4])
@pytest.mark.parametrize("model", ["transformer-lite", "flow-lite"])
def test_silence_keeps_the_mouth_shut_and_the_eyes_blinking(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], level: float, model: str
) -> None:
    samples = (level * np.random.default_rng(0).normal(size=12 * RATE)).astype(np.float32)
    path = write_sound(tmp_path / "silence.wav", samples)
    motion = talk(capsys, path, "-o", tmp_path / "o.npz", "--voice-model", model)
    assert len(motion) == 300
    sane(motion)
    assert motion[PARTING].max() == 0
    assert motion["eyeBlinkLeft"].max() > 0.8
    assert talk(capsys, path, "-o", tmp_path / "o.npz", "--no-blink")["eyeBlinkLeft"].max() < 0.8


def heard(path: Path) -> tuple[Floats, float, int]:
    """Samples of the first channel as they are played from the first picture on, their end in s, and their rate."""
    with av.open(str(path)) as container:
        blocks = [(f.time, f.to_ndarray()[0], f.sample_rate) for f in container.decode(audio=0)]
    rate = blocks[0][2]
    end = max(time + len(samples) / rate for time, samples, _ in blocks)
    played = np.zeros(round(end * rate) + 1, np.float32)
    for time, samples, _ in blocks:
        first = round(time * rate)
        played[max(0, first) : first + len(samples)] = samples[max(0, -first) :]
    return played, end, rate


@pytest.mark.parametrize(("suffix", "source"), [(".mp4", ".wav"), (".webm", ".mp3"), (".mp4", ".m4a")])
def test_a_video_with_its_sound(
    photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], suffix: str, source: str
) -> None:
    samples = voice(1.5, seed=1)
    recording = write_sound(tmp_path / f"speech{source}", samples)
    out = tmp_path / f"out{suffix}"
    code, printed, complaint = run(
        capsys, "talk", photo, recording, "-o", out, "--model", "geometric", "--json"
    )
    assert code == 0, complaint
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([out.name, recording.name])
    with VideoReader(out) as video:
        frames = [frame.image.astype(int) for frame in video.frames()]
        assert video.fps == 25
        assert video.has_audio
    assert json.loads(printed)["frames"] == len(frames)
    assert abs(len(frames) - 37.5) <= 2  # mp4 sound comes in blocks of 1024
    assert frames[0].shape == (192, 192, 3)
    mouth = np.array([frame[70:150, 60:140] for frame in frames])
    assert mouth.std(0).max() > 8  # it moves
    played, end_s, rate = heard(out)
    assert abs(end_s - len(frames) / 25) <= 1 / 25
    original = resample_poly(samples, rate, RATE)
    fit = correlate(played, original)
    lag_s = correlation_lags(len(played), len(original))[fit.argmax()] / rate
    assert abs(lag_s) < 0.04
    assert fit.max() > 0.9 * np.linalg.norm(original) * np.linalg.norm(played)
    texts = read_metadata(out)
    assert texts["synthetic"] == "true"
    assert "geometric" in texts["comment"]


@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
@pytest.mark.parametrize(("sound_s", "pictures_s"), [(0.4, 0.0), (0.0, 0.2)])
def test_the_sound_of_a_film_begins_with_its_pictures(
    photo: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    suffix: str,
    sound_s: float,
    pictures_s: float,
) -> None:
    """Lips are made for the sound as it is played: both are heard where the film has them."""
    samples = voice(1.2, seed=2)
    film = write_film(tmp_path / "film.mkv", samples, sound_s=sound_s, pictures_s=pictures_s)
    out = tmp_path / f"out{suffix}"
    code, _, complaint = run(capsys, "talk", photo, film, "-o", out, "--model", "geometric")
    assert code == 0, complaint
    played, _, rate = heard(out)
    original = resample_poly(samples, rate, RATE)
    fit = correlate(played, original)
    lag_s = correlation_lags(len(played), len(original))[fit.argmax()] / rate
    assert abs(lag_s - (sound_s - pictures_s)) < 0.04


@pytest.mark.parametrize(
    ("name", "codec"),
    [("nan.wav", "pcm_f32le"), ("cut.flac", None), ("damaged.mp3", None), ("damaged.flac", None)],
)
def test_damaged_sound_makes_a_video(
    photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, codec: str | None
) -> None:
    samples = voice(1.2)
    if codec:
        samples[9_000:9_100] = np.nan
    recording = write_sound(tmp_path / name, samples, codec=codec)
    content = recording.read_bytes()
    middle = len(content) // 2
    if name.startswith("cut"):
        recording.write_bytes(content[: 2 * middle * 3 // 4])
    elif name.startswith("damaged"):
        recording.write_bytes(content[:middle] + b"?" * 120 + content[middle + 120 :])
    out = tmp_path / "out.mp4"
    code, _, complaint = run(capsys, "talk", photo, recording, "-o", out, "--model", "geometric")
    assert code == 0, complaint
    with VideoReader(out) as video:
        frames = sum(1 for _ in video.frames())
    played, end_s, _ = heard(out)
    assert frames > 5
    assert np.isfinite(played).all()
    assert abs(end_s - frames / 25) < 0.12


def test_only_the_square_as_pictures(photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recording, out = write_sound(tmp_path / "speech.wav", voice(0.2)), tmp_path / "frames"
    assert run(capsys, "talk", photo, recording, "-o", out, "--model", "geometric", "--crop")[0] == 0
    pictures = sorted(out.iterdir())
    assert len(pictures) == 5
    width, height = Image.open(pictures[0]).size
    assert width == height
    assert read_image_metadata(pictures[0])["synthetic"] == "true"


def test_ctrl_c_leaves_nothing(
    photo: Path,
    speech: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from countenance.renderers.geometric import renderer

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(renderer, "drive", interrupted)
    code, _, complaint = run(capsys, "talk", photo, speech, "-o", tmp_path / "o.mp4", "--model", "geometric")
    assert code == 130
    assert "interrupted" in complaint
    assert list(tmp_path.iterdir()) == []


def test_offsets_may_take_away() -> None:
    assert parse_offsets(["mouthSmileLeft=-0.4", "yaw=10"], ARKIT) == pytest.approx(
        {"mouthSmileLeft": -0.4, "yaw": math.radians(10)}
    )
    with pytest.raises(BadValue, match="outside"):
        parse_offsets(["mouthSmileLeft=-1.4"], ARKIT)
    with pytest.raises(UnknownName, match="mouthSmileLeft"):
        parse_offsets(["mouthSmileLeff=0.1"], ARKIT)
