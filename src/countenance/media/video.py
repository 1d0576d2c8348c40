"""Reading films: any container and codec of FFmpeg, animated pictures, and folders of stills, one frame at a time."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from countenance.arrays import Image
from countenance.errors import MediaDamaged, MediaUnreadable
from countenance.media.decoding.containers import open_container
from countenance.media.decoding.input_files import check_input_file, is_folder
from countenance.media.decoding.picture_files import moves, open_picture
from countenance.media.decoding.picture_films import AnimatedPicture, PictureFolder
from countenance.media.decoding.sound_tracks import sound_track
from countenance.media.decoding.video_stream import VideoStream
from countenance.media.frames import Frame
from countenance.media.gif import read_gif_comment


class Film(Protocol):
    """What a :class:`VideoReader` reads from."""

    width: int
    height: int
    fps: float
    frame_count_estimate: int | None
    damage: dict[str, None]

    def images(self, rate: float) -> Iterator[Image]:
        """All pictures from the start, ``rate`` a second."""
        ...

    def close(self) -> None:
        """Closes what is open."""
        ...


class VideoReader:
    """A film file, an animated picture, or a folder of pictures in the order of their names.

    Frames come at a constant rate, upright (rotation metadata applied), all of one size with square pixels, and one
    at a time. Where the file's own rate varies, each moment shows the nearest frame in time (an animated picture:
    the one that is due). Interlaced frames are deinterlaced, HLG and PQ are tone-mapped to BT.709, transparency is
    laid over white, and a gap of more than 10 s between two frames is closed up to that.

    Attributes:
        width: px.
        height: px.
        fps: frames a second; for a variable rate the average of the first seconds, for an animated picture that of
            its shortest frame.
        frame_count_estimate: from the header, or None.

    Raises:
        MediaUnreadable: missing, damaged, without pictures, or a still.
        DependencyMissing: HEIC without the extra that reads it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._film = _film(path)
        self.width, self.height, self.fps = self._film.width, self._film.height, self._film.fps
        self.frame_count_estimate = self._film.frame_count_estimate

    @cached_property
    def has_audio(self) -> bool:
        """It has sound that can be decoded; a warning (``MediaDamaged``) if it has only other sound."""
        if not isinstance(self._film, VideoStream):
            return False
        try:
            return sound_track(self.path) is not None
        except MediaUnreadable as error:
            warnings.warn(MediaDamaged(f"{error}; it counts as silent"), stacklevel=3)
            return False

    @property
    def damage(self) -> str | None:
        """What was wrong with the file as far as it was read, or None."""
        return "; ".join(self._film.damage) or None

    def expect_whole(self) -> None:
        """Refuse a film that turned out to be damaged, where its frames must be trusted; call it after reading.

        Raises:
            MediaUnreadable: its index is damaged, frames of it are, it breaks off, or has a gap.
        """
        if self.damage:
            raise MediaUnreadable(self.path, self.damage, "export it again, or leave it out")

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
        return (Frame(image, i / rate) for i, image in enumerate(self._film.images(rate)))

    def __enter__(self) -> Self:
        """Nothing to do: it is open."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes the file."""
        self._film.close()


def _film(path: Path) -> Film:
    if is_folder(path):
        return PictureFolder(path)
    picture = open_picture(path)
    if picture is None:
        return VideoStream(path)
    with picture:
        if not moves(picture):
            raise MediaUnreadable(path, "it is a still picture", "give a film")
    return AnimatedPicture(path)


def read_metadata(path: Path) -> dict[str, str]:
    """The container's texts, keys in lower case.

    Raises:
        MediaUnreadable: no video.
    """
    check_input_file(path)
    if (picture := open_picture(path)) is not None:
        with picture:
            is_gif = picture.format == "GIF"
        return {key.lower(): text for key, text in read_gif_comment(path).items()} if is_gif else {}
    with open_container(path, "video") as container:
        return {key.lower(): text for key, text in container.metadata.items()}
