"""What a file holds, found by opening it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, TypeAlias

from countenance.errors import MediaUnreadable

Kind: TypeAlias = Literal["image", "video", "audio", "motion"]

MOTION_SUFFIXES = (".npz", ".csv")
VIDEO_SUFFIXES = (
    ".mp4",
    ".mov",
    ".mkv",
    ".webm",
    ".avi",
    ".m4v",
    ".mpg",
    ".mpeg",
    ".ts",
    ".wmv",
    ".flv",
    ".gif",
)
"""What counts as a video when a folder is searched; a file that is named is opened whatever its suffix."""


def kind_of(path: Path) -> Kind:
    """Tell pictures, videos, sound and motion files apart.

    A folder counts as a video (of its pictures), an animated GIF or WebP too.

    Raises:
        MediaUnreadable: missing, empty, or none of these.
    """
    if path.is_dir():
        return "video"
    if not path.exists():
        raise MediaUnreadable(path, "there is no such file", "check the path")
    if path.stat().st_size == 0:
        raise MediaUnreadable(path, "the file is empty", "copy it again")
    if path.suffix.lower() in MOTION_SUFFIXES:
        return "motion"
    return "image" if _is_still(path) else _stream_kind(path)


def _is_still(path: Path) -> bool:
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as picture:
            return getattr(picture, "n_frames", 1) == 1
    except Image.DecompressionBombError:
        return True
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError):
        return False


def _stream_kind(path: Path) -> Kind:
    import av

    try:
        with av.open(str(path)) as container:
            if any(not _is_cover(stream) for stream in container.streams.video):
                return "video"
            if container.streams.audio:
                return "audio"
    except (av.FFmpegError, UnicodeDecodeError) as error:
        raise MediaUnreadable(
            path, "it is no picture, video or sound", "check that it plays in a media player"
        ) from error
    raise MediaUnreadable(path, "it holds neither pictures nor sound")


def _is_cover(stream: object) -> bool:
    """Cover art of a sound file is a video stream to FFmpeg."""
    from av.stream import Disposition

    return bool(getattr(stream, "disposition", 0) & Disposition.attached_pic)
