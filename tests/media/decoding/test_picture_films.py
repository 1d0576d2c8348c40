"""Animated pictures keep their own durations, and folders of stills are films."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from countenance.errors import MediaUnreadable
from countenance.media.video import VideoReader
from films import flat

COLOURS = [(200, 40, 40), (40, 200, 40), (40, 40, 200)]


def animated(path: Path, durations: list[int], **options: object) -> Path:
    """One colour a frame."""
    frames = [PIL.Image.new("RGB", (32, 24), COLOURS[i % 3]) for i in range(len(durations))]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=durations, **options)  # type: ignore[arg-type]
    return path


def shown(path: Path) -> tuple[float, list[int]]:
    """Rate, and which of the colours each frame shows."""
    with VideoReader(path) as video:
        assert (video.width, video.height) == (32, 24)
        assert not video.has_audio
        frames = [int(np.argmax(frame.image.mean((0, 1)))) for frame in video.frames()]
        assert video.frame_count_estimate == pytest.approx(len(frames), abs=1)
        return video.fps, frames


@pytest.mark.parametrize("suffix", [".gif", ".png", ".webp", ".avif"])
def test_every_frame_is_shown_for_its_time(tmp_path: Path, suffix: str) -> None:
    assert shown(animated(tmp_path / f"even{suffix}", [40, 40, 40])) == (25, [0, 1, 2])
    fps, frames = shown(animated(tmp_path / f"uneven{suffix}", [100, 300, 100]))
    assert fps == pytest.approx(10)
    assert frames == [0, 1, 1, 1, 2]


@pytest.mark.parametrize("suffix", [".gif", ".png", ".webp"])
def test_unset_durations_are_a_tenth_as_in_browsers(tmp_path: Path, suffix: str) -> None:
    assert shown(animated(tmp_path / f"unset{suffix}", [0, 0, 0])) == (10, [0, 1, 2])


def test_a_very_long_frame_is_capped(tmp_path: Path) -> None:
    fps, frames = shown(animated(tmp_path / "long.png", [100, 4_000_000, 100]))
    assert (fps, len(frames)) == (10, 102)


def test_transparency_of_animations_lies_over_white(tmp_path: Path) -> None:
    clear = [
        PIL.Image.new("RGBA", (32, 24), (*colour, alpha))
        for colour, alpha in zip(COLOURS, (0, 0, 255), strict=True)
    ]
    clear[0].save(tmp_path / "a.webp", save_all=True, append_images=clear[1:], duration=40, lossless=True)
    with VideoReader(tmp_path / "a.webp") as video:
        frames = [frame.image for frame in video.frames()]
    assert frames[0].min() == 255
    assert frames[-1][0, 0].tolist() == list(COLOURS[2])


@pytest.mark.parametrize("suffix", [".gif", ".png", ".webp"])
def test_an_animation_that_breaks_off(tmp_path: Path, suffix: str) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (9, 64, 64, 3)).astype(np.uint8)
    frames = [PIL.Image.fromarray(picture) for picture in noise]
    path = tmp_path / f"a{suffix}"
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=40)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with contextlib.suppress(MediaUnreadable), VideoReader(path) as video:
        assert 1 <= sum(1 for _ in video.frames()) < 9


def test_a_folder_in_the_order_of_its_names_all_of_one_size(tmp_path: Path) -> None:
    for i, size in enumerate(((32, 24), (64, 48), (32, 24))):
        PIL.Image.new("RGB", size, COLOURS[i]).save(tmp_path / f"{i}.png")
    assert shown(tmp_path) == (25, [0, 1, 2])
    with VideoReader(tmp_path) as video:
        assert {frame.image.shape for frame in video.frames()} == {(24, 32, 3)}


def test_folders_that_are_no_films(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MediaUnreadable, match="no pictures"):
        VideoReader(tmp_path)

    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(MediaUnreadable, match="Permission denied"):
        VideoReader(tmp_path)


def test_memory_does_not_grow_with_the_frames(tmp_path: Path) -> None:
    import tracemalloc

    frames = [PIL.Image.fromarray(flat(i, 200, 200)) for i in range(60)]
    frames[0].save(tmp_path / "a.webp", save_all=True, append_images=frames[1:], duration=40, lossless=True)
    with VideoReader(tmp_path / "a.webp") as video:
        tracemalloc.start()
        try:
            assert sum(1 for _ in video.frames()) == 60
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert peak < 10 * 200 * 200 * 3


def gif_that_grows(path: Path, side: int) -> Path:
    """Two frames, the second of which reaches beyond the canvas."""
    import io

    parts = []
    for size in ((32, 24), (40, 30)):
        buffer = io.BytesIO()
        PIL.Image.new("P", size, 1).save(buffer, format="GIF")
        parts.append(buffer.getvalue())
    frame = bytearray(parts[1][parts[1].rindex(b",\0\0\0\0") :])
    frame[5:9] = side.to_bytes(2, "little") * 2
    path.write_bytes(parts[0][:-1] + frame)
    return path


def test_a_gif_that_grows_keeps_its_first_size(tmp_path: Path) -> None:
    with VideoReader(gif_that_grows(tmp_path / "g.gif", 40)) as video:
        assert {frame.image.shape for frame in video.frames()} == {(24, 32, 3)}
    with VideoReader(gif_that_grows(tmp_path / "h.gif", 65_000)) as video:
        assert {frame.image.shape for frame in video.frames()} == {(24, 32, 3)}
        assert "breaks off after 1 frames" in str(video.damage)
