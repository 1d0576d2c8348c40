"""What a film's metadata says of its pictures is honoured; what is absurd is refused before memory is asked for."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from skimage import data

from countenance.errors import MediaUnreadable
from countenance.media.decoding import deinterlacing, video_stream
from countenance.media.video import VideoReader
from films import flat, write_pictures

PHOTO = np.ascontiguousarray(data.astronaut()[:128, 160:288])


def pictures_of(path: Path) -> list[np.ndarray]:
    with VideoReader(path) as video:
        frames = [frame.image for frame in video.frames()]
        assert {frame.shape for frame in frames} == {(video.height, video.width, 3)}
    return frames


@pytest.mark.parametrize(
    ("aspect", "width"),
    [
        (Fraction(4, 3), 128),
        (Fraction(1, 2), 48),
        (Fraction(405, 404), 96),
        (Fraction(1), 96),
        (Fraction(99), 96),
    ],
)
def test_pixels_become_square(tmp_path: Path, aspect: Fraction, width: int) -> None:
    narrow = np.ascontiguousarray(PHOTO[:, ::4].repeat(3, axis=1))
    read = pictures_of(write_pictures(tmp_path / "a.mp4", [narrow] * 2, aspect=aspect))[0]
    assert read.shape == (128, width, 3)
    if width == 128:
        assert np.abs(read.astype(int) - PHOTO).mean() < 12


@pytest.mark.parametrize("degrees", [90, 180, -90])
def test_films_are_upright(tmp_path: Path, degrees: int) -> None:
    wide = np.ascontiguousarray(PHOTO[:64])
    read = pictures_of(write_pictures(tmp_path / "r.mov", [wide] * 2, rotation=degrees))[0]
    expected = np.rot90(wide, round(degrees / 90))
    assert read.shape == expected.shape
    assert np.abs(read.astype(int) - expected).mean() < 6


def test_aspect_comes_before_rotation(tmp_path: Path) -> None:
    path = write_pictures(tmp_path / "b.mov", [flat(90, 48, 64)] * 2, aspect=Fraction(2), rotation=90)
    assert pictures_of(path)[0].shape == (96, 64, 3)


@pytest.mark.parametrize(
    ("suffix", "codec", "form"),
    [
        (".mov", "png", "rgba"),
        (".mov", "qtrle", "argb"),
        (".mov", "prores_ks", "yuva444p10le"),
        (".webm", "libvpx-vp9", "yuva420p"),
    ],
)
def test_transparency_lies_over_white(tmp_path: Path, suffix: str, codec: str, form: str) -> None:
    opacity = np.full((128, 128), 255, np.uint8)
    opacity[:, :64] = 0
    layered = np.ascontiguousarray(np.dstack([PHOTO, opacity]))
    frames = [av.VideoFrame.from_ndarray(layered, format="rgba") for _ in range(2)]
    read = pictures_of(write_pictures(tmp_path / f"a{suffix}", frames, codec=codec, form=form))[0]
    assert read[:, :60].min() > 245
    assert np.abs(read[:, 68:].astype(int) - PHOTO[:, 68:]).mean() < 6


def test_interlaced_pictures_have_no_combs(tmp_path: Path) -> None:
    shifted = [np.roll(PHOTO, 8 * i, axis=1) for i in range(12)]
    woven = []
    for first, second in zip(shifted[::2], shifted[1::2], strict=True):
        picture = first.copy()
        picture[1::2] = second[1::2]
        woven.append(picture)
    path = write_pictures(
        tmp_path / "i.ts", woven, codec="mpeg2video", options={"flags": "+ilme+ildct", "b": "20M", "g": "1"}
    )
    read = pictures_of(path)
    assert len(read) == len(woven)

    def combs(picture: np.ndarray) -> float:
        rows = picture.astype(float)
        return float(np.abs(rows[2:] - 2 * rows[1:-1] + rows[:-2]).mean())

    assert combs(woven[2]) > 2 * combs(PHOTO)
    assert combs(read[2]) < 1.3 * combs(PHOTO)


def test_progressive_pictures_are_not_filtered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deinterlacing, "Graph", None)
    assert len(pictures_of(write_pictures(tmp_path / "p.mp4", [PHOTO] * 3))) == 3


def test_frames_that_change_their_size_take_the_first_one_s(tmp_path: Path) -> None:
    parts = [
        write_pictures(tmp_path / f"{i}.ts", [flat(60 + 60 * i, *size)] * 5, codec="mpeg2video")
        for i, size in enumerate(((64, 48), (128, 96)))
    ]
    joined = tmp_path / "joined.ts"
    joined.write_bytes(b"".join(part.read_bytes() for part in parts))
    read = pictures_of(joined)
    assert read[0].shape == (48, 64, 3)
    assert abs(float(read[-1].mean()) - 120) < 5
    assert len(read) >= 9


def test_absurd_sizes_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_pictures(tmp_path / "wide.mkv", [flat(9, 16_400, 16)], codec="ffv1")
    with pytest.raises(MediaUnreadable, match="16400 x 16 pixels; shrink it"):
        VideoReader(path)
    monkeypatch.setattr(video_stream, "LARGEST_FRAME_AREA_PX", 128 * 127)
    with pytest.raises(MediaUnreadable, match="128 x 128 pixels; shrink it"):
        VideoReader(write_pictures(tmp_path / "large.mp4", [PHOTO]))


def test_damage_is_said_once_and_the_rest_is_read(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (20, 96, 96, 3)).astype(np.uint8)
    path = write_pictures(tmp_path / "n.mkv", list(noise), codec="mpeg4", options={"g": "1"})
    content = bytearray(path.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 4000] = bytes(4000)
    path.write_bytes(content)
    with VideoReader(path) as video:
        assert 10 <= sum(1 for _ in video.frames()) <= 21
        assert "\n" not in str(video.damage)


def test_films_can_be_read_twice(tmp_path: Path) -> None:
    with VideoReader(write_pictures(tmp_path / "t.mkv", [flat(20 * i) for i in range(10)])) as video:
        first = [frame.image.mean() for frame in video.frames()]
        assert [frame.image.mean() for frame in video.frames()] == first
        assert len(first) == 10
