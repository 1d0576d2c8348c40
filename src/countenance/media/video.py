"""Reading videos: any container and codec of FFmpeg, one frame at a time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import av
import numpy as np

from countenance.arrays import Image
from countenance.errors import MediaUnreadable
from countenance.media.frames import Frame
from countenance.media.gif import read_gif_comment
from countenance.media.images import read_image

_FOLDER_FPS = 25.0
_FEW = 3  # frames that headers may promise too many, without harm
_PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")


class VideoReader:
    """A video file, or a folder of pictures in the order of their names.

    Frames come at a constant rate, upright (rotation metadata applied), and one at a time. Where the file's own
    rate varies, each moment shows the nearest frame in time.

    Attributes:
        width: px, after rotation.
        height: px, after rotation.
        fps: frames a second; the average for a variable rate.
        has_audio: it has sound, too.
        frame_count_estimate: from the header, or None.
        damage: what was wrong with the file as far as it was read, or None.

    Raises:
        MediaUnreadable: missing, damaged, or without pictures.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.damage: str | None = None
        self._pictures = (
            sorted(p for p in path.iterdir() if p.suffix.lower() in _PICTURES) if path.is_dir() else None
        )
        self._container: Any = None
        if self._pictures is not None:
            self._open_folder()
        else:
            self._open_file()

    def _open_folder(self) -> None:
        if not self._pictures:
            raise MediaUnreadable(
                self.path, "the folder holds no pictures", "give a folder of PNG or JPEG frames"
            )
        self.height, self.width = read_image(self._pictures[0]).shape[:2]
        self.fps, self.has_audio = _FOLDER_FPS, False
        self.frame_count_estimate: int | None = len(self._pictures)

    def _open_file(self) -> None:
        if not self.path.is_file():
            raise MediaUnreadable(self.path, "there is no such file", "check the path")
        try:
            self._container = av.open(str(self.path), metadata_errors="replace")
        except (av.FFmpegError, UnicodeDecodeError) as error:
            raise MediaUnreadable(self.path, "it is no video") from error
        self.has_audio = bool(self._container.streams.audio)
        if not self._container.streams.video:
            self._container.close()
            reason = "it has sound but no pictures" if self.has_audio else "it has no pictures"
            raise MediaUnreadable(self.path, reason, "give a video that shows a face")
        self._stream = self._container.streams.video[0]
        self._stream.thread_type = "AUTO"
        self.fps = _rate(self._stream)
        self.frame_count_estimate = self._count()
        first = next(self._decoded(), None)
        if first is None:
            self._container.close()
            raise MediaUnreadable(self.path, "no frame of it can be decoded", "export it again")
        self.height, self.width = _upright(first).shape[:2]

    @property
    def duration_s(self) -> float | None:
        """Seconds, from the header."""
        return self.frame_count_estimate / self.fps if self.frame_count_estimate else None

    def frames(self, fps: float | None = None) -> Iterator[Frame]:
        """All frames from the start, lazily; frame i is at i / fps seconds.

        Args:
            fps: sample at this rate; :attr:`fps` by default.
        """
        rate = fps or self.fps
        if self._pictures is not None:
            timed = ((i / self.fps, path) for i, path in enumerate(self._pictures))
            return (
                Frame(read_image(path), i / rate) for i, path in enumerate(_sampled(timed, rate, self.fps))
            )
        return (Frame(_upright(frame), i / rate) for i, frame in enumerate(self._sampled_frames(rate)))

    def _sampled_frames(self, rate: float) -> Iterator[Any]:
        self._container.seek(0)
        return _sampled(self._timed(), rate, self.fps)

    def _timed(self) -> Iterator[tuple[float, Any]]:
        start, last = None, -1.0
        for frame in self._decoded():
            time = (
                frame.time if frame.time is not None else (last + 1 / self.fps if start is not None else 0.0)
            )
            start = time if start is None else start
            last = max(time - start, last)
            yield last, frame

    def _decoded(self) -> Iterator[Any]:
        """Frames as they can be decoded; damaged packets are passed over, an early end is noted."""
        packets = self._container.demux(self._stream)
        count, promised = 0, self._stream.frames
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                if count < promised - _FEW:
                    self.damage = f"it ends after {count} of {promised} frames"
                return
            except av.FFmpegError as error:
                self.damage = f"it breaks off early ({error.strerror})"
                return
            try:
                for frame in packet.decode():
                    count += 1
                    yield frame
            except av.FFmpegError as error:
                self.damage = f"damaged frames were left out ({error.strerror})"

    def _count(self) -> int | None:
        if self._stream.frames:
            return int(self._stream.frames)
        if self._stream.duration and self._stream.time_base:
            return max(1, round(float(self._stream.duration * self._stream.time_base) * self.fps))
        return round(self._container.duration / 1e6 * self.fps) if self._container.duration else None

    def __enter__(self) -> Self:
        """Nothing to do: it is open."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes the file."""
        if self._container is not None:
            self._container.close()


def _rate(stream: Any) -> float:
    """The constant rate if there is one, else the average."""
    average = float(stream.average_rate or stream.guessed_rate or _FOLDER_FPS)
    base = float(stream.base_rate or average)
    return base if abs(base - average) < 0.02 * average else average


def _sampled(timed: Iterator[tuple[float, Any]], rate: float, source_rate: float) -> Iterator[Any]:
    """For each moment i / rate the item nearest in time, until the last item's time is over."""
    index, before = 0, None
    for moment, item in timed:
        if before is not None:
            while index / rate <= (before[0] + moment) / 2:
                yield before[1]
                index += 1
        before = (moment, item)
    if before is not None:
        while index / rate < before[0] + 0.5 / source_rate or index == 0:
            yield before[1]
            index += 1


def _upright(frame: Any) -> Image:
    picture: Image = frame.to_ndarray(format="rgb24")
    turns = round(getattr(frame, "rotation", 0) / 90) % 4
    return np.ascontiguousarray(np.rot90(picture, turns)) if turns else picture


def read_metadata(path: Path) -> dict[str, str]:
    """The container's texts, keys in lower case.

    Raises:
        MediaUnreadable: no video.
    """
    try:
        with av.open(str(path), metadata_errors="replace") as container:
            texts = dict(container.metadata)
    except (av.FFmpegError, OSError) as error:
        raise MediaUnreadable(path, "it is no video") from error
    extra = read_gif_comment(path) if path.suffix.lower() == ".gif" else {}
    return {key.lower(): text for key, text in texts.items()} | extra
