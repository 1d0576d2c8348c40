from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from countenance.errors import BadValue, MediaUnreadable, OutputUnwritable
from countenance.media.kinds import kind_of
from countenance.media.video import VideoReader, read_metadata
from countenance.media.writer import AudioSource, VideoWriter


def flat(level: int, width: int = 64, height: int = 48) -> np.ndarray:
    return np.full((height, width, 3), level, np.uint8)


def write(path: Path, frames: int = 10, **options: object) -> Path:
    with VideoWriter(path, 25, 64, 48, **options) as writer:  # type: ignore[arg-type]
        for i in range(frames):
            writer.write(flat(20 * i))
    return path


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".webm", ".gif"])
def test_frames_and_marks_come_back(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path / f"v{suffix}", metadata={"comment": "made by a test", "synthetic": "true"})
    with VideoReader(path) as video:
        levels = [int(frame.image.mean()) for frame in video.frames()]
    assert np.abs(np.array(levels) - 20 * np.arange(10)).max() <= (12 if suffix == ".gif" else 4)
    assert read_metadata(path)["synthetic"] == "true"
    assert kind_of(path) == "video"


@pytest.mark.parametrize("colour", [(255, 0, 0), (0, 200, 40), (30, 60, 220), (235, 200, 180)])
def test_colours_keep_their_value(tmp_path: Path, colour: tuple[int, int, int]) -> None:
    path = tmp_path / "c.mp4"
    with VideoWriter(path, 25, 64, 64) as writer:
        writer.write(np.full((64, 64, 3), colour, np.uint8))
    with VideoReader(path) as video:
        seen = next(iter(video.frames())).image[20:40, 20:40].reshape(-1, 3).mean(0)
    assert np.abs(seen - colour).max() <= 4


def test_uneven_times_become_a_constant_rate(tmp_path: Path) -> None:
    path = tmp_path / "vfr.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=100)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 100)
        for i, hundredth in enumerate((0, 4, 8, 40, 44, 100)):
            frame = av.VideoFrame.from_ndarray(flat(40 * i), format="rgb24")
            frame.pts, frame.time_base = hundredth, Fraction(1, 100)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with VideoReader(path) as video:
        frames = list(video.frames(25.0))
    assert [f.time_s for f in frames] == pytest.approx([i / 25 for i in range(len(frames))])
    levels = [round(f.image.mean() / 40) for f in frames]
    assert levels[:3] == [0, 1, 2]
    assert levels == sorted(levels)
    assert levels[5] == 2
    assert levels[7] == 3


def test_frames_are_read_one_at_a_time(tmp_path: Path) -> None:
    with VideoReader(write(tmp_path / "v.mp4")) as video:
        frames = video.frames()
        assert next(frames).time_s == 0
        assert next(frames).time_s == pytest.approx(0.04)


def test_every_clip_has_the_frames_of_its_manifest(shared: Path) -> None:
    import json

    for line in (shared / "data" / "heads" / "manifest.jsonl").read_text().splitlines():
        entry = json.loads(line)
        if entry["split"] == "test":
            with VideoReader(shared / "data" / entry["file"]) as video:
                assert sum(1 for _ in video.frames()) == entry["frames"]
                assert video.damage is None


def test_a_cut_off_video_gives_what_it_has(shared: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.mp4"
    cut.write_bytes((shared / "data" / "heads" / "test" / "p101_01.mp4").read_bytes()[:60_000])
    with VideoReader(cut) as video:
        count = sum(1 for _ in video.frames())
        assert 0 < count < 200
        assert "of 200 frames" in str(video.damage)


def test_sound_without_pictures(shared: Path) -> None:
    path = shared / "data" / "audio" / "de.flac"
    assert kind_of(path) == "audio"
    with pytest.raises(MediaUnreadable, match="sound but no pictures"):
        VideoReader(path)


@pytest.mark.parametrize("suffix", [".mp4", ".webm", ".mkv"])
def test_sound_is_cut_to_the_pictures(shared: Path, tmp_path: Path, suffix: str) -> None:
    source = AudioSource(shared / "data" / "heads" / "test" / "p101_01.mp4")
    path = write(tmp_path / f"v{suffix}", frames=50 // 5, audio=source)
    with av.open(str(path)) as container:
        samples = sum(f.samples / f.sample_rate for f in container.decode(audio=0))
    assert samples == pytest.approx(0.4, abs=0.08)


def test_a_beep_stays_with_its_flash(tmp_path: Path) -> None:
    rate, beep_s = 16_000, 0.6
    wav = tmp_path / "beep.wav"
    tone = np.zeros(rate, np.float32)
    tone[int(beep_s * rate) : int((beep_s + 0.1) * rate)] = 0.8 * np.sin(np.arange(1600) * 0.4)
    with av.open(str(wav), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=rate, layout="mono")
        frame = av.AudioFrame.from_ndarray((tone * 32767).astype(np.int16)[None], format="s16", layout="mono")
        frame.rate = rate
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    path = tmp_path / "flash.mp4"
    with VideoWriter(path, 25, 64, 48, audio=AudioSource(wav)) as writer:
        for i in range(25):
            writer.write(flat(250 if i == 15 else 0))
    with VideoReader(path) as video:
        flash_s = next(f.time_s for f in video.frames() if f.image.mean() > 120)
    with av.open(str(path)) as container:
        heard = [
            (f.time + k / f.sample_rate)
            for f in container.decode(audio=0)
            for k in np.flatnonzero(np.abs(f.to_ndarray()[0]) > 0.3)[:1]
        ]
    assert abs(heard[0] - flash_s) <= 1 / 25


@pytest.mark.parametrize("failure", [RuntimeError, KeyboardInterrupt, OSError])
def test_a_failure_keeps_the_old_file_and_leaves_no_debris(
    tmp_path: Path, failure: type[BaseException]
) -> None:
    path = write(tmp_path / "v.mp4")
    before = path.read_bytes()
    expected = OutputUnwritable if failure is OSError else failure
    error = failure(28, "No space left on device") if failure is OSError else failure()
    with pytest.raises(expected), VideoWriter(path, 25, 64, 48) as writer:  # noqa: PT012 - the failure is inside
        writer.write(flat(9))
        raise error
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_outputs_that_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(OutputUnwritable, match="mkdir -p"):
        VideoWriter(tmp_path / "missing" / "v.mp4", 25, 64, 48)
    with pytest.raises(OutputUnwritable, match="no video format"):
        VideoWriter(tmp_path / "v.xyz", 25, 64, 48)
    with pytest.raises(BadValue, match=r"0\.1 to 480"):
        VideoWriter(tmp_path / "v.mp4", 0, 64, 48)
    with pytest.raises(BadValue, match="shape"), VideoWriter(tmp_path / "v.mp4", 25, 64, 48) as writer:
        writer.write(flat(0, width=32))
    assert list(tmp_path.iterdir()) == []


def test_odd_sizes_are_padded(tmp_path: Path) -> None:
    path = tmp_path / "odd.mp4"
    with VideoWriter(path, 25, 63, 47) as writer:
        writer.write(flat(90, 63, 47))
    with VideoReader(path) as video:
        assert (video.width, video.height) == (64, 48)
