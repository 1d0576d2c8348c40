from __future__ import annotations

import tracemalloc
import wave
from pathlib import Path

import av
import numpy as np
import pytest

from countenance.arrays import Floats
from countenance.audio.samples import RATE, all_samples, read_samples, write_wave
from countenance.errors import MediaUnreadable, OutputUnwritable
from sounds import burst, onset, voice, write_film, write_sound


@pytest.mark.parametrize(
    ("name", "rate", "codec"),
    [
        ("telephone.wav", 8_000, "pcm_mulaw"),
        ("a.wav", 8_000, "pcm_s16le"),
        ("a.wav", 16_000, "pcm_s16le"),
        ("a.wav", 44_100, "pcm_s24le"),
        ("a.wav", 48_000, "pcm_f32le"),
        ("a.mp3", 44_100, None),
        ("a.m4a", 48_000, None),
        ("a.flac", 22_050, None),
        ("a.ogg", 48_000, None),
        ("a.webm", 48_000, None),
    ],
)
@pytest.mark.parametrize("channels", [1, 2])
def test_every_format_keeps_time_and_level(
    tmp_path: Path, name: str, rate: int, codec: str | None, channels: int
) -> None:
    made = burst(1.0, 0.5, rate)
    path = write_sound(tmp_path / name, made if channels == 1 else np.stack([made, made]), rate, codec)
    samples = all_samples(path)
    assert samples.dtype == np.float32
    assert 16_000 <= len(samples) <= 16_000 + 1152 * RATE // rate  # encoders fill their last block
    assert abs(onset(samples) - 8_000) <= 16  # a millisecond
    inside = samples[8_080:8_720]
    assert np.sqrt(np.mean(inside**2)) == pytest.approx(0.8 / np.sqrt(2), rel=0.06)
    assert np.abs(samples[:7_500]).max() < 0.05


def test_an_8_bit_recording(tmp_path: Path) -> None:
    path = tmp_path / "old.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 1, 11_025, 0, "NONE", ""))
        file.writeframes((127.5 + 127 * burst(1.0, 0.5, 11_025)).astype(np.uint8).tobytes())
    assert abs(onset(all_samples(path)) - 8_000) <= 16


def test_channels_are_averaged(tmp_path: Path) -> None:
    made = burst(0.5, 0.1)
    both = all_samples(write_sound(tmp_path / "both.wav", np.stack([made, 0.5 * made])))
    np.testing.assert_allclose(both, 0.75 * made, atol=1e-3)
    one = all_samples(write_sound(tmp_path / "one.wav", np.stack([0 * made, made])))
    np.testing.assert_allclose(one, 0.5 * made, atol=1e-3)


@pytest.mark.parametrize("shares", [(1.0, -1.0), (0.8, -1.0), (-1.0, 0.9)])
def test_channels_out_of_phase_do_not_vanish(tmp_path: Path, shares: tuple[float, float]) -> None:
    made = voice(1.0)
    path = write_sound(tmp_path / "phase.wav", np.stack([share * made for share in shares]))
    louder = shares[int(abs(shares[1]) > abs(shares[0]))]
    np.testing.assert_allclose(all_samples(path), louder * made, atol=1e-3)


def test_what_is_too_loud_is_clipped(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "loud.wav", 5 * burst(0.5, 0.1), codec="pcm_f32le")
    samples = all_samples(path)
    assert samples.max() == 1
    assert samples.min() == -1


@pytest.mark.parametrize("rate", [16_000, 44_100])
def test_numbers_that_are_none_become_silence(tmp_path: Path, rate: int) -> None:
    made = burst(1.0, 0.5, rate)
    made[rate // 10 : rate // 10 + 50] = np.nan
    made[rate // 5] = np.inf
    samples = all_samples(write_sound(tmp_path / "nan.wav", made, rate, "pcm_f32le"))
    assert np.isfinite(samples).all()
    assert np.abs(samples).max() <= 1
    assert np.abs(samples[1_650:1_750]).max() < 0.1
    assert abs(onset(samples[6_000:]) - 2_000) <= 16


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
@pytest.mark.parametrize(("sound_s", "pictures_s"), [(0.0, 0.0), (0.4, 0.0), (0.0, 0.2)])
def test_sound_counts_from_the_first_picture(
    tmp_path: Path, suffix: str, sound_s: float, pictures_s: float
) -> None:
    film = write_film(tmp_path / f"film{suffix}", burst(1.0, 0.5), sound_s=sound_s, pictures_s=pictures_s)
    samples = all_samples(film)
    assert abs(onset(samples) / RATE - (0.5 + sound_s - pictures_s)) < 0.003
    assert len(samples) / RATE == pytest.approx(1.0 + sound_s - pictures_s, abs=0.07)


def test_a_cover_picture_moves_nothing(tmp_path: Path) -> None:
    from av.stream import Disposition

    path, made = tmp_path / "cover.flac", burst(1.0, 0.5)
    with av.open(str(path), "w") as container:
        sound = container.add_stream("flac", rate=RATE, layout="mono")
        sound.format = "s16"
        cover = container.add_stream("png", rate=1)
        cover.width = cover.height = 16
        cover.pix_fmt, cover.disposition = "rgb24", Disposition.attached_pic
        picture = av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8), format="rgb24")
        picture.pts = 0
        container.mux([*cover.encode(picture), *cover.encode(None)])
        block = av.AudioFrame.from_ndarray(
            (made * 32_767).astype(np.int16)[None], format="s16", layout="mono"
        )
        block.rate = RATE
        container.mux([*sound.encode(block), *sound.encode(None)])
    assert abs(onset(all_samples(path)) - 8_000) <= 1


