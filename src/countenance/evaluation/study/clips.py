"""A case's videos made alike, so that only what a system did tells them apart, and small enough for a page."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

from countenance.arrays import Image
from countenance.errors import MediaUnreadable
from countenance.media.video import VideoReader
from countenance.media.writer import AudioSource, VideoWriter
from countenance.provenance.marks import blind_marks

_FASTEST = 60.0  # frames a second that a page's players keep up with
_SAME_LENGTH_S, _SAME_SHAPE = 0.25, 0.02

SHAPES = "differ in shape"
RATES = "differ in frame rate"
LENGTHS = "differ in length, and were cut to the shortest"
DAMAGED = "are damaged, and were used as far as they go"


@dataclass(frozen=True)
class Encoded:
    """One case's clips.

    Attributes:
        clips: id -> H.264 in MP4.
        seconds: length, the same for all.
        remarks: what may give a system away, of the texts above.
    """

    clips: dict[str, bytes]
    seconds: float
    remarks: tuple[str, ...]


def have_sound(videos: list[Path]) -> bool:
    """All of them do.

    Raises:
        MediaUnreadable: one can't be read.
    """
    for path in videos:
        with VideoReader(path) as video:
            if not video.has_audio:
                return False
    return True


def encoded_case(
    videos: Mapping[str, Path], folder: Path, *, side_px: int, most_s: float, sound: bool, mixed: bool
) -> Encoded:
    """Write a case's videos again: one length, one frame rate, one size, one mark, and nobody's file name.

    The rate is the highest of them and the longer side the longest of them, if at most ``side_px``: so slower and
    smaller videos look as they are, and the larger ones lose only what the page can't show.

    Args:
        videos: id -> video or folder of frames.
        folder: where to write meanwhile; it must exist.
        side_px: most of the longer side.
        most_s: longest clip, seconds.
        sound: keep it; all videos must have it.
        mixed: recordings are in the study; see :func:`countenance.provenance.marks.blind_marks`.

    Raises:
        MediaUnreadable: a video can't be read.
    """
    with ExitStack() as stack:
        readers = {name: stack.enter_context(VideoReader(path)) for name, path in videos.items()}
        rate = min(max(reader.fps for reader in readers.values()), _FASTEST)
        longest = min(side_px, max(max(reader.width, reader.height) for reader in readers.values()))
        sizes = {name: _size(reader, longest) for name, reader in readers.items()}
        writers = {
            name: stack.enter_context(
                VideoWriter(
                    folder / f"{name}.mp4",
                    rate,
                    *sizes[name],
                    audio=AudioSource(reader.path) if sound else None,
                    metadata=blind_marks(mixed),
                )
            )
            for name, reader in readers.items()
        }
        count, most = 0, max(1, round(most_s * rate))
        for frames in islice(zip(*(r.frames(rate) for r in readers.values()), strict=False), most):
            for name, frame in zip(readers, frames, strict=True):
                writers[name].write(_resized(frame.image, sizes[name]))
            count += 1
        remarks = _remarks(list(readers.values()), most_s)
    if not count:
        raise MediaUnreadable(next(iter(videos.values())), "no frame of it can be decoded", "export it again")
    return Encoded({name: _taken(folder / f"{name}.mp4") for name in videos}, count / rate, remarks)


def _taken(path: Path) -> bytes:
    content = path.read_bytes()
    path.unlink()
    return content


def _size(reader: VideoReader, longest: int) -> tuple[int, int]:
    """Width and height in px, even, as 4:2:0 needs them."""
    scale = longest / max(reader.width, reader.height)
    width, height = (max(2, 2 * round(side * scale / 2)) for side in (reader.width, reader.height))
    return width, height


def _resized(image: Image, size: tuple[int, int]) -> Image:
    height, width = image.shape[:2]
    if (width, height) == size:
        return image
    way = cv2.INTER_AREA if size[0] < width else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image, size, interpolation=way), np.uint8)


def _remarks(readers: list[VideoReader], most_s: float) -> tuple[str, ...]:
    shapes = [reader.width / reader.height for reader in readers]
    rates = [reader.fps for reader in readers]
    lengths = [min(reader.duration_s, most_s) for reader in readers if reader.duration_s]
    apart = {
        SHAPES: max(shapes) > (1 + _SAME_SHAPE) * min(shapes),
        RATES: max(rates) > 1.01 * min(rates),
        LENGTHS: bool(lengths) and max(lengths) - min(lengths) > _SAME_LENGTH_S,
        DAMAGED: any(reader.damage for reader in readers),
    }
    return tuple(remark for remark, holds in apart.items() if holds)
