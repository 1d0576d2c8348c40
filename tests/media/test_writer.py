"""Videos: what they hold, how long they are, and what is refused or said."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import PIL.Image
import pytest
from skimage import data

from countenance.arrays import Image
from countenance.errors import BadValue, HardToPlay, OutputUnwritable, TransparencyLost
from countenance.media.alpha import over_white
from countenance.media.video import VideoReader
from countenance.media.writer import AudioSource, VideoWriter, check_output

SUFFIXES = (".mp4", ".mov", ".mkv", ".webm", ".gif", "")
RATE = 16_000


def cutout(side: int = 64) -> Image:
    """A face whose surroundings are clear, softly."""
    rows, columns = np.mgrid[:side, :side] - (side - 1) / 2
    away = np.hypot(rows, columns) / (side / 2)
    alpha = (np.clip((0.9 - away) / 0.2, 0, 1) * 255).astype(np.uint8)
    face = PIL.Image.fromarray(data.astronaut()[20:220, 120:320]).resize((side, side))
    return np.dstack([np.asarray(face), alpha])


def write(path: Path, image: Image, count: int = 1, fps: float = 25, **options: Any) -> Path:
    height, width, channels = image.shape
    with VideoWriter(path, fps, width, height, alpha=channels == 4, **options) as writer:
        for _ in range(count):
            writer.write(image)
    return path


def grey(width: int = 64, height: int = 48) -> Image:
    return np.full((height, width, 3), 90, np.uint8)


# GIF.


def delays_cs(path: Path) -> list[int]:
    """How long a GIF shows each frame, in hundredths of a second."""
    with PIL.Image.open(path) as gif:
        found = []
        for number in range(getattr(gif, "n_frames", 1)):
            gif.seek(number)
            found.append(round(gif.info["duration"] / 10))
    return found


@pytest.mark.parametrize("fps", [50, 40, 30, 29.97, 24, 12.5, 7, 0.5])
def test_a_gif_lasts_as_long_as_it_should(tmp_path: Path, fps: float) -> None:
    path = tmp_path / "a.gif"
    with VideoWriter(path, fps, 32, 32) as writer:
        for i in range(31):
            writer.write(np.full((32, 32, 3), 8 * i, np.uint8))
    shown = delays_cs(path)
    assert len(shown) == 31
    assert sum(shown) == pytest.approx(31 * 100 / fps, abs=1)
    assert min(shown) >= 2
    assert max(shown) - min(shown) <= 1


def test_too_fast_for_a_gif(tmp_path: Path) -> None:
    for make in (lambda p: check_output(p, 120.0), lambda p: VideoWriter(p, 120.0, 64, 48)):
        with pytest.raises(OutputUnwritable, match=r"can't show 120 frames a second; give --fps 50 or less"):
            make(tmp_path / "a.gif")
    check_output(tmp_path / "a.mp4", 120.0)
    assert list(tmp_path.iterdir()) == []


# Numbers.


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_rates_and_sizes_outside_their_range(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    for fps in (0, -1, float("nan"), float("inf"), 1e-5, 1000, "25", None):
        with pytest.raises(BadValue, match=r"frame rate is .*; give 0\.1 to 480"):
            VideoWriter(path, fps, 64, 48)  # type: ignore[arg-type]
    for side in (0, -2, 15, 12_001, float("nan")):
        with pytest.raises(BadValue, match="16 to 12000 pixels"):
            VideoWriter(path, 25, 64, side)  # type: ignore[arg-type]
    with pytest.raises(BadValue, match="16 to 12000 pixels"):
        VideoWriter(path, 25, 64, 48, max_side_px=0)
    assert list(tmp_path.iterdir()) == []


# Transparency.


def test_frames_in_a_folder_keep_alpha(tmp_path: Path) -> None:
    write(tmp_path / "frames", cutout())
    with PIL.Image.open(tmp_path / "frames" / "00000.png") as picture:
        np.testing.assert_array_equal(np.asarray(picture), cutout())


def test_a_webm_keeps_alpha(tmp_path: Path) -> None:
    path = write(tmp_path / "a.webm", cutout(), count=3)
    decoder = av.codec.CodecContext.create("libvpx-vp9", "r")  # FFmpeg's own decoder passes over alpha
    with av.open(str(path)) as container:
        assert container.streams.video[0].metadata["alpha_mode"] == "1"
        seen = [f.to_ndarray(format="rgba") for p in container.demux(video=0) for f in decoder.decode(p)]  # type: ignore[attr-defined]
    assert len(seen) == 3
    expected = cutout().astype(int)
    assert np.abs(seen[0][..., 3] - expected[..., 3]).mean() < 2
    assert np.abs(seen[0] - expected)[expected[..., 3] == 255].mean() < 8


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".gif"])
def test_other_videos_are_laid_over_white_and_say_so(tmp_path: Path, suffix: str) -> None:
    with pytest.warns(TransparencyLost, match=rf"a\{suffix} is laid over white; to keep .* write a \.webm"):
        path = write(tmp_path / f"a{suffix}", cutout(), 2)
    with VideoReader(path) as video:
        seen = next(video.frames()).image.astype(int)
    assert np.abs(seen - over_white(cutout()[..., :3], cutout()[..., 3])).mean() < 9
    assert seen[0, 0].min() > 248


def test_opaque_frames_say_nothing(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for suffix in SUFFIXES:
            write(tmp_path / f"a{suffix}", cutout()[..., :3].copy())
    with pytest.raises(BadValue, match="shape"), VideoWriter(tmp_path / "b.webm", 25, 64, 64) as writer:
        writer.write(cutout())


# Sizes.


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_large_frames_are_shrunk_on_demand(tmp_path: Path, suffix: str) -> None:
    stripes = grey(128, 96)
    stripes[:, ::2] = 150
    path = write(tmp_path / f"a{suffix}", stripes, 2, max_side_px=64)
    with VideoReader(path) as video:
        assert (video.width, video.height) == (64, 48)
        assert next(video.frames()).image.mean() == pytest.approx(120, abs=6)


def level_in(path: Path) -> int:
    """Ten times the level that the file itself names (its avcC box)."""
    with av.open(str(path)) as container:
        header = container.streams.video[0].codec_context.extradata
    assert header is not None
    return header[3]


def test_what_few_players_can_show_is_said(tmp_path: Path) -> None:
    large = grey(1920, 1080)
    with pytest.warns(
        HardToPlay, match=r"1920 x 1080 at 480 .* needs H\.264 level 6, .* --max-size \d+ makes"
    ):
        path = write(tmp_path / "large.mp4", large, fps=480, preset="ultrafast")
    assert level_in(path) == 60
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        path = write(tmp_path / "less.mp4", large, fps=480, preset="ultrafast", max_side_px=1360)
        write(tmp_path / "large.webm", large, fps=480)
    assert level_in(path) == 52


# Sound that does not begin with the pictures.


def film_with_a_beep(path: Path, pictures_s: float, sound_s: float, codec: str) -> Path:
    """One second of grey pictures and two of silence with a beep 0.8 s after its start, from where they begin."""
    tone = np.zeros(2 * RATE, np.float32)
    tone[int(0.8 * RATE) : int(0.9 * RATE)] = 0.8 * np.sin(np.arange(RATE // 10) * 0.4)
    with av.open(str(path), "w") as container:
        pictures = container.add_stream("libx264", rate=25)
        pictures.width, pictures.height, pictures.pix_fmt = 64, 48, "yuv420p"
        sound = container.add_stream(codec, rate=RATE, layout="mono")
        for i in range(25):
            frame = av.VideoFrame.from_ndarray(grey(), format="rgb24")
            frame.pts, frame.time_base = i + round(pictures_s * 25), Fraction(1, 25)
            container.mux(pictures.encode(frame))
        container.mux(pictures.encode(None))
        resampler = av.AudioResampler(format=sound.format, layout="mono", rate=RATE, frame_size=1024)
        block = av.AudioFrame.from_ndarray(tone[None], format="fltp", layout="mono")
        block.rate, block.pts = RATE, round(sound_s * RATE)
        for piece in (*resampler.resample(block), *resampler.resample(None)):
            container.mux(sound.encode(piece))
        container.mux(sound.encode(None))
    return path


def heard_s(path: Path) -> float:
    """When a beep begins, from the first picture on."""
    with av.open(str(path)) as container:
        start = next(container.decode(video=0)).time
    with av.open(str(path)) as container:
        for block in container.decode(audio=0):
            loud = np.flatnonzero(np.abs(block.to_ndarray().astype(np.float32)).max(0) > 0.2)
            if len(loud):
                return float(block.time + loud[0] / block.sample_rate - start)
    raise AssertionError("no beep")


@pytest.mark.parametrize("codec", ["aac", "flac"])  # copied, encoded
@pytest.mark.parametrize(("pictures_s", "sound_s"), [(0.0, 0.0), (0.0, 0.12), (0.6, 0.0), (0.6, 0.2)])
def test_sound_that_begins_late_or_early_stays_in_step(
    tmp_path: Path, codec: str, pictures_s: float, sound_s: float
) -> None:
    source = film_with_a_beep(tmp_path / "source.mkv", pictures_s, sound_s, codec)
    expected = 0.8 + sound_s - pictures_s
    for suffix in (".mp4", ".mkv", ".webm"):
        path = write(tmp_path / f"a{suffix}", grey(), count=25, audio=AudioSource(source))
        assert heard_s(path) == pytest.approx(expected, abs=0.07)


# A disk that fills on the way: stood in for by a limit on the size of files, which needs no rights.

_FILL = """
import json, resource, shutil, sys
from pathlib import Path
import numpy as np
from safetensors.numpy import save
from countenance.atomic import replacing
from countenance.errors import OutputUnwritable
from countenance.media.image_writer import write_image
from countenance.media.writer import VideoWriter