def unreadable(folder: Path) -> dict[str, Path]:
    files = {name: folder / name for name in ("missing.wav", "empty.wav", "text.wav", "text.txt", "none.wav")}
    files["empty.wav"].write_bytes(b"")
    for name in ("text.wav", "text.txt"):
        files[name].write_text("Good morning, everybody.\n" * 50)
    write_wave(files["none.wav"], np.zeros(0, np.float32))
    files["folder"] = folder
    silent = files["silent.mp4"] = folder / "silent.mp4"
    with av.open(str(silent), "w") as container:
        pictures = container.add_stream("libx264", rate=25)
        pictures.width, pictures.height, pictures.pix_fmt = 32, 32, "yuv420p"
        container.mux(pictures.encode(av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8))))
        container.mux(pictures.encode(None))
    many = files["many.wav"] = folder / "many.wav"
    with wave.open(str(many), "wb") as file:
        file.setparams((11, 2, RATE, 0, "NONE", ""))
        file.writeframes(bytes(2 * 11 * 1600))
    whole = write_sound(folder / "whole.m4a", voice(1.0), 48_000).read_bytes()
    files["cut.m4a"] = folder / "cut.m4a"
    files["cut.m4a"].write_bytes(whole[: len(whole) // 2])  # its table of contents is at its end
    return files


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("missing.wav", "no such file"),
        ("empty.wav", "file is empty"),
        ("text.wav", "no sound"),
        ("text.txt", "no sound"),
        ("none.wav", "no samples"),
        ("folder", "no such file"),
        ("silent.mp4", "it has no sound"),
        ("many.wav", "channels can't be mixed"),
        ("cut.m4a", "no sound"),
    ],
)
def test_what_can_not_be_read_is_said_at_once(tmp_path: Path, name: str, says: str) -> None:
    path = unreadable(tmp_path)[name]
    with pytest.raises(MediaUnreadable, match=says) as caught:
        read_samples(path)
    assert caught.value.path == path


@pytest.mark.parametrize("suffix", [".wav", ".mp3", ".flac", ".ogg"])
def test_a_file_that_was_cut_off_gives_what_it_has(tmp_path: Path, suffix: str) -> None:
    pages = {"page_duration": "200000"} if suffix == ".ogg" else {}
    path = write_sound(tmp_path / f"whole{suffix}", voice(4.0), options=pages)
    whole, cut = all_samples(path), tmp_path / f"cut{suffix}"
    content = path.read_bytes()
    cut.write_bytes(content[: len(content) // 2])
    part = all_samples(cut)
    assert 0.1 < len(part) / len(whole) < 0.7
    sure = len(part) - 2_000  # what follows the cut tells on the last block
    np.testing.assert_allclose(part[:sure], whole[:sure], atol=0.02)


@pytest.mark.parametrize(("suffix", "lost_s"), [(".mp3", 0.08), (".flac", 0.08), (".ogg", 0.03)])
def test_damage_in_the_middle_costs_a_moment(tmp_path: Path, suffix: str, lost_s: float) -> None:
    pages = {"page_duration": "100000"} if suffix == ".ogg" else {}
    made = burst(3.0, 2.5) + 1e-3 * np.random.default_rng(0).normal(size=48_000).astype(np.float32)
    path = write_sound(tmp_path / f"damaged{suffix}", made, options=pages)
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 120] = b"?" * 120
    path.write_bytes(content)
    samples = all_samples(path)
    assert np.isfinite(samples).all()
    late = samples[int(2.2 * RATE) :]
    assert abs(onset(late) / RATE - 0.3) < lost_s  # a block, unless the file says when each block sounds


def test_joined_files_of_different_kinds(tmp_path: Path) -> None:
    bare = {"write_xing": "0"}  # a header that says how long the file is would end it there
    one = write_sound(tmp_path / "one.mp3", burst(1.0, 0.5, 44_100), 44_100, options=bare)
    two = write_sound(tmp_path / "two.mp3", np.stack([burst(1.0, 0.25, 44_100)] * 2), 44_100, options=bare)
    joined = tmp_path / "joined.mp3"
    joined.write_bytes(one.read_bytes() + two.read_bytes())
    samples = all_samples(joined)
    assert len(samples) / RATE == pytest.approx(2.0, abs=0.12)
    assert abs(onset(samples) / RATE - 0.5) < 0.04
    assert abs(onset(samples[16_000:]) / RATE - 0.25) < 0.1


@pytest.mark.parametrize("rate", [8_000, 44_100])
def test_a_moment_of_sound_is_not_lost(tmp_path: Path, rate: int) -> None:
    made = np.full(rate // 100, 0.5, np.float32)
    assert abs(len(all_samples(write_sound(tmp_path / "moment.wav", made, rate))) - 160) <= 1


def test_blocks_keep_memory_small(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "long.wav", np.tile(burst(1.0, 0.5), 60))
    blocks = read_samples(path)
    tracemalloc.start()
    try:
        sizes = [len(block) for block in blocks]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert min(sizes) > 0
    assert sum(sizes) == 60 * RATE
    assert peak < 1e6  # the whole is 3.8 MB


def test_written_waves_come_back(tmp_path: Path) -> None:
    made: Floats = voice(0.5)
    made[10:12] = 3, -3
    path = tmp_path / "w.wav"
    write_wave(path, made)
    np.testing.assert_allclose(all_samples(path), made.clip(-1, 1), atol=2e-4)
    with pytest.raises(OutputUnwritable, match="mkdir -p"):
        write_wave(tmp_path / "missing" / "w.wav", made)
    assert [p.name for p in tmp_path.iterdir()] == ["w.wav"]
