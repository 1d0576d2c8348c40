"""One rule tells stills, films, sound and motion apart, and the readers agree with it."""

from __future__ import annotations

import io
from pathlib import Path

import av
import numpy as np
import PIL.Image
import pytest
from skimage import data

from countenance.audio.samples import read_samples
from countenance.errors import CountenanceError, DependencyMissing, MediaUnreadable
from countenance.media.decoding import picture_files
from countenance.media.images import read_image
from countenance.media.kinds import kind_of
from countenance.media.video import VideoReader
from countenance.motion.files import save_motion
from countenance.motion.sequence import Motion
from countenance.motion.spaces import ARKIT
from films import flat, write_pictures
from sounds import burst, write_film, write_sound

PHOTO = PIL.Image.fromarray(data.astronaut()[:96, 200:264])
TURNED = [PHOTO.rotate(degrees) for degrees in (0, 5, 10)]


def saved(path: Path, count: int = 1, **options: object) -> Path:
    """A picture file of one or several pictures."""
    if count == 1:
        PHOTO.save(path, **options)  # type: ignore[arg-type]
    else:
        TURNED[0].save(path, save_all=True, append_images=TURNED[1:count], **options)  # type: ignore[arg-type]
    return path


def jpegs(path: Path, pictures: list[PIL.Image.Image]) -> Path:
    """JPEG after JPEG, without a word about it in their headers."""
    content = b""
    for picture in pictures:
        buffer = io.BytesIO()
        picture.save(buffer, format="JPEG")
        content += buffer.getvalue()
    path.write_bytes(content)
    return path


def heic(path: Path) -> Path:
    """A HEIC still."""
    pillow_heif = pytest.importorskip("pillow_heif")
    pillow_heif.from_pillow(PHOTO).save(path)
    return path


STILLS = {
    "a.jpg": saved,
    "a.png": saved,
    "a.webp": saved,
    "a.avif": saved,
    "a.gif": saved,
    "a.bmp": saved,
    "pages.tif": lambda p: saved(p, 3),
    "stereo.jpg": lambda p: saved(p, 2, format="MPO"),
    "preview.jpg": lambda p: jpegs(p, [PHOTO, PHOTO.resize((32, 48))]),
    "a.heic": heic,
    "photo-named.mp4": lambda p: saved(p, format="JPEG"),
}
FILMS = {
    "a.mp4": lambda p: write_pictures(p, [flat(40), flat(80)]),
    "live-photo.mov": lambda p: write_film(p, burst(0.4, 0.1)),
    "one-frame.mp4": lambda p: write_pictures(p, [flat(40)]),
    "camera.avi": lambda p: write_pictures(p, [flat(40)] * 3, codec="mjpeg", form="yuvj420p"),
    "stream.mjpeg": lambda p: jpegs(p, TURNED),
    "anim.gif": lambda p: saved(p, 3),
    "anim.png": lambda p: saved(p, 3),
    "anim.webp": lambda p: saved(p, 3),
    "anim.avif": lambda p: saved(p, 3),
    "stream.m2v": lambda p: write_pictures(p, [flat(40)] * 3, codec="mpeg2video"),
    "film-named.jpg": lambda p: write_pictures(p.with_suffix(".mp4"), [flat(40)] * 2).rename(p),
}


