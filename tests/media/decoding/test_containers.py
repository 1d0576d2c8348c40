"""Names are files, never protocols or patterns; lists of other files are never followed; odd files are one line."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import pytest

from countenance.audio.samples import all_samples, read_samples
from countenance.errors import MediaUnreadable
from countenance.media.images import read_image
from countenance.media.kinds import kind_of
from countenance.media.video import VideoReader, read_metadata
from films import flat, write_pictures
from sounds import burst, write_film, write_sound

READERS = (kind_of, read_image, VideoReader, read_samples, read_metadata)
ODD_NAMES = [
    "10:30.mp4",
    "http:x.mp4",
    "-x.mp4",
    "concat:a|b.mp4",
    "%03d.mp4",
    "a?b=c&d.mp4",
    "sub,file,.mp4",
    "ü 猫 .mp4",
]


@pytest.mark.parametrize("name", ODD_NAMES)
@pytest.mark.parametrize("here", [False, True])
def test_odd_names_are_files(tmp_path: Path, name: str, here: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    made = write_film(tmp_path / "made.mp4", burst(0.5, 0.2), seconds=0.4)
    made.rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    path = Path(name) if here else tmp_path / name
    assert kind_of(path) == "video"
    with VideoReader(path) as video:
        assert video.has_audio
        assert sum(1 for _ in video.frames()) == 10
    assert len(all_samples(path)) > 7000


@pytest.mark.skipif(sys.platform != "linux", reason="file names are not bytes here")
def test_names_that_are_no_text(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe.mp4"))
    write_pictures(tmp_path / "made.mp4", [flat(40)] * 3).rename(path)
    with VideoReader(path) as video:
        assert sum(1 for _ in video.frames()) == 3


def test_a_pattern_is_no_film_of_its_pictures(tmp_path: Path) -> None:
    import PIL.Image

    for i in range(3):
        PIL.Image.new("RGB", (16, 16)).save(tmp_path / f"{i:03d}.png")
    with pytest.raises(MediaUnreadable, match="no such file"):
        VideoReader(tmp_path / "%03d.png")


LISTS = {
    "a.m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{film}\n#EXT-X-ENDLIST\n",
    "a.ffconcat": "ffconcat version 1.0\nfile '{film}'\n",
    "a.sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\n"
    "m=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n",
    "a.mpd": '<?xml version="1.0"?>\n<MPD type="static"><Period><AdaptationSet><Representation>'
    "<BaseURL>{film}</BaseURL></Representation></AdaptationSet></Period></MPD>\n",
    "a.mp4": "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{film}\n#EXT-X-ENDLIST\n",
}


@pytest.mark.parametrize("name", LISTS)
def test_lists_of_other_files_are_never_followed(tmp_path: Path, name: str) -> None:
    film = write_pictures(tmp_path / "film.ts", [flat(40)] * 5)
    (tmp_path / name).write_text(LISTS[name].format(film=film.name))
    for read in (kind_of, VideoReader, read_samples):
        with pytest.raises(MediaUnreadable, match="list of other files"):
            read(tmp_path / name)


@pytest.mark.parametrize("read", READERS, ids=lambda r: r.__name__)
def test_what_is_no_file_is_one_line(tmp_path: Path, read: object) -> None:
    os.mkfifo(tmp_path / "pipe.mp4")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "s"))
        for path, says in (
            (tmp_path / "pipe.mp4", "pipe or a device"),
            (tmp_path / "s", "pipe or a device"),
            (Path("/dev/zero"), "pipe or a device"),
            (tmp_path / ("x" * 300 + ".mp4"), "too long"),
            (tmp_path / "none" / "x.mp4", "no such file"),
            (tmp_path / "a\0b.mp4", "null"),
        ):
            with pytest.raises(MediaUnreadable, match=says) as caught:
                read(path)
            assert "\n" not in str(caught.value)


@pytest.mark.parametrize("read", READERS, ids=lambda r: r.__name__)
def test_folders_that_may_not_be_entered(
    tmp_path: Path, read: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, **_: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "stat", refuse)
    with pytest.raises(MediaUnreadable, match="Permission denied"):
        read(tmp_path / "x.mp4")


def test_thousands_of_streams(tmp_path: Path) -> None:
    sound = write_sound(tmp_path / "s.ogg", burst(0.2, 0.1), 48_000).read_bytes()
    pages = bytearray()
    for serial in range(3000):  # the same beginning again and again, each of its own stream
        page = bytearray(sound[: sound.index(b"OggS", 4)])
        page[14:18] = serial.to_bytes(4, "little")
        page[22:26] = bytes(4)
        page[22:26] = ogg_checksum(page).to_bytes(4, "little")
        pages += page
    (tmp_path / "many.ogg").write_bytes(pages)
    with pytest.raises(MediaUnreadable):
        read_samples(tmp_path / "many.ogg")


def ogg_checksum(page: bytes) -> int:
    """CRC-32 of Ogg (polynomial 04c11db7, not reflected)."""
    total = 0
    for byte in page:
        total ^= byte << 24
        for _ in range(8):
            total = ((total << 1) ^ 0x04C11DB7 if total & 0x80000000 else total << 1) & 0xFFFFFFFF
    return total