noise = np.random.default_rng(0).integers(0, 255, (12, 64, 64, 3), np.uint8)

def make(path):
    if path.suffix in (".png", ".jpg", ".webp"):
        write_image(path, noise.reshape(-1, 64, 3))
    elif path.suffix == ".npz":
        with replacing(path) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, frames=noise, first=noise[0])
    elif path.suffix == ".safetensors":
        with replacing(path) as temporary:
            temporary.write_bytes(save({"frames": noise}))
    else:
        with VideoWriter(path, 25, 64, 64) as writer:
            for frame in noise:
                writer.write(frame)

folder, told = Path(sys.argv[1]), {}
for name in sys.argv[2:]:
    path = folder / name
    make(path)
    size = max(p.stat().st_size for p in (path.iterdir() if path.is_dir() else [path]))
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    for limit in (100, size // 2, size - 1):
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
        try:
            make(path)
            said = "written"
        except OutputUnwritable as error:
            said = str(error)
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        told[f"{name} {limit}"] = [said, [p.name for p in folder.iterdir()]]
print(json.dumps(told))
"""


def test_a_disk_that_fills_on_the_way(tmp_path: Path) -> None:
    suffixes = (*SUFFIXES, ".png", ".jpg", ".webp", ".npz", ".safetensors")
    command = [sys.executable, "-c", _FILL, str(tmp_path), *(f"a{suffix}" for suffix in suffixes)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert len(told) == 3 * len(suffixes)
    for limited, (said, left) in told.items():
        assert said.endswith(": file too large; free some space or choose another folder"), limited
        assert left == [], limited
