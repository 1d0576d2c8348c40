"""All that listen take the first sound track that can be decoded, and nothing of what a file declares hurts."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from countenance.audio.samples import RATE, all_samples, read_samples
from countenance.errors import MediaDamaged, MediaUnreadable
from countenance.media.decoding.sound_tracks import sound_track
from countenance.media.video import VideoReader
from countenance.media.writer import AudioSource, VideoWriter
from films import flat, write_pictures
from sounds import burst, onset, write_film, write_sound


def with_tracks(path: Path, known: list[bool]) -> Path:
    """A film with one sound track each; the moment of its burst tells which, and unknown ones are of no known codec."""
    with av.open(str(path), "w") as container:
        pictures: Any = container.add_stream("libx264", rate=25)
        pictures.width, pictures.height, pictures.pix_fmt = 32, 32, "yuv420p"
        tracks = [container.add_stream("aac", rate=RATE, layout="mono") for _ in known]
        for _ in range(25):
            frame = av.VideoFrame.from_ndarray(flat(99, 32, 32), format="rgb24")
            container.mux(pictures.encode(frame))
        container.mux(pictures.encode(None))
        for i, track in enumerate(tracks):
            block = av.AudioFrame.from_ndarray(burst(1.0, 0.2 + 0.2 * i)[None], format="fltp", layout="mono")
            block.rate, block.pts = RATE, 0
            container.mux([*track.encode(block), *track.encode(None)])
    content = bytearray(path.read_bytes())
    entries = [
        at
        for at in range(len(content))
        if content[at : at + 4] == b"mp4a" and b"stsd" in content[at - 24 : at]
    ]
    for at, is_known in zip(entries, known, strict=True):
        if not is_known:
            content[at : at + 4] = b"apac"
            esds = content.index(b"esds", at)
            content[esds : esds + 4] = b"dapa"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("known", [[True, False], [False, True], [False, False, True], [True, True]])
@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
def test_the_first_track_that_can_be_decoded(tmp_path: Path, known: list[bool], suffix: str) -> None:
    path = with_tracks(tmp_path / "t.mov", known)
    track = known.index(True)
    assert sound_track(path) == track
    assert abs(onset(all_samples(path)) / RATE - 0.2 - 0.2 * track) < 0.01
    with VideoReader(path) as video:
        assert video.has_audio
    written = muxed(tmp_path / f"o{suffix}", AudioSource(path))
    assert abs(onset(all_samples(written)) / RATE - 0.2 - 0.2 * track) < 0.05


def test_no_track_that_can_be_decoded_is_silence_with_a_note(tmp_path: Path) -> None:
    path = with_tracks(tmp_path / "t.mov", [False, False])
    with VideoReader(path) as video:
        with pytest.warns(MediaDamaged, match="counts as silent"):
            assert not video.has_audio
        assert sum(1 for _ in video.frames()) == 25
    with pytest.raises(MediaUnreadable, match="no samples that can be decoded"):
        read_samples(path)


def test_a_track_of_a_known_codec_that_is_all_damage(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, RATE).astype(np.float32)
    path = write_film(tmp_path / "f.mkv", noise)
    content = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        blocks = [bytes(packet) for packet in container.demux(audio=0) if packet.size]
    for block in blocks:
        content = content.replace(block, b"\xaa" * len(block))
    path.write_bytes(content)
    with VideoReader(path) as video, pytest.warns(MediaDamaged):
        assert not video.has_audio


def test_a_film_without_sound_says_nothing(tmp_path: Path) -> None:
    with VideoReader(write_pictures(tmp_path / "s.mp4", [flat(9)] * 3)) as video:
        assert not video.has_audio


def wave(path: Path, rate: int, channels: int = 1, declared: int | None = None, samples: int = 4000) -> Path:
    """A WAV file with any numbers in its header."""
    body = bytes(2 * channels * samples)
    kind = struct.pack(
        "<HHIIHH", 1, channels, rate, (rate * 2 * channels) % 2**32, (2 * channels) % 2**16, 16
    )
    size = len(body) if declared is None else declared
    path.write_bytes(
        b"RIFF"
        + struct.pack("<I", (36 + size) % 2**32)
        + b"WAVEfmt "
        + struct.pack("<I", 16)
        + kind
        + b"data"
        + struct.pack("<I", size)
        + body
    )
    return path


@pytest.mark.parametrize("rate", [0, 1, 999, 1_000_000, 2**31 - 1, 2**32 - 1])
def test_rates_that_no_sound_has(tmp_path: Path, rate: int) -> None:
    with pytest.raises(MediaUnreadable):
        read_samples(wave(tmp_path / "w.wav", rate))


@pytest.mark.parametrize("rate", [4000, 8000, 192_000, 384_000])
def test_rates_that_sound_has(tmp_path: Path, rate: int) -> None:
    samples = all_samples(wave(tmp_path / "w.wav", rate, samples=rate // 2))
    assert len(samples) == pytest.approx(RATE / 2, abs=RATE // 50)


@pytest.mark.parametrize("channels", [0, 9, 255, 65_535])
def test_channels_that_cannot_be_mixed(tmp_path: Path, channels: int) -> None:
    with pytest.raises(MediaUnreadable):
        read_samples(wave(tmp_path / "w.wav", 16_000, channels, samples=200))


def test_a_length_that_is_only_promised(tmp_path: Path) -> None:
    assert len(all_samples(wave(tmp_path / "w.wav", RATE, declared=2**32 - 1, samples=RATE))) == RATE


@pytest.mark.parametrize("late_s", [100, 1e6])
def test_sound_that_begins_long_after_the_pictures_is_not_waited_for(tmp_path: Path, late_s: float) -> None:
    path = write_film(tmp_path / "late.mkv", burst(1.0, 0.5), sound_s=late_s)
    samples = all_samples(path)
    assert len(samples) < 2 * RATE
    assert abs(onset(samples) / RATE - 0.5) < 0.05


def test_what_a_writer_cannot_mix_is_an_error_of_ours(tmp_path: Path) -> None:
    source = AudioSource(wave(tmp_path / "w.wav", 16_000, 11))
    with pytest.raises(MediaUnreadable, match="mixed"):
        muxed(tmp_path / "o.mp4", source)
    assert not (tmp_path / "o.mp4").exists()


def muxed(path: Path, source: AudioSource) -> Path:
    """Two seconds of grey with a file's sound."""
    with VideoWriter(path, 25, 32, 32, audio=source) as writer:
        for _ in range(50):
            writer.write(flat(9, 32, 32))
    return path


def test_joined_sound_of_two_kinds_is_muxed(tmp_path: Path) -> None:
    bare = {"write_xing": "0"}
    one = write_sound(tmp_path / "one.mp3", burst(1.0, 0.5, 44_100), 44_100, options=bare)
    two = write_sound(tmp_path / "two.mp3", np.stack([burst(1.0, 0.25, 44_100)] * 2), 44_100, options=bare)
    joined = tmp_path / "joined.mp3"
    joined.write_bytes(one.read_bytes() + two.read_bytes())
    samples = all_samples(muxed(tmp_path / "o.webm", AudioSource(joined)))
    assert abs(onset(samples) / RATE - 0.5) < 0.06
    assert abs(onset(samples[RATE:]) / RATE - 0.25) < 0.12