@pytest.mark.parametrize("name", STILLS)
def test_stills_are_read_by_one_and_refused_by_the_other(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    STILLS[name](path)
    assert kind_of(path) == "image"
    assert np.abs(read_image(path).astype(int) - np.asarray(PHOTO)).mean() < 12
    with pytest.raises(MediaUnreadable, match="still picture"):
        VideoReader(path)


@pytest.mark.parametrize("name", FILMS)
def test_films_are_read_by_the_other_and_refused_by_one(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    FILMS[name](path)
    assert kind_of(path) == "video"
    with VideoReader(path) as video:
        assert sum(1 for _ in video.frames()) >= 1
    with pytest.raises(MediaUnreadable):
        read_image(path)


def test_heic_without_its_reader_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = heic(tmp_path / "a.heic")
    monkeypatch.setitem(__import__("sys").modules, "pillow_heif", None)
    for read in (kind_of, read_image, VideoReader):
        with pytest.raises(DependencyMissing, match=r"pip install 'countenance\[heic\]'"):
            read(path)


def test_heic_is_no_sound(tmp_path: Path) -> None:
    with pytest.raises(MediaUnreadable, match="no sound, but a picture"):
        read_samples(heic(tmp_path / "a.heic"))


def test_a_damaged_heic_is_no_film(tmp_path: Path) -> None:
    content = bytearray(heic(tmp_path / "a.heic").read_bytes())
    content[40:80] = bytes(40)
    (tmp_path / "bad.heic").write_bytes(content)
    with pytest.raises(MediaUnreadable):
        VideoReader(tmp_path / "bad.heic")


def test_sound_with_a_cover_is_sound(tmp_path: Path) -> None:
    from av.stream import Disposition

    path = tmp_path / "song.mp3"
    with av.open(str(path), "w") as container:
        sound = container.add_stream("libmp3lame", rate=16_000, layout="mono")
        cover = container.add_stream("png", rate=1)
        cover.width = cover.height = 16
        cover.pix_fmt, cover.disposition = "rgb24", Disposition.attached_pic
        picture = av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8), format="rgb24")
        picture.pts = 0
        container.mux([*cover.encode(picture), *cover.encode(None)])
        block = av.AudioFrame.from_ndarray(burst(0.3, 0.1)[None], format="fltp", layout="mono")
        block.rate = 16_000
        container.mux([*sound.encode(block), *sound.encode(None)])
    assert kind_of(path) == "audio"
    with pytest.raises(MediaUnreadable, match="sound but no pictures"):
        VideoReader(path)


def test_sound_by_any_name(tmp_path: Path) -> None:
    sound = write_sound(tmp_path / "a.wav", burst(0.3, 0.1)).rename(tmp_path / "a.csv")
    assert kind_of(sound) == "audio"


@pytest.mark.parametrize("suffix", [".npz", ".csv"])
def test_motion_by_what_it_holds(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"m{suffix}"
    save_motion(path, Motion.neutral(ARKIT, 3, 25))
    assert kind_of(path) == "motion"
    assert kind_of(path.rename(tmp_path / "m.bin")) == "motion"


def test_what_is_only_named_so_is_left_to_the_motion_reader(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("name;age\nAnna;30\n")
    assert kind_of(tmp_path / "a.csv") == "motion"
    np.savez(tmp_path / "a.npz", weights=np.zeros(3))
    assert kind_of(tmp_path / "a.npz") == "motion"


def test_a_folder_is_a_film(tmp_path: Path) -> None:
    saved(tmp_path / "0.png")
    saved(tmp_path / "1.png")
    (tmp_path / "._1.png").write_bytes(b"a Mac's own")
    assert kind_of(tmp_path) == "video"
    with VideoReader(tmp_path) as video:
        assert sum(1 for _ in video.frames()) == 2


@pytest.mark.parametrize(
    "content", [b"", b"hello, world", b"\x00" * 300, b"P5", b"GIF89a", b"RIFF\x00\x00\x00\x00WAVE"]
)
def test_what_is_none_of_these(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(CountenanceError) as caught:
        kind_of(tmp_path / "x")
    assert "\n" not in str(caught.value)


def test_pillow_s_limits_stay_as_they_are(tmp_path: Path) -> None:
    before = PIL.Image.MAX_IMAGE_PIXELS
    read_image(saved(tmp_path / "a.png"))
    assert before == PIL.Image.MAX_IMAGE_PIXELS
    assert picture_files.LARGEST_AREA_PX == 144_000_000
